//! `execve`, `exit_group` and the kernel's own `restart_syscall`.

use super::CallStop;
use crate::evidence::Arg;
use crate::record::syscalls::names::wait::EXECVEAT_FLAGS;

/// Arguments and variables read of a program at most.
const TEXTS_LIMIT: usize = 1024;

pub fn execve(call: &CallStop) -> Vec<Arg> {
    vec![path(call, 0), texts(call, 1), environment(call, 2)]
}

pub fn execveat(call: &CallStop) -> Vec<Arg> {
    let directory = if call.raw_int(0) == libc::AT_FDCWD { Arg::Symbol("AT_FDCWD".into()) } else { call.fd(0) };
    let flags = call.flags(4, EXECVEAT_FLAGS, "AT_???");
    vec![directory, path(call, 1), texts(call, 2), environment(call, 3), flags]
}

fn path(call: &CallStop, i: usize) -> Arg {
    call.memory.text(call.raw[i]).map_or(call.pointer(i), Arg::Text)
}

fn texts(call: &CallStop, i: usize) -> Arg {
    let texts = call.memory.pointers(call.raw[i], TEXTS_LIMIT);
    let texts = texts.and_then(|texts| texts.into_iter().map(|at| call.memory.text(at)).collect());
    texts.map_or(call.pointer(i), Arg::Texts)
}

fn environment(call: &CallStop, i: usize) -> Arg {
    match call.memory.pointers(call.raw[i], TEXTS_LIMIT) {
        Some(variables) => Arg::Environment { address: call.raw[i], count: variables.len() as u64 },
        None => call.pointer(i),
    }
}

pub fn exit_group(call: &CallStop) -> Vec<Arg> {
    vec![call.int(0)]
}

/// Which call it takes up again is not among its arguments: the tracer, which saw that call, adds it.
pub fn restart_syscall(_call: &CallStop) -> Vec<Arg> {
    Vec::new()
}
