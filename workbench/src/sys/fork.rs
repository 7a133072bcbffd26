//! Forking a companion process: a child that runs one function and dies with its parent.
//!
//! Starting programs is another matter; nothing is executed here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

/// Runs `work` in a child process that keeps only the descriptors `keep` and that the kernel kills when the calling
/// thread ends. The caller reaps it.
///
/// An error if the process has more threads than this one: their locks would stay locked in the child.
pub fn fork_companion(keep: &[BorrowedFd<'_>], work: impl FnOnce()) -> io::Result<Pid> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("expected a process with 1 thread, found {threads}")));
    }
    let parent = getpid();
    // SAFETY: this is the only thread, so the child's memory is consistent and it may call anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // A panic must not unwind into the parent's code, which this process has a copy of.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                // The parent may have ended before the signal was asked for.
                if set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent && close_all_but(keep).is_ok() {
                    work();
                }
            }));
            // SAFETY: it ends this process at once, without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(outcome.is_err())) }
        }
    }
}

/// Closes every descriptor that is not in `keep`: a pipe held open here would keep somebody else waiting for its end.
fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut first = 0;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if first < fd {
            close_range(first, fd - 1)?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the descriptors belong to objects that this process, a copy about to do one thing, never touches again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
