//! From the command line to engines, and to the clock and the randomness of virtual machines.

use std::path::PathBuf;
use std::sync::Arc;

use super::schedule::Task;
use crate::agent::Guest;
use crate::cli::{EngineChoice, RunArgs, VirtualArgs};
use crate::engine::{Engine, Kernel};
use crate::evidence::TimeTravel;
use crate::plan::Plan;

/// How long a run without a deadline of its own may wait in virtual time.
const DEFAULT_HORIZON_NS: u64 = 86_400 * 1_000_000_000;

/// The engines that the arguments choose: one, or one for each kernel.
///
/// # Errors
///
/// Why there is none, in words.
pub fn engines(args: &RunArgs) -> Result<Vec<Engine>, String> {
    match args.engine {
        EngineChoice::Host => match misplaced(&args.virtual_time) {
            Some(flag) => Err(format!("{flag} means nothing on the host engine; add `--engine virtual`")),
            None => Ok(vec![Engine::Host]),
        },
        EngineChoice::Virtual => {
            let images = std::env::var("WB_IMAGE").map_err(|e| e.to_string())?;
            let kernel = |path: &str| {
                let version = path.rsplit('-').nth(1).and_then(|v| v.split_once('.')).unwrap_or(("6", "12"));
                let number = |text: &str| text.parse().unwrap_or(0);
                Kernel { image: PathBuf::from(path), version: (number(version.0), number(version.1)) }
            };
            Ok(images.split(':').map(kernel).map(Engine::Virtual).collect())
        }
    }
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
