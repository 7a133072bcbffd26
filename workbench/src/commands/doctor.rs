//! `workbench doctor`: what this machine has and lacks, and `--fix`.

use std::path::PathBuf;

use super::check::wrong;
use super::kernel::{Ended, build_one};
use super::terminal::{Terminal, say, say_line};
use crate::doctor::{
    Check, FixOutcome, Scope, Stage, examine, fix, fix_build_tools, lacks_kernel, probe_inside, render,
};
use crate::exit_code;
use crate::kernels::{KernelError, Request};

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
        if lacks_kernel(&checks) {
            match supply_kernel(&checks) {
                Supplied::Nothing => {}
                Supplied::Something => {
                    checks = examine(scope, &workbench);
                    say(&render(&checks, terminal.color_out));
                }
                Supplied::Interrupted => return exit_code::INTERRUPTED,
            }
        }
    }
    if checks.iter().any(Check::is_missing) { exit_code::ENVIRONMENT } else { exit_code::AGREES }
}

/// What came of trying to get a kernel.
enum Supplied {
    /// Nothing, and why was said.
    Nothing,
    /// Tools, or tools and a kernel.
    Something,
    /// Somebody wanted it to end.
    Interrupted,
}

/// Builds a kernel for the virtual engine, after installing what that needs. Where it cannot be done, that is said; what
/// it means is for the next examination, which warns, or fails where the tests need a kernel.
fn supply_kernel(checks: &[Check]) -> Supplied {
    let no_kernel = |why: &dyn std::fmt::Display| eprintln!("workbench: no kernel for the virtual engine: {why}");
    let installed = match fix_build_tools(checks) {
        Ok(FixOutcome::NothingToDo) => false,
        Ok(FixOutcome::Installed(what)) => {
            say_line(&format!("\ninstalled: {}\n", what.join(", ")));
            true
        }
        Err(e) => {
            no_kernel(&e);
            return Supplied::Nothing;
        }
    };
    eprintln!("building a kernel for the virtual engine, about 5 minutes; Ctrl-C ends it");
    match build_one(&Request::default()) {
        Ended::Built => Supplied::Something,
        Ended::Interrupted => {
            eprintln!("workbench: interrupted; the build and its files are gone");
            Supplied::Interrupted
        }
        Ended::Refused(KernelError::MissingTools(tools)) => {
            no_kernel(&format!(
                "these are not in PATH, also after their packages were installed: {}",
                tools.join(", ")
            ));
            if installed { Supplied::Something } else { Supplied::Nothing }
        }
        Ended::Refused(e) => {
            no_kernel(&e.to_string().lines().next().unwrap_or_default().trim_end_matches(':'));
            eprintln!("`workbench kernel build` tells more");
            if installed { Supplied::Something } else { Supplied::Nothing }
        }
        Ended::NotBegun(_) => Supplied::Nothing,
    }
}
