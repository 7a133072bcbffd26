//! What took part in a run beside its command: faults with a cause, daemons, the steps of socket programs.
//!
//! The calls of socket programs are recorded as all others are; here is only what no recorder sees.

use serde::{Deserialize, Serialize};

use super::model::{Ending, Output};

/// A fault with a cause, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its id in the plan.
    pub id: String,
    /// When its cause had come, since zero.
    pub cause_ns: i64,
    /// When all of it was in place.
    pub began_ns: i64,
    /// When all of it was taken back; `None` if it lasted until the end.
    pub healed_ns: Option<i64>,
    /// What the kernel refused, in its words; the run is inconclusive then.
    pub refused: Option<String>,
}

/// A daemon of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonRecord {
    /// Its name.
    pub name: String,
    /// When it was started, since zero; negative.
    pub started_ns: i64,
    /// When it was found ready.
    pub ready_ns: i64,
    /// What it wrote.
    pub output: Output,
    /// When and how it ended, if it did before the run was over.
    pub end: Option<(i64, Ending)>,
}

/// One step of a socket program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The program.
    pub program: String,
    /// Which of its steps, from 0.
    pub index: usize,
    /// When it began, since zero.
    pub began_ns: i64,
    /// When it was done; `None` if the run ended before.
    pub done_ns: Option<i64>,
    /// What came of it.
    pub result: Option<StepResult>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// What the call returned.
    Ok(i64),
    /// The errno's name.
    Failed(String),
}
