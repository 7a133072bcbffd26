//! io_uring: the setup of a ring, its waiting call, and what goes through its memory.

use super::socket::address;
use super::time::{Resolution, ahead, nanoseconds};
use super::wait::signal_set;
use super::{CallStop, Outcome};
use crate::evidence::{Arg, TimeForm};
use crate::record::syscalls::names::ring::{
    CANCEL_FLAGS, COMPLETION_FLAGS, ENTER_FLAGS, FEATURES, OPERATIONS, SETUP_FLAGS, SUBMISSION_FLAGS, TIMEOUT_FLAGS,
};
use crate::record::syscalls::names::socket::{MESSAGE_FLAGS, SHUTDOWN, TYPE_FLAGS};
use crate::record::syscalls::names::wait::POLL_EVENTS;
use crate::record::syscalls::names::{constant, errno, flags};
use crate::record::syscalls::rings::{Completion, PARAMS_BYTES, SUBMISSION_WORDS};

const SETUP_ATTACH_WQ: u32 = 1 << 5;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_ABS_TIMER: u32 = 1 << 5;
const ENTER_EXT_ARG_REG: u32 = 1 << 6;
const TIMEOUT_ABS: u32 = 1;
const TIMEOUT_BOOTTIME: u32 = 1 << 2;
const TIMEOUT_REALTIME: u32 = 1 << 3;
const TIMEOUT_IMMEDIATE_ARG: u32 = 1 << 7;
const SUBMISSION_FIXED_FILE: u32 = 1;

type Members = Vec<(String, Arg)>;

pub fn setup(call: &CallStop) -> Vec<Arg> {
    let params = params(call).map_or(call.pointer(1), |params| Arg::Struct(asked(&params)));
    vec![call.unsigned(0), params]
}

pub fn setup_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let (Ok(_), Some(params)) = (outcome, params(call)) {
        let mut members = asked(&params);
        members.extend(given(&params));
        args[1] = Arg::Struct(members);
    }
}

/// `struct io_uring_params`, in words.
type Params = [u32; PARAMS_BYTES / 4];

fn params(call: &CallStop) -> Option<Params> {
    let bytes: [u8; PARAMS_BYTES] = call.memory.array(call.raw[1]).filter(|_| call.raw[1] != 0)?;
    Some(std::array::from_fn(|word| u32::from_ne_bytes(std::array::from_fn(|i| bytes[4 * word + i]))))
}

fn numbers(words: &[u32], names: &[&str]) -> Members {
    names.iter().zip(words).map(|(name, word)| ((*name).to_owned(), Arg::Int((*word).into()))).collect()
}

fn asked(params: &Params) -> Members {
    let mut members = vec![("flags".to_owned(), Arg::Symbol(flags(SETUP_FLAGS, params[2], "IORING_SETUP_???")))];
    members.push(("sq_thread_cpu".to_owned(), Arg::Int(params[3].into())));
    members.push(("sq_thread_idle".to_owned(), Arg::Int(params[4].into())));
    if params[2] & SETUP_ATTACH_WQ != 0 {
        members.push(("wq_fd".to_owned(), Arg::Fd(params[6].cast_signed())));
    }
    members
}

fn given(params: &Params) -> Members {
    let mut members = numbers(params, &["sq_entries", "cq_entries"]);
    members.push(("features".to_owned(), Arg::Symbol(flags(FEATURES, params[5], "IORING_FEAT_???"))));
    let sq = ["head", "tail", "ring_mask", "ring_entries", "flags", "dropped", "array"];
    members.push(("sq_off".to_owned(), Arg::Struct(numbers(&params[10..], &sq))));
    let cq = ["head", "tail", "ring_mask", "ring_entries", "overflow", "cqes", "flags"];
    members.push(("cq_off".to_owned(), Arg::Struct(numbers(&params[20..], &cq))));
    members
}

/// The call's own six arguments. What it submits and what completes is added by who knows the ring.
pub fn enter(call: &CallStop) -> Vec<Arg> {
    let names = call.flags(3, ENTER_FLAGS, "IORING_ENTER_???");
    vec![call.fd(0), call.unsigned(1), call.unsigned(2), names, wait_argument(call), call.size(5)]
}

/// `struct io_uring_getevents_arg`, where there is one. One in a registered region (IORING_ENTER_EXT_ARG_REG) is not read:
/// the argument is an offset in there.
fn wait_argument(call: &CallStop) -> Arg {
    let asked = call.raw[3] as u32;
    if asked & (ENTER_EXT_ARG | ENTER_EXT_ARG_REG) != ENTER_EXT_ARG || call.raw[5] < 24 {
        return call.pointer(4);
    }
    let at = call.raw[4];
    let (Some(mask), Some(sizes), Some(time)) =
        (call.memory.word(at), call.memory.word(at.wrapping_add(8)), call.memory.word(at.wrapping_add(16)))
    else {
        return call.pointer(4);
    };
    let mut members = vec![
        ("sigmask".to_owned(), signal_set(call, mask)),
        ("sigmask_sz".to_owned(), Arg::Int((sizes as u32).into())),
    ];
    // Since Linux 6.12: how long to wait for more than one completion at least.
    let min_wait_us = sizes >> 32;
    if min_wait_us != 0 {
        members.push(("min_wait_usec".to_owned(), Arg::Int(min_wait_us.cast_signed())));
    }
    let clock = (asked & ENTER_ABS_TIMER != 0).then_some(libc::CLOCK_MONOTONIC);
    members.push(("ts".to_owned(), time_at(call, time, clock)));
    Arg::Struct(members)
}

/// The wait that a `struct __kernel_timespec` arms, NULL for ever; on `absolute` that clock, until an instant of it.
fn time_at(call: &CallStop, at: u64, absolute: Option<i32>) -> Arg {
    match nanoseconds(call, at, Resolution::Nanoseconds) {
        _ if at == 0 => Arg::timeout(None, TimeForm::Timespec),
        Some(ns) => wait(call, ns, absolute),
        None => Arg::Pointer(at),
    }
}

fn wait(call: &CallStop, ns: u64, absolute: Option<i32>) -> Arg {
    let (length, at_ns) = absolute.map_or((ns, None), |clock| (ahead(call, clock, ns), Some(ns)));
    Arg::Timeout { ns: Some(length), form: TimeForm::Timespec, at_ns, left_ns: None }
}

/// What a call hands over: one structure for each submission, in order.
pub fn submissions(call: &CallStop, entries: &[[u32; SUBMISSION_WORDS]]) -> Arg {
    Arg::List(entries.iter().map(|entry| Arg::Struct(Submission(entry).decode(call))).collect())
}

/// What came back since the ring was last looked at. `is_earlier`: it was there before the call began.
pub fn completions(completions: &[Completion], is_earlier: bool) -> impl Iterator<Item = Arg> {
    completions.iter().map(move |Completion { user_data, result, flags: given }| {
        let result = match result {
            ..0 => Arg::Symbol(errno(result.saturating_neg())),
            _ => Arg::Int((*result).into()),
        };
        let mut members = vec![("user_data".to_owned(), Arg::Int(user_data.cast_signed())), ("res".to_owned(), result)];
        if *given != 0 {
            // The upper half is the number of a buffer.
            let names = flags(COMPLETION_FLAGS, given & 0xffff, "IORING_CQE_F_???");
            members.push(("flags".to_owned(), Arg::Symbol(names)));
        }
        members.push(("is_earlier".to_owned(), Arg::Int(is_earlier.into())));
        Arg::Struct(members)
    })
}

/// A `struct io_uring_sqe`, in words.
struct Submission<'a>(&'a [u32; SUBMISSION_WORDS]);

impl Submission<'_> {
    fn long(&self, word: usize) -> u64 {
        let bytes = [self.0[word].to_ne_bytes(), self.0[word + 1].to_ne_bytes()].concat();
        u64::from_ne_bytes(std::array::from_fn(|i| bytes[i]))
    }

    fn bytes(&self, word: usize) -> [u8; 4] {
        self.0[word].to_ne_bytes()
    }

    fn decode(&self, call: &CallStop) -> Members {
        let [number, given, ..] = self.bytes(0);
        let known = OPERATIONS.get(usize::from(number)).copied();
        let name = known.map_or_else(|| format!("{number:#x} /* IORING_OP_??? */"), str::to_owned);
        let mut members = vec![("opcode".to_owned(), Arg::Symbol(name.clone()))];
        if given != 0 {
            let names = flags(SUBMISSION_FLAGS, given.into(), "IOSQE_???");
            members.push(("flags".to_owned(), Arg::Symbol(names)));
        }
        let operation = name.strip_prefix("IORING_OP_").unwrap_or_default();
        if !WITHOUT_DESCRIPTOR.contains(&operation) {
            let fd = self.0[1].cast_signed();
            let is_fixed = u32::from(given) & SUBMISSION_FIXED_FILE != 0;
            members.push(if is_fixed { named("fixed_file", Arg::Int(fd.into())) } else { named("fd", Arg::Fd(fd)) });
        }
        members.extend(self.details(call, operation));
        members.push(("user_data".to_owned(), Arg::Int(self.long(8).cast_signed())));
        members
    }

    /// What this operation is asked to do, as far as a wait on the network is concerned.
    fn details(&self, call: &CallStop, operation: &str) -> Members {
        let (offset, at, len, own_flags) = (self.long(2), self.long(4), self.0[6], self.0[7]);
        let size = || named("len", Arg::Int(len.into()));
        let message_flags = || named("msg_flags", Arg::Symbol(flags(MESSAGE_FLAGS, own_flags, "MSG_???")));
        let target = || named("target_user_data", Arg::Int(at.cast_signed()));
        match operation {
            "TIMEOUT" => {
                vec![self.timeout(call, at), named("count", Arg::Int(offset.cast_signed())), self.timeout_flags()]
            }
            "LINK_TIMEOUT" => vec![self.timeout(call, at), self.timeout_flags()],
            "TIMEOUT_REMOVE" if own_flags & TIMEOUT_UPDATE != 0 => {
                vec![target(), self.timeout(call, offset), self.timeout_flags()]
            }
            "TIMEOUT_REMOVE" | "POLL_REMOVE" => vec![target()],
            "ASYNC_CANCEL" => {
                let names = flags(CANCEL_FLAGS, own_flags, "IORING_ASYNC_CANCEL_???");
                vec![target(), named("cancel_flags", Arg::Symbol(names))]
            }
            "POLL_ADD" => vec![named("poll_events", Arg::Symbol(flags(POLL_EVENTS, self.poll_events(), "POLL???")))],
            "CONNECT" | "BIND" => vec![named("addr", address(call, at, offset.cast_signed()))],
            "ACCEPT" => vec![named("accept_flags", Arg::Symbol(flags(TYPE_FLAGS, own_flags, "SOCK_???")))],
            "SEND" | "SEND_ZC" => {
                let buffer = named("buf", call.buffer(at, len.into()));
                vec![buffer, size(), message_flags()]
            }
            "RECV" => vec![size(), message_flags()],
            "SENDMSG" | "RECVMSG" | "SENDMSG_ZC" => vec![message_flags()],
            "READ" | "WRITE" | "READ_FIXED" | "WRITE_FIXED" => vec![size()],
            "SHUTDOWN" => vec![named("how", Arg::Symbol(constant(SHUTDOWN, len, "SHUT_???")))],
            _ => Vec::new(),
        }
    }

    /// The length of time at this address; or, since Linux 7.2, in place of the address.
    fn timeout(&self, call: &CallStop, at: u64) -> (String, Arg) {
        let own_flags = self.0[7];
        let clock = match own_flags & (TIMEOUT_BOOTTIME | TIMEOUT_REALTIME) {
            TIMEOUT_BOOTTIME => libc::CLOCK_BOOTTIME,
            TIMEOUT_REALTIME => libc::CLOCK_REALTIME,
            _ => libc::CLOCK_MONOTONIC,
        };
        let absolute = (own_flags & TIMEOUT_ABS != 0).then_some(clock);
        let is_immediate = own_flags & TIMEOUT_IMMEDIATE_ARG != 0;
        named("timeout", if is_immediate { wait(call, at, absolute) } else { time_at(call, at, absolute) })
    }

    fn timeout_flags(&self) -> (String, Arg) {
        named("timeout_flags", Arg::Symbol(flags(TIMEOUT_FLAGS, self.0[7], "IORING_TIMEOUT_???")))
    }

    /// 32 bits, the halves swapped on big-endian machines (include/uapi/linux/io_uring.h).
    fn poll_events(&self) -> u32 {
        if cfg!(target_endian = "big") { self.0[7].rotate_left(16) } else { self.0[7] }
    }
}

const TIMEOUT_UPDATE: u32 = (1 << 1) | (1 << 4);

/// Operations whose `fd` member says nothing.
const WITHOUT_DESCRIPTOR: &[&str] = &[
    "",
    "NOP",
    "TIMEOUT",
    "LINK_TIMEOUT",
    "TIMEOUT_REMOVE",
    "POLL_REMOVE",
    "ASYNC_CANCEL",
    "SOCKET",
    "WAITID",
    "PIPE",
];

fn named(name: &str, arg: Arg) -> (String, Arg) {
    (name.to_owned(), arg)
}
