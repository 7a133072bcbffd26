//! All unsafe code: thin, safe functions over system calls that `nix` does not wrap. One operation for each block.

mod fork;

pub use fork::{Forked, exit_now, fork};
pub mod packet_ring;
