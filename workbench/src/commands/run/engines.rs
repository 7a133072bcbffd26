//! From the command line to engines, and to the clock and the randomness of virtual machines.

use std::path::PathBuf;
use std::sync::Arc;

use super::schedule::Task;
use crate::agent::Guest;
use crate::cli::{EngineChoice, RunArgs, VirtualArgs};
use crate::commands::check::wrong;
use crate::engine::{Engine, Kernel};
use crate::evidence::TimeTravel;
use crate::exit_code;
use crate::kernels::{self, KernelError};
use crate::plan::Plan;

/// How long a run without a deadline of its own may wait in virtual time.
const DEFAULT_HORIZON_NS: u64 = 86_400 * 1_000_000_000;

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
        EngineChoice::Virtual => virtual_engines(&args.virtual_time).map_err(|error| {
            eprintln!("workbench: {error}");
            exit_code::ENVIRONMENT
        }),
    }
}

/// The virtual engine, once for each kernel that is asked for, in that order and each once.
///
/// # Errors
///
/// There is no such kernel.
pub fn virtual_engines(args: &VirtualArgs) -> Result<Vec<Engine>, KernelError> {
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
        let engine = Engine::Virtual(Kernel { image: kernel.image, version: (major, minor) });
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    Ok(engines)
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

/// A run of `plan` on `engine`, at `phase_ns` if that is given.
pub fn task(plan: &Arc<Plan>, engine: &Engine, args: &VirtualArgs, phase_ns: Option<u64>) -> Task {
    let Engine::Virtual(_) = engine else {
        return Task { plan: Arc::clone(plan), engine: engine.clone(), guest: None };
    };
    let guest = Guest {
        seed: args.seed.unwrap_or(0),
        phase_ns: phase_ns.or(args.phase.map(|phase| phase.ns)),
        time_travel: TimeTravel::InfCpu,
        cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    };
    Task { plan: Arc::new(within_horizon(plan, args)), engine: engine.clone(), guest: Some(guest) }
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
