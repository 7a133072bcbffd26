//! Several processes: whose timer it was, when another one exited last.

use super::build::{BACK, judged, said};
use crate::evidence::{Arg, Ending};
use crate::timeline::fixture::{Fixture, PID, error, ms, polled, symbol, timeout, timer, value};
use crate::verdict::Confidence;

/// The child's pid.
const CHILD: u32 = 8;

/// A child that polls for 2 s from 1 ms on and ends.
fn polling_child() -> Fixture {
    let mut run = Fixture::new("sh");
    run.child(CHILD, "curl", (500, 2_002_000));
    let args = vec![polled(5, "POLLIN", ""), Arg::Int(1), ms(2000)];
    run.call_of(CHILD, (1_000, 2_001_000), "poll", args, value(0)).exit(2_004_000);
    run
}

#[test]
fn a_shell_that_waited_for_a_child_was_ended_by_what_ended_the_child() {
    let mut run = polling_child();
    run.wait4((600, 2_003_000), CHILD);
    assert_eq!(said(&run), "tool curl: poll, 1 + 2000 ms, Certain");
}

#[test]
fn waitid_tells_the_child_too() {
    let mut run = polling_child();
    let info = super::build::members(vec![("si_pid", Arg::Int(CHILD.into()))]);
    run.call((600, 2_003_000), "waitid", vec![symbol("P_ALL"), Arg::Int(0), info], value(0));
    assert_eq!(said(&run), "tool curl: poll, 1 + 2000 ms, Certain");
}

#[test]
fn a_child_that_nobody_was_seen_waiting_for_counts_where_nothing_else_does() {
    assert_eq!(said(&polling_child()), "tool curl: poll, 1 + 2000 ms, Certain");
}

/// A parent that arms 2 s at 1 ms and kills its child with this signal when they are over.
fn killing(signal: &str) -> Fixture {
    let mut run = Fixture::new("timeout");
    run.child(CHILD, "curl", (500, 2_002_000)).killed_by(signal);
    let set = vec![Arg::Int(0), Arg::Int(0), timer(2_000_000_000)];
    run.call((1_000, 1_010), "timer_settime", set, value(0)).signal(2_001_000, "SIGALRM", "SI_TIMER");
    run.call((2_001_100, 2_001_110), "kill", vec![Arg::Int(CHILD.into()), symbol(signal)], value(0));
    run.wait4((2_001_200, 2_003_000), CHILD).exit(2_004_000);
    run
}

#[test]
fn a_child_killed_by_a_parent_whose_timer_fired_was_ended_by_that_timer() {
    let mut run = killing("SIGTERM");
    run.sent(2_001_200, (PID, CHILD), "SIGTERM");
    assert_eq!(said(&run), "tool timeout: timer_create, 1 + 2000 ms, Certain");
}

#[test]
fn sigkill_that_nobody_saw_arrive_is_its_senders() {
    assert_eq!(said(&killing("SIGKILL")), "tool timeout: timer_create, 1 + 2000 ms, Certain");
}

#[test]
fn whoever_killed_somebody_else_is_not_blamed() {
    let mut run = Fixture::new("sh");
    run.child(CHILD, "curl", (500, 2_002_000)).killed_by("SIGKILL");
    run.process((9, PID), "killer", (500, None));
    run.call_of(9, (1_000, 2_001_000), "nanosleep", vec![timeout(2_000_000_000)], value(0));
    run.call_of(9, (2_001_100, 2_001_110), "kill", vec![Arg::Int(99), symbol("SIGKILL")], value(0));
    run.wait4((600, 2_003_000), CHILD).exit(2_004_000);
    assert_eq!(said(&run), "tool curl: SIGKILL, Likely");
}

#[test]
fn a_signal_to_a_whole_group_reaches_the_child() {
    let mut run = killing("SIGKILL");
    run.evidence.calls[1].args[0] = Arg::Int(0);
    assert_eq!(said(&run), "tool timeout: timer_create, 1 + 2000 ms, Certain");
}

#[test]
fn a_signal_from_outside_is_a_signal() {
    let mut run = Fixture::new("program");
    run.sent(500_000, (1, PID), "SIGTERM").killed_by("SIGTERM").end(501_000, Ending::Signal("SIGTERM".into()));
    let found = judged(&run);
    assert_eq!((found.mechanism.name(), found.words), ("SIGTERM".into(), "program got SIGTERM from outside".into()));
    run.evidence.signals[0].sender_pid = None;
    assert_eq!(judged(&run).confidence, Confidence::Likely);
}

#[test]
fn signals_about_children_and_terminals_end_no_wait() {
    let mut run = polling_child();
    run.wait4((600, 2_003_000), CHILD);
    run.signal(2_003_500, "SIGCHLD", "CLD_EXITED").signal(2_003_600, "SIGWINCH", "SI_KERNEL");
    assert_eq!(said(&run), "tool curl: poll, 1 + 2000 ms, Certain");
}

#[test]
fn a_peer_that_broke_a_childs_connection_off_is_told_through_its_parent() {
    let mut run = Fixture::new("sh");
    run.connected(100, 5).child(CHILD, "curl", (500, 900_000));
    run.call_of(CHILD, (600, 800_000), "recvfrom", vec![Arg::Fd(5)], error("ECONNRESET"));
    run.segment(799_000, BACK, "R", 0).wait4((700, 900_100), CHILD).exit(901_000);
    assert_eq!(said(&run), "peer server: RST, Certain");
}

#[test]
fn processes_that_are_each_others_parents_end_the_search() {
    let mut run = Fixture::new("sh");
    run.evidence.processes[0].parent_tid = CHILD;
    run.evidence.processes[0].end_ns = Some(900_000);
    run.child(CHILD, "curl", (500, 900_000)).exit(901_000);
    run.wait4((600, 900_000), CHILD);
    run.call_of(CHILD, (700, 890_000), "wait4", vec![Arg::Int(-1)], value(PID.into()));
    assert_eq!(said(&run), "tool sh: exit, Likely");
}
