//! One wait that ran out, by each call that waits; the options that bound a blocking call.

use super::build::{judged, line, members, ready, said};
use crate::evidence::{Arg, CallResult};
use crate::timeline::EvidenceRef;
use crate::timeline::fixture::{Fixture, error, ms, polled, symbol, timeout, value};

/// A call by itself, from 1 ms to 2.001 s.
fn alone(name: &str, args: Vec<Arg>, result: Option<CallResult>) -> String {
    let mut run = Fixture::new("program");
    run.call((1_000, 2_001_000), name, args, result).exit(2_002_000);
    said(&run)
}

#[test]
fn each_call_that_waits_is_named_when_it_runs_out_alone() {
    let two = || timeout(2_000_000_000);
    let set = || Arg::FdSet { asked: vec![5], ready: vec![] };
    let poll = || polled(5, "POLLIN", "");
    let table: Vec<(&str, Vec<Arg>, Option<CallResult>)> = vec![
        ("poll", vec![poll(), Arg::Int(1), ms(2000)], value(0)),
        ("ppoll", vec![poll(), Arg::Int(1), two()], value(0)),
        ("select", vec![Arg::Int(6), set(), two()], value(0)),
        ("pselect6", vec![Arg::Int(6), set(), two()], value(0)),
        ("epoll_wait", vec![Arg::Fd(4), ready(&[]), Arg::Int(1), ms(2000)], value(0)),
        ("epoll_pwait", vec![Arg::Fd(4), ready(&[]), Arg::Int(1), ms(2000)], value(0)),
        ("epoll_pwait2", vec![Arg::Fd(4), ready(&[]), Arg::Int(1), two()], value(0)),
        ("nanosleep", vec![two(), Arg::Pointer(0)], value(0)),
        ("clock_nanosleep", vec![symbol("CLOCK_REALTIME"), Arg::Int(0), two()], value(0)),
        ("futex", vec![Arg::Pointer(8), symbol("FUTEX_WAIT"), Arg::Int(0), two()], error("ETIMEDOUT")),
        ("futex_wait", vec![Arg::Pointer(8), two()], error("ETIMEDOUT")),
        ("futex_waitv", vec![Arg::Pointer(8), two()], error("ETIMEDOUT")),
        ("mq_timedreceive", vec![Arg::Int(3), two()], error("ETIMEDOUT")),
        ("mq_timedsend", vec![Arg::Int(3), two()], error("ETIMEDOUT")),
        ("semtimedop", vec![Arg::Int(3), two()], error("EAGAIN")),
        ("rt_sigtimedwait", vec![symbol("[USR1]"), Arg::Pointer(0), two()], error("EAGAIN")),
        ("recvmmsg", vec![Arg::Fd(5), Arg::Pointer(0), two()], value(1)),
    ];
    for (name, args, result) in table {
        assert_eq!(alone(name, args, result), format!("tool program: {name}, 1 + 2000 ms, Certain"));
    }
}

#[test]
fn a_look_that_would_not_have_waited_ends_nothing() {
    let looked = alone("poll", vec![polled(5, "POLLIN", ""), Arg::Int(1), ms(0)], value(0));
    assert_eq!(looked, "tool program: exit, Certain");
}

#[test]
fn a_wait_that_a_signal_interrupted_did_not_run_out() {
    let args = vec![polled(5, "POLLIN", ""), Arg::Int(1), ms(2000)];
    assert_eq!(alone("poll", args, error("EINTR")), "tool program: exit, Certain");
}

#[test]
fn a_sleep_is_said_to_be_one() {
    let mut run = Fixture::new("program");
    run.call((0, 2_000_100), "nanosleep", vec![timeout(2_000_000_000), Arg::Pointer(0)], value(0)).exit(2_001_000);
    assert_eq!(judged(&run).words, "program went on after 2.000 s: it had slept, for 2 s");
}

#[test]
fn a_wait_that_was_stopped_and_taken_up_again_counts_from_its_beginning() {
    let mut run = Fixture::new("program");
    run.call((1_000, 500_000), "poll", vec![polled(5, "POLLIN", ""), ms(2000)], error("ERESTART_RESTARTBLOCK"));
    run.call((900_000, 2_001_000), "restart_syscall", vec![Arg::Resumes("poll".into())], value(0)).exit(2_002_000);
    assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain");
}

#[test]
fn a_wait_rests_on_its_call() {
    let mut run = Fixture::new("program");
    run.socket(10, 5).poll((1_000, 2_001_000), 5, 2000, "").close(2_001_500, 5).exit(2_002_000);
    assert_eq!(judged(&run).evidence, [EvidenceRef::Call(1)]);
}

#[test]
fn so_rcvtimeo_ends_a_read_that_found_nothing_for_so_long() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).time_option(300, 5, "SO_RCVTIMEO_OLD", 2000);
    run.receive((1_000, 2_004_000), 5, error("EAGAIN")).exit(2_005_000);
    assert_eq!(said(&run), "tool program: SO_RCVTIMEO, 1 + 2000 ms, Certain");
}

#[test]
fn a_read_that_finds_nothing_at_once_is_no_so_rcvtimeo() {
    for armed_ms in [2000, 8] {
        let mut run = Fixture::new("program");
        run.connected(100, 5).time_option(300, 5, "SO_RCVTIMEO_OLD", armed_ms);
        run.receive((1_000, 1_010), 5, error("EAGAIN")).exit(2_000);
        assert_eq!(said(&run), "peer server: data, Certain", "{armed_ms} ms");
    }
}

#[test]
fn a_time_too_long_to_count_is_no_so_rcvtimeo() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).time_option(300, 5, "SO_RCVTIMEO_OLD", u64::MAX / 1_000_000);
    run.receive((1_000, 2_004_000), 5, error("EAGAIN")).exit(2_005_000);
    assert_eq!(said(&run), "peer server: data, Likely");
}

#[test]
fn so_sndtimeo_ends_a_connect_and_a_write() {
    let mut connect = Fixture::new("program");
    connect.socket(100, 5).time_option(200, 5, "SO_SNDTIMEO_OLD", 2000);
    connect.connect((1_000, 2_004_000), 5, ("server", 80), error("EINPROGRESS")).exit(2_005_000);
    assert_eq!(said(&connect), "tool program: SO_SNDTIMEO, 1 + 2000 ms, Certain");
    for call in ["sendto", "write", "sendfile"] {
        let mut write = Fixture::new("program");
        write.connected(100, 5).time_option(300, 5, "SO_SNDTIMEO_OLD", 2000);
        write.fails((1_000, 2_004_000), call, 5, "EAGAIN").exit(2_005_000);
        assert_eq!(said(&write), "tool program: SO_SNDTIMEO, 1 + 2000 ms, Certain", "{call}");
    }
}

#[test]
fn an_accepted_socket_has_its_listeners_options_as_they_were_then() {
    let mut run = Fixture::new("program");
    run.socket(100, 3).time_option(200, 3, "SO_RCVTIMEO_OLD", 2000).accept((300, 900), 3, 5);
    run.time_option(950, 3, "SO_RCVTIMEO_OLD", 70_000);
    run.receive((1_000, 2_004_000), 5, error("EAGAIN")).exit(2_005_000);
    assert_eq!(said(&run), "tool program: SO_RCVTIMEO, 1 + 2000 ms, Certain");
}

#[test]
fn an_option_that_was_taken_back_arms_nothing() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).time_option(300, 5, "SO_RCVTIMEO_OLD", 1000).time_option(400, 5, "SO_RCVTIMEO_OLD", 0);
    run.receive((1_000, 2_004_000), 5, error("EAGAIN")).exit(2_005_000);
    assert_eq!(said(&run), "peer server: data, Likely");
}

#[test]
fn arguments_of_a_ring_name_it_when_its_own_wait_runs_out() {
    let ext = members(vec![("sigmask", Arg::Pointer(0)), ("ts", timeout(2_000_000_000))]);
    let args = vec![Arg::Fd(4), Arg::Int(0), Arg::Int(1), symbol("IORING_ENTER_EXT_ARG"), ext, Arg::Int(24)];
    assert_eq!(alone("io_uring_enter", args, error("ETIME")), "tool program: io_uring, 1 + 2000 ms, Certain");
}

#[test]
fn a_cause_long_before_the_end_is_marked() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).receive((1_000, 2_000), 5, value(10)).exit(2_005_000);
    let found = judged(&run);
    assert_eq!(line(&found), "peer server: data, Likely");
    assert!(found.words.ends_with("; it ended 2.003 s later, and why not at once was not recorded"), "{}", found.words);
}
