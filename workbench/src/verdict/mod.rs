//! Whether the scenario's own expectations hold, and whether the run can be believed at all.

mod expect;
mod judge;

pub use judge::{Finding, STALLED_NS, Verdict, judge};
