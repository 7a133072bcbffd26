//! `workbench run`: from files to an exit code. Its parts that make runs serve `workbench compare`, too.

mod artifacts;
mod command;
mod conclude;
mod engines;
mod hold;
mod junit_file;
mod not_run;
mod phases;
mod progress;
mod schedule;
mod select;

pub use artifacts::read as read_evidence;
pub use command::run;
pub use engines::{programs_at_most_ns, tasks, virtual_engines};
pub use not_run::seen;
pub use progress::Progress;
pub use schedule::{Schedule, Task};
pub use select::{Selection, select};
