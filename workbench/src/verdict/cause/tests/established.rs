//! The kernel gave up a connection that was there: with the timer that samples show, and without any samples.

use super::build::{BACK, judged, line, numbered, said};
use crate::evidence::{Arg, TcpState, TimerKind};
use crate::timeline::fixture::{Fixture, error, ip, symbol, value};
use crate::timeline::{Content, EvidenceRef, QuotedFlow};
use crate::verdict::Confidence;

/// A connection, three retries, and a read that ends with `errno` at `us`.
fn read_until(us: i64, errno: &str) -> Fixture {
    let mut run = Fixture::new("program");
    run.sysctl("tcp_retries2", "3").connected(100, 5).receive((20_000, us), 5, error(errno)).exit(us + 1_000);
    run
}

/// Data at 10 ms that is sent again four times.
fn data_again(run: &mut Fixture) {
    for (nth, us) in [10_000, 218_000, 634_000, 1_466_000, 3_130_000].into_iter().enumerate() {
        run.data(us, 1, nth as u32);
    }
}

#[test]
fn data_that_was_sent_again_used_the_retries_up_as_the_sampled_timer_says() {
    let mut run = read_until(6_760_000, "ETIMEDOUT");
    run.sample(10_100, TcpState::Established, TimerKind::On, 204);
    data_again(&mut run);
    let found = judged(&run);
    assert!(line(&found).starts_with("kernel client: retransmissions, 10 + "), "{}", line(&found));
    assert_eq!(found.confidence, Confidence::Certain, "{}", found.words);
    assert!(found.words.contains("4 retransmissions had no answer"), "{}", found.words);
    assert!(found.evidence.contains(&EvidenceRef::Sample(0)));
}

#[test]
fn without_samples_data_that_was_sent_again_is_guessed_to_be_retransmissions() {
    let mut run = read_until(6_760_000, "ETIMEDOUT");
    data_again(&mut run);
    let found = judged(&run);
    assert_eq!((found.mechanism.name(), found.confidence), ("retransmissions".into(), Confidence::Likely));
    assert_eq!(found.armed_at_ns, Some(10_000_000));
}

#[test]
fn without_samples_and_without_data_it_is_guessed_to_be_keepalive() {
    let found = judged(&read_until(4_060_000, "ETIMEDOUT"));
    assert_eq!((found.mechanism.name(), found.confidence), ("keepalive".into(), Confidence::Likely));
}

#[test]
fn a_soft_error_stands_in_for_etimedout_when_the_retries_are_used_up() {
    let mut run = read_until(6_760_000, "EHOSTUNREACH");
    run.sample(10_100, TcpState::Established, TimerKind::On, 204);
    data_again(&mut run);
    let (from, to) = (ip("client"), ip("server"));
    let about = QuotedFlow { from, to, protocol: "tcp".into(), sport: Some(40_404), dport: Some(80) };
    run.flight(700_000, "server", "client", Content::Icmp { kind: "host unreachable".into(), about: Some(about) });
    let found = judged(&run);
    assert_eq!((found.mechanism.name(), found.confidence), ("retransmissions".into(), Confidence::Certain));
}

#[test]
fn keepalive_probes_that_had_no_answer_are_keepalive() {
    let mut run = Fixture::new("program");
    run.sysctl("tcp_keepalive_time", "3").sysctl("tcp_keepalive_intvl", "1").sysctl("tcp_keepalive_probes", "1");
    run.connected(100, 5).option(300, 5, "SO_KEEPALIVE", 1);
    run.receive((400, 4_060_000), 5, error("ETIMEDOUT")).exit(4_061_000);
    run.sample(500, TcpState::Established, TimerKind::Keepalive, 3_000);
    run.segment(3_010_000, ("client", 40_404, "server", 80), "A", 0).but(|flight| numbered(flight, 0));
    let found = judged(&run);
    assert_eq!(line(&found), "kernel client: keepalive, 0 + 4000 ms, Certain");
    assert!(found.words.contains("1 keepalive probe had no answer"), "{}", found.words);
}

#[test]
fn zero_window_probes_that_had_no_answer_are_persist() {
    let mut run = read_until(3_200_000, "ETIMEDOUT");
    run.sample(10_100, TcpState::Established, TimerKind::Probe, 204);
    assert_eq!(judged(&run).mechanism.name(), "persist timer");
}

#[test]
fn tcp_user_timeout_is_told_whatever_timer_kept_it() {
    for timer in [TimerKind::On, TimerKind::Keepalive, TimerKind::Probe] {
        let mut run = Fixture::new("program");
        run.connected(100, 5).option(200, 5, "TCP_USER_TIMEOUT", 1500);
        run.receive((20_000, 1_700_000), 5, error("ETIMEDOUT")).exit(1_701_000);
        run.sample(10_100, TcpState::Established, timer, 204).data(10_000, 1, 0).data(218_000, 1, 1);
        let found = judged(&run);
        assert_eq!((found.mechanism.name(), found.armed_for_ns), ("TCP_USER_TIMEOUT".into(), Some(1_500_000_000)));
        assert!(found.evidence.contains(&EvidenceRef::Call(2)), "{timer:?}");
    }
}

#[test]
fn an_accepted_connection_is_one_without_a_handshake_of_ours() {
    let mut run = Fixture::new("program");
    run.socket(100, 3).accept((200, 300), 3, 5).segment(250, BACK, "S", 0);
    run.segment(260, ("client", 40_404, "server", 80), "SA", 0).segment(270, BACK, "A", 0);
    run.receive((20_000, 6_760_000), 5, error("ETIMEDOUT")).exit(6_761_000);
    data_again(&mut run);
    assert_eq!(judged(&run).mechanism.name(), "retransmissions");
}

#[test]
fn a_connection_that_no_process_had_any_more_is_given_up_as_an_orphan() {
    let mut run = Fixture::new("program");
    run.sysctl("tcp_orphan_retries", "2").connected(100, 5).close(9_000, 5);
    run.call((9_100, 9_110), "socket", vec![symbol("AF_NETLINK"), symbol("SOCK_RAW"), Arg::Int(4)], value(6));
    run.sample(10_100, TcpState::FinWait1, TimerKind::On, 204).but_socket(|socket| socket.inode = 0);
    run.data(10_000, 1, 0).data(218_000, 1, 1).data(634_000, 1, 2);
    run.destroyed(1_466_000).receive((9_200, 1_466_100), 6, value(100)).exit(1_467_000);
    let found = judged(&run);
    assert_eq!(
        (line(&found).split(',').next(), found.armed_at_ns),
        (Some("kernel client: orphan limit"), Some(10_000_000))
    );
    assert!(found.evidence.contains(&EvidenceRef::Destroyed(0)));
}

#[test]
fn what_would_have_come_next_is_said_by_the_timer_that_was_seen() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).poll((1_000, 2_001_500), 5, 2000, "").exit(2_002_000);
    assert_eq!(judged(&run).next, None);
    for (timer, words) in [
        (TimerKind::Off, "TCP has no timer for an idle connection"),
        (TimerKind::Probe, "zero-window probes go on for as long as the peer answers them"),
        (TimerKind::Keepalive, "keepalive ends no connection whose peer answers its probes"),
    ] {
        run.evidence.sockets.clear();
        run.sample(900, TcpState::Established, timer, 204);
        let next = judged(&run).next.expect("a sample says");
        assert!(next.words.contains(words) && next.earliest_ns.is_none(), "{timer:?}: {}", next.words);
    }
    assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain");
}
