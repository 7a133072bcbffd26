//! All unsafe code: thin, safe functions over system calls that `nix` does not wrap. One operation for each block.

pub mod board;
pub mod call;
pub mod ethtool;
pub mod fork;
pub mod frame_socket;
pub mod interface;
pub mod machine;
pub mod mount;
pub mod packet_ring;
pub mod pidfd;
pub mod ptrace;
pub mod random;
pub mod readiness;
pub mod seccomp;
pub mod session;
pub mod shared_pages;
pub mod tcp_queue;
pub mod times;
