//! Snapshots that hold the range of a wait over the phases of the timer wheel.

use super::fixture::{Connect, MS, against};
use crate::evidence::EngineKind;
use crate::snapshot::{Claims, Outcome, Snapshot, Store, Subject, Tolerance, compare};
use crate::timeline::{Spread, Timeline};

/// A connect with six retries that gave up after so many milliseconds, all RTOs on time.
fn connect(end_ms: i64) -> Connect {
    Connect { end: (127_000, end_ms * MS), ..Connect::on_time(6) }
}

/// The snapshot of one that gave up after 130.196 s, and at other phases of the wheel after 129.181 s to 131.196 s, as
/// was measured on User-Mode Linux 6.12 at HZ=250.
fn ranged() -> Snapshot {
    let told = |end_ms| Timeline { events: connect(end_ms).events() };
    let (early, late) = (told(129_181), told(131_196));
    let runs: Vec<(u64, &Timeline)> = (0..64).map(|n| (n, if n == 3 { &early } else { &late })).collect();
    let spread = Spread::of(&told(130_196), &runs, 2_048_000_000);
    connect(130_196).snapshot().with_spread(&spread)
}

fn in_virtual_time(end_ms: i64) -> Outcome {
    let tolerance = Tolerance { tick_ns: 4_000_000, lateness_ns: 0, engine: EngineKind::Virtual };
    compare(&ranged(), &connect(end_ms).snapshot(), &tolerance).outcome
}

#[test]
fn a_range_stands_behind_its_timer_and_is_read_back() {
    let claims = ranged().claims;
    let text = claims.render();
    let line = " +130.196 s  SYN retries of 127 s, timer wheel, 129.181 to 131.196 s over 64 phases\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(Claims::parse(&text), Ok(claims));
}

#[test]
fn a_run_agrees_inside_the_range_and_differs_outside() {
    for (end_ms, outcome) in [
        (129_181, Outcome::Agrees),
        (131_196, Outcome::Agrees),
        // What scheduling and the space between two phases may add.
        (131_196 + 104, Outcome::Agrees),
        (131_196 + 105, Outcome::Differs),
        (129_181 - 105, Outcome::Differs),
        // Inside of what the formula allows.
        (127_500, Outcome::Differs),
        (140_000, Outcome::Differs),
    ] {
        assert_eq!(against(&ranged(), &connect(end_ms).snapshot()).outcome, outcome, "{end_ms} ms");
    }
}

#[test]
fn virtual_time_has_no_scheduling() {
    assert_eq!(in_virtual_time(131_196 + 44), Outcome::Agrees);
    assert_eq!(in_virtual_time(131_196 + 45), Outcome::Differs);
}

#[test]
fn the_reason_names_the_phases() {
    let comparison = against(&ranged(), &connect(140_000).snapshot());
    let diff = crate::snapshot::render_diff(&comparison, false);
    assert!(diff.contains("allowed 129.077 s to 131.300 s: measured over 64 phases: 129.181 s to 131.196 s"), "{diff}");
}

#[test]
fn on_a_kernel_of_another_hz_the_formula_counts() {
    let mut observed = connect(127_500).snapshot();
    observed.recording.hz = 1_000;
    assert_eq!(against(&ranged(), &observed).outcome, Outcome::Agrees);
}

#[test]
fn a_run_at_many_phases_has_to_be_inside_with_both_ends() {
    let mut observed = ranged();
    assert_eq!(against(&ranged(), &observed).outcome, Outcome::Agrees);
    let last = observed.claims.lines.iter_mut().rev().find_map(|line| line.range.as_mut()).unwrap();
    last.high_ns += 500 * MS;
    let comparison = against(&ranged(), &observed);
    assert_eq!(comparison.outcome, Outcome::Differs);
    let wait = |row: &crate::snapshot::Row| match row {
        crate::snapshot::Row::Changed(_, mismatch) => Some((mismatch.subject, mismatch.observed.clone())),
        _ => None,
    };
    assert_eq!(comparison.rows.iter().find_map(wait), Some((Subject::Wait, "131.696 s".to_owned())));
}

#[test]
fn a_skipped_retransmission_is_told_with_ranges_too() {
    let mut observed = connect(130_196);
    observed.sent.remove(0);
    observed.sent[0] = (3_000, 3_030 * MS);
    assert_eq!(against(&ranged(), &observed.snapshot()).outcome, Outcome::MissingRetransmission);
}

#[test]
fn the_file_says_how_many_phases_and_over_which_step() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("syn.kdl");
    let store = Store::for_scenario(&scenario).unwrap();
    let file = store.accept("curl", &ranged()).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\n  phase_step: 2.048 s\n  phases: 64\n") || text.contains("\n  phases: 64\n"), "{text}");
    let read = store.load("curl").unwrap().unwrap();
    assert_eq!(read, ranged());
    std::fs::write(&file, text.replace("phase_step: 2.048 s", "phase_step: some")).unwrap();
    let error = store.load("curl").unwrap_err().to_string();
    assert!(error.contains("`phases` and no `phase_step`"), "{error}");
}
