//! Calls through which one thread or process waits for another: pipes, eventfd, signalfd, message queues, semaphores, and
//! the end of a child.

use super::time::{Resolution, timeout, until};
use super::wait::signal_mask;
use super::{CallStop, Outcome};
use crate::evidence::Arg;
use crate::record::syscalls::names::wait::{
    EVENTFD_FLAGS, PIPE_FLAGS, SEMAPHORE_FLAGS, SIGNALFD_FLAGS, WAIT_OPTIONS, WAIT_WHOM,
};
use crate::record::syscalls::names::{flags, signal};

/// Operations on semaphores that are read: as many as strace shows.
const OPERATION_LIMIT: u64 = 32;

pub fn eventfd(call: &CallStop) -> Vec<Arg> {
    vec![call.unsigned(0)]
}

pub fn eventfd2(call: &CallStop) -> Vec<Arg> {
    vec![call.unsigned(0), call.flags(1, EVENTFD_FLAGS, "EFD_???")]
}

pub fn signalfd(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), signal_mask(call, 1), call.size(2)]
}

pub fn signalfd4(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), signal_mask(call, 1), call.size(2), call.flags(3, SIGNALFD_FLAGS, "SFD_???")]
}

pub fn pipe(call: &CallStop) -> Vec<Arg> {
    vec![call.pointer(0)]
}

pub fn pipe2(call: &CallStop) -> Vec<Arg> {
    vec![call.pointer(0), call.flags(1, PIPE_FLAGS, "O_???")]
}

/// Both ends: to read from, to write to.
pub fn pipe_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let pair = [call.memory.int(call.raw[0]), call.memory.int(call.raw[0].wrapping_add(4))];
    if let (Ok(_), [Some(read), Some(write)]) = (outcome, pair) {
        args[0] = Arg::List(vec![Arg::Fd(read), Arg::Fd(write)]);
    }
}

pub fn semtimedop(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0), semaphore_operations(call), call.size(2), timeout(call, 3, Resolution::Nanoseconds)]
}

/// `struct sembuf`s: which, by how much, how.
fn semaphore_operations(call: &CallStop) -> Arg {
    let operation = |i: u64| {
        let bytes: [u8; 6] = call.memory.array(call.raw[1].wrapping_add(6 * i))?;
        let short = |at: usize| i16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let how = flags(SEMAPHORE_FLAGS, short(4).cast_unsigned().into(), "SEM_???");
        Some(Arg::Struct(vec![
            ("sem_num".into(), Arg::Int(short(0).cast_unsigned().into())),
            ("sem_op".into(), Arg::Int(short(2).into())),
            ("sem_flg".into(), Arg::Symbol(how)),
        ]))
    };
    let operations: Option<Vec<Arg>> = (0..call.raw[2].min(OPERATION_LIMIT)).map(operation).collect();
    operations.filter(|_| call.raw[1] != 0).map_or(call.pointer(1), Arg::List)
}

/// mq_timedreceive(3): the time is an instant of CLOCK_REALTIME.
pub fn mq_timedreceive(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.pointer(1), call.size(2), call.pointer(3), until(call, 4, libc::CLOCK_REALTIME)]
}

pub fn mq_timedreceive_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let Ok(count) = outcome {
        args[1] = call.buffer(call.raw[1], count.cast_unsigned());
        args[3] = call.int_at(3);
    }
}

pub fn mq_timedsend(call: &CallStop) -> Vec<Arg> {
    let buffer = call.buffer(call.raw[1], call.raw[2]);
    vec![call.fd(0), buffer, call.size(2), call.unsigned(3), until(call, 4, libc::CLOCK_REALTIME)]
}

pub fn wait4(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0), call.pointer(1), call.flags(2, WAIT_OPTIONS, "W???"), call.pointer(3)]
}

/// Fills in how the child ended, if one did.
pub fn wait4_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let (Ok(1..), Some(status), true) = (outcome, call.memory.int(call.raw[1]), call.raw[1] != 0) {
        args[1] = Arg::List(vec![Arg::Symbol(format!("{{{}}}", child_status(status)))]);
    }
}

/// As strace writes it: with the macros of wait(2).
fn child_status(status: i32) -> String {
    if libc::WIFEXITED(status) {
        return format!("WIFEXITED(s) && WEXITSTATUS(s) == {}", libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        let core = if libc::WCOREDUMP(status) { " && WCOREDUMP(s)" } else { "" };
        return format!("WIFSIGNALED(s) && WTERMSIG(s) == {}{core}", signal::name(libc::WTERMSIG(status)));
    }
    if libc::WIFSTOPPED(status) {
        return format!("WIFSTOPPED(s) && WSTOPSIG(s) == {}", signal::name(libc::WSTOPSIG(status)));
    }
    if libc::WIFCONTINUED(status) { "WIFCONTINUED(s)".to_owned() } else { format!("{status:#x}") }
}

pub fn waitid(call: &CallStop) -> Vec<Arg> {
    let options = call.flags(3, WAIT_OPTIONS, "W???");
    vec![call.constant(0, WAIT_WHOM, "P_???"), call.int(1), call.pointer(2), options, call.pointer(4)]
}

/// Fills in the start of `siginfo_t`: which child, how it ended.
pub fn waitid_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let (Ok(_), Some(info), true) = (outcome, call.memory.array::<28>(call.raw[2]), call.raw[2] != 0) else { return };
    let int = |at: usize| i32::from_ne_bytes(std::array::from_fn(|i| info[at + i]));
    let (signo, code, status) = (int(0), int(8), int(24));
    // With WNOHANG and nobody to wait for, all of it is 0.
    if signo == 0 {
        return;
    }
    let status = if code == libc::CLD_EXITED { Arg::Int(status.into()) } else { Arg::Symbol(signal::name(status)) };
    args[2] = Arg::Struct(vec![
        ("si_signo".into(), Arg::Symbol(signal::name(signo))),
        ("si_code".into(), Arg::Symbol(signal::code(signo, code))),
        ("si_pid".into(), Arg::Int(int(16).into())),
        ("si_uid".into(), Arg::Int(int(20).cast_unsigned().into())),
        ("si_status".into(), status),
    ]);
}
