//! Calls that arm timers and sleep, and the times in all calls.
//!
//! A call may name an instant in place of a length (TIMER_ABSTIME). What the reader wants to know is how long it waits,
//! so the length that lay ahead at the entry is worked out here, where that clock can still be read.

use std::fs;

use nix::time::ClockId;

use super::{CallStop, Outcome};
use crate::evidence::{Arg, TimeForm};
use crate::record::syscalls::names::constant;
use crate::record::syscalls::names::signal;
use crate::record::syscalls::names::wait::{
    CLOCK_FLAGS, CLOCKS, FUTEX_WAITS, INTERVAL_TIMERS, SIGEV_KINDS, TIMERFD_FLAGS, TIMERFD_SET_FLAGS,
};

const SECOND_NS: u64 = 1_000_000_000;

/// What the second half of a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// `struct timeval`.
    Microseconds,
    /// `struct timespec`.
    Nanoseconds,
}

impl Resolution {
    fn form(self) -> TimeForm {
        match self {
            Self::Microseconds => TimeForm::Timeval,
            Self::Nanoseconds => TimeForm::Timespec,
        }
    }
}

/// The time at this address; `None` if it cannot be read or is no length of time (negative: EINVAL).
pub fn nanoseconds(call: &CallStop, at: u64, resolution: Resolution) -> Option<u64> {
    let seconds = call.memory.word(at)?.cast_signed();
    let fraction = call.memory.word(at.wrapping_add(8))?.cast_signed();
    let unit = if resolution == Resolution::Microseconds { 1_000 } else { 1 };
    let (seconds, fraction) = (u64::try_from(seconds).ok()?, u64::try_from(fraction).ok()?);
    Some(seconds.saturating_mul(SECOND_NS).saturating_add(fraction.saturating_mul(unit)))
}

/// The wait that argument `i` arms by address; NULL is for ever.
pub fn timeout(call: &CallStop, i: usize, resolution: Resolution) -> Arg {
    if call.raw[i] == 0 {
        return Arg::timeout(None, resolution.form());
    }
    match nanoseconds(call, call.raw[i], resolution) {
        Some(ns) => Arg::timeout(Some(ns), resolution.form()),
        None => call.pointer(i),
    }
}

/// Fills in what was left of a wait, for the calls that write it back.
pub fn timeout_return(call: &CallStop, outcome: Outcome, args: &mut [Arg], i: usize) {
    let Arg::Timeout { ns: Some(_), form, left_ns, .. } = &mut args[i] else { return };
    let resolution = if *form == TimeForm::Timeval { Resolution::Microseconds } else { Resolution::Nanoseconds };
    if outcome.is_ok() {
        *left_ns = nanoseconds(call, call.raw[i], resolution);
    }
}

/// The wait until an instant of `clock` that argument `i` names by address.
fn until(call: &CallStop, i: usize, clock: i32) -> Arg {
    match nanoseconds(call, call.raw[i], Resolution::Nanoseconds) {
        Some(at) if call.raw[i] != 0 => {
            Arg::Timeout { ns: Some(ahead(call, clock, at)), form: TimeForm::Timespec, at_ns: Some(at), left_ns: None }
        }
        _ => timeout(call, i, Resolution::Nanoseconds),
    }
}

/// How far ahead of the call's entry an instant lies; 0 for one that is past. The clocks that count a process's CPU time
/// cannot be read from here, and nobody waits for the network on them: the instant itself stands for them.
pub fn ahead(call: &CallStop, clock: i32, at_ns: u64) -> u64 {
    let now = match clock {
        libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => return at_ns,
        libc::CLOCK_MONOTONIC => Some(call.entry_ns.cast_unsigned()),
        _ => ClockId::from_raw(clock).now().ok().and_then(|now| {
            let (seconds, fraction) = (u64::try_from(now.tv_sec()).ok()?, u64::try_from(now.tv_nsec()).ok()?);
            Some(seconds * SECOND_NS + fraction)
        }),
    };
    now.map_or(at_ns, |now| at_ns.saturating_sub(now))
}

pub fn alarm(call: &CallStop) -> Vec<Arg> {
    let seconds = call.raw[0] & 0xffff_ffff;
    vec![Arg::timeout(Some(seconds * SECOND_NS), TimeForm::S)]
}

pub fn nanosleep(call: &CallStop) -> Vec<Arg> {
    vec![timeout(call, 0, Resolution::Nanoseconds), call.pointer(1)]
}

pub fn nanosleep_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    remaining(call, outcome, args, 1);
}

pub fn clock_nanosleep(call: &CallStop) -> Vec<Arg> {
    let request =
        if is_absolute(call) { until(call, 2, call.raw_int(0)) } else { timeout(call, 2, Resolution::Nanoseconds) };
    vec![call.constant(0, CLOCKS, "CLOCK_???"), call.flags(1, CLOCK_FLAGS, "TIMER_???"), request, call.pointer(3)]
}

pub fn clock_nanosleep_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if !is_absolute(call) {
        remaining(call, outcome, args, 3);
    }
}

/// TIMER_ABSTIME and TFD_TIMER_ABSTIME, both in argument 1.
fn is_absolute(call: &CallStop) -> bool {
    call.raw_int(1) & libc::TIMER_ABSTIME != 0
}

/// What an interrupted sleep leaves: the kernel writes it only then.
fn remaining(call: &CallStop, outcome: Outcome, args: &mut [Arg], i: usize) {
    let interrupted = matches!(outcome, Err(512..=516));
    if !interrupted || call.raw[i] == 0 {
        return;
    }
    if let Some(ns) = nanoseconds(call, call.raw[i], Resolution::Nanoseconds) {
        args[i] = Arg::timeout(Some(ns), TimeForm::Timespec);
    }
}

pub fn setitimer(call: &CallStop) -> Vec<Arg> {
    let timer = timer(call, 1, Resolution::Microseconds, None);
    vec![call.constant(0, INTERVAL_TIMERS, "ITIMER_???"), timer, call.pointer(2)]
}

pub fn setitimer_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if outcome.is_ok() {
        args[2] = timer(call, 2, Resolution::Microseconds, None);
    }
}

pub fn timer_create(call: &CallStop) -> Vec<Arg> {
    vec![call.constant(0, CLOCKS, "CLOCK_???"), sigevent(call, 1), call.pointer(2)]
}

pub fn timer_create_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if outcome.is_ok() {
        args[2] = call.int_at(2);
    }
}

/// `struct sigevent`: how a timer tells that it fired.
fn sigevent(call: &CallStop, i: usize) -> Arg {
    let Some(bytes) = call.memory.array::<20>(call.raw[i]).filter(|_| call.raw[i] != 0) else { return call.pointer(i) };
    let int = |at: usize| i32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    let value = u64::from_ne_bytes(std::array::from_fn(|i| bytes[i]));
    let mut members = Vec::new();
    if value != 0 {
        let parts = vec![("sival_int".into(), Arg::Int(int(0).into())), ("sival_ptr".into(), Arg::Pointer(value))];
        members.push(("sigev_value".into(), Arg::Struct(parts)));
    }
    members.push(("sigev_signo".into(), Arg::Symbol(signal::name(int(8)))));
    let kind = constant(SIGEV_KINDS, int(12).cast_unsigned(), "SIGEV_???");
    members.push(("sigev_notify".into(), Arg::Symbol(kind)));
    if int(12) == libc::SIGEV_THREAD_ID {
        members.push(("sigev_notify_thread_id".into(), Arg::Int(int(16).into())));
    }
    Arg::Struct(members)
}

pub fn timer_settime(call: &CallStop) -> Vec<Arg> {
    let clock = is_absolute(call).then(|| posix_timer_clock(call.tid, call.raw_int(0)));
    let timer = timer(call, 2, Resolution::Nanoseconds, clock);
    vec![call.int(0), call.flags(1, CLOCK_FLAGS, "TIMER_???"), timer, call.pointer(3)]
}

pub fn timer_delete(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0)]
}

pub fn timerfd_create(call: &CallStop) -> Vec<Arg> {
    vec![call.constant(0, CLOCKS, "CLOCK_???"), call.flags(1, TIMERFD_FLAGS, "TFD_???")]
}

pub fn timerfd_settime(call: &CallStop) -> Vec<Arg> {
    let clock = is_absolute(call).then(|| timerfd_clock(call.tid, call.raw_int(0)));
    let timer = timer(call, 2, Resolution::Nanoseconds, clock);
    vec![call.fd(0), call.flags(1, TIMERFD_SET_FLAGS, "TFD_???"), timer, call.pointer(3)]
}

/// `timer_settime` and `timerfd_settime`: the setting before.
pub fn settime_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if outcome.is_ok() {
        args[3] = timer(call, 3, Resolution::Nanoseconds, None);
    }
}

/// A `struct itimerval` or `itimerspec`: interval, then value; on `absolute` that clock, an instant of it.
fn timer(call: &CallStop, i: usize, resolution: Resolution, absolute: Option<i32>) -> Arg {
    let at = call.raw[i];
    let interval = nanoseconds(call, at, resolution);
    let value = nanoseconds(call, at.wrapping_add(16), resolution);
    let (Some(interval_ns), Some(value_ns), true) = (interval, value, at != 0) else { return call.pointer(i) };
    match absolute {
        Some(clock) if value_ns != 0 => Arg::Timer {
            value_ns: ahead(call, clock, value_ns),
            interval_ns,
            form: resolution.form(),
            at_ns: Some(value_ns),
        },
        _ => Arg::Timer { value_ns, interval_ns, form: resolution.form(), at_ns: None },
    }
}

/// The clock a timerfd counts, as proc_pid_fdinfo(5) has it; CLOCK_REALTIME if it cannot be read.
fn timerfd_clock(tid: i32, fd: i32) -> i32 {
    let info = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).unwrap_or_default();
    info.lines().find_map(|line| line.strip_prefix("clockid:")?.trim().parse().ok()).unwrap_or(libc::CLOCK_REALTIME)
}

/// The clock a POSIX timer counts, as proc_pid_timers(5) has it; CLOCK_REALTIME if it cannot be read.
fn posix_timer_clock(tid: i32, timer: i32) -> i32 {
    let timers = fs::read_to_string(format!("/proc/{tid}/timers")).unwrap_or_default();
    let mut lines = timers.lines().skip_while(|line| *line != format!("ID: {timer}"));
    lines.find_map(|line| line.strip_prefix("ClockID:")?.trim().parse().ok()).unwrap_or(libc::CLOCK_REALTIME)
}

/// A waiting `futex`: the filter stops at no other, and only where a timeout is given.
pub fn futex(call: &CallStop) -> Vec<Arg> {
    let operation = call.raw_int(1);
    let command = operation & libc::FUTEX_CMD_MASK;
    let clock = if operation & libc::FUTEX_CLOCK_REALTIME != 0 { libc::CLOCK_REALTIME } else { libc::CLOCK_MONOTONIC };
    // futex(2): FUTEX_WAIT alone takes a length; FUTEX_LOCK_PI an instant of CLOCK_REALTIME always.
    let timeout = match command {
        libc::FUTEX_WAIT => timeout(call, 3, Resolution::Nanoseconds),
        libc::FUTEX_LOCK_PI => until(call, 3, libc::CLOCK_REALTIME),
        _ => until(call, 3, clock),
    };
    let mut args = vec![call.pointer(0), Arg::Symbol(futex_operation(operation))];
    if !matches!(command, libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2) {
        args.push(call.unsigned(2));
    }
    args.push(timeout);
    match command {
        libc::FUTEX_WAIT_BITSET if call.raw_int(5) == libc::FUTEX_BITSET_MATCH_ANY => {
            args.push(Arg::Symbol("FUTEX_BITSET_MATCH_ANY".into()));
        }
        libc::FUTEX_WAIT_BITSET => args.push(call.unsigned(5)),
        libc::FUTEX_WAIT_REQUEUE_PI => args.push(call.pointer(4)),
        _ => {}
    }
    args
}

fn futex_operation(operation: i32) -> String {
    let command = (operation & libc::FUTEX_CMD_MASK).cast_unsigned();
    let name = constant(FUTEX_WAITS, command, "FUTEX_???");
    let private = if operation & libc::FUTEX_PRIVATE_FLAG != 0 { "_PRIVATE" } else { "" };
    let clock = if operation & libc::FUTEX_CLOCK_REALTIME != 0 { "|FUTEX_CLOCK_REALTIME" } else { "" };
    format!("{name}{private}{clock}")
}
