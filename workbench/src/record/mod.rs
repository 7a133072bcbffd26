//! The recorders: system calls (ptrace), packets (AF_PACKET), TCP sockets (sock_diag) and the network stacks' counters.
//! They write evidence and reason about nothing.

pub mod counters;
pub mod packets;
pub mod sockets;
pub mod syscalls;
