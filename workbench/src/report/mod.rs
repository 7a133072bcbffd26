//! What is printed or written for people and programs: terminal text, JSON, pcapng. Pure functions.

pub mod json;
pub mod pcapng;
mod status;
pub mod strace;
mod table;
pub mod text;

pub use status::{SnapshotStatus, Status};
