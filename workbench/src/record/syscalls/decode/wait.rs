//! Calls that wait for descriptors: poll, select, epoll and their variants.

use super::time::{Resolution, timeout, timeout_return};
use super::{CallStop, Outcome};
use crate::evidence::{Arg, PollEntry, TimeForm};
use crate::record::syscalls::names::flags;
use crate::record::syscalls::names::signal;
use crate::record::syscalls::names::wait::{EPOLL_EVENTS, EPOLL_FLAGS, EPOLL_OPERATIONS, POLL_EVENTS};

/// Entries of a `poll` set that are read: beyond it the set is not decoded.
const POLL_LIMIT: u64 = 4096;
/// `sizeof(struct epoll_event)`: packed on x86-64 only (include/uapi/linux/eventpoll.h).
const EPOLL_EVENT_BYTES: usize = if cfg!(target_arch = "x86_64") { 12 } else { 16 };

pub fn poll(call: &CallStop) -> Vec<Arg> {
    vec![poll_set(call, false), call.unsigned(1), milliseconds(call, 2)]
}

pub fn poll_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if outcome.is_ok_and(|ready| ready > 0) {
        args[0] = poll_set(call, true);
    }
}

pub fn ppoll(call: &CallStop) -> Vec<Arg> {
    let timeout = timeout(call, 2, Resolution::Nanoseconds);
    vec![poll_set(call, false), call.unsigned(1), timeout, signal_mask(call, 3), call.unsigned(4)]
}

pub fn ppoll_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    poll_return(call, outcome, args);
    timeout_return(call, outcome, args, 2);
}

/// A timeout of so many milliseconds; a negative one is for ever.
fn milliseconds(call: &CallStop, i: usize) -> Arg {
    Arg::timeout(u64::try_from(call.raw_int(i)).ok().map(|ms| ms * 1_000_000), TimeForm::Ms)
}

/// The array of `struct pollfd` in arguments 0 and 1.
fn poll_set(call: &CallStop, returned: bool) -> Arg {
    let count = call.raw[1] & 0xffff_ffff;
    if call.raw[0] == 0 || count > POLL_LIMIT {
        return call.pointer(0);
    }
    let Some(bytes) = call.memory.bytes(call.raw[0], 8 * count as usize) else { return call.pointer(0) };
    let entry = |b: &[u8]| {
        let events = |at: usize| u32::from(u16::from_ne_bytes([b[at], b[at + 1]]));
        let happened = if returned { events(6) } else { 0 };
        PollEntry {
            fd: i32::from_ne_bytes([b[0], b[1], b[2], b[3]]).into(),
            events: flags(POLL_EVENTS, events(4), "POLL???"),
            revents: if happened == 0 { String::new() } else { flags(POLL_EVENTS, happened, "POLL???") },
        }
    };
    Arg::Poll(bytes.chunks_exact(8).map(entry).collect())
}

/// A signal mask passed by address, or NULL.
pub fn signal_mask(call: &CallStop, i: usize) -> Arg {
    signal_set(call, call.raw[i])
}

/// The signal mask at this address.
pub fn signal_set(call: &CallStop, at: u64) -> Arg {
    match call.memory.word(at) {
        Some(mask) if at != 0 => Arg::Symbol(signal::set(mask)),
        _ => Arg::Pointer(at),
    }
}

pub fn select(call: &CallStop) -> Vec<Arg> {
    let timeout = timeout(call, 4, Resolution::Microseconds);
    vec![call.int(0), fd_set(call, 1), fd_set(call, 2), fd_set(call, 3), timeout]
}

pub fn select_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    for (i, arg) in args.iter_mut().enumerate().take(4).skip(1) {
        if let (Ok(1..), Arg::FdSet { ready, .. }) = (outcome, arg) {
            *ready = descriptors(call, i).unwrap_or_default();
        }
    }
    timeout_return(call, outcome, args, 4);
}

pub fn pselect6(call: &CallStop) -> Vec<Arg> {
    let timeout = timeout(call, 4, Resolution::Nanoseconds);
    vec![call.int(0), fd_set(call, 1), fd_set(call, 2), fd_set(call, 3), timeout, mask_argument(call)]
}

/// `pselect6`'s sixth argument: a structure of a mask's address and its length (select(2)).
fn mask_argument(call: &CallStop) -> Arg {
    let at = call.raw[5];
    let (Some(mask), Some(size), true) = (call.memory.word(at), call.memory.word(at.wrapping_add(8)), at != 0) else {
        return call.pointer(5);
    };
    Arg::Struct(vec![("sigmask".into(), signal_set(call, mask)), ("sigsetsize".into(), Arg::Int(size.cast_signed()))])
}

fn fd_set(call: &CallStop, i: usize) -> Arg {
    match descriptors(call, i) {
        Some(asked) => Arg::FdSet { asked, ready: Vec::new() },
        None => call.pointer(i),
    }
}

/// The descriptors below argument 0 whose bits are set in argument `i`.
fn descriptors(call: &CallStop, i: usize) -> Option<Vec<i32>> {
    let count = usize::try_from(call.raw_int(0)).ok()?.min(1 << 20);
    if call.raw[i] == 0 {
        return None;
    }
    let bytes = call.memory.bytes(call.raw[i], count.div_ceil(64) * 8)?;
    let words = bytes.chunks_exact(8).map(|b| u64::from_ne_bytes(std::array::from_fn(|i| b[i])));
    let set =
        words.enumerate().flat_map(|(w, word)| (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| w * 64 + b));
    Some(set.take_while(|fd| *fd < count).map(|fd| fd as i32).collect())
}

pub fn epoll_create(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0)]
}

pub fn epoll_create1(call: &CallStop) -> Vec<Arg> {
    vec![call.flags(0, EPOLL_FLAGS, "EPOLL_???")]
}

pub fn epoll_ctl(call: &CallStop) -> Vec<Arg> {
    let event = match events(call, call.raw[3], 1).as_deref() {
        Some([(events, data)]) if call.raw_int(1) != libc::EPOLL_CTL_DEL => Arg::Struct(vec![
            ("events".into(), Arg::Symbol(flags(EPOLL_EVENTS, *events, "EPOLL???"))),
            ("data".into(), epoll_data(*data)),
        ]),
        _ => call.pointer(3),
    };
    vec![call.fd(0), call.constant(1, EPOLL_OPERATIONS, "EPOLL_CTL_???"), call.fd(2), event]
}

fn epoll_data(data: u64) -> Arg {
    let low = Arg::Int((data as u32).into());
    Arg::Struct(vec![("u32".into(), low), ("u64".into(), Arg::Int(data.cast_signed()))])
}

pub fn epoll_wait(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.pointer(1), call.int(2), milliseconds(call, 3)]
}

pub fn epoll_pwait(call: &CallStop) -> Vec<Arg> {
    let timeout = milliseconds(call, 3);
    vec![call.fd(0), call.pointer(1), call.int(2), timeout, signal_mask(call, 4), call.unsigned(5)]
}

pub fn epoll_pwait2(call: &CallStop) -> Vec<Arg> {
    let timeout = timeout(call, 3, Resolution::Nanoseconds);
    vec![call.fd(0), call.pointer(1), call.int(2), timeout, signal_mask(call, 4), call.unsigned(5)]
}

pub fn epoll_wait_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let Some(ready) = outcome.ok().and_then(|count| events(call, call.raw[1], count.cast_unsigned())) else { return };
    let entry = |(events, data): (u32, u64)| PollEntry {
        fd: data.cast_signed(),
        events: String::new(),
        revents: flags(EPOLL_EVENTS, events, "EPOLL???"),
    };
    args[1] = Arg::Poll(ready.into_iter().map(entry).collect());
}

/// `count` of `struct epoll_event`: events and data.
fn events(call: &CallStop, at: u64, count: u64) -> Option<Vec<(u32, u64)>> {
    let bytes = call.memory.bytes(at, usize::try_from(count.min(POLL_LIMIT)).ok()? * EPOLL_EVENT_BYTES)?;
    let event = |b: &[u8]| {
        let data = &b[EPOLL_EVENT_BYTES - 8..];
        (u32::from_ne_bytes(std::array::from_fn(|i| b[i])), u64::from_ne_bytes(std::array::from_fn(|i| data[i])))
    };
    Some(bytes.chunks_exact(EPOLL_EVENT_BYTES).map(event).collect())
}
