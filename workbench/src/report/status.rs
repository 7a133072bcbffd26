//! How a run came out, in one word each.

use std::fmt;

use serde::Serialize;

use crate::verdict::Verdict;

/// A run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The scenario's expectations hold and the snapshot, if there is one, agrees.
    Pass,
    /// An expectation does not hold, or the snapshot differs.
    Fail,
    /// Not run: the machine lacks something that the scenario needs.
    Skipped,
    /// Run, but what was recorded cannot be believed: neither a pass nor a failure.
    Inconclusive,
    /// Not run: the lab could not be built, or something of the workbench's own failed.
    Error,
}

impl Status {
    /// Of a run that took place. What a missing snapshot means is the caller's decision.
    pub fn of(verdict: &Verdict, snapshot: SnapshotStatus) -> Self {
        if !verdict.inconclusive.is_empty() {
            Self::Inconclusive
        } else if !verdict.findings.is_empty() || snapshot == SnapshotStatus::Differs {
            Self::Fail
        } else {
            Self::Pass
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        })
    }
}

/// A run against its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotStatus {
    /// Agrees within its tolerances.
    Match,
    /// Differs; a pending snapshot holds what was seen.
    Differs,
    /// There was none.
    New,
    /// Not compared.
    None,
}

impl fmt::Display for SnapshotStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Match => "match",
            Self::Differs => "differs",
            Self::New => "new",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SnapshotStatus, Status};

    #[test]
    fn a_status_fills_the_column_that_it_stands_in() {
        assert_eq!(format!("{:<12} curl", Status::Pass), "pass         curl");
        assert_eq!(format!("{:<12} curl", Status::Inconclusive), "inconclusive curl");
        assert_eq!(format!("{:>7}", SnapshotStatus::New), "    new");
    }
}
