//! The scenario's `expect` against what happened: exit, signal, time, output.

use super::Finding;
use crate::evidence::{Ending, Evidence, StepRecord, StepResult};
use crate::plan::{Expected, Origin};
use crate::timeline::{EventKind, Timeline, duration, escape};

/// What a busy machine may add between a timer that fires and a command that is gone, and before its first call.
const SCHEDULING_NS: u64 = 100_000_000;

/// How much of an output stands in a finding, in characters.
const SHOWN: usize = 200;

/// All expectations that do not hold.
pub(super) fn findings(evidence: &Evidence, timeline: &Timeline) -> Vec<Finding> {
    let expect = &evidence.plan.expect;
    let how = || ending(timeline);
    let mut findings = Vec::new();
    if let Some(Expected { value, origin }) = &expect.exit
        && evidence.end.how != Ending::Exit(*value)
    {
        findings.push(finding("exit", &format!("exit {value}"), &how(), "this exit code", origin));
    }
    if let Some(Expected { value, origin }) = &expect.signal
        && evidence.end.how != Ending::Signal(value.clone())
    {
        findings.push(finding("signal", &format!("killed by {value}"), &how(), "this signal", origin));
    }
    findings.extend(time(evidence));
    findings.extend(evidence.steps.iter().filter_map(|step| unexpected(evidence, step)));
    if evidence.output.discarded_bytes == 0 {
        for (stream, bytes, Expected { value, origin }) in absent(evidence) {
            let what = format!("{stream} contains");
            findings.push(finding(&what, &quoted(value), &shown(evidence, bytes), "these bytes anywhere", origin));
        }
    }
    findings
}

/// A step of a socket program that went otherwise than expected. A scenario may say that the command itself fails.
fn unexpected(evidence: &Evidence, step: &StepRecord) -> Option<Finding> {
    let plan = &evidence.plan;
    let program = plan.programs.iter().find(|program| program.name == step.program)?;
    let is_command = plan.command.program.as_ref() == Some(&program.name);
    let may_fail = is_command && plan.expect.exit.as_ref().is_some_and(|exit| exit.value == 1);
    let wanted = program.steps.get(step.index).filter(|_| !may_fail)?;
    let (result, came) = match step.result.as_ref()? {
        StepResult::Ok(value) => (Ok(*value), value.to_string()),
        StepResult::Failed(errno) => (Err(errno.as_str()), errno.clone()),
    };
    wanted.complaint(result)?;
    let what = format!("program {}: {}", program.name, wanted.text);
    Some(finding(&what, &wanted.expected_text(), &escape(&came), "what the step expects", &wanted.origin))
}

/// What the output is expected to hold and, as far as it was kept, does not.
pub(super) fn absent(evidence: &Evidence) -> impl Iterator<Item = (&'static str, &[u8], &Expected<String>)> {
    let (output, expect) = (&evidence.output, &evidence.plan.expect);
    let streams =
        [("stdout", &output.stdout, &expect.stdout_contains), ("stderr", &output.stderr, &expect.stderr_contains)];
    streams.into_iter().flat_map(|(stream, bytes, wanted)| {
        let is_absent = |wanted: &&Expected<String>| !contains(bytes, wanted.value.as_bytes());
        wanted.iter().filter(is_absent).map(move |wanted| (stream, bytes.as_slice(), wanted))
    })
}

/// `after` and `within`: never earlier than a tick, later only as far as timers and the machine make it.
fn time(evidence: &Evidence) -> Option<Finding> {
    let expect = &evidence.plan.expect;
    let origin = &expect.after_ns.as_ref().or(expect.within_ns.as_ref())?.origin;
    let after_ns = expect.after_ns.as_ref().map_or(0, |after| after.value);
    let tick_ns = evidence.machine.tick_ns;
    let (late_ns, reason) = match &expect.within_ns {
        Some(within) => (within.value, "`within`".to_owned()),
        None => (
            after_ns / 8 + tick_ns + SCHEDULING_NS,
            format!("12.5 % of the timer wheel, a tick of {}, 100 ms of scheduling", duration(tick_ns)),
        ),
    };
    let (earliest_ns, latest_ns) = (after_ns.saturating_sub(tick_ns), after_ns.saturating_add(late_ns));
    let ended_ns = evidence.end.t_ns.max(0).unsigned_abs();
    if (earliest_ns..=latest_ns).contains(&ended_ns) {
        return None;
    }
    let expected = match (&expect.after_ns, &expect.within_ns) {
        (None, Some(_)) => format!("an end within {}", duration(late_ns)),
        _ => format!("an end after {}", duration(after_ns)),
    };
    let observed = format!("an end after {}", seconds(ended_ns));
    let allowed = format!("{} to {} ({reason})", seconds(earliest_ns), seconds(latest_ns));
    Some(finding("after", &expected, &observed, &allowed, origin))
}

fn finding(what: &str, expected: &str, observed: &str, allowed: &str, origin: &Origin) -> Finding {
    Finding {
        what: what.to_owned(),
        expected: expected.to_owned(),
        observed: observed.to_owned(),
        allowed: allowed.to_owned(),
        origin: origin.clone(),
    }
}

/// How the command ended, in the timeline's words.
fn ending(timeline: &Timeline) -> String {
    let end = timeline.events.iter().find(|event| event.kind == EventKind::End);
    end.map_or_else(|| "no end".to_owned(), |event| event.text.clone())
}

fn seconds(ns: u64) -> String {
    format!("{:.3} s", std::time::Duration::from_nanos(ns).as_secs_f64())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// The beginning of an output, and what is not in it.
fn shown(evidence: &Evidence, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    let text = String::from_utf8_lossy(bytes);
    let mut shown = quoted(&text.chars().take(SHOWN).collect::<String>());
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str(&format!(" and more, {} bytes", bytes.len()));
    }
    if evidence.output.discarded_bytes > 0 {
        shown.push_str(&format!(" ({} bytes of output were not kept)", evidence.output.discarded_bytes));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;
    use crate::verdict::judge;

    const S: u64 = 1_000_000_000;

    fn expected<T>(value: T) -> Option<Expected<T>> {
        Some(Expected { value, origin: Origin { line: 12, ..Origin::default() } })
    }

    fn judged(change: impl FnOnce(&mut Evidence)) -> Vec<Finding> {
        let mut run = Fixture::syn_retries();
        change(&mut run.evidence);
        judge(&run.evidence, &build_from(&run.evidence, &run.flights)).findings
    }

    #[test]
    fn a_scenario_that_claims_nothing_finds_nothing() {
        assert_eq!(judged(|_| ()), []);
    }

    #[test]
    fn what_is_as_expected_is_no_finding() {
        let findings = judged(|e| {
            e.plan.expect.exit = expected(28);
            e.plan.expect.after_ns = expected(3 * S);
            e.plan.expect.stderr_contains.extend(expected("Failed to connect".to_owned()));
        });
        assert_eq!(findings, []);
    }

    #[test]
    fn another_exit_code_is_found_with_its_place() {
        let findings = judged(|e| e.plan.expect.exit = expected(7));
        assert_eq!((findings.len(), findings[0].origin.line), (1, 12));
        assert_eq!((&*findings[0].expected, &*findings[0].observed), ("exit 7", "exit 28"));
    }

    #[test]
    fn an_exit_is_not_the_signal_that_was_expected() {
        let findings = judged(|e| e.plan.expect.signal = expected("SIGALRM".into()));
        assert_eq!((&*findings[0].expected, &*findings[0].observed), ("killed by SIGALRM", "exit 28"));
    }

    /// 3.071 s were seen; the tick is 4 ms, so 3.075 s is the last `after` that is not too early, and
    /// (3.071 - 0.104) / 1.125 = 2.637 s the first that is not too late.
    #[test]
    fn an_end_may_be_late_by_the_wheel_and_early_by_a_tick_only() {
        let holds = |ms: u64| judged(|e| e.plan.expect.after_ns = expected(ms * 1_000_000)).is_empty();
        assert_eq!([holds(3_076), holds(3_075), holds(2_638), holds(2_637)], [false, true, true, false]);
        let findings = judged(|e| e.plan.expect.after_ns = expected(2 * S));
        assert_eq!(findings[0].observed, "an end after 3.071 s");
        assert_eq!(
            findings[0].allowed,
            "1.996 s to 2.354 s (12.5 % of the timer wheel, a tick of 4 ms, 100 ms of scheduling)"
        );
    }

    #[test]
    fn within_takes_the_place_of_the_allowance() {
        let findings = judged(|e| {
            e.plan.expect.after_ns = expected(3 * S);
            e.plan.expect.within_ns = expected(S / 20);
        });
        assert_eq!(findings[0].allowed, "2.996 s to 3.050 s (`within`)");
    }

    #[test]
    fn output_that_is_not_there_is_shown_harmlessly() {
        let findings = judged(|e| {
            e.output.stdout = b"\x1b[2Jboo".to_vec();
            e.plan.expect.stdout_contains.extend(expected("ok".to_owned()));
        });
        assert_eq!(findings[0].what, "stdout contains");
        assert_eq!(findings[0].observed, "\"\\x1b[2Jboo\"");
    }
}
