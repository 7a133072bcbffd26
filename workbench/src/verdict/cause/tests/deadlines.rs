//! Deadlines of a program's own, kept by several waits.

use super::build::{enter_for, judged, line, said};
use crate::evidence::Arg;
use crate::timeline::fixture::{Fixture, error, timeout, value};
use crate::verdict::{Confidence, Mechanism};

/// A connect that is not waited for, at 20.1 ms.
fn connecting() -> Fixture {
    let mut run = Fixture::new("program");
    run.socket(20_000, 5).connect((20_100, 20_200), 5, ("server", 80), error("EINPROGRESS"));
    run
}

#[test]
fn a_chain_of_polls_keeps_a_deadline_that_began_with_the_connect() {
    let mut run = connecting();
    run.poll((20_300, 219_500), 5, 199, "").poll((219_600, 219_601), 5, 0, "");
    run.poll((219_700, 1_220_900), 5, 1000, "").poll((1_221_000, 2_020_200), 5, 799, "").exit(2_021_000);
    let found = judged(&run);
    assert_eq!(line(&found), "tool program: deadline kept by many waits, 20 + 2000 ms, Likely");
    assert_eq!(found.mechanism, Mechanism::KeptDeadline { by: "poll".into(), waits: 3 });
    assert_eq!(
        found.words,
        "program gave up after 2.000 s: its own deadline of 2 s, kept by 3 polls, the last of 799 ms"
    );
}

#[test]
fn waits_armed_until_one_moment_are_one_deadline_whatever_came_in_between() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).poll((1_000, 501_000), 5, 2000, "POLLIN").receive((501_010, 501_020), 5, value(10));
    run.poll((501_100, 2_001_500), 5, 1500, "").exit(2_002_000);
    assert_eq!(said(&run), "tool program: deadline kept by many waits, 1 + 2000 ms, Likely");
}

#[test]
fn a_wait_that_is_armed_anew_after_each_answer_stands_alone() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).poll((1_000, 501_000), 5, 2000, "POLLIN").receive((501_010, 501_020), 5, value(10));
    run.poll((501_100, 2_502_000), 5, 2000, "").exit(2_503_000);
    assert_eq!(said(&run), "tool program: poll, 501 + 2000 ms, Certain");
}

#[test]
fn equal_waits_for_the_same_add_up() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).poll((1_000, 2_002_000), 5, 2000, "").poll((2_002_100, 4_003_000), 5, 2000, "");
    run.exit(4_004_000);
    let found = judged(&run);
    assert_eq!(line(&found), "tool program: deadline kept by many waits, 1 + 4000 ms, Likely");
}

#[test]
fn two_attempts_are_two_deadlines_and_the_last_one_ended_it() {
    let mut run = connecting();
    run.poll((21_000, 2_022_000), 5, 2000, "").close(2_022_100, 5).socket(2_022_200, 6);
    run.connect((2_022_300, 2_022_400), 6, ("server", 81), error("EINPROGRESS"));
    run.poll((2_022_500, 4_023_000), 6, 2000, "").exit(4_024_000);
    assert_eq!(said(&run), "tool program: poll, 2022 + 2000 ms, Certain");
}

#[test]
fn where_two_beginnings_explain_a_deadline_it_says_both() {
    let mut run = Fixture::new("program");
    run.socket(1_000_000, 5).connect((1_000_050, 1_000_090), 5, ("server", 80), error("EINPROGRESS"));
    run.poll((1_000_100, 1_200_300), 5, 200, "").poll((1_200_400, 1_999_900), 5, 799, "").exit(2_000_000);
    let found = judged(&run);
    assert_eq!(found.confidence, Confidence::Ambiguous);
    let mut both: Vec<String> = found.also.iter().chain([&found]).map(line).collect();
    both.sort();
    assert_eq!(
        both,
        [
            "tool program: deadline kept by many waits, 0 + 2000 ms, Ambiguous",
            "tool program: deadline kept by many waits, 1000 + 1000 ms, Ambiguous",
        ]
    );
}

#[test]
fn short_waits_of_a_scheduler_end_nothing_if_there_is_something_else() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).poll((1_000, 2_002_000), 5, 2000, "");
    let pause = |run: &mut Fixture, us: i64| {
        run.call((us, us + 1_100), "nanosleep", vec![timeout(1_000_000), Arg::Pointer(0)], value(0));
    };
    (0..3).for_each(|n| pause(&mut run, 2_002_100 + n * 1_200));
    run.exit(2_007_000);
    assert_eq!(said(&run), "tool program: poll, 1 + 2000 ms, Certain");
}

#[test]
fn a_deadline_kept_by_waits_for_a_ring_counts_them() {
    let mut run = Fixture::new("program");
    for (from, to, ms) in [(1_000, 1_000_500, 999), (1_000_600, 2_001_500, 1_000), (2_001_600, 3_001_200, 999)] {
        run.call((from, to), "io_uring_enter", enter_for(ms), error("ETIME"));
    }
    run.exit(3_002_000);
    let found = judged(&run);
    assert_eq!(line(&found), "tool program: deadline kept by many waits, 1 + 3000 ms, Likely");
    assert_eq!(found.mechanism, Mechanism::KeptDeadline { by: "io_uring".into(), waits: 3 });
}
