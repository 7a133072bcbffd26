//! What must not go unnoticed, and what the reader is told.

use super::fixture::{Connect, MS, Random, after, against, event, snapshot};
use crate::evidence::{Ending, EngineKind};
use crate::snapshot::{Outcome, Row, SCHEDULING_NS, Subject, Tolerance, compare, render_diff};
use crate::timeline::{TimerClass, Wait};

#[test]
fn a_wait_outside_its_band_differs_in_either_direction() {
    let mut random = Random(5);
    for _ in 0..300 {
        let retries = u32::try_from(random.between(1, 5)).unwrap();
        let mut run = Connect::on_time(retries);
        let expected = run.snapshot();
        let which = usize::try_from(random.below(u64::from(retries) + 1)).unwrap();
        let (armed_ms, gap_ns) = run.sent.get_mut(which).map_or(&mut run.end, |sent| sent);
        let armed_ns = i64::try_from(*armed_ms).unwrap() * MS;
        let is_late = random.below(2) == 0;
        *gap_ns = if is_late { armed_ns / 63 * 8 + armed_ns + 67 * MS } else { armed_ns - 7 * MS };
        let comparison = against(&expected, &run.snapshot());
        assert_eq!(comparison.outcome, Outcome::Differs);
        let changed: Vec<_> = comparison
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::Changed(line, mismatch) => Some((line, mismatch)),
                _ => None,
            })
            .collect();
        assert!(changed.iter().any(|(_, m)| m.subject == Subject::Wait && (m.excess_ns > 0) == is_late));
        assert_eq!(changed.len(), 1, "{comparison:#?}");
    }
}

#[test]
fn one_more_packet_is_named() {
    let comparison = against(&Connect::on_time(1).snapshot(), &Connect::on_time(2).snapshot());
    assert_eq!(comparison.outcome, Outcome::Differs);
    let text = render_diff(&comparison, false);
    let line = text.lines().find(|line| line.starts_with("+ ")).unwrap();
    assert!(line.contains("SYN, retransmission 2") && line.ends_with("(not in the snapshot)"), "{text}");
    assert!(text.contains("timer: expected SYN retries of 3 s, timer wheel, observed SYN retries of 7 s"), "{text}");
}

#[test]
fn one_more_packet_differs_also_when_the_end_is_on_time() {
    let mut more = Connect::on_time(2);
    more.sent.push((1000, 1000 * MS));
    assert_eq!(against(&Connect::on_time(2).snapshot(), &more.snapshot()).outcome, Outcome::Differs);
}

#[test]
fn a_diff_says_expected_observed_tolerance_and_reason() {
    let mut late = Connect::on_time(1);
    late.sent[0].1 = 1_300 * MS;
    let text = render_diff(&against(&Connect::on_time(1).snapshot(), &late.snapshot()), false);
    let tail: Vec<&str> = text.lines().skip_while(|line| !line.starts_with('~')).take(3).collect();
    assert_eq!(
        tail,
        [
            r#"~    1.309 s  client -> server  SYN, retransmission 1, dropped at server by "drop tcp dport=80""#,
            "              wait: expected 1.000 s, observed 1.300 s, 0.108 s too late",
            "              allowed 0.995 s to 1.192 s: RTO is on the timer wheel: at most a jiffy (4 ms) early, up to \
             12.7 % late; 60 ms for scheduling",
        ]
    );
}

#[test]
fn another_ending_command_or_event_differs() {
    let expected = Connect::on_time(1);
    let mut ending = expected.snapshot();
    ending.claims.summary.how = Ending::Signal("SIGTERM".to_owned());
    let mut command = expected.snapshot();
    command.claims.summary.command.push_str(" -v");
    for (observed, subject) in [(ending, Subject::End), (command, Subject::Command)] {
        let comparison = against(&expected.snapshot(), &observed);
        assert_eq!(comparison.outcome, Outcome::Differs);
        assert_eq!(comparison.summary[0].subject, subject);
    }
    let mut events = expected.events();
    events[4].text = "connect failed: ECONNREFUSED".to_owned();
    assert_eq!(against(&expected.snapshot(), &snapshot(Ending::Exit(28), events)).outcome, Outcome::Differs);
}

#[test]
fn another_timer_or_another_length_differs_although_the_wait_is_the_same() {
    let run = |name: &str, class, armed_ms| {
        let fired = event(2_010 * MS, "client", "gave up");
        snapshot(Ending::Exit(1), vec![after(fired, 2_010 * MS, name, class, armed_ms)])
    };
    let alarm = run("alarm", TimerClass::HighResolution, 2_000);
    for other in [
        run("setitimer", TimerClass::HighResolution, 2_000),
        run("alarm", TimerClass::Slack, 2_000),
        run("alarm", TimerClass::HighResolution, 1_900),
        snapshot(Ending::Exit(1), vec![event(2_010 * MS, "client", "gave up")]),
    ] {
        let comparison = against(&alarm, &other);
        assert!(matches!(&comparison.rows[0], Row::Changed(_, m) if m.subject == Subject::Timer));
        assert_eq!(comparison.outcome, Outcome::Differs);
    }
}

#[test]
fn a_pause_without_a_timer_is_held_against_the_recorded_one() {
    let run = |pause_ms: i64| {
        let events = vec![event(MS, "client", "sent"), event((1 + pause_ms) * MS, "client", "received")];
        snapshot(Ending::Exit(0), events)
    };
    for (recorded, observed, outcome) in [
        (1, 50, Outcome::Agrees),
        (50, 1, Outcome::Agrees),
        (1, 100, Outcome::Differs),
        (2_000, 2_200, Outcome::Agrees),
        (2_000, 2_400, Outcome::Differs),
        (2_000, 1_600, Outcome::Differs),
    ] {
        assert_eq!(against(&run(recorded), &run(observed)).outcome, outcome, "{recorded} {observed}");
    }
}

#[test]
fn a_wait_that_only_one_of_both_names_is_measured_alike_on_both_sides() {
    let run = |took_ms: i64| {
        let mut connected = event((1 + took_ms) * MS, "client", "connected");
        connected.wait = Some(Wait { gap_ns: took_ms * MS, timer: None });
        let answer = event(took_ms * MS, "server -> client", "SYN-ACK");
        snapshot(Ending::Exit(0), vec![event(MS, "client", "connect"), answer, connected])
    };
    for (recorded, observed) in [(58, 62), (62, 58), (20, 75), (75, 20)] {
        assert_eq!(against(&run(recorded), &run(observed)).outcome, Outcome::Agrees, "{recorded} {observed}");
    }
    assert!(run(62).claims.render().contains("+0.062 s  no timer"));
    assert!(!run(58).claims.render().contains("no timer"));
}

#[test]
fn the_order_of_what_happens_in_one_place_is_a_claim() {
    let run =
        |texts: [&str; 2]| snapshot(Ending::Exit(0), texts.iter().map(|text| event(MS, "client", text)).collect());
    assert_eq!(against(&run(["a", "b"]), &run(["b", "a"])).outcome, Outcome::Differs);
}

#[test]
fn events_that_are_further_apart_than_chance_keep_their_order() {
    let run = |a_ms: i64, b_ms: i64| {
        let mut events = vec![event(a_ms * MS, "client", "a"), event(b_ms * MS, "server", "b")];
        events.sort_by_key(|event| event.t_ns);
        snapshot(Ending::Exit(0), events)
    };
    let apart = i64::try_from(SCHEDULING_NS).unwrap() / MS + 1;
    assert_eq!(against(&run(1, 1 + apart), &run(2, 1)).outcome, Outcome::Differs);
    assert_eq!(against(&run(1, 2), &run(1 + apart, 1)).outcome, Outcome::Differs);
}

/// A kernel that did not send retransmission `skipped` (from 0), as a timeline would tell it.
fn skipping(retries: u32, skipped: usize) -> Connect {
    let mut run = Connect::on_time(retries);
    let gone = run.sent.remove(skipped);
    if let Some(next) = run.sent.get_mut(skipped) {
        next.1 += gone.1;
    }
    // A timeline counts from one, whatever was skipped.
    for (n, sent) in run.sent.iter_mut().enumerate() {
        sent.0 = 1000 << n;
    }
    run
}

#[test]
fn one_skipped_retransmission_with_the_end_on_time_is_an_outcome_of_its_own() {
    for retries in 1..6 {
        for skipped in 0..usize::try_from(retries).unwrap() {
            let mut run = skipping(retries, skipped);
            let expected = Connect::on_time(retries).snapshot();
            let comparison = against(&expected, &run.snapshot());
            assert_eq!(comparison.outcome, Outcome::MissingRetransmission, "{retries} {skipped} {comparison:#?}");
            assert!(comparison.remarks[0].contains(&format!("retransmission {}", skipped + 1)), "{comparison:#?}");
            // Nor does it matter what length the timeline takes the whole wait for.
            run.end.0 /= 2;
            assert_eq!(against(&expected, &run.snapshot()).outcome, Outcome::MissingRetransmission);
        }
    }
}

#[test]
fn a_skipped_retransmission_leaves_the_next_attempts_numbers_alone() {
    let twice = |first: &Connect| {
        let mut events = first.events();
        let second = Connect { start_ns: 16_000 * MS, ..Connect::on_time(3) };
        events.extend(second.events().into_iter().skip(1));
        snapshot(Ending::Exit(28), events)
    };
    for skipped in 0..3 {
        let comparison = against(&twice(&Connect::on_time(3)), &twice(&skipping(3, skipped)));
        assert_eq!(comparison.outcome, Outcome::MissingRetransmission, "{skipped} {comparison:#?}");
    }
}

#[test]
fn a_skipped_retransmission_without_a_known_timer_is_waited_for_in_the_next_ones_gap() {
    let run = |gaps_s: &[i64]| {
        let mut t_ns = MS;
        let mut events = vec![event(t_ns, "client -> server", "data")];
        for (number, gap_s) in (1..).zip(gaps_s) {
            t_ns += gap_s * 1_000 * MS;
            let mut again = event(t_ns, "client -> server", &format!("data, retransmission {number}"));
            again.wait = Some(Wait { gap_ns: gap_s * 1_000 * MS, timer: None });
            events.push(again);
        }
        snapshot(Ending::Exit(0), events)
    };
    assert_eq!(against(&run(&[1, 2, 4]), &run(&[3, 4])).outcome, Outcome::MissingRetransmission);
    assert_eq!(against(&run(&[1, 2, 4]), &run(&[2, 4])).outcome, Outcome::Differs);
}

#[test]
fn a_skipped_retransmission_excuses_nothing_else() {
    let expected = Connect::on_time(3).snapshot();
    let mut early_end = skipping(3, 1);
    early_end.end.1 -= 100 * MS;
    let mut late_next = skipping(3, 1);
    late_next.sent[1].1 += 2_000 * MS;
    let mut two = skipping(3, 1);
    two.sent.pop();
    for run in [early_end, late_next, two] {
        assert_eq!(against(&expected, &run.snapshot()).outcome, Outcome::Differs);
    }
    assert_eq!(against(&expected, &Connect::on_time(2).snapshot()).outcome, Outcome::Differs);
    let mut ending = skipping(3, 1).snapshot();
    ending.claims.summary.how = Ending::Exit(7);
    assert_eq!(against(&expected, &ending).outcome, Outcome::Differs);
    assert_eq!(against(&skipping(3, 1).snapshot(), &expected).outcome, Outcome::Differs);
}

#[test]
fn lateness_that_the_machine_had_itself_is_no_difference_and_no_agreement() {
    let expected = Connect::on_time(1).snapshot();
    let mut late = Connect::on_time(1);
    late.sent[0].1 = 1_300 * MS;
    let with = |lateness_ms: u64, run: &Connect| {
        let tolerance =
            Tolerance { tick_ns: 4_000_000, lateness_ns: lateness_ms * 1_000_000, engine: EngineKind::Host };
        compare(&expected, &run.snapshot(), &tolerance).outcome
    };
    assert_eq!(with(150, &late), Outcome::MachineLate);
    assert_eq!(with(50, &late), Outcome::Differs);
    let mut early = Connect::on_time(1);
    early.sent[0].1 = 900 * MS;
    assert_eq!(with(150, &early), Outcome::Differs);
}

#[test]
fn what_was_left_of_a_deadline_when_the_machine_was_late_is_no_difference_and_no_agreement() {
    let poll = |armed_ms: u64| {
        let gap_ns = i64::try_from(armed_ms).unwrap() * MS;
        let fired = after(event(2_000 * MS, "client", "gave up"), gap_ns, "poll", TimerClass::Slack, armed_ms);
        snapshot(Ending::Exit(28), vec![fired])
    };
    let with = |lateness_ms: u64| {
        let tolerance =
            Tolerance { tick_ns: 4_000_000, lateness_ns: lateness_ms * 1_000_000, engine: EngineKind::Host };
        compare(&poll(794), &poll(694), &tolerance)
    };
    assert_eq!(with(50).outcome, Outcome::MachineLate);
    assert_eq!(with(30).outcome, Outcome::Differs);
    let text = render_diff(&with(30), false);
    assert!(text.contains("observed poll of 0.694 s, with slack, 0.039 s too short"), "{text}");
}

#[test]
fn one_wait_and_several_that_keep_one_deadline_are_the_same() {
    let after_2_s = |name: &str, class, armed_ms| {
        let fired = after(event(2_000 * MS, "client", "gave up"), 2_000 * MS, name, class, armed_ms);
        snapshot(Ending::Exit(28), vec![fired])
    };
    let (one, several) =
        (after_2_s("poll", TimerClass::Slack, 2_000), after_2_s("deadline", TimerClass::Deadline, 2_000));
    assert_eq!(against(&one, &several).outcome, Outcome::Agrees);
    assert_eq!(against(&several, &one).outcome, Outcome::Agrees);
    let shorter = after_2_s("deadline", TimerClass::Deadline, 1_900);
    assert_eq!(against(&one, &shorter).outcome, Outcome::Differs);
    for other in [
        after_2_s("select", TimerClass::Slack, 2_000),
        after_2_s("alarm", TimerClass::HighResolution, 2_000),
        after_2_s("RTO", TimerClass::Wheel, 2_000),
    ] {
        assert_eq!(against(&one, &other).outcome, Outcome::Differs);
    }
}

#[test]
fn another_kernel_is_named_and_no_difference() {
    let expected = Connect::on_time(1).snapshot();
    let mut observed = expected.clone();
    observed.recording.kernel = "6.19".to_owned();
    observed.recording.engine = EngineKind::Virtual;
    let comparison = against(&expected, &observed);
    assert_eq!(comparison.outcome, Outcome::Agrees);
    assert!(render_diff(&comparison, false).starts_with("recorded on 6.18, HZ=250"));
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let comparison = against(&Connect::on_time(1).snapshot(), &Connect::on_time(2).snapshot());
    assert!(!render_diff(&comparison, false).contains('\u{1b}'));
    assert!(render_diff(&comparison, true).contains("\u{1b}[32m+ "));
}
