//! One run's outcome to a status: timeline, verdict, snapshot, and the text that says so.

use std::path::Path;

use crate::agent::{Outcome, Refused, Unsupported};
use crate::cli::{Format, RunArgs};
use crate::commands::terminal::Terminal;
use crate::engine::EngineError;
use crate::evidence::{Ending, Evidence};
use crate::plan::Plan;
use crate::report::json::{RunReport, SnapshotStatus, Status};
use crate::report::text;
use crate::snapshot::{self, Claims, Comparison, Store};
use crate::verdict::{self, Verdict};
use crate::{exit_code, timeline};

use super::artifacts;

/// How runs are concluded.
pub struct Conclude<'a> {
    /// The command line.
    pub args: &'a RunArgs,
    /// How to print.
    pub terminal: Terminal,
    /// Print timelines of runs that agree, too.
    pub is_verbose: bool,
}

/// A run, concluded.
pub struct Concluded {
    /// What happened, for programs.
    pub report: RunReport,
    /// What to print.
    pub text: String,
    /// For [`Status::Error`]: whose fault it is.
    pub error_code: Option<u8>,
}
