//! `setsockopt` and `getsockopt`: levels and options by name, values by what they are.

use super::socket::length;
use super::time::{self, Resolution};
use super::{CallStop, Outcome};
use crate::evidence::{Arg, TimeForm};
use crate::record::syscalls::names::socket::{LEVELS, option};
use crate::record::syscalls::names::{self};

const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;

pub fn setsockopt(call: &CallStop) -> Vec<Arg> {
    let [fd, level, name] = which(call);
    vec![fd, level, name, value(call, i64::from(call.raw_int(4))), call.int(4)]
}

pub fn getsockopt(call: &CallStop) -> Vec<Arg> {
    let [fd, level, name] = which(call);
    vec![fd, level, name, call.pointer(3), length(call, 3, 4)]
}

pub fn getsockopt_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let (Ok(_), Arg::Length { returned, .. }) = (outcome, &mut args[4]) else { return };
    let Some(len) = call.memory.int(call.raw[4]).map(i64::from) else { return };
    *returned = Some(len);
    args[3] = if is(call, libc::SOL_SOCKET, libc::SO_ERROR) { pending_error(call) } else { value(call, len) };
}

fn which(call: &CallStop) -> [Arg; 3] {
    let name = option(call.raw_int(1), call.raw[2] as u32).map_or_else(|| call.unsigned(2), Arg::Symbol);
    [call.fd(0), call.constant(1, LEVELS, "SOL_???"), name]
}

fn is(call: &CallStop, level: i32, name: i32) -> bool {
    call.raw_int(1) == level && call.raw_int(2) == name
}

/// The value in memory, `len` bytes long.
fn value(call: &CallStop, len: i64) -> Arg {
    let at = call.raw[3];
    let ints = |names: &[&str]| -> Option<Arg> {
        let member = |(i, name): (usize, &&str)| {
            call.memory.int(at + 4 * i as u64).map(|value| ((*name).to_owned(), Arg::Int(value.into())))
        };
        names.iter().enumerate().map(member).collect::<Option<_>>().map(Arg::Struct)
    };
    let decoded = if at == 0 || len <= 0 {
        None
    } else if is(call, libc::SOL_SOCKET, libc::SO_LINGER) && len >= 8 {
        ints(&["l_onoff", "l_linger"])
    } else if is(call, libc::SOL_SOCKET, libc::SO_PEERCRED) && len >= 12 {
        ints(&["pid", "uid", "gid"])
    } else if is_timeout(call) && len >= 16 {
        time::nanoseconds(call, at, Resolution::Microseconds).map(|ns| Arg::timeout(Some(ns), TimeForm::Timeval))
    } else if len == 4 && !is(call, libc::SOL_TCP, libc::TCP_CONGESTION) {
        call.memory.int(at).map(|value| Arg::List(vec![Arg::Int(value.into())]))
    } else {
        Some(call.buffer(at, len.cast_unsigned()))
    };
    decoded.unwrap_or(Arg::Pointer(at))
}

/// By both numbers: the older, and that of 64-bit time for all (asm-generic/socket.h), which here are laid out alike.
fn is_timeout(call: &CallStop) -> bool {
    let options = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW];
    options.into_iter().any(|option| is(call, libc::SOL_SOCKET, option))
}

/// SO_ERROR by name: what a non-blocking `connect` came to.
fn pending_error(call: &CallStop) -> Arg {
    match call.memory.int(call.raw[3]) {
        Some(0) => Arg::List(vec![Arg::Int(0)]),
        Some(errno) => Arg::List(vec![Arg::Symbol(names::errno(errno))]),
        None => call.pointer(3),
    }
}
