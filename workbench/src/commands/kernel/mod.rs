//! `workbench kernel`: building and keeping kernels for the virtual engine.

mod command;
mod progress;
mod show;

pub use command::{Ended, build_one, kernel};
