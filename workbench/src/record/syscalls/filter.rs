//! The seccomp filter: classic BPF that stops the command at the calls of the table and lets all others pass.
//!
//! It runs at every system call of the command, so it decides by a balanced binary search over the numbers, not one
//! comparison after the other. It cannot follow pointers or know what a descriptor is.
//!
//! A call of another architecture (a 32-bit program) stops each time: the tracer says that it cannot read it and lets
//! it go, which is slow, but neither breaks the program nor hides that something was missed. The x32 ABI's numbers lie
//! above all of ours and pass unseen.

use libc::sock_filter;

use super::table::{self, Condition, Traced};

/// What the tracer gets with a stop at a recorded call.
pub const DATA_TRACED: u32 = 0;
/// What the tracer gets with a stop at a call of a foreign architecture.
pub const DATA_FOREIGN: u32 = 1;

/// `AUDIT_ARCH_*` of this program and of every command it can read (linux/audit.h).
#[cfg(target_arch = "x86_64")]
pub const NATIVE_ARCH: u32 = 0xc000_003e;
/// `AUDIT_ARCH_*` of this program and of every command it can read (linux/audit.h).
#[cfg(target_arch = "aarch64")]
pub const NATIVE_ARCH: u32 = 0xc000_00b7;

// struct seccomp_data (linux/seccomp.h).
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGS_AT: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_ABOVE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const IF_NOT_BELOW: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const ALLOW: sock_filter = give(libc::SECCOMP_RET_ALLOW);

/// The filter. `stop` is what it returns for a recorded call: [`libc::SECCOMP_RET_TRACE`], or, to measure what the
/// filter alone costs, [`libc::SECCOMP_RET_ALLOW`].
pub fn program(stop: u32) -> Vec<sock_filter> {
    let foreign = if stop == libc::SECCOMP_RET_TRACE { stop | DATA_FOREIGN } else { stop };
    let mut program = vec![load(ARCH_AT), jump(IF_EQUAL, NATIVE_ARCH, 1, 0), give(foreign), load(NUMBER_AT)];
    program.extend(search(&intervals(), give(stop | DATA_TRACED)));
    program
}

/// Numbers from `first` up to the next interval's.
struct Interval {
    first: u32,
    condition: Option<Condition>,
}

/// All numbers from 0 on, neighbours of one kind together.
fn intervals() -> Vec<Interval> {
    let number = |traced: &Traced| traced.number as u32;
    let mut calls: Vec<&Traced> = table::all().collect();
    calls.sort_by_key(|traced| number(traced));
    let mut intervals: Vec<Interval> = vec![Interval { first: 0, condition: None }];
    let mut begin = |first: u32, condition: Option<Condition>| {
        let is_empty = intervals.last().is_some_and(|last| last.first == first);
        if is_empty {
            intervals.pop();
        }
        let mergeable = matches!(condition, None | Some(Condition::Always));
        if !(mergeable && intervals.last().is_some_and(|last| last.condition == condition)) {
            intervals.push(Interval { first, condition });
        }
    };
    for traced in calls {
        begin(number(traced), Some(traced.condition));
        begin(number(traced) + 1, None);
    }
    intervals
}

/// Finds the interval of the number in the accumulator, by halves.
fn search(intervals: &[Interval], stop: sock_filter) -> Vec<sock_filter> {
    if let [interval] = intervals {
        return interval.condition.map_or_else(|| vec![ALLOW], |condition| decide(condition, stop));
    }
    let (lower, upper) = intervals.split_at(intervals.len() / 2);
    let (first, lower) = (upper[0].first, search(lower, stop));
    let mut program = match u8::try_from(lower.len()) {
        Ok(len) => vec![jump(IF_NOT_BELOW, first, len, 0)],
        // A conditional jump reaches 255 instructions; JA has no such limit.
        Err(_) => vec![jump(IF_NOT_BELOW, first, 0, 1), statement(JUMP, lower.len() as u32)],
    };
    program.extend(lower);
    program.extend(search(upper, stop));
    program
}

/// Decides by a call's arguments; every path ends in it.
fn decide(condition: Condition, stop: sock_filter) -> Vec<sock_filter> {
    match condition {
        Condition::Always => vec![stop],
        Condition::Above2(i) => vec![load(low(i)), jump(IF_ABOVE, 2, 0, 1), stop, ALLOW],
        Condition::OneOf(i, values) => {
            let mut program = vec![load(low(i))];
            program.extend(any_of(values));
            program.extend([ALLOW, stop]);
            program
        }
        Condition::Given(i) => {
            vec![load(low(i)), jump(IF_EQUAL, 0, 0, 2), load(high(i)), jump(IF_EQUAL, 0, 1, 0), stop, ALLOW]
        }
        Condition::TimedFutex => {
            // linux/futex.h: only these take argument 3 for a timeout; for others it is a number.
            const WAITS: [u32; 5] = [
                libc::FUTEX_WAIT as u32,
                libc::FUTEX_LOCK_PI as u32,
                libc::FUTEX_WAIT_BITSET as u32,
                libc::FUTEX_WAIT_REQUEUE_PI as u32,
                libc::FUTEX_LOCK_PI2 as u32,
            ];
            let mut program = vec![load(low(1)), statement(AND, libc::FUTEX_CMD_MASK as u32)];
            program.extend(any_of(&WAITS));
            program.extend([
                ALLOW,
                load(low(3)),
                jump(IF_EQUAL, 0, 0, 2),
                load(high(3)),
                jump(IF_EQUAL, 0, 1, 0),
                stop,
                ALLOW,
            ]);
            program
        }
    }
}

/// Skips the next instruction if the accumulator is one of these values.
fn any_of(values: &[u32]) -> Vec<sock_filter> {
    let jumps = values.iter().enumerate();
    jumps.map(|(i, value)| jump(IF_EQUAL, *value, (values.len() - i) as u8, 0)).collect()
}

/// Where an argument's lower 32 bits are.
const fn low(i: usize) -> u32 {
    ARGS_AT + 8 * i as u32 + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// Where an argument's upper 32 bits are.
const fn high(i: usize) -> u32 {
    ARGS_AT + 8 * i as u32 + if cfg!(target_endian = "big") { 0 } else { 4 }
}

const fn load(at: u32) -> sock_filter {
    statement(LOAD, at)
}

const fn give(action: u32) -> sock_filter {
    statement(RETURN, action)
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests;
