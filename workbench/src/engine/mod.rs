//! Where a plan is carried out: the one place that knows about engines.

mod host;
mod run;
mod virtual_time;

pub use run::{Engine, EngineError, SELF, Share, run};
pub use virtual_time::{Kernel, Order, launch};
