//! Runs the filter as the kernel would, for every number and the arguments that matter.

use std::collections::BTreeSet;

use super::*;
use crate::record::syscalls::table;

const TRACE: u32 = libc::SECCOMP_RET_TRACE;
const PASS: u32 = libc::SECCOMP_RET_ALLOW;

/// What the filter says, and after how many instructions.
fn run(program: &[sock_filter], arch: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    let (mut accumulator, mut at, mut steps) = (0u32, 0usize, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        steps += 1;
        at += 1;
        let mut branch = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match u32::from(code) {
            LOAD => accumulator = word(arch, number, args, k),
            AND => accumulator &= k,
            IF_EQUAL => branch(accumulator == k),
            IF_ABOVE => branch(accumulator > k),
            IF_NOT_BELOW => branch(accumulator >= k),
            JUMP => at += k as usize,
            RETURN => return (k, steps),
            other => panic!("instruction {other:#x} is not one the filter uses"),
        }
    }
}

fn word(arch: u32, number: u32, args: [u64; 6], at: u32) -> u32 {
    match at {
        NUMBER_AT => number,
        ARCH_AT => arch,
        _ => {
            let arg = args[((at - ARGS_AT) / 8) as usize];
            if at == low(((at - ARGS_AT) / 8) as usize) { arg as u32 } else { (arg >> 32) as u32 }
        }
    }
}

fn says(number: i64, args: [u64; 6]) -> u32 {
    run(&program(TRACE), NATIVE_ARCH, number as u32, args).0
}

#[test]
fn every_number_outside_the_table_passes_and_every_one_inside_can_stop() {
    let program = program(TRACE);
    let traced: BTreeSet<u32> = table::all().map(|t| t.number as u32).collect();
    // With arguments under which one condition or another holds.
    let stopped = |number: u32| {
        let operations = [libc::FUTEX_WAIT_BITSET as u32, libc::F_SETFL as u32, libc::FIONBIO as u32];
        operations.iter().any(|op| run(&program, NATIVE_ARCH, number, [3, u64::from(*op), 0, 1, 1, 0]).0 == TRACE)
    };
    for number in 0..1024 {
        assert_eq!(stopped(number), traced.contains(&number), "system call {number}");
    }
}

#[test]
fn no_call_costs_more_than_a_binary_search() {
    let program = program(TRACE);
    let worst = (0..1024).map(|number| run(&program, NATIVE_ARCH, number, [3, 9, 0, 1, 1, 0]).1).max().unwrap();
    // 3 for the architecture and the number, 7 comparisons for at most 128 intervals, 12 for a futex, the verdict.
    assert!(worst <= 23, "{worst} instructions for one call, of {}", program.len());
}

#[test]
fn the_standard_descriptors_pass() {
    for number in [libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_close] {
        assert_eq!([0, 1, 2].map(|fd| says(number, [fd, 0, 0, 0, 0, 0])), [PASS; 3]);
        assert_eq!([3, 1 << 20].map(|fd| says(number, [fd, 0, 0, 0, 0, 0])), [TRACE; 2]);
    }
    assert_eq!(says(libc::SYS_close_range, [0, 2, 0, 0, 0, 0]), PASS);
    assert_eq!(says(libc::SYS_close_range, [3, 0xffff_ffff, 0, 0, 0, 0]), TRACE);
}

#[test]
fn a_futex_stops_only_if_it_waits_with_a_timeout() {
    let private = 128;
    let futex = |op: u64, timeout: u64| says(libc::SYS_futex, [0, op, 0, timeout, 0, 0]);
    assert_eq!(futex(libc::FUTEX_WAIT as u64 | private, 0x7fff_0000_0000), TRACE, "only the upper half is set");
    assert_eq!(futex(libc::FUTEX_WAIT_BITSET as u64 | private | 256, 0x1000), TRACE);
    assert_eq!(futex(libc::FUTEX_WAIT as u64 | private, 0), PASS);
    assert_eq!(futex(libc::FUTEX_WAKE as u64 | private, 0x1000), PASS);
    assert_eq!(futex(libc::FUTEX_CMP_REQUEUE as u64 | private, 1), PASS, "there the argument is a number");
}

#[test]
fn a_wait_that_may_be_limited_stops_only_if_it_is() {
    let waitv = |timeout: u64| says(libc::SYS_futex_waitv, [0, 1, 0, timeout, 0, 0]);
    assert_eq!([0, 1, 1 << 40].map(waitv), [PASS, TRACE, TRACE]);
    assert_eq!(says(libc::SYS_mq_timedreceive, [3, 0, 0, 1, 0, 0]), PASS);
}

#[test]
fn only_the_fcntl_and_ioctl_that_matter_stop() {
    let on = |number: i64, op: i64| says(number, [3, op as u64, 0, 0, 0, 0]);
    assert_eq!(on(libc::SYS_fcntl, libc::F_SETFL.into()), TRACE);
    assert_eq!(on(libc::SYS_fcntl, libc::F_GETFL.into()), PASS);
    assert_eq!(on(libc::SYS_ioctl, libc::FIONBIO as i64), TRACE);
    assert_eq!(on(libc::SYS_ioctl, libc::FIONREAD as i64), PASS);
}

#[test]
fn a_foreign_architecture_stops_and_is_told_apart() {
    const I386: u32 = 0x4000_0003;
    let number = libc::SYS_getpid as u32;
    assert_eq!(run(&program(TRACE), I386, number, [0; 6]).0, TRACE | DATA_FOREIGN);
    assert_eq!(run(&program(TRACE), NATIVE_ARCH, 0x4000_0000 | number, [0; 6]).0, PASS, "x32");
}

#[test]
fn the_measuring_variant_has_the_same_shape_and_stops_nowhere() {
    let (real, measuring) = (program(TRACE), program(PASS));
    assert_eq!(real.len(), measuring.len());
    let returns =
        |p: &[sock_filter]| p.iter().filter(|i| u32::from(i.code) == RETURN).map(|i| i.k).collect::<BTreeSet<_>>();
    assert_eq!(returns(&measuring), BTreeSet::from([PASS]));
}
