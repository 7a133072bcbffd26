//! Processes made by `fork`, for children that live on without `execve` or prepare one with care.
//!
//! Nothing here waits for a child: who forks, reaps.

use std::io;

use nix::unistd::{ForkResult, Pid, fork};

/// Forks; the child runs `body`, leaves by `_exit` with its result, and never comes back into the caller's code.
///
/// Meant for a process with one thread. In a process with several, only the calling thread exists in the child, so
/// `body` must not take a lock that another thread may have held; allocating is safe (glibc and musl both hold their
/// allocator's locks over a fork).
pub fn fork_child(body: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the child runs only `body`, whose duty towards locks of other threads is stated above, and then _exit.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_now(body()),
    }
}

/// Ends the process at once: no destructors, no exit handlers, no flushing, which belong to the process forked from.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any code, touches no memory of this process and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default disposition again: an ignored one (Rust ignores SIGPIPE) would stay so over `execve`.
/// Without libc, which keeps two realtime signals to itself.
pub fn default_signals() {
    /// The kernel's `struct sigaction`, all zero: SIG_DFL, no flags, nothing blocked. No architecture's is larger.
    static DEFAULT: [u64; 4] = [0; 4];
    const SIGNALS: i32 = 64;
    for signal in 1..=SIGNALS {
        // SAFETY: the kernel only reads `DEFAULT`, and SIG_DFL runs no code of ours. SIGKILL and SIGSTOP cannot be set,
        // and need not be.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
}

/// Closes the descriptors from `first` to `last`, both included; none need be open.
///
/// Only for a forked child that never returns into code that still believes to own them.
pub fn close_descriptors(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes numbers only; by the contract above nothing in this process uses these descriptors again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
