//! What goes between an engine and its agent: one job in, one outcome out, each a JSON value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{EngineKind, Evidence};
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
