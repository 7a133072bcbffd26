//! What goes between an engine and its agent: one job in, one outcome out, each a JSON value.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::evidence::{EngineKind, Evidence, JiffiesClock, TimeTravel};
use crate::plan::{Origin, Plan};

/// What the agent is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The plan to carry out.
    pub plan: Plan,
    /// Which engine this is, for the evidence.
    pub engine: EngineKind,
    /// Versions of programs that are known already, by program name, so that they are not asked again.
    pub known_tools: BTreeMap<String, String>,
    /// The jiffies clock of the kernel that runs it, where somebody has looked already; looking takes some jiffies.
    pub jiffies: Option<JiffiesClock>,
    /// For the init of a virtual machine.
    pub guest: Option<Guest>,
}

/// What a virtual machine is to be like, beyond its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// What all randomness comes from.
    pub seed: u64,
    /// How far into the cycle of the timer wheel the command is let go; `None` is [`JiffiesClock::DEFAULT_PHASE_JIFFIES`].
    pub phase_ns: Option<u64>,
    /// How its time goes.
    pub time_travel: TimeTravel,
    /// The folder that relative paths of the plan are meant from.
    pub cwd: PathBuf,
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The command ran; this is what was seen.
    Seen(Box<Evidence>),
    /// The machine lacks something that the plan needs: the run is skipped.
    Unsupported(Unsupported),
    /// The kernel refused something that the scenario asks for.
    Refused(Refused),
    /// A daemon could not be brought up.
    NotReady(NotReady),
    /// The lab could not be built or watched, for no fault of the scenario.
    Broken(String),
}

/// Something this machine or kernel cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// What: `netem`.
    pub feature: String,
    /// The kernel's own words.
    pub why: String,
    /// What would run it.
    pub remedy: String,
    /// Where the scenario asks for it.
    pub origin: Origin,
}

/// A refusal by the kernel, with its words and the line that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Host or link.
    pub at: String,
    /// What was asked for.
    pub asked: String,
    /// Errno's name and the extended ack's text.
    pub kernel: String,
    /// Whether another value would do (EINVAL, ERANGE), as against another machine (EPERM, …).
    pub is_scenario_fault: bool,
    /// Where the scenario asks for it.
    pub origin: Origin,
}

/// A daemon that is not ready, or a preparation of one that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReady {
    /// Who: `daemon mariadbd in server`.
    pub what: String,
    /// What it did instead, what was waited for, and how long.
    pub happened: String,
    /// The last lines of its output, as it wrote them.
    pub output: Vec<String>,
    /// It ended by itself, as against: took too long.
    pub is_scenario_fault: bool,
    /// Where the scenario asks for it.
    pub origin: Origin,
}
