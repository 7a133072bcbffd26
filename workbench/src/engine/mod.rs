//! Where a plan is carried out: the one place that knows about engines.

mod host;
mod run;

pub use run::{EngineError, run};
