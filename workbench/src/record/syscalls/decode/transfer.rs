//! Calls that move data: buffers and vectors of buffers, of which the first bytes are kept.

use super::socket::{address, address_return, length};
use super::{CallStop, Outcome};
use crate::evidence::Arg;
use crate::record::syscalls::names::socket::MESSAGE_FLAGS;
use crate::record::syscalls::names::wait::SPLICE_FLAGS;

/// Elements of a vector that are kept: as many as strace shows.
pub const ELEMENT_LIMIT: u64 = 32;

pub fn sendto(call: &CallStop) -> Vec<Arg> {
    vec![
        call.fd(0),
        call.buffer(call.raw[1], call.raw[2]),
        call.size(2),
        call.flags(3, MESSAGE_FLAGS, "MSG_???"),
        address(call, call.raw[4], i64::from(call.raw_int(5))),
        call.int(5),
    ]
}

pub fn recvfrom(call: &CallStop) -> Vec<Arg> {
    let flags = call.flags(3, MESSAGE_FLAGS, "MSG_???");
    vec![call.fd(0), call.pointer(1), call.size(2), flags, call.pointer(4), length(call, 4, 5)]
}

pub fn recvfrom_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    read_return(call, outcome, args);
    address_return(call, outcome, args, 4, 5);
}

pub fn read(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.pointer(1), call.size(2)]
}

pub fn read_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let Ok(count) = outcome {
        args[1] = call.buffer(call.raw[1], call.raw[2].min(count.cast_unsigned()));
    }
}

pub fn write(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.buffer(call.raw[1], call.raw[2]), call.size(2)]
}

pub fn readv(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.pointer(1), call.size(2)]
}

pub fn readv_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let Ok(count) = outcome {
        args[1] = vector(call, call.raw[1], call.raw[2], count.cast_unsigned());
    }
}

pub fn writev(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), vector(call, call.raw[1], call.raw[2], u64::MAX), call.size(2)]
}

/// An iovec of `count` buffers that hold `data` bytes altogether.
pub fn vector(call: &CallStop, at: u64, count: u64, data: u64) -> Arg {
    let mut left = data;
    let mut buffers = Vec::new();
    for i in 0..count.min(ELEMENT_LIMIT) {
        let element = at.wrapping_add(16 * i);
        let (Some(base), Some(len)) = (call.memory.word(element), call.memory.word(element.wrapping_add(8))) else {
            return Arg::Pointer(at);
        };
        let filled = len.min(left);
        left -= filled;
        let base = call.buffer(base, filled);
        buffers.push(Arg::Struct(vec![("iov_base".into(), base), ("iov_len".into(), Arg::Int(len.cast_signed()))]));
    }
    if at == 0 { Arg::Pointer(0) } else { Arg::List(buffers) }
}

pub fn sendfile(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.fd(1), offset(call, 2), call.size(3)]
}

pub fn splice(call: &CallStop) -> Vec<Arg> {
    let flags = call.flags(5, SPLICE_FLAGS, "SPLICE_F_???");
    vec![call.fd(0), offset(call, 1), call.fd(2), offset(call, 3), call.size(4), flags]
}

/// A file offset passed by address, which the kernel moves on.
fn offset(call: &CallStop, i: usize) -> Arg {
    match call.memory.word(call.raw[i]) {
        Some(given) if call.raw[i] != 0 => Arg::Length { given: given.cast_signed(), returned: None },
        _ => call.pointer(i),
    }
}

pub fn sendfile_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    if let (Ok(_), Arg::Length { returned, .. }) = (outcome, &mut args[2]) {
        *returned = call.memory.word(call.raw[2]).map(u64::cast_signed);
    }
}
