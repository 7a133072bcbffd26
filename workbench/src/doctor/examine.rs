//! Looking at everything there is to look at, in the order in which it is told.

use std::path::Path;

use super::check::{Check, Remedy, Scope, State};
use super::machine::Machine;
use super::trial::Findings;
use super::{judge, switches, tools, trial, virtual_kernel};

/// What is here and what is missing: kernel, switches, tools, the virtual engine's kernel.
///
/// `workbench` is the workbench's own binary, which is started as the probe (`workbench doctor --probe STAGE`, see
/// [`probe_inside`](super::probe_inside)); a test's own binary would not do. Takes a fraction of a second.
pub fn examine(scope: Scope, workbench: &Path) -> Vec<Check> {
    let machine = Machine::read(workbench);
    let (mut checks, findings) = match trial::run(workbench) {
        Ok(findings) => (vec![kernel(&machine)], findings),
        Err(error) => (vec![kernel(&machine), no_probe(workbench, &error)], Findings::new()),
    };
    checks.extend(judge::features(&findings, &machine));
    checks.extend(switches::examine(&machine, judge::is_refused(&findings)));
    checks.extend(tools::examine(scope, &machine));
    checks.extend(virtual_kernel::examine(scope, &machine));
    checks
}

fn kernel(machine: &Machine) -> Check {
    Check {
        name: "kernel".into(),
        needed_for: "everything".into(),
        state: State::Ok { detail: machine.kernel.clone() },
    }
}

fn no_probe(workbench: &Path, error: &std::io::Error) -> Check {
    Check {
        name: "probe".into(),
        needed_for: "finding out what the kernel allows".into(),
        state: State::Missing {
            why: format!("{} could not be started: {error}", workbench.display()),
            remedy: Remedy::Text("start the workbench from a file that it can start again".into()),
        },
    }
}
