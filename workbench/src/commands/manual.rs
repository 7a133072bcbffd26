//! `workbench completions` and `man`: made from the same definitions as `--help`.

use std::path::Path;

use clap::CommandFactory;

use super::check::wrong;
use super::terminal::say;
use crate::cli::Cli;
use crate::exit_code;

/// Prints completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "workbench", &mut script);
    say(&String::from_utf8_lossy(&script));
    exit_code::AGREES
}

/// Writes `workbench.1` and a page for each subcommand.
pub fn man(dir: &Path) -> u8 {
    match std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)) {
        Ok(()) => exit_code::AGREES,
        Err(e) => wrong(&format!("{}: {e}", dir.display())),
    }
}
