//! From the command line to engines, and to the clock and the randomness of virtual machines.

use std::path::PathBuf;
use std::sync::Arc;

use super::schedule::Task;
use crate::agent::Guest;
use crate::cli::{Duration, EngineChoice, RunArgs, VirtualArgs};
use crate::commands::check::wrong;
use crate::engine::{Engine, Kernel};
use crate::evidence::TimeTravel;
use crate::exit_code;
use crate::kernels::{self, KernelError};
use crate::plan::Plan;

/// How long a run without a deadline of its own may wait in virtual time.
const DEFAULT_HORIZON_NS: u64 = 86_400 * 1_000_000_000;

/// What all programs of a virtual run may use of a processor together, unless `--compute` says otherwise. Tools that
/// wait for a network use milliseconds; whoever makes system calls for ever uses this up.
const PROGRAMS_AT_MOST_NS: u64 = 120 * 1_000_000_000;

/// The engines that the arguments choose: one, or one for each kernel.
///
/// # Errors
///
/// The exit code, with everything said.
pub fn engines(args: &RunArgs) -> Result<Vec<Engine>, u8> {
    match args.engine {
        EngineChoice::Host => match misplaced(&args.virtual_time) {
            Some(flag) => Err(wrong(&format!("{flag} means nothing on the host engine; add `--engine virtual`"))),
            None => Ok(vec![Engine::Host]),
        },
        EngineChoice::Virtual => virtual_engines(&args.virtual_time),
    }
}

/// The virtual engine, once for each kernel that is asked for, in that order and each once.
///
/// # Errors
///
/// The exit code, with everything said: there is no such kernel.
pub fn virtual_engines(args: &VirtualArgs) -> Result<Vec<Engine>, u8> {
    chosen(args).map_err(|error| {
        eprintln!("workbench: {error}");
        if error.is_input() { exit_code::WRONG_INPUT } else { exit_code::ENVIRONMENT }
    })
}

fn chosen(args: &VirtualArgs) -> Result<Vec<Engine>, KernelError> {
    let host_hz = kernels::host_hz();
    let chosen = match &args.kernel[..] {
        [] => kernels::select(None, host_hz)?,
        wanted => {
            let each = wanted.iter().map(|wanted| kernels::select(Some(wanted), host_hz));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        }
    };
    let mut engines: Vec<Engine> = Vec::new();
    for kernel in chosen {
        let (major, minor, _) = kernel.version();
        let (release, hz) = (kernel.about.release, kernel.about.hz);
        let engine = Engine::Virtual(Kernel { image: kernel.image, release, hz, version: (major, minor) });
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    Ok(engines)
}

/// What tells these engines apart in words: nothing for one alone; a kernel's release, with its HZ where two have one
/// release.
pub fn labels(engines: &[Engine]) -> Vec<Option<String>> {
    let kernels = || {
        engines.iter().map(|engine| match engine {
            Engine::Host => None,
            Engine::Virtual(kernel) => Some(kernel),
        })
    };
    let has_twin = |kernel: &Kernel| kernels().flatten().filter(|other| other.release == kernel.release).count() > 1;
    let label = |kernel: &Kernel| match has_twin(kernel) {
        true => format!("{}@{}", kernel.release, kernel.hz),
        false => kernel.release.clone(),
    };
    kernels().map(|kernel| kernel.filter(|_| engines.len() > 1).map(label)).collect()
}

/// What the programs of a run may use of a processor.
pub fn programs_at_most_ns(compute: Option<Duration>) -> u64 {
    compute.map_or(PROGRAMS_AT_MOST_NS, |compute| compute.ns)
}

fn misplaced(args: &VirtualArgs) -> Option<&'static str> {
    let given = [
        ("--kernel", !args.kernel.is_empty()),
        ("--seed", args.seed.is_some()),
        ("--horizon", args.horizon.is_some()),
        ("--phase", args.phase.is_some()),
        ("--phases", args.phases.is_some()),
        ("--compute", args.compute.is_some()),
    ];
    given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
}

/// A run of `plan` on each of `engines`.
pub fn tasks(plan: &Arc<Plan>, engines: &[Engine], args: &VirtualArgs) -> Vec<Task> {
    engines.iter().zip(labels(engines)).map(|(engine, label)| task(plan, engine, args, label)).collect()
}

fn task(plan: &Arc<Plan>, engine: &Engine, args: &VirtualArgs, label: Option<String>) -> Task {
    let Engine::Virtual(_) = engine else {
        return Task { plan: Arc::clone(plan), engine: engine.clone(), guest: None, label };
    };
    let guest = Guest {
        seed: args.seed.unwrap_or(0),
        phase_ns: args.phase.map(|phase| phase.ns),
        time_travel: TimeTravel::InfCpu,
        cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    };
    Task { plan: Arc::new(within_horizon(plan, args)), engine: engine.clone(), guest: Some(guest), label }
}

/// In virtual time waiting is free: a deadline that nobody chose is moved to the horizon.
fn within_horizon(plan: &Plan, args: &VirtualArgs) -> Plan {
    let mut plan = plan.clone();
    let command = &mut plan.command;
    let is_chosen = command.deadline_ns.is_some() && !command.has_default_deadline;
    if args.horizon.is_some() || !is_chosen {
        command.deadline_ns = Some(args.horizon.map_or(DEFAULT_HORIZON_NS, |horizon| horizon.ns));
        command.is_horizon = true;
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(kernels: &[(&str, u64)]) -> Vec<Option<String>> {
        let engine = |(release, hz): &(&str, u64)| {
            Engine::Virtual(Kernel { image: "linux".into(), release: (*release).into(), hz: *hz, version: (6, 12) })
        };
        labels(&kernels.iter().map(engine).collect::<Vec<_>>())
    }

    #[test]
    fn one_engine_needs_no_label_and_of_several_each_has_its_own() {
        assert_eq!(labels(&[Engine::Host]), [None]);
        assert_eq!(labelled(&[("6.12.117", 250)]), [None]);
        let kernels = [("6.1.176", 250), ("6.12.117", 250), ("6.12.117", 1000)];
        let labels = labelled(&kernels).into_iter().map(Option::unwrap_or_default);
        assert_eq!(labels.collect::<Vec<_>>(), ["6.1.176", "6.12.117@250", "6.12.117@1000"]);
    }
}
