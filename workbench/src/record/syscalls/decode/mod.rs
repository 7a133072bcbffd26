//! From raw arguments to [`Arg`]s: at the entry what the program passed, at the return what the kernel wrote.

mod call_stop;
pub mod descriptor;
pub mod message;
pub mod option;
pub mod process;
pub mod ring;
pub mod signal;
pub mod socket;
pub mod time;
pub mod transfer;
pub mod wait;

pub use call_stop::{CallStop, Outcome};
