//! `workbench judge`: timeline and verdict from kept evidence. No privileges, no engine, milliseconds.

use std::path::Path;

use super::check::wrong;
use super::run::read_evidence;
use super::terminal::{Terminal, say, say_line};
use crate::cli::Format;
use crate::report::json::RunReport;
use crate::report::{SnapshotStatus, Status, text};
use crate::{exit_code, timeline, verdict};

/// Prints what a run of this evidence would have printed.
pub fn judge(path: &Path, format: Format, terminal: Terminal) -> u8 {
    let evidence = match read_evidence(path) {
        Ok(evidence) => evidence,
        Err(e) => return wrong(&format!("{}: {e}", path.display())),
    };
    let timeline = timeline::build(&evidence);
    let verdict = verdict::judge(&evidence, &timeline);
    let report = RunReport::new(&evidence, &timeline, &verdict, SnapshotStatus::None);
    match format {
        Format::Text => {
            say(&text::render(&evidence, &timeline, &verdict, terminal.options()));
        }
        Format::Json => match report.to_line() {
            Ok(line) => say_line(&line),
            Err(e) => return wrong(&e),
        },
    }
    match report.status {
        Status::Fail => exit_code::DIFFERS,
        Status::Inconclusive => exit_code::INCONCLUSIVE,
        _ => exit_code::AGREES,
    }
}
