//! One JSON object for each run, for programs. The schema stands in `docs/report.md`; a field never changes its meaning.

mod ended_by;
mod event;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use ended_by::{EndedByReport, EvidenceReport, NextReport};
pub use event::{EventReport, TimerReport};

use super::phases::PhasesReport;
use super::status::{SnapshotStatus, Status};
use crate::evidence::{Ending, EngineKind, Evidence, Machine, TimeTravel};
use crate::plan::Plan;
use crate::timeline::Timeline;
use crate::verdict::{Finding, Verdict};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// The run's name in its scenario.
    pub run: String,
    /// The values that the scenario's sweeps have in this run, by variable; empty outside of sweeps.
    pub sweep: BTreeMap<String, String>,
    /// Where the behaviour is documented.
    pub documented: Vec<String>,
    /// Where it ran.
    pub engine: EngineKind,
    /// `uname -r` of where it ran; `None` if it did not.
    pub kernel: Option<String>,
    /// Its ticks in a second.
    pub hz: Option<u64>,
    /// How far into the cycle of its timer wheel the command was let go, in seconds; `None` where that cannot be told.
    pub phase_s: Option<f64>,
    /// `virtual`: what all randomness came from.
    pub seed: Option<u64>,
    /// `virtual`: how time went.
    pub time_travel: Option<TimeTravel>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How it came out.
    pub status: Status,
    /// Exit code, if the command exited.
    pub exit_code: Option<i32>,
    /// Signal that killed the command, by name.
    pub signal: Option<String>,
    /// From the moment the command was let go to its end, in seconds.
    pub elapsed_s: Option<f64>,
    /// What ended it, if that was looked into.
    pub ended_by: Option<EndedByReport>,
    /// Against the snapshot.
    pub snapshot: SnapshotStatus,
    /// The timeline.
    pub events: Vec<EventReport>,
    /// Expectations that do not hold.
    pub findings: Vec<FindingReport>,
    /// With `--phases`: what the run told at other phases.
    pub phases: Option<PhasesReport>,
    /// Folder with what was kept of the run.
    pub artifacts: Option<String>,
    /// Why it is not a pass.
    pub reason: Option<String>,
}

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingReport {
    /// What was looked at.
    pub what: String,
    /// What the scenario claims.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// What would have passed.
    pub allowed: String,
    /// The scenario's file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl RunReport {
    /// A run that took place.
    pub fn new(evidence: &Evidence, timeline: &Timeline, verdict: &Verdict, snapshot: SnapshotStatus) -> Self {
        let status = Status::of(verdict, snapshot);
        let mut report = Self::not_run(&evidence.plan, evidence.machine.engine, status, reason(verdict, snapshot));
        report.describe(&evidence.machine);
        match &evidence.end.how {
            Ending::Exit(code) => report.exit_code = Some(*code),
            Ending::Signal(name) => report.signal = Some(name.clone()),
            Ending::Deadline | Ending::ExecFailed(_) => {}
        }
        report.elapsed_s = Some(seconds(evidence.end.t_ns));
        report.ended_by = verdict.ended_by.as_ref().map(|ended_by| EndedByReport::new(evidence, timeline, ended_by));
        report.snapshot = snapshot;
        report.events = timeline.events.iter().map(|event| EventReport::new(evidence, event)).collect();
        report.findings = verdict.findings.iter().map(finding_report).collect();
        report
    }

    /// A run that did not take place: skipped, or failed before there was evidence.
    pub fn not_run(plan: &Plan, engine: EngineKind, status: Status, reason: Option<String>) -> Self {
        Self {
            scenario: plan.scenario.clone(),
            run: plan.run.clone(),
            sweep: plan.sweep.iter().map(|swept| (swept.name.clone(), swept.value.clone())).collect(),
            documented: plan.documented.clone(),
            engine,
            kernel: None,
            hz: None,
            phase_s: None,
            seed: None,
            time_travel: None,
            command: plan.command.argv.clone(),
            status,
            exit_code: None,
            signal: None,
            elapsed_s: None,
            ended_by: None,
            snapshot: SnapshotStatus::None,
            events: Vec::new(),
            findings: Vec::new(),
            phases: None,
            artifacts: None,
            reason,
        }
    }

    /// Makes a run fail for what is wrong beyond verdict and snapshot; one that cannot be believed stays that.
    pub fn fail_for(&mut self, differences: &[String]) {
        if differences.is_empty() || self.status == Status::Error {
            return;
        }
        if self.status == Status::Pass {
            self.status = Status::Fail;
        }
        let reasons = self.reason.iter().chain(differences);
        self.reason = Some(reasons.map(String::as_str).collect::<Vec<_>>().join("; "));
    }

    fn describe(&mut self, machine: &Machine) {
        self.kernel = Some(machine.kernel.clone());
        self.hz = Some(machine.hz());
        self.phase_s = machine.phase_ns().map(|ns| Duration::from_nanos(ns).as_secs_f64());
        self.seed = machine.guest.as_ref().map(|guest| guest.seed);
        self.time_travel = machine.guest.as_ref().map(|guest| guest.time_travel);
    }

    /// The report as one line, without its end.
    pub fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

fn reason(verdict: &Verdict, snapshot: SnapshotStatus) -> Option<String> {
    let mut reasons = verdict.inconclusive.clone();
    reasons.extend(
        verdict.findings.iter().map(|f| format!("{}: expected {}, observed {}", f.what, f.expected, f.observed)),
    );
    if snapshot == SnapshotStatus::Differs {
        reasons.push("the snapshot differs".into());
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn finding_report(finding: &Finding) -> FindingReport {
    FindingReport {
        what: finding.what.clone(),
        expected: finding.expected.clone(),
        observed: finding.observed.clone(),
        allowed: finding.allowed.clone(),
        file: finding.origin.file.clone(),
        line: finding.origin.line,
    }
}

pub(super) fn seconds(ns: i64) -> f64 {
    // Exact: f64 holds every nanosecond of 104 days, and the division is rounded once.
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;
    use crate::verdict::judge;

    fn report(snapshot: SnapshotStatus, change: impl FnOnce(&mut Evidence)) -> Value {
        let mut run = Fixture::syn_retries();
        change(&mut run.evidence);
        let timeline = build_from(&run.evidence, &run.flights);
        let verdict = judge(&run.evidence, &timeline);
        let line = RunReport::new(&run.evidence, &timeline, &verdict, snapshot).to_line().unwrap();
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_run_is_one_line_with_every_documented_field() {
        let report = report(SnapshotStatus::Match, |_| ());
        let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
        let documented = include_str!("../../../docs/report.md");
        assert!(keys.iter().all(|key| documented.contains(&format!("| `{key}` |"))), "{keys:?}");
        assert_eq!((&report["status"], &report["snapshot"]), (&Value::from("pass"), &Value::from("match")));
        assert_eq!((&report["exit_code"], &report["elapsed_s"]), (&Value::from(28), &Value::from(3.071)));
        assert_eq!(report["reason"], Value::Null);
    }

    #[test]
    fn every_field_of_every_event_is_documented() {
        let documented = include_str!("../../../docs/report.md");
        for event in report(SnapshotStatus::None, |_| ())["events"].as_array().unwrap() {
            for key in event.as_object().unwrap().keys() {
                assert!(documented.contains(&format!("| `{key}` |")), "{key} is not in docs/report.md");
            }
        }
    }

    #[test]
    fn the_wait_that_ended_has_its_timer_beside_it() {
        let report = report(SnapshotStatus::None, |_| ());
        let outcome =
            report["events"].as_array().unwrap().iter().find(|e| e["timer"]["name"] == "SYN retries").unwrap();
        assert_eq!((&outcome["gap_s"], &outcome["timer"]["armed_s"]), (&Value::from(3.0491), &Value::from(3.0)));
        assert_eq!((&outcome["timer"]["class"], &outcome["call"]), (&Value::from("wheel"), &Value::from("poll")));
    }

    #[test]
    fn a_difference_fails_and_an_unreliable_run_does_not() {
        assert_eq!(report(SnapshotStatus::Differs, |_| ())["status"], "fail");
        let stalled = report(SnapshotStatus::Differs, |e| e.lateness.max_ns = 1_000_000_000);
        assert_eq!(stalled["status"], "inconclusive");
        assert!(stalled["reason"].as_str().unwrap().contains("stood still"));
    }

    #[test]
    fn a_run_that_did_not_take_place_has_a_reason_and_no_events() {
        let run = Fixture::syn_retries();
        let reason = Some("netem: no such qdisc".to_owned());
        let skipped = RunReport::not_run(&run.evidence.plan, EngineKind::Host, Status::Skipped, reason);
        let skipped: Value = serde_json::from_str(&skipped.to_line().unwrap()).unwrap();
        assert_eq!((&skipped["status"], &skipped["reason"]), (&"skipped".into(), &"netem: no such qdisc".into()));
        assert_eq!((&skipped["kernel"], &skipped["events"]), (&Value::Null, &Value::Array(vec![])));
    }
}
