//! `fork` and `_exit` for processes that are known to have one thread. What the child does is its caller's business.

use std::io;

use nix::unistd::{ForkResult, Pid};

/// Which side of a `fork` this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The old process, with the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks this process, which must have one thread only: the child of a process with several may find locks held by
/// threads that are not there (fork(2)).
///
/// # Errors
///
/// `fork`'s errno, and `InvalidInput` if this process has more than one thread.
pub fn fork() -> io::Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    if threads != 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("fork with {threads} threads")));
    }
    // SAFETY: the process has one thread (checked above), so every lock in the child is in a known state.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Ends this process without running destructors or exit handlers, which belong to the parent's copy.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}
