//! A comparison of kernels for programs: one object for each run. The schema stands in `docs/report.md`.

use serde::Serialize;

use super::compare::{Column, Compared, Difference, Told, last_timer};
use super::json::{TimerReport, seconds};
use crate::evidence::Ending;
use crate::plan::DiffersPlan;
use crate::snapshot::{ClaimLine, Mismatch, Row, Subject};

#[derive(Debug, Serialize)]
struct CompareReport<'a> {
    scenario: &'a str,
    run: &'a str,
    command: &'a [String],
    kernels: Vec<KernelReport<'a>>,
    differences: Vec<DifferenceReport<'a>>,
    idle: Vec<MarkReport<'a>>,
}

#[derive(Debug, Serialize)]
struct KernelReport<'a> {
    name: &'a str,
    kernel: &'a str,
    hz: u64,
    status: String,
    exit_code: Option<i32>,
    signal: Option<&'a str>,
    elapsed_s: Option<f64>,
    timer: Option<TimerReport>,
    same_as: Option<&'a str>,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct DifferenceReport<'a> {
    from: &'a str,
    to: &'a str,
    marks: Vec<MarkReport<'a>>,
    changes: Vec<ChangeReport<'a>>,
}

#[derive(Debug, Serialize)]
struct MarkReport<'a> {
    since: &'a str,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct ChangeReport<'a> {
    what: &'static str,
    t_s: Option<f64>,
    at: Option<&'a str>,
    text: Option<&'a str>,
    was: Option<&'a str>,
    is: Option<&'a str>,
}

/// The comparison of one run as one line, without its end.
///
/// # Errors
///
/// What the writer said; it is plain data.
pub fn line(run: &Compared) -> serde_json::Result<String> {
    let label = |index: usize| run.columns[index].label.as_str();
    let differences = run.differences.iter().map(|difference| DifferenceReport {
        from: label(difference.from),
        to: label(difference.to),
        marks: marks(&difference.marks),
        changes: changes(difference),
    });
    let columns = run.columns.iter().zip(&run.same_as);
    serde_json::to_string(&CompareReport {
        scenario: &run.scenario,
        run: &run.run,
        command: &run.command,
        kernels: columns.map(|(column, same_as)| kernel(column, same_as.map(label))).collect(),
        differences: differences.collect(),
        idle: marks(&run.idle),
    })
}

fn kernel<'a>(column: &'a Column, same_as: Option<&'a str>) -> KernelReport<'a> {
    let mut report = KernelReport {
        name: &column.label,
        kernel: &column.kernel,
        hz: column.hz,
        status: "told".to_owned(),
        exit_code: None,
        signal: None,
        elapsed_s: None,
        timer: None,
        same_as: same_as.filter(|same_as| *same_as != column.label),
        reason: None,
    };
    match &column.told {
        Told::Nothing(status, why) => {
            report.status = status.to_string();
            report.reason = Some(why);
        }
        Told::Story(story) => {
            let summary = &story.claims.summary;
            match &summary.how {
                Ending::Exit(code) => report.exit_code = Some(*code),
                Ending::Signal(name) => report.signal = Some(name),
                Ending::Deadline | Ending::ExecFailed(_) => {}
            }
            report.elapsed_s = Some(seconds(summary.after_ns));
            report.timer = last_timer(story).map(TimerReport::of);
        }
    }
    report
}

fn marks(marks: &[DiffersPlan]) -> Vec<MarkReport<'_>> {
    marks.iter().map(|mark| MarkReport { since: &mark.since, why: &mark.why }).collect()
}

fn changes(difference: &Difference) -> Vec<ChangeReport<'_>> {
    let summary = difference.comparison.summary.iter().map(|mismatch| changed(None, mismatch));
    let rows = difference.comparison.rows.iter().filter_map(|row| match row {
        Row::Same(_) => None,
        Row::Changed(line, mismatch) => Some(changed(Some(line), mismatch)),
        Row::Missing(line) => Some(event("gone", line)),
        Row::Extra(line) => Some(event("new", line)),
    });
    summary.chain(rows).collect()
}

fn event<'a>(what: &'static str, line: &'a ClaimLine) -> ChangeReport<'a> {
    let (t_s, at, text) = (Some(seconds(line.t_ns)), Some(line.at.as_str()), Some(line.text.as_str()));
    ChangeReport { what, t_s, at, text, was: None, is: None }
}

fn changed<'a>(line: Option<&'a ClaimLine>, mismatch: &'a Mismatch) -> ChangeReport<'a> {
    let what = match mismatch.subject {
        Subject::Command => "command",
        Subject::End => "end",
        Subject::Verdict => "verdict",
        Subject::Wait => "wait",
        Subject::Timer => "timer",
    };
    ChangeReport {
        what,
        t_s: line.map(|line| seconds(line.t_ns)),
        at: line.map(|line| line.at.as_str()),
        text: line.map(|line| line.text.as_str()),
        was: Some(&mismatch.expected),
        is: Some(&mismatch.observed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::compare::tests::compared;
    use super::*;
    use crate::snapshot::Cause;

    fn report(compared: &Compared) -> Value {
        serde_json::from_str(&line(compared).unwrap()).unwrap()
    }

    #[test]
    fn every_field_is_documented() {
        let report = report(&compared(&["6.5", "7.0"], [Some(0), None, Some(4000), Some(4000)]));
        let documented = include_str!("../../../docs/report.md");
        let (kernel, difference) = (&report["kernels"][0], &report["differences"][0]);
        let parts =
            [&report, kernel, difference, &difference["changes"][0], &difference["marks"][0], &report["idle"][0]];
        for key in parts.iter().flat_map(|part| part.as_object().expect("there is one").keys()) {
            assert!(documented.contains(&format!("| `{key}` |")), "{key} is not in docs/report.md");
        }
    }

    #[test]
    fn a_kernel_says_how_it_ended_or_why_there_is_nothing() {
        let report = report(&compared(&[], [Some(0), None, Some(0), Some(4000)]));
        let kernels = &report["kernels"];
        assert_eq!((&kernels[0]["status"], &kernels[0]["exit_code"]), (&"told".into(), &28.into()));
        assert_eq!((&kernels[0]["timer"]["name"], &kernels[0]["same_as"]), (&"SYN retries".into(), &Value::Null));
        assert_eq!((&kernels[1]["status"], &kernels[1]["elapsed_s"]), (&"skipped".into(), &Value::Null));
        assert!(kernels[1]["reason"].as_str().unwrap().contains("6.6"));
        assert_eq!(kernels[2]["same_as"], "5.10.223");
        assert_eq!((&kernels[3]["same_as"], &kernels[3]["timer"]["armed_s"]), (&Value::Null, &7.0.into()));
    }

    #[test]
    fn a_difference_has_its_marks_and_every_change() {
        let report = report(&compared(&["6.5"], [0, 0, 4000, 4000].map(Some)));
        let difference = &report["differences"][0];
        assert_eq!((&difference["from"], &difference["to"]), (&"6.1.176".into(), &"6.12.117".into()));
        assert_eq!(difference["marks"][0]["since"], "6.5");
        let change = &difference["changes"][0];
        assert_eq!((&change["what"], &change["was"]), (&"timer".into(), &"RTO of 1 s, timer wheel".into()));
        assert_eq!(change["is"], "RTO of 5 s, timer wheel");
    }

    #[test]
    fn another_cause_is_a_change_that_belongs_to_no_event() {
        let mut compared = compared(&[], [Some(0), Some(0), None, None]);
        for (column, words) in compared.columns.iter_mut().zip(["kernel client: SYN retries", "tool curl: alarm"]) {
            let Told::Story(story) = &mut column.told else { panic!("both tell one") };
            story.claims.ended_by = Some(Cause { words: words.to_owned(), armed_ns: None, is_ambiguous: false });
        }
        let plan = crate::timeline::fixture::Fixture::syn_retries().evidence.plan;
        let report = report(&Compared::new(&plan, compared.columns));
        let change = &report["differences"][0]["changes"][0];
        assert_eq!((&change["what"], &change["at"]), (&"verdict".into(), &Value::Null));
        assert_eq!(change["was"], "ended by kernel client: SYN retries");
        assert_eq!(change["is"], "ended by tool curl: alarm");
    }
}
