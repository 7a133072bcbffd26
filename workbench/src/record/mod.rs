//! The recorders: system calls (ptrace) and packets (AF_PACKET). They write evidence and reason about nothing.

pub mod packets;
pub mod syscalls;
