//! What is printed or written for people and programs: terminal text, JSON, pcapng. Pure functions.

pub mod strace;
