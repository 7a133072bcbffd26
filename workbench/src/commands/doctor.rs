//! `workbench doctor`: what this machine has and lacks, and `--fix`.

use std::path::PathBuf;

use super::check::wrong;
use super::terminal::{Terminal, say, say_line};
use crate::doctor::{Check, FixOutcome, Scope, Stage, examine, fix, probe_inside, render};
use crate::exit_code;

/// Says what is here; with `is_fixing` installs what packages can supply and looks again.
pub fn doctor(is_fixing: bool, for_tests: bool, probe: Option<&str>, terminal: Terminal) -> u8 {
    if let Some(stage) = probe {
        return match stage.parse::<Stage>() {
            Ok(stage) => probe_inside(stage),
            Err(_) => wrong(&format!("no such probe: {stage}")),
        };
    }
    let scope = if for_tests { Scope::Tests } else { Scope::Run };
    let workbench = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("workbench"));
    let mut checks = examine(scope, &workbench);
    say(&render(&checks, terminal.color_out));
    if is_fixing {
        match fix(&checks) {
            Ok(FixOutcome::NothingToDo) => {}
            Ok(FixOutcome::Installed(what)) => {
                say_line(&format!("\ninstalled: {}\n", what.join(", ")));
                checks = examine(scope, &workbench);
                say(&render(&checks, terminal.color_out));
            }
            Err(e) => {
                eprintln!("workbench: {e}");
                return exit_code::ENVIRONMENT;
            }
        }
    }
    if checks.iter().any(Check::is_missing) { exit_code::ENVIRONMENT } else { exit_code::AGREES }
}
