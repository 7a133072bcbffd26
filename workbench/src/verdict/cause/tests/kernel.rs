//! The kernel gave up a connect, or would have: SYN retries, TCP_SYNCNT, TCP_USER_TIMEOUT; the deadline of the run.

use super::build::{THERE, judged, line, said};
use crate::evidence::Ending;
use crate::timeline::fixture::{Fixture, error, ip};
use crate::timeline::{Content, EvidenceRef};
use crate::verdict::Confidence;

/// A blocking connect that ends with ETIMEDOUT after 3.05 s.
fn timed_out() -> Fixture {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((1_000, 3_051_000), 5, ("server", 80), error("ETIMEDOUT")).exit(3_052_000);
    run
}

fn syns(run: &mut Fixture) {
    run.segment(1_100, THERE, "S", 0).dropped().segment(1_021_100, THERE, "S", 0).again(1).dropped();
}

#[test]
fn syns_that_nobody_answered_used_the_retries_up_as_the_kernel_computes() {
    let mut run = timed_out();
    syns(&mut run);
    let found = judged(&run);
    assert_eq!(line(&found), "kernel client: SYN retries, 1 + 3000 ms, Certain");
    assert!(found.words.contains("2 SYNs were not answered; as it computes"), "{}", found.words);
    assert_eq!(found.evidence, [EvidenceRef::Call(1), EvidenceRef::Call(1)]);
}

#[test]
fn without_a_syn_it_is_only_likely_and_the_neighbours_silence_is_said() {
    assert_eq!(said(&timed_out()), "kernel client: SYN retries, 1 + 3000 ms, Likely");
    let mut run = timed_out();
    run.flight(1_100, "client", "server", Content::Arp { is_request: true, target: ip("10.9.0.9") });
    run.but(|flight| flight.addresses = None);
    let found = judged(&run);
    assert_eq!(line(&found), "kernel client: SYN retries, 1 + 3000 ms, Likely");
    assert!(found.words.contains("no SYN left, because nobody answered"), "{}", found.words);
}

#[test]
fn what_the_kernel_does_not_compute_is_said_to_be_so() {
    let mut run = timed_out();
    syns(&mut run);
    run.sysctl("tcp_syn_retries", "6");
    let found = judged(&run);
    assert_eq!(found.confidence, Confidence::Likely);
    assert!(found.words.contains("which is not what it computes"), "{}", found.words);
}

#[test]
fn evidence_without_sysctls_gives_a_verdict_without_a_computation() {
    let mut run = timed_out();
    syns(&mut run);
    run.evidence.sysctls.clear();
    let found = judged(&run);
    assert_eq!(line(&found), "kernel client: SYN retries, Likely");
    assert!(found.words.contains("not known, because no sysctls were recorded"), "{}", found.words);
}

#[test]
fn tcp_syncnt_stands_in_for_the_sysctl() {
    let mut run = Fixture::new("program");
    run.sysctl("tcp_syn_retries", "6").socket(100, 5).option(200, 5, "TCP_SYNCNT", 1);
    run.connect((1_000, 3_051_000), 5, ("server", 80), error("ETIMEDOUT")).exit(3_052_000);
    syns(&mut run);
    assert_eq!(said(&run), "kernel client: SYN retries, 1 + 3000 ms, Certain");
}

#[test]
fn tcp_user_timeout_ends_a_connect_and_rests_on_the_call_that_set_it() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).option(200, 5, "TCP_USER_TIMEOUT", 2000);
    run.connect((1_000, 3_051_000), 5, ("server", 80), error("ETIMEDOUT")).exit(3_052_000);
    syns(&mut run);
    let found = judged(&run);
    assert!(line(&found).starts_with("kernel client: TCP_USER_TIMEOUT, 1 + 2000 ms"), "{}", line(&found));
    assert!(found.evidence.contains(&EvidenceRef::Call(1)));
}

#[test]
fn a_second_connect_that_asks_leaves_the_syns_with_the_first() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((1_000, 1_200), 5, ("server", 80), error("EINPROGRESS"));
    run.poll((1_300, 3_051_000), 5, -1, "POLLOUT|POLLERR|POLLHUP");
    run.connect((3_051_100, 3_051_200), 5, ("server", 80), error("ETIMEDOUT")).exit(3_052_000);
    syns(&mut run);
    assert_eq!(said(&run), "kernel client: SYN retries, 1 + 3000 ms, Certain");
}

#[test]
fn who_gave_up_before_the_kernel_is_told_until_when_it_would_have_gone_on() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((1_000, 1_200), 5, ("server", 80), error("EINPROGRESS"));
    run.segment(1_100, THERE, "S", 0).dropped().poll((1_300, 1_001_500), 5, 1000, "").exit(1_002_000);
    let next = judged(&run).next.expect("a connect was under way");
    let at_s = |ns: Option<i64>| ns.map(|ns| ns / 1_000_000_000);
    assert_eq!((at_s(next.earliest_ns), next.mechanism.map(|m| m.name())), (Some(3), Some("SYN retries".into())));
    assert!(next.words.contains("tcp_syn_retries=1, HZ=250"), "{}", next.words);
}

#[test]
fn a_program_that_could_not_be_started_was_ended_by_the_kernel() {
    let mut run = Fixture::new("nothing");
    run.end(100, Ending::ExecFailed("ENOENT".into()));
    assert_eq!(said(&run), "kernel client: exec failure, Certain");
}

#[test]
fn at_the_deadline_the_wait_for_the_network_is_told_whoever_else_waits() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((200, 210), 5, ("server", 80), error("EINPROGRESS"));
    run.segment(205, THERE, "S", 0).dropped().poll((300, 0), 5, -1, "");
    run.evidence.calls[2].exit_ns = None;
    run.evidence.calls[2].result = None;
    run.call((400, 0), "wait4", vec![], None).end(10_000_000, Ending::Deadline);
    run.evidence.plan.command.deadline_ns = Some(10_000_000_000);
    let found = judged(&run);
    assert_eq!(line(&found), "deadline the run: nothing yet at the deadline, 0 + 10000 ms, Certain");
    assert_eq!(
        found.words,
        "nothing had ended it yet at the deadline of 10 s; program was in poll without a timeout, for server:80"
    );
    assert_eq!(found.evidence, [EvidenceRef::Call(2)]);
    assert!(found.next.is_some());
}

#[test]
fn at_the_deadline_a_program_that_waits_for_nothing_is_told_so() {
    let mut run = Fixture::new("program");
    run.end(10_000_000, Ending::Deadline);
    assert_eq!(judged(&run).words, "nothing had ended it yet at the deadline of 10 s");
}
