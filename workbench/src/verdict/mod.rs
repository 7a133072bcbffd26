//! What ended the wait, whether the scenario's own expectations hold, and whether the run can be believed at all.

mod cause;
mod ended_by;
mod expect;
mod judge;

pub use ended_by::{Confidence, EndedBy, Mechanism, Next, Party};
pub use judge::{Finding, STALLED_NS, Verdict, judge, judge_from};
