//! Inside the lab: plan in, evidence out. The same code is process 1 of a host lab and init of a virtual one.

mod causes;
mod clock;
mod coarse_clock;
mod companion;
mod companions;
mod daemons;
mod execute;
mod faults;
mod files;
mod guest;
mod heartbeat;
mod isolation;
mod jiffies;
mod message;
mod programs;
mod sampling;
mod stdio;
mod tools;
mod watch;
mod world;

pub use execute::execute;
pub use guest::{FOLDER_FD, JOB_FILE, KNOWN_TOOLS_FILE, OUTCOME_FILE, init};
pub use isolation::{IsolationError, enter};
pub use jiffies::read as read_jiffies;
pub use message::{Guest, Job, NotReady, Outcome, Refused, Unsupported};
