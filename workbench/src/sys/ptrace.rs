//! ptrace(2) and waitpid(2) as a tracer needs them, with signals as numbers.
//!
//! `nix` has most of this, but its signals know no realtime ones (a stop by SIGRTMIN cannot even be waited for), it has
//! no PTRACE_LISTEN, and its PTRACE_GET_SYSCALL_INFO exists with glibc only. All of it must be called from the one
//! thread that seized.

use std::io;

use libc::{c_int, c_long, c_uint, c_void, pid_t};

/// `PTRACE_EVENT_STOP` (linux/ptrace.h): a group stop, or the first stop of a thread that came by itself.
pub const EVENT_STOP: c_int = 128;

/// What `waitpid` reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The thread is gone: `exit` with this code.
    Exited(i32),
    /// The thread is gone: killed by this signal.
    Killed(i32),
    /// Stopped at the exit of a system call.
    SyscallExit,
    /// Stopped by a `PTRACE_EVENT_*`; for a group stop, with its signal.
    Event {
        /// The event.
        event: c_int,
        /// The signal beside it: SIGTRAP, or what stopped the group.
        signal: c_int,
    },
    /// Stopped before this signal is delivered.
    Signal(c_int),
}

/// Waits for any child or traced thread. With `block` false, `None` when none has anything to report; ECHILD when there
/// is none at all.
pub fn wait_any(block: bool) -> io::Result<Option<(pid_t, Stop)>> {
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for an int.
        match unsafe { libc::waitpid(-1, &raw mut status, flags) } {
            -1 => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
            0 => return Ok(None),
            tid => return Ok(Some((tid, Stop::from_status(status)))),
        }
    }
}

impl Stop {
    fn from_status(status: c_int) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Killed(libc::WTERMSIG(status));
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if signal == libc::SIGTRAP | 0x80 => Self::SyscallExit,
            0 => Self::Signal(signal),
            event => Self::Event { event, signal },
        }
    }
}

fn request(request: c_uint, tid: pid_t, address: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: private to this file. The requests that take no pointer cannot touch our memory; those that do pass one
    // to a live buffer of the length the kernel is told.
    let result = unsafe { libc::ptrace(request as _, tid, address as *mut c_void, data as *mut c_void) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Begins tracing a process without stopping it. The tracer is told of system calls that a seccomp filter marks, of new
/// threads and processes, which it then traces too, and of `execve`; when it dies, they all die.
pub fn seize(tid: pid_t) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE as c_uint, tid, 0, options as usize).map(drop)
}

/// Lets a stopped thread run, delivering `signal` (0: none).
pub fn resume(tid: pid_t, signal: c_int) -> io::Result<()> {
    request(libc::PTRACE_CONT as c_uint, tid, 0, signal as usize).map(drop)
}

/// Lets a stopped thread run to the exit of the system call it is in, delivering `signal` (0: none).
pub fn resume_to_syscall_exit(tid: pid_t, signal: c_int) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL as c_uint, tid, 0, signal as usize).map(drop)
}

/// Leaves a thread in its group stop, and waits for what ends it.
pub fn listen(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_LISTEN as c_uint, tid, 0, 0).map(drop)
}

/// What an event carries: the new thread's id (clone, fork, vfork), the former thread id (exec).
pub fn event_message(tid: pid_t) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG as c_uint, tid, 0, (&raw mut message).addr())?;
    Ok(message as u64)
}

/// The system call at which a thread is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallStop {
    /// At the entry, because the seccomp filter said so.
    Seccomp {
        /// `AUDIT_ARCH_*` of the calling convention: a 64-bit program can make 32-bit calls.
        arch: u32,
        /// Number.
        number: u64,
        /// Arguments.
        args: [u64; 6],
    },
    /// At the exit.
    Exit {
        /// What it returned: a value, or a negated errno.
        value: i64,
        /// Whether it is an errno.
        is_error: bool,
    },
    /// At neither.
    Other,
}

/// `PTRACE_GET_SYSCALL_INFO` and the values of its `op`, for libcs that do not have them (linux/ptrace.h).
const GET_SYSCALL_INFO: c_uint = 0x420e;
const SYSCALL_INFO_EXIT: u8 = 2;
const SYSCALL_INFO_SECCOMP: u8 = 3;

/// Which end of a system call a stop is at, by the kind of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallEnd {
    /// PTRACE_EVENT_SECCOMP.
    Entry,
    /// PTRACE_O_TRACESYSGOOD's SIGTRAP, after PTRACE_SYSCALL from the entry.
    Return,
}

/// Reads at which system call, and at which end of it, a thread is stopped (since Linux 5.3). User-Mode Linux has that
/// request only since 6.16; before, it is the registers that say so, and `end` which end it is.
pub fn syscall_stop(tid: pid_t, end: SyscallEnd) -> io::Result<SyscallStop> {
    let mut info = Words([0; 11]);
    match request(GET_SYSCALL_INFO, tid, size_of_val(&info.0), info.0.as_mut_ptr().addr()) {
        Err(error) if error.raw_os_error() == Some(libc::EIO) => return from_registers(tid, end),
        other => other?,
    };
    // struct ptrace_syscall_info: op u8, padding, arch u32, instruction and stack pointer, then by op:
    // entry and seccomp: nr, args[6]; exit: rval, is_error u8.
    Ok(match info.0[0].to_ne_bytes()[0] {
        SYSCALL_INFO_EXIT => {
            SyscallStop::Exit { value: info.0[3].cast_signed(), is_error: info.0[4].to_ne_bytes()[0] != 0 }
        }
        SYSCALL_INFO_SECCOMP => SyscallStop::Seccomp {
            arch: info.int(4).cast_unsigned(),
            number: info.0[3],
            args: [info.0[4], info.0[5], info.0[6], info.0[7], info.0[8], info.0[9]],
        },
        _ => SyscallStop::Other,
    })
}

/// As the calling convention of x86-64 has it (syscall(2)). There is no other User-Mode Linux of 64 bits.
#[cfg(target_arch = "x86_64")]
fn from_registers(tid: pid_t, end: SyscallEnd) -> io::Result<SyscallStop> {
    /// `AUDIT_ARCH_X86_64` (linux/audit.h).
    const ARCH: u32 = 0xc000_003e;
    /// `MAX_ERRNO` (linux/err.h).
    const MAX_ERRNO: i64 = 4095;
    let mut registers = Words([0; size_of::<libc::user_regs_struct>() / 8]);
    request(libc::PTRACE_GETREGS as c_uint, tid, 0, registers.0.as_mut_ptr().addr())?;
    // r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax … (struct user_regs_struct, sys/user.h).
    let [.., r10, r9, r8, rax, _, rdx, rsi, rdi, orig_rax] = registers.0[..16] else { return Ok(SyscallStop::Other) };
    Ok(match end {
        SyscallEnd::Entry => SyscallStop::Seccomp { arch: ARCH, number: orig_rax, args: [rdi, rsi, rdx, r10, r8, r9] },
        SyscallEnd::Return => {
            let value = rax.cast_signed();
            SyscallStop::Exit { value, is_error: (-MAX_ERRNO..0).contains(&value) }
        }
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn from_registers(_: pid_t, _: SyscallEnd) -> io::Result<SyscallStop> {
    Err(io::Error::from_raw_os_error(libc::EIO))
}

/// Where a signal came from: the parts of `siginfo_t` that say so (sigaction(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalInfo {
    /// Number.
    pub signal: c_int,
    /// `si_errno`.
    pub errno: c_int,
    /// `si_code`.
    pub code: c_int,
    /// `si_pid`, which means something only for signals that a process sent, and for SIGCHLD.
    pub pid: c_int,
}

/// Reads the signal that stopped a thread.
pub fn signal_info(tid: pid_t) -> io::Result<SignalInfo> {
    // siginfo_t is 128 bytes on Linux: si_signo, si_errno, si_code, padding to 16 where pointers have 8, the union.
    let mut info = Words([0; 16]);
    request(libc::PTRACE_GETSIGINFO as c_uint, tid, 0, info.0.as_mut_ptr().addr())?;
    Ok(SignalInfo { signal: info.int(0), errno: info.int(4), code: info.int(8), pid: info.int(16) })
}

/// Aligned room for a structure of the kernel.
struct Words<const N: usize>([u64; N]);

impl<const N: usize> Words<N> {
    /// The int at a byte offset that is a multiple of 4.
    fn int(&self, offset: usize) -> c_int {
        let bytes = self.0[offset / 8].to_ne_bytes();
        let at = offset % 8;
        c_int::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }
}
