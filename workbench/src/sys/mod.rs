//! All unsafe code: thin, safe functions over system calls that `nix` does not wrap. One operation for each block.

pub mod ethtool;
pub mod fork;
pub mod frame_socket;
pub mod mount;
pub mod packet_ring;
pub mod ptrace;
pub mod seccomp;
