//! Enters the namespaces of a host lab: from an ordinary process to process 1 of a world of its own.
//!
//! It builds nothing inside them. A virtual lab needs none of this: its kernel is the isolation.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::{fs, io};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getegid, geteuid, getppid, pipe2};

use crate::sys::fork::{Forked, exit_now, fork};

/// Why the namespaces could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// `unshare` said no.
    #[error(
        "cannot make namespaces: {0}; `workbench doctor` says what this machine allows (a chroot never does: unshare(2))"
    )]
    Unshare(nix::Error),
    /// The id maps could not be written: AppArmor on Ubuntu 24.04 lets `unshare` pass and stops here.
    #[error("cannot map ids in a user namespace ({file}): {source}; `workbench doctor` says what this machine allows")]
    Map {
        /// File below /proc/self.
        file: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else on the way.
    #[error("cannot {what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

fn os(what: &'static str) -> impl Fn(nix::Error) -> IsolationError {
    move |errno| IsolationError::Os { what, source: errno.into() }
}

/// Makes fresh user, network, mount, PID, UTS and IPC namespaces, with one id mapped, and returns in their process 1.
///
/// The calling process stays behind to wait for process 1 and ends with it. `parent` is the process that must outlive
/// this one: if it is gone, or goes later by any signal, this process and everything in the namespaces go too.
///
/// # Errors
///
/// [`IsolationError`]; nothing is left then.
pub fn enter(parent: Pid) -> Result<(), IsolationError> {
    die_with(parent)?;
    let (uid, gid) = (geteuid(), getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .map_err(IsolationError::Unshare)?;
    // One id, also for root, so that root and an ordinary user see the same world (user_namespaces(7): without
    // CAP_SETGID in the parent, setgroups must be denied before gid_map is written).
    write_map("setgroups", "deny")?;
    write_map("uid_map", &format!("0 {uid} 1"))?;
    write_map("gid_map", &format!("0 {gid} 1"))?;
    // A change of credentials clears the parent-death signal (prctl(2)).
    die_with(parent)?;
    let (alive_read, alive_write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(os("make a pipe"))?;
    match fork().map_err(|source| IsolationError::Os { what: "fork process 1", source })? {
        Forked::Child => {
            drop(alive_write);
            become_init(&alive_read)
        }
        Forked::Parent(init) => wait_for(init, alive_write),
    }
}

/// Asks the kernel to kill this process when the thread that made it ends, and ends at once if that has happened.
fn die_with(parent: Pid) -> Result<(), IsolationError> {
    set_pdeathsig(Signal::SIGKILL).map_err(os("ask for a parent-death signal"))?;
    if getppid() != parent {
        exit_now(1);
    }
    Ok(())
}

/// In process 1 `getppid` is 0 for a parent outside, so the parent's life is read from a pipe that only it holds.
fn become_init(alive: &OwnedFd) -> Result<(), IsolationError> {
    set_pdeathsig(Signal::SIGKILL).map_err(os("ask for a parent-death signal"))?;
    let mut fds = [PollFd::new(alive.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).map_err(os("poll the parent's pipe"))?;
    if fds[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP)) {
        exit_now(1);
    }
    Ok(())
}

/// Waits for process 1 and ends. Standard output is closed first: its end of file is process 1's to give.
fn wait_for(init: Pid, alive: OwnedFd) -> ! {
    if let Ok(null) = fs::File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stdin(&null);
    }
    let _ = waitpid(init, None);
    drop(alive);
    exit_now(0)
}

fn write_map(file: &'static str, text: &str) -> Result<(), IsolationError> {
    fs::write(Path::new("/proc/self").join(file), text).map_err(|source| IsolationError::Map { file, source })
}
