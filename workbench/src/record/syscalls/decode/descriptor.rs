//! Calls that copy, change and close descriptors.

use super::{CallStop, Outcome};
use crate::evidence::Arg;
use crate::record::syscalls::names::flags;
use crate::record::syscalls::names::wait::{CLOSE_RANGE_FLAGS, DUP3_FLAGS, FCNTL_COMMANDS, STATUS_FLAGS};

pub fn close(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0)]
}

pub fn close_range(call: &CallStop) -> Vec<Arg> {
    vec![call.unsigned(0), call.unsigned(1), call.flags(2, CLOSE_RANGE_FLAGS, "CLOSE_RANGE_???")]
}

pub fn dup2(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.fd(1)]
}

pub fn dup3(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.fd(1), call.flags(2, DUP3_FLAGS, "O_???")]
}

pub fn fcntl(call: &CallStop) -> Vec<Arg> {
    let argument = match call.raw_int(1) {
        libc::F_SETFL => Arg::Symbol(status(call.raw[2] as u32)),
        _ => call.int(2),
    };
    vec![call.fd(0), call.constant(1, FCNTL_COMMANDS, "F_???"), argument]
}

/// An access mode with status flags: `O_RDWR|O_NONBLOCK`.
fn status(value: u32) -> String {
    let mode = match value.cast_signed() & libc::O_ACCMODE {
        libc::O_RDONLY => "O_RDONLY",
        libc::O_WRONLY => "O_WRONLY",
        libc::O_RDWR => "O_RDWR",
        _ => "O_ACCMODE",
    };
    match value & !libc::O_ACCMODE.cast_unsigned() {
        0 => mode.to_owned(),
        rest => format!("{mode}|{}", flags(STATUS_FLAGS, rest, "O_???")),
    }
}

/// `ioctl(FIONBIO)`: the filter stops at no other.
pub fn ioctl(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), Arg::Symbol("FIONBIO".into()), call.int_at(2)]
}

/// For calls whose arguments the kernel does not change.
pub fn nothing(_call: &CallStop, _outcome: Outcome, _args: &mut [Arg]) {}
