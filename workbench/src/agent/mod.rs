//! Inside the lab: plan in, evidence out. The same code is process 1 of a host lab and init of a virtual one.

mod clock;
mod execute;
mod heartbeat;
mod isolation;
mod message;
mod stdio;
mod tools;
mod watch;
mod world;

pub use execute::execute;
pub use isolation::{IsolationError, enter};
pub use message::{Job, Outcome, Refused, Unsupported};
