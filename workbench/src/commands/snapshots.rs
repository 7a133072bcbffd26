//! `workbench review` and `accept`: what `cargo insta` does, for people who installed only the binary.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use super::check::{count, wrong};
use super::terminal::{Terminal, say_line};
use crate::exit_code;
use crate::snapshot::{self, pending_for};

/// Shows pending snapshots one by one and asks; without a terminal only shows them.
pub fn review(dir: &Path, terminal: Terminal) -> u8 {
    let pending = match pending_for(dir) {
        Ok(pending) => pending,
        Err(e) => return wrong(&e),
    };
    if pending.is_empty() {
        say_line("no pending snapshots");
        return exit_code::AGREES;
    }
    let mut out = io::stdout().lock();
    if !io::stdin().is_terminal() {
        let listed = snapshot::list_pending(&pending, &mut out, terminal.color_out);
        return listed.map_or_else(|e| wrong(&e), |()| exit_code::DIFFERS);
    }
    match snapshot::review(&pending, &mut io::stdin().lock(), &mut out, terminal.color_out) {
        Ok(done) => {
            say_line(&format!("{} accepted, {} rejected, {} skipped", done.accepted, done.rejected, done.skipped));
            exit_code::AGREES
        }
        Err(e) => wrong(&e),
    }
}

/// Accepts pending snapshots: those of a scenario, a folder, or single files.
pub fn accept(paths: &[PathBuf]) -> u8 {
    let mut accepted = 0;
    for path in paths {
        let pending = match pending_for(path) {
            Ok(pending) => pending,
            Err(e) => return wrong(&e),
        };
        for one in pending {
            if let Err(e) = one.accept() {
                return wrong(&e);
            }
            say_line(&format!("accepted {}", one.accepted.display()));
            accepted += 1;
        }
    }
    say_line(&(count(accepted, "snapshot") + " accepted"));
    exit_code::AGREES
}
