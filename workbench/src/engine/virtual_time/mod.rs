//! The virtual engine: the real Linux stack as a User-Mode Linux process whose clock jumps when everybody waits.
//!
//! A run is a process of ours, the launcher, that makes one private folder, starts the machine in it, watches it from
//! outside, and removes everything when the machine has ended or whoever asked for the run has gone.

mod client;
mod console;
mod cpu;
mod launch;
mod machine;
mod order;
mod scratch;
mod spin;
mod watch;

pub(super) use client::run;
pub use launch::launch;
pub use order::{Kernel, Order};
