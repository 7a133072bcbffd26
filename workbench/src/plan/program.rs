//! Socket programs as they are carried out: calls in order, in a host.

use serde::{Deserialize, Serialize};

use super::model::Origin;

/// A socket program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramPlan {
    /// Its name, unique among programs and hosts.
    pub name: String,
    /// Host it runs in.
    pub host: String,
    /// Its steps, in order.
    pub steps: Vec<StepPlan>,
    /// Where it stands.
    pub origin: Origin,
}

/// One step of a socket program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// As the scenario writes it, in one line: `bind listener 80`.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}
