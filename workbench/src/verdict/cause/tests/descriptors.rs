//! What is behind a descriptor when a call works on it: copies, children, numbers that were used before, epoll sets that
//! changed.

use super::build::{BACK, judged, said};
use crate::evidence::{Arg, Ending};
use crate::timeline::fixture::{Fixture, error, symbol, value};

const CHILD: u32 = 8;
const RESET: &str = "peer server: RST, Certain";
const NOTHING: &str = "tool program: exit, Certain";

/// A connection on 5 that the server breaks off at 800 ms.
fn reset() -> Fixture {
    let mut run = Fixture::new("program");
    run.connected(100, 5).segment(799_000, BACK, "R", 0).exit(900_000);
    run
}

/// What is left when nothing in the evidence is about the connection but that it was made.
const CONNECTED: &str = "peer server: data, Likely";

fn copied(name: &str, args: Vec<Arg>, fd: i32) -> String {
    let mut run = reset();
    run.call((500, 510), name, args, value(fd.into())).close(600, 5).receive((700, 800_000), fd, error("ECONNRESET"));
    said(&run)
}

#[test]
fn copies_of_a_descriptor_are_the_same_socket() {
    assert_eq!(copied("dup", vec![Arg::Fd(5)], 9), RESET);
    assert_eq!(copied("dup2", vec![Arg::Fd(5), Arg::Fd(9)], 9), RESET);
    assert_eq!(copied("dup3", vec![Arg::Fd(5), Arg::Fd(9), symbol("O_CLOEXEC")], 9), RESET);
    for command in ["F_DUPFD", "F_DUPFD_CLOEXEC"] {
        assert_eq!(copied("fcntl", vec![Arg::Fd(5), symbol(command), Arg::Int(9)], 9), RESET, "{command}");
    }
}

#[test]
fn another_fcntl_copies_nothing() {
    let mut run = reset();
    run.call((500, 510), "fcntl", vec![Arg::Fd(5), symbol("F_GETFL"), Arg::Int(0)], value(9));
    run.receive((700, 800_000), 9, error("ECONNRESET"));
    assert_eq!(said(&run), CONNECTED);
}

#[test]
fn a_number_that_is_used_again_is_the_new_socket() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).close(500, 5).socket(600, 5);
    run.connect((700, 710), 5, ("server", 81), error("EINPROGRESS")).segment_of_81(705, false, "S");
    run.segment_of_81(800, true, "RA").poll((750, 900), 5, -1, "POLLERR").socket_error(910, 5, "ECONNREFUSED");
    run.exit(1_000);
    assert_eq!(judged(&run).words, "server refused the connection to server:81 with a RST");
}

/// A child that reads from 5, made at `us`.
fn child_reads(run: &mut Fixture, us: i64) {
    run.child(CHILD, "child", (us, 850_000));
    run.call_of(CHILD, (1_500, 800_000), "recvfrom", vec![Arg::Fd(5)], error("ECONNRESET"));
    run.wait4((2_000, 850_100), CHILD);
}

#[test]
fn a_child_has_what_was_open_when_it_was_made() {
    let mut run = reset();
    child_reads(&mut run, 500);
    run.close(1_000, 5);
    assert_eq!(said(&run), RESET);
}

#[test]
fn a_child_does_not_have_what_was_closed_before_it_was_made() {
    let mut run = reset();
    run.close(400, 5);
    child_reads(&mut run, 500);
    assert_eq!(said(&run), CONNECTED);
}

#[test]
fn what_a_child_closes_stays_open_in_its_parent() {
    let mut run = reset();
    run.child(CHILD, "child", (400, 700));
    run.call_of(CHILD, (500, 510), "close", vec![Arg::Fd(5)], value(0));
    run.receive((1_000, 800_000), 5, error("ECONNRESET"));
    assert_eq!(said(&run), RESET);
}

#[test]
fn close_range_closes_what_is_in_it() {
    let mut run = reset();
    run.call((400, 410), "close_range", vec![Arg::Int(3), Arg::Int(4_294_967_295), Arg::Int(0)], value(0));
    run.receive((1_000, 800_000), 5, error("ECONNRESET"));
    assert_eq!(said(&run), CONNECTED);
    let mut later = reset();
    let flags = symbol("CLOSE_RANGE_CLOEXEC");
    later.call((400, 410), "close_range", vec![Arg::Int(3), Arg::Int(4_294_967_295), flags], value(0));
    later.receive((1_000, 800_000), 5, error("ECONNRESET"));
    assert_eq!(said(&later), RESET);
}

#[test]
fn an_epoll_set_tells_by_data_and_not_by_number() {
    let mut run = reset();
    run.epoll(300, 4, &[(5, 7_777)]).epoll_wait((400, 800_000), 4, -1, &[7_777]);
    run.receive((800_010, 800_020), 5, error("ECONNRESET"));
    assert_eq!(said(&run), RESET);
}

#[test]
fn an_epoll_set_that_was_changed_tells_by_its_new_data() {
    let mut run = reset();
    run.epoll(300, 4, &[(5, 100)]).epoll_ctl(350, 4, "EPOLL_CTL_MOD", (5, 200));
    run.epoll_wait((400, 800_000), 4, -1, &[200]).receive((800_010, 800_020), 5, error("ECONNRESET"));
    assert_eq!(said(&run), RESET);
}

/// Where a program that waits for an epoll set at the deadline waits for.
fn waits_for(run: &mut Fixture) -> String {
    run.call((900, 0), "epoll_wait", vec![Arg::Fd(4), super::build::ready(&[]), Arg::Int(1)], None);
    run.end(1_000_000, Ending::Deadline);
    judged(run).words
}

/// Connections on 5 and 6, to 80 and 81, both in a set.
fn two_watched(data: (i64, i64)) -> Fixture {
    let mut run = Fixture::new("program");
    run.connected(100, 5).socket(300, 6).connect((310, 320), 6, ("server", 81), value(0));
    run.segment_of_81(315, false, "S").segment_of_81(316, true, "SA").epoll(400, 4, &[(5, data.0), (6, data.1)]);
    run
}

#[test]
fn an_epoll_set_is_waited_for_as_it_is_at_the_call() {
    let both = "for server:80 and server:81";
    assert!(waits_for(&mut two_watched((5, 6))).ends_with(both));
    let mut taken_out = two_watched((5, 6));
    taken_out.epoll_ctl(500, 4, "EPOLL_CTL_DEL", (5, 0));
    assert!(waits_for(&mut taken_out).ends_with("for server:81"));
    let mut changed = two_watched((5, 6));
    changed.epoll_ctl(500, 4, "EPOLL_CTL_MOD", (5, 500));
    let words = waits_for(&mut changed);
    assert!(words.matches("server:80").count() == 1 && words.contains("server:81"), "{words}");
}

#[test]
fn two_in_a_set_with_the_same_data_are_both_there() {
    let words = waits_for(&mut two_watched((0, 0)));
    assert!(words.ends_with("for server:80 and server:81"), "{words}");
}

#[test]
fn a_socket_leaves_an_epoll_set_with_its_last_descriptor() {
    let mut run = two_watched((5, 6));
    run.call((450, 460), "dup", vec![Arg::Fd(6)], value(9)).close(500, 5).close(510, 6);
    let words = waits_for(&mut run);
    assert!(words.ends_with("for server:81"), "{words}");
}

#[test]
fn a_descriptor_that_nobody_saw_being_made_says_nothing() {
    let mut run = Fixture::new("program");
    run.receive((100, 500_000), 3, value(5)).exit(501_000);
    assert_eq!(said(&run), NOTHING);
}
