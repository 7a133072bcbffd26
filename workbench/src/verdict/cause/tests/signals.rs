//! Timers that tell by a signal or a descriptor: alarm, setitimer, timer_create, timerfd; and signals that were waited for.

use super::build::{judged, line, members, said};
use crate::evidence::{Arg, Ending, TimeForm};
use crate::timeline::EvidenceRef;
use crate::timeline::fixture::{Fixture, PID, error, symbol, timeout, timer, value};

/// `alarm`.
fn alarm(run: &mut Fixture, us: i64, s: u64) {
    run.call((us, us + 1), "alarm", vec![Arg::timeout(Some(s * 1_000_000_000), TimeForm::S)], value(0));
}

fn setitimer(run: &mut Fixture, us: i64, ms: u64) {
    run.call((us, us + 1), "setitimer", vec![symbol("ITIMER_REAL"), timer(ms * 1_000_000)], value(0));
}

fn timer_settime(run: &mut Fixture, us: i64, id: i64, ms: u64) {
    run.call((us, us + 1), "timer_settime", vec![Arg::Int(id), Arg::Int(0), timer(ms * 1_000_000)], value(0));
}

/// A connect that the signal at 2.001 s interrupts.
fn interrupted(run: &mut Fixture) {
    run.socket(1_010, 5).connect((1_100, 2_001_010), 5, ("server", 80), error("EINTR"));
}

#[test]
fn sigalrm_of_alarm_and_of_setitimer_is_told_by_the_call_that_armed_it() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 2);
    interrupted(&mut run);
    run.signal(2_001_000, "SIGALRM", "SI_KERNEL").exit(2_002_000);
    let found = judged(&run);
    assert_eq!(line(&found), "tool program: alarm, 1 + 2000 ms, Certain");
    assert_eq!(found.evidence, [EvidenceRef::Call(0), EvidenceRef::Signal(0)]);
    let mut run = Fixture::new("program");
    setitimer(&mut run, 1_000, 2000);
    interrupted(&mut run);
    run.signal(2_001_000, "SIGALRM", "SI_KERNEL").exit(2_002_000);
    assert_eq!(said(&run), "tool program: setitimer, 1 + 2000 ms, Certain");
}

#[test]
fn sigalrm_that_nobody_handles_kills_and_is_still_the_alarms() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 2);
    interrupted(&mut run);
    run.signal(2_001_000, "SIGALRM", "SI_KERNEL").killed_by("SIGALRM");
    run.end(2_001_100, Ending::Signal("SIGALRM".into()));
    assert_eq!(said(&run), "tool program: alarm, 1 + 2000 ms, Certain");
}

#[test]
fn of_several_timers_the_newest_that_was_due_fired() {
    let mut run = Fixture::new("program");
    timer_settime(&mut run, 1_000, 0, 2000);
    timer_settime(&mut run, 1_500, 1, 60_000);
    interrupted(&mut run);
    run.signal(2_001_000, "SIGUSR1", "SI_TIMER").exit(2_002_000);
    assert_eq!(said(&run), "tool program: timer_create, 1 + 2000 ms, Certain");
}

#[test]
fn an_alarm_set_anew_counts_from_then() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 1);
    alarm(&mut run, 500_000, 2);
    run.signal(2_500_000, "SIGALRM", "SI_KERNEL").exit(2_501_000);
    assert_eq!(said(&run), "tool program: alarm, 500 + 2000 ms, Certain");
}

#[test]
fn a_signal_that_a_process_outside_sent_is_no_timers() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 60);
    run.sent(500_000, (1, PID), "SIGALRM").exit(501_000);
    assert_eq!(said(&run), "tool program: SIGALRM, Certain");
}

#[test]
fn what_the_kernel_would_have_done_is_about_what_the_signal_interrupted() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 2);
    interrupted(&mut run);
    run.segment(1_200, ("client", 40_404, "server", 80), "S", 0).dropped();
    run.signal(2_001_000, "SIGALRM", "SI_KERNEL").exit(2_002_000);
    let next = judged(&run).next.expect("a connect was under way");
    assert!(next.words.contains("tcp_syn_retries=1"), "{}", next.words);
}

/// `timerfd_create` returning 6, armed for 2 s at 1 ms.
fn timerfd(run: &mut Fixture) {
    run.call((500, 501), "timerfd_create", vec![symbol("CLOCK_MONOTONIC"), Arg::Int(0)], value(6));
    run.call((1_000, 1_001), "timerfd_settime", vec![Arg::Fd(6), Arg::Int(0), timer(2_000_000_000)], value(0));
}

#[test]
fn a_timerfd_that_is_read_counts_from_when_it_was_set() {
    let mut run = Fixture::new("program");
    timerfd(&mut run);
    run.call((900_000, 2_001_000), "read", vec![Arg::Fd(6), Arg::Pointer(1), Arg::Int(8)], value(8)).exit(2_002_000);
    assert_eq!(said(&run), "tool program: timerfd, 1 + 2000 ms, Certain");
}

#[test]
fn a_timerfd_in_an_epoll_set_is_told_from_the_socket_beside_it() {
    let mut run = Fixture::new("program");
    timerfd(&mut run);
    run.connected(2_000, 5).epoll(3_000, 4, &[(5, 50), (6, 60)]);
    run.epoll_wait((4_000, 2_001_000), 4, -1, &[60]);
    run.call((2_001_010, 2_001_020), "read", vec![Arg::Fd(6), Arg::Pointer(1), Arg::Int(8)], value(8));
    run.exit(2_002_000);
    assert_eq!(said(&run), "tool program: timerfd, 1 + 2000 ms, Certain");
}

/// `rt_sigtimedwait` that took a signal with this code.
fn took(run: &mut Fixture, set: &str, number: i64, code: Option<&str>) {
    let info = code.map_or(Arg::Pointer(0), |code| members(vec![("si_code", symbol(code))]));
    let args = vec![symbol(set), info, timeout(60_000_000_000)];
    run.call((2_000, 2_001_000), "rt_sigtimedwait", args, value(number)).exit(2_002_000);
}

#[test]
fn a_signal_that_was_waited_for_is_its_timers() {
    for code in [Some("SI_KERNEL"), None] {
        let mut run = Fixture::new("program");
        alarm(&mut run, 1_000, 2);
        took(&mut run, "[ALRM INT]", libc::SIGALRM.into(), code);
        assert_eq!(said(&run), "tool program: alarm, 1 + 2000 ms, Certain", "{code:?}");
    }
    let mut run = Fixture::new("program");
    timer_settime(&mut run, 1_000, 0, 2000);
    took(&mut run, "[USR1]", libc::SIGUSR1.into(), Some("SI_TIMER"));
    assert_eq!(said(&run), "tool program: timer_create, 1 + 2000 ms, Certain");
}

#[test]
fn another_signal_of_the_set_is_not_the_alarms() {
    let mut run = Fixture::new("program");
    alarm(&mut run, 1_000, 1);
    took(&mut run, "[ALRM INT]", libc::SIGINT.into(), Some("SI_USER"));
    assert_eq!(said(&run), "tool program: exit, Likely");
}
