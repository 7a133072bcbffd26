//! What is printed or written for people and programs: terminal text, JSON, pcapng. Pure functions.

pub mod json;
mod status;
mod table;
pub mod text;

pub use status::{SnapshotStatus, Status};
pub mod pcapng;
pub mod strace;
