//! Calls that send signals and wait for them.

use super::time::{Resolution, timeout};
use super::wait::signal_mask;
use super::{CallStop, Outcome};
use crate::evidence::Arg;
use crate::record::syscalls::names::signal;

pub fn pause(_call: &CallStop) -> Vec<Arg> {
    Vec::new()
}

/// `kill` and `tkill`.
pub fn kill(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0), Arg::Symbol(signal::name(call.raw_int(1)))]
}

pub fn tgkill(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0), call.int(1), Arg::Symbol(signal::name(call.raw_int(2)))]
}

pub fn rt_sigsuspend(call: &CallStop) -> Vec<Arg> {
    vec![signal_mask(call, 0), call.unsigned(1)]
}

pub fn rt_sigtimedwait(call: &CallStop) -> Vec<Arg> {
    vec![signal_mask(call, 0), call.pointer(1), timeout(call, 2, Resolution::Nanoseconds), call.unsigned(3)]
}

/// Fills in the start of `siginfo_t`: which signal, from where.
pub fn rt_sigtimedwait_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let Some(info) = call.memory.array::<24>(call.raw[1]) else { return };
    if outcome.is_err() || call.raw[1] == 0 {
        return;
    }
    let int = |at: usize| i32::from_ne_bytes(std::array::from_fn(|i| info[at + i]));
    let (signo, code) = (int(0), int(8));
    let mut members = vec![
        ("si_signo".to_owned(), Arg::Symbol(signal::name(signo))),
        ("si_code".to_owned(), Arg::Symbol(signal::code(signo, code))),
    ];
    if signal::has_sender(signo, code) {
        members.push(("si_pid".to_owned(), Arg::Int(int(16).into())));
        members.push(("si_uid".to_owned(), Arg::Int(int(20).into())));
    }
    args[1] = Arg::Struct(members);
}
