//! What ended a run as a claim: what counts as the same, what is a difference, and snapshots from before.

use std::fs;

use super::fixture::{Connect, against};
use crate::evidence::{Ending, EngineKind};
use crate::snapshot::{Cause, Claims, Comparison, Outcome, Snapshot, Store, Subject, Tolerance, compare, render_diff};

fn cause(words: &str, armed_ms: Option<u64>) -> Cause {
    Cause { words: words.to_owned(), armed_ns: armed_ms.map(|ms| ms * 1_000_000), is_ambiguous: false }
}

fn ended_by(cause: Option<Cause>) -> Snapshot {
    let mut snapshot = Connect::on_time(1).snapshot();
    snapshot.claims.ended_by = cause;
    snapshot
}

fn own_deadline(ms: u64) -> Cause {
    cause("tool curl: its own deadline", Some(ms))
}

fn between(was: Cause, is: Cause) -> Comparison {
    against(&ended_by(Some(was)), &ended_by(Some(is)))
}

#[test]
fn it_is_the_last_line_and_is_read_back() {
    let nobody = Cause { is_ambiguous: true, ..cause("deadline: nothing yet", None) };
    for cause in
        [own_deadline(2_000), own_deadline(2_037), nobody, cause("peer a of 2 s b: ICMP net unreachable", None)]
    {
        let claims = ended_by(Some(cause)).claims;
        let text = claims.render();
        assert!(text.lines().last().unwrap().starts_with("  ended by  "), "{text}");
        assert_eq!(Claims::parse(&text), Ok(claims));
    }
    let mut alone = ended_by(Some(own_deadline(2_000))).claims;
    alone.lines.clear();
    assert_eq!(Claims::parse(&alone.render()), Ok(alone));
}

#[test]
fn a_line_that_does_not_say_who_and_by_what_is_an_error_and_so_is_one_that_is_not_the_last() {
    let text = ended_by(None).claims.render();
    let lines = text.lines().count();
    for line in ["ended by", "ended by  nobody", "ended by tool curl: exit", "ended by  : exit"] {
        let error = Claims::parse(&format!("{text}  {line}\n")).unwrap_err();
        assert_eq!(error.line, lines + 1);
        assert!(error.to_string().contains("as the last line, found `ended by"), "{error}");
    }
    let twice = format!("{text}  ended by  tool curl: exit\n  ended by  tool curl: exit\n");
    assert_eq!(Claims::parse(&twice).unwrap_err().line, lines + 1);
}

#[test]
fn another_cause_is_a_difference_although_all_events_agree() {
    let kernel = cause("kernel client: SYN retries", Some(3_000));
    let comparison = between(kernel.clone(), cause("kernel client: neighbour", Some(3_000)));
    assert_eq!(comparison.outcome, Outcome::Differs);
    assert_eq!(comparison.summary.iter().map(|mismatch| mismatch.subject).collect::<Vec<_>>(), [Subject::Verdict]);
    let diff = render_diff(&comparison, false);
    assert!(diff.contains("- ended by kernel client: SYN retries of 3 s\n"), "{diff}");
    assert!(diff.contains("+ ended by kernel client: neighbour of 3 s\n"), "{diff}");
    assert_eq!(between(kernel.clone(), kernel).outcome, Outcome::Agrees);
}

#[test]
fn another_length_is_a_difference_beyond_what_scheduling_makes_of_one() {
    assert_eq!(between(own_deadline(2_000), own_deadline(2_060)).outcome, Outcome::Agrees);
    assert_eq!(between(own_deadline(2_000), own_deadline(2_100)).outcome, Outcome::Differs);
    let tolerance = |lateness_ns| Tolerance { tick_ns: 4_000_000, lateness_ns, engine: EngineKind::Host };
    let late = |lateness_ns| {
        let (was, is) = (ended_by(Some(own_deadline(2_000))), ended_by(Some(own_deadline(1_900))));
        compare(&was, &is, &tolerance(lateness_ns)).outcome
    };
    assert_eq!((late(0), late(80_000_000)), (Outcome::Differs, Outcome::MachineLate));
}

#[test]
fn a_length_counts_where_both_sides_know_one_and_neither_has_two_explanations() {
    let unknown = cause("tool curl: its own deadline", None);
    assert_eq!(between(own_deadline(2_000), unknown.clone()).outcome, Outcome::Agrees);
    assert_eq!(between(unknown, own_deadline(2_000)).outcome, Outcome::Agrees);
    let ambiguous = |ms| Cause { is_ambiguous: true, ..own_deadline(ms) };
    assert_eq!(between(own_deadline(2_000), ambiguous(2_500)).outcome, Outcome::Agrees);
    assert_eq!(between(ambiguous(2_500), own_deadline(2_000)).outcome, Outcome::Agrees);
    assert_eq!(between(ambiguous(2_000), cause("tool curl: alarm", Some(2_000))).outcome, Outcome::Differs);
}

#[test]
fn a_snapshot_from_before_agrees_and_accepting_adds_nothing_but_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("a.kdl");
    fs::write(&scenario, "").unwrap();
    let store = Store::for_scenario(&scenario).unwrap();
    let file = store.accept("curl", &ended_by(None)).unwrap();
    let before = fs::read_to_string(&file).unwrap();

    let mut observed = ended_by(Some(cause("kernel client: SYN retries", Some(3_000))));
    observed.recording.kernel = "6.19".to_owned();
    assert_eq!(against(&store.load("curl").unwrap().unwrap(), &observed).outcome, Outcome::Agrees);
    assert!(store.add_cause("curl", &observed).unwrap().is_some());
    let after = fs::read_to_string(&file).unwrap();
    assert_eq!(after, format!("{before}  ended by  kernel client: SYN retries of 3 s\n"));
    assert_eq!(store.add_cause("curl", &observed).unwrap(), None);
    assert_eq!(store.add_cause("wget", &observed).unwrap(), None);
}

#[test]
fn a_retransmission_that_is_missing_excuses_no_other_cause() {
    let mut expected = Connect::on_time(2).snapshot();
    let mut skipped = Connect::on_time(2);
    let gap_ns = skipped.sent.remove(0).1;
    skipped.sent[0].1 += gap_ns;
    let mut observed = skipped.snapshot();
    let retries = cause("kernel client: SYN retries", Some(7_000));
    expected.claims.ended_by = Some(retries.clone());
    observed.claims.ended_by = Some(retries);
    assert_eq!(against(&expected, &observed).outcome, Outcome::MissingRetransmission);
    observed.claims.ended_by = Some(cause("kernel client: neighbour", Some(7_000)));
    assert_eq!(against(&expected, &observed).outcome, Outcome::Differs);
    observed.claims.summary.how = Ending::Exit(7);
    assert_eq!(against(&expected, &observed).summary.len(), 2);
}
