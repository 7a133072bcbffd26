//! `workbench run`: from files to an exit code.

mod artifacts;
mod command;
mod conclude;
mod engines;
mod phases;
mod progress;
mod schedule;

pub use artifacts::read as read_evidence;
pub use command::run;
