//! Starts the process that is a virtual machine: confined, pinned, and gone when its starter is.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::personality::{Persona, set as set_personality};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, execve, fchdir, getpid, getppid, setsid};

use super::fork::{close_all_but_numbers, default_signals, exit_now, fork_child};
use super::seccomp;

/// What is started, and in what surroundings.
#[derive(Debug)]
pub struct Start<'a> {
    /// Program, then its arguments.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=value`.
    pub env: Vec<CString>,
    /// Working folder.
    pub folder: BorrowedFd<'a>,
    /// Descriptors and the numbers they get; all others are closed. The numbers are below 16.
    pub descriptors: Vec<(BorrowedFd<'a>, i32)>,
    /// The one processor it may use; `None` leaves that to the kernel.
    pub cpu: Option<usize>,
}

/// The exit code of a process that could not become the machine.
pub const NOT_STARTED: i32 = 127;

/// Starts a machine in a session of its own. It is killed when the calling *thread* ends (PR_SET_PDEATHSIG); who calls,
/// reaps. It has no address randomisation and no `getrandom`, through which UML would take entropy from the host
/// (arch/um/include/shared/archrandom.h, arch/um/kernel/um_arch.c).
///
/// # Errors
///
/// `fork`'s errno. Later failures end the child with [`NOT_STARTED`].
pub fn start(machine: &Start<'_>) -> io::Result<Pid> {
    let parent = getpid();
    fork_child(|| {
        // Comes back only if something failed.
        let _ = become_machine(machine, parent);
        NOT_STARTED
    })
}

fn become_machine(machine: &Start<'_>, parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        exit_now(NOT_STARTED);
    }
    setsid()?;
    default_signals();
    fchdir(machine.folder)?;
    take_descriptors(&machine.descriptors)?;
    if let Some(cpu) = machine.cpu {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    set_personality(Persona::ADDR_NO_RANDOMIZE)?;
    seccomp::install(&without_getrandom())?;
    let program: &CStr = &machine.argv[0];
    execve(program, &machine.argv, &machine.env)?;
    Ok(())
}

/// Moves descriptors to their numbers, by way of high ones, so that none is overwritten before it was moved.
fn take_descriptors(wanted: &[(BorrowedFd<'_>, i32)]) -> io::Result<()> {
    const FIRST_HIGH: i32 = 64;
    let mut high = Vec::new();
    for (fd, number) in wanted {
        // SAFETY: takes numbers only; the duplicate belongs to nobody else.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, FIRST_HIGH) };
        if copy < 0 {
            return Err(io::Error::last_os_error());
        }
        high.push((copy, *number));
    }
    for (copy, number) in &high {
        // SAFETY: takes numbers only; what `number` was in the parent, nothing in this child uses any more.
        if unsafe { libc::dup2(*copy, *number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    close_all_but_numbers(wanted.iter().map(|(_, number)| *number as u32).collect())
}

/// Every system call is allowed, but `getrandom` is not there.
fn without_getrandom() -> [libc::sock_filter; 4] {
    /// `offsetof(struct seccomp_data, nr)`.
    const NUMBER: u32 = 0;
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    [
        line(LOAD, 0, 0, NUMBER),
        line(JUMP_IF_EQUAL, 0, 1, libc::SYS_getrandom as u32),
        line(RETURN, 0, 0, refused),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
