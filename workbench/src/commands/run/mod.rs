//! `workbench run`: from files to an exit code.

mod artifacts;
mod command;
mod conclude;
mod progress;
mod schedule;

pub use command::run;
