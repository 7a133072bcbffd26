//! From what the command line names to plans: files, tags, names of runs. Everything wrong is said before anything runs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::commands::check::wrong;
use crate::commands::files::{find, plan_file};
use crate::commands::terminal::Terminal;
use crate::exit_code;
use crate::plan::{Plan, StdinPlan};

/// What the command line names.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Scenario files or folders of them.
    pub paths: &'a [PathBuf],
    /// Names of runs; none is all.
    pub only: &'a [String],
    /// Tags of scenarios; none is all.
    pub tag: &'a [String],
}

/// The plans to run, each with its scenario's file; or the exit code, with everything said.
pub fn select(selection: Selection<'_>, terminal: Terminal) -> Result<Vec<(PathBuf, Arc<Plan>)>, u8> {
    let files = find(selection.paths).map_err(|e| wrong(&e))?;
    let mut plans = Vec::new();
    let mut is_wrong = false;
    for file in files {
        match plan_file(&file) {
            Ok(planned) if planned.has_any_tag(selection.tag) => {
                plans.extend(planned.plans.into_iter().map(|plan| (file.clone(), Arc::new(plan))));
            }
            Ok(_) => {}
            Err(diagnostics) => {
                terminal.complain(&diagnostics);
                is_wrong = true;
            }
        }
    }
    if is_wrong {
        return Err(exit_code::WRONG_INPUT);
    }
    if !selection.only.is_empty() {
        // A run's own name, or the one that all runs of a sweep share.
        let is_meant = |plan: &Plan| {
            selection.only.contains(&plan.run)
                || plan.template.as_ref().is_some_and(|name| selection.only.contains(name))
        };
        plans.retain(|(_, plan)| is_meant(plan));
    }
    if let Some((plan, path)) = plans.iter().find_map(|(_, plan)| Some((plan, unreadable_stdin(plan)?))) {
        let origin = &plan.command.origin;
        let place = format!("{}:{}:{}", origin.file, origin.line, origin.column);
        return Err(wrong(&format!("{place}: standard input of run {}: {path} is no file that can be read", plan.run)));
    }
    if plans.is_empty() {
        return Err(wrong(&"nothing to run: no scenario has that tag, or no run that name"));
    }
    Ok(plans)
}

/// The file that a command is to read, if it cannot. A FIFO would block the lab before its deadline begins.
fn unreadable_stdin(plan: &Plan) -> Option<&str> {
    let StdinPlan::File(path) = &plan.command.stdin else { return None };
    let is_file = std::fs::metadata(path).is_ok_and(|m| m.is_file()) && std::fs::File::open(path).is_ok();
    (!is_file).then_some(path)
}
