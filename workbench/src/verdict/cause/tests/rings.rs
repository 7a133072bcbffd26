//! What goes through an io_uring.

use super::build::{BACK, THERE, members, said};
use crate::evidence::{Arg, CallResult};
use crate::timeline::fixture::{Fixture, symbol, timeout, value};

fn submission(opcode: &str, user_data: i64, mut more: Vec<(&str, Arg)>) -> Arg {
    more.extend([("opcode", symbol(opcode)), ("user_data", Arg::Int(user_data))]);
    members(more)
}

fn done(user_data: i64, result: Result<i64, &str>) -> Arg {
    let result = result.map_or_else(symbol, Arg::Int);
    members(vec![("user_data", Arg::Int(user_data)), ("res", result)])
}

/// `io_uring_enter` with what it hands over and what it finds.
fn enter(run: &mut Fixture, us: (i64, i64), submitted: Vec<Arg>, completed: Vec<Arg>, result: Option<CallResult>) {
    let own = vec![Arg::Fd(4), Arg::Int(1), Arg::Int(1), Arg::Int(0), Arg::Pointer(0), Arg::Int(0)];
    let args = own.into_iter().chain([Arg::List(submitted), Arg::List(completed)]).collect();
    run.call(us, "io_uring_enter", args, result);
}

/// A ring, and a socket beside it.
fn ring() -> Fixture {
    let mut run = Fixture::new("program");
    run.call((100, 110), "io_uring_setup", vec![Arg::Int(8)], value(4)).socket(200, 5);
    run
}

#[test]
fn a_timeout_of_a_ring_counts_from_when_it_was_handed_over() {
    let mut run = ring();
    let wait = submission("IORING_OP_TIMEOUT", 1, vec![("timeout", timeout(2_000_000_000))]);
    enter(&mut run, (1_000, 1_010), vec![wait], vec![], value(1));
    enter(&mut run, (5_000, 2_001_500), vec![], vec![done(1, Err("ETIME"))], value(0));
    run.exit(2_002_000);
    assert_eq!(said(&run), "tool program: io_uring, 1 + 2000 ms, Certain");
}

/// A connect with a timeout linked to it.
fn limited(connect: Result<i64, &str>, limit: Result<i64, &str>) -> Fixture {
    let mut run = ring();
    let fd = ("fd", Arg::Fd(5));
    let address = ("addr", crate::timeline::fixture::place("server", 80));
    let first = submission("IORING_OP_CONNECT", 1, vec![fd, address, ("flags", symbol("IOSQE_IO_LINK"))]);
    let second = submission("IORING_OP_LINK_TIMEOUT", 2, vec![("timeout", timeout(2_000_000_000))]);
    let found = vec![done(1, connect), done(2, limit)];
    enter(&mut run, (1_000, 2_001_500), vec![first, second], found, value(2));
    run.segment(1_100, THERE, "S", 0).exit(2_002_000);
    run
}

#[test]
fn a_linked_timeout_ends_the_operation_that_it_limits() {
    assert_eq!(said(&limited(Err("ECANCELED"), Err("ETIME"))), "tool program: io_uring, 1 + 2000 ms, Certain");
}

#[test]
fn an_error_that_came_through_a_ring_is_the_sockets() {
    let mut run = limited(Err("ECONNRESET"), Err("ECANCELED"));
    run.connect((300, 310), 5, ("server", 80), crate::timeline::fixture::error("EINPROGRESS"));
    run.evidence.calls.sort_by_key(|call| call.entry_ns);
    run.segment(900_000, BACK, "R", 0);
    assert_eq!(said(&run), "peer server: RST, Likely");
}

#[test]
fn a_connect_through_a_ring_is_as_good_as_one_by_itself() {
    let mut run = limited(Err("ECONNREFUSED"), Err("ECANCELED"));
    run.segment(900_000, BACK, "RA", 0);
    assert_eq!(said(&run), "peer server: RST, Likely");
}
