//! `workbench check`, `plan` and `fmt`: everything that needs only the scenario's text.

use std::path::{Path, PathBuf};

use super::files::{find, plan_file};
use super::terminal::{Terminal, say, say_line};
use crate::cli::Format;
use crate::exit_code;
use crate::plan::Plan;
use crate::scenario::{self, SourceFile};

/// Validates files; prints a line for each that is right and all problems of each that is not.
pub fn check(paths: &[PathBuf], terminal: Terminal) -> u8 {
    let files = match find(paths) {
        Ok(files) => files,
        Err(e) => return wrong(&e),
    };
    let mut code = exit_code::AGREES;
    for file in files {
        match plan_file(&file) {
            Ok(planned) => {
                let runs = count(planned.plans.len(), "run");
                say_line(&format!("{}: ok, {runs} ({})", file.display(), names(&planned.plans)));
            }
            Err(diagnostics) => {
                terminal.complain(&diagnostics);
                code = exit_code::WRONG_INPUT;
            }
        }
    }
    code
}

/// The names of the runs; those that a sweep repeats once, with how often.
fn names(plans: &[Plan]) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for plan in plans {
        let name = plan.template.as_deref().unwrap_or(&plan.run);
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => *times += 1,
            None => names.push((name, 1)),
        }
    }
    let once = |(name, times): &(&str, usize)| match times {
        1 => (*name).to_owned(),
        times => format!("{name} {times} times"),
    };
    names.iter().map(once).collect::<Vec<_>>().join(", ")
}

/// Prints what would be built.
pub fn plan(file: &Path, format: Format, terminal: Terminal) -> u8 {
    let planned = match plan_file(file) {
        Ok(planned) => planned,
        Err(diagnostics) => {
            terminal.complain(&diagnostics);
            return exit_code::WRONG_INPUT;
        }
    };
    match format {
        Format::Text => {
            let texts: Vec<String> = planned.plans.iter().map(Plan::describe).collect();
            say(&texts.join("\n"));
        }
        Format::Json => match serde_json::to_string_pretty(&planned.plans) {
            Ok(json) => say_line(&json),
            Err(e) => return wrong(&e),
        },
    }
    exit_code::AGREES
}

/// Formats files in place, or only says which would change.
pub fn fmt(paths: &[PathBuf], only_check: bool, terminal: Terminal) -> u8 {
    let files = match find(paths) {
        Ok(files) => files,
        Err(e) => return wrong(&e),
    };
    let mut code = exit_code::AGREES;
    for file in files {
        match SourceFile::read(&file).and_then(|source| Ok((scenario::format(&source)?, source.text))) {
            Ok((formatted, text)) if formatted == text => {}
            Ok(_) if only_check => {
                say_line(&format!("{}: not formatted", file.display()));
                code = exit_code::DIFFERS;
            }
            Ok((formatted, _)) => match std::fs::write(&file, formatted) {
                Ok(()) => say_line(&format!("{}: formatted", file.display())),
                Err(e) => return wrong(&format!("{}: {e}", file.display())),
            },
            Err(diagnostics) => {
                terminal.complain(&diagnostics);
                code = exit_code::WRONG_INPUT;
            }
        }
    }
    code
}

/// `1 run`, `2 runs`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Says what is wrong with the command line or a file, and how to exit.
pub fn wrong(error: &dyn std::fmt::Display) -> u8 {
    eprintln!("workbench: {error}");
    exit_code::WRONG_INPUT
}
