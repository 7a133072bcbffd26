//! Several threads: who had the news, when another one acted on it.

use super::build::{THERE, said};
use crate::evidence::Arg;
use crate::timeline::fixture::{Fixture, PID, error, ms, polled, timeout, value};

/// A second thread.
const WORKER: u32 = 70;

/// `connect` under way on 5.
fn connecting() -> Fixture {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((200, 210), 5, ("server", 80), error("EINPROGRESS"));
    run.segment(205, THERE, "S", 0).dropped();
    run
}

/// The worker's poll on 5 ran out after 2 s; the main thread hears of it on `fd`.
fn woken_on(run: &mut Fixture, fd: i64) {
    run.poll((1_000, 2_001_000), 5, 2000, "").by(WORKER);
    run.call((2_001_010, 2_001_020), "write", vec![Arg::Fd(8), Arg::Int(1)], value(8)).by(WORKER);
    run.poll((1_100, 2_001_030), fd, -1, "POLLIN").exit(2_002_000);
}

#[test]
fn a_thread_woken_through_an_eventfd_was_woken_by_the_one_whose_wait_ran_out() {
    let mut run = connecting();
    run.call((300, 310), "eventfd2", vec![Arg::Int(0), Arg::Int(0)], value(8));
    woken_on(&mut run, 8);
    assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain");
}

#[test]
fn a_thread_woken_through_a_pair_was_woken_by_the_one_whose_wait_ran_out() {
    for name in ["socketpair", "pipe2"] {
        let mut run = connecting();
        run.call((300, 310), name, vec![Arg::List(vec![Arg::Fd(7), Arg::Fd(8)])], value(0));
        woken_on(&mut run, 7);
        assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain", "{name}");
    }
}

#[test]
fn a_futex_that_was_woken_hands_the_question_on() {
    let mut run = connecting();
    run.poll((1_000, 2_001_000), 5, 2000, "").by(WORKER);
    run.call((1_100, 2_001_100), "futex", vec![Arg::Pointer(8), timeout(9_000_000_000)], value(0)).exit(2_002_000);
    assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain");
}

#[test]
fn of_two_threads_that_wait_until_one_moment_the_one_at_the_network_is_told() {
    let mut run = connecting();
    run.epoll(300, 4, &[(5, 55)]);
    run.epoll_wait((1_000, 2_001_000), 4, 2000, &[]).by(WORKER);
    run.call((1_100, 2_001_200), "futex", vec![Arg::Pointer(8), timeout(2_000_100_000)], error("ETIMEDOUT"));
    run.exit(2_002_000);
    assert_eq!(said(&run), "tool program: epoll_wait, 1 + 2000 ms, Certain");
}

/// Every way from one to the other would be tried otherwise, which are more than anybody can wait for.
#[test]
fn two_threads_that_wake_each_other_without_end_end_the_search() {
    let mut run = Fixture::new("program");
    run.call((100, 110), "socketpair", vec![Arg::List(vec![Arg::Fd(7), Arg::Fd(8)])], value(0));
    for n in 0..400 {
        let (fd, tid) = if n % 2 == 0 { (7, PID) } else { (8, WORKER) };
        let args = vec![polled(fd, "POLLIN", "POLLIN"), Arg::Int(1), ms(-1)];
        run.call((1_000 + n * 100, 1_050 + n * 100), "poll", args, value(1)).by(tid);
    }
    run.exit(42_000);
    assert_eq!(said(&run), "tool program: exit, Likely");
}
