//! What is printed or written for people and programs: terminal text, JSON, pcapng, traces, JUnit. Pure functions.

pub mod compare;
mod compare_json;
mod compare_table;
mod daemons;
pub mod diagram;
pub mod events;
mod evidence_line;
pub mod json;
pub mod junit;
mod listing;
mod packet_comments;
mod packet_words;
pub mod pcapng;
pub mod phases;
pub mod sockets;
mod status;
pub mod strace;
mod table;
pub mod text;
pub mod trace;
mod transit;
pub mod views;
mod words;

pub use compare_json::line as compare_line;
pub use compare_table::render as compare_text;
pub use listing::listing;
pub use status::{SnapshotStatus, Status};
