//! Carries out socket programs: the calls that a scenario declares, in order, in a forked process, and nothing else.

mod progress;
mod steps;

pub use progress::{NEVER, Progress, Result as StepOutcome};
pub use steps::{carry_out, said};
