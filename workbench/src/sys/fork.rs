//! Processes made by `fork`, for children that live on without `execve` or prepare one with care.
//!
//! Nothing here waits for a child: who forks, reaps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, getpid, getppid};

/// Which side of a `fork` this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The old process, with the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// How long other threads may take to end.
const ALONE_WITHIN: Duration = Duration::from_secs(5);

/// Forks this process once it has one thread only: the child of a process with several may find locks held by threads
/// that are not there (fork(2)). Threads that are about to end are waited for.
///
/// # Errors
///
/// `fork`'s errno, and an error if this process keeps more than one thread.
pub fn fork() -> io::Result<Forked> {
    let since = Instant::now();
    loop {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => break,
            threads if since.elapsed() > ALONE_WITHIN => {
                return Err(io::Error::other(format!("expected a process with 1 thread, found {threads}")));
            }
            _ => std::thread::yield_now(),
        }
    }
    // SAFETY: the process has one thread (checked above), so every lock in the child is in a known state.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Forks; the child runs `body`, leaves by `_exit` with its result, and never comes back into the caller's code.
///
/// Meant for a process with one thread. In a process with several, only the calling thread exists in the child, so
/// `body` must not take a lock that another thread may have held; allocating is safe (glibc and musl both hold their
/// allocator's locks over a fork).
///
/// # Errors
///
/// `fork`'s errno.
pub fn fork_child(body: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the child runs only `body`, whose duty towards locks of other threads is stated above, and then _exit.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_now(body()),
    }
}

/// Runs `work` in a child process that keeps only the descriptors `keep` and that the kernel kills when the calling
/// thread ends. The caller reaps it.
///
/// # Errors
///
/// As [`fork`].
pub fn fork_companion(keep: &[BorrowedFd<'_>], work: impl FnOnce()) -> io::Result<Pid> {
    fork_companion_keeping(keep.iter().map(|fd| fd.as_raw_fd() as u32).collect(), work)
}

/// As [`fork_companion`], with the numbers of the descriptors to keep, for work that owns them: in the calling process
/// they are closed with `work`.
///
/// # Errors
///
/// As [`fork`].
pub fn fork_companion_keeping(keep: Vec<u32>, work: impl FnOnce()) -> io::Result<Pid> {
    let parent = getpid();
    match fork()? {
        Forked::Parent(child) => Ok(child),
        Forked::Child => {
            // A panic must not unwind into the parent's code, which this process has a copy of.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                // The parent may have ended before the signal was asked for.
                if set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent && close_all_but_numbers(keep).is_ok()
                {
                    work();
                }
            }));
            exit_now(i32::from(outcome.is_err()))
        }
    }
}

/// Closes every descriptor that has none of these numbers: a pipe held open here would keep somebody else waiting for its
/// end.
///
/// Only for a forked child that never returns into code that still believes to own them.
///
/// # Errors
///
/// `close_range`'s errno.
pub fn close_all_but_numbers(mut kept: Vec<u32>) -> io::Result<()> {
    kept.sort_unstable();
    let mut first = 0;
    for number in kept.into_iter().chain([u32::MAX]) {
        if first < number {
            close_descriptors(first, number - 1)?;
        }
        first = number.saturating_add(1);
    }
    Ok(())
}

/// Gives a file this descriptor's number, for good. Only for a forked child in which nobody uses what had that number.
///
/// # Errors
///
/// `dup2`'s errno.
pub fn keep_as(file: std::fs::File, number: i32) -> io::Result<()> {
    // SAFETY: takes numbers only; by the contract above nobody in this process owns `number`.
    if unsafe { libc::dup2(file.as_raw_fd(), number) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if file.as_raw_fd() == number {
        std::mem::forget(file);
    }
    Ok(())
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
///
/// # Errors
///
/// `close_range`'s errno.
pub fn close_descriptors(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes numbers only; by the contract above nothing in this process uses these descriptors again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
