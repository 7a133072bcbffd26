//! One JSON object for each run, for programs. The schema stands in `docs/report.md`; a field never changes its meaning.

use std::time::Duration;

use serde::Serialize;

use super::phases::PhasesReport;
use super::status::{SnapshotStatus, Status};
use crate::evidence::{CallResult, Ending, EngineKind, Evidence, Machine, TimeTravel};
use crate::plan::Plan;
use crate::timeline::{Event, EventKind, EvidenceRef, Timeline, Timer, TimerClass};
use crate::verdict::{Finding, Verdict};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// The run's name in its scenario.
    pub run: String,
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

/// An event. Fields that its kind does not have are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventReport {
    /// Since the moment the command was let go, in seconds.
    pub t_s: f64,
    /// Where.
    pub at: String,
    /// What kind.
    pub kind: EventKind,
    /// In words.
    pub text: String,
    /// Whether it is a claim, which a snapshot holds, or a detail.
    pub claim: bool,
    /// Length of the wait that ended here, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_s: Option<f64>,
    /// What armed that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerReport>,
    /// `call`: the kernel's name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// `call`: what it returned, a number or an errno's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// `call`: from entry to return, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// `call`, `signal`, `process`: process id in the lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// `packet`: how many sightings it stands for; a transfer has many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sightings: Option<usize>,
    /// `packet`: bytes on the wire of the first sighting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<u32>,
    /// `signal`: name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `signal`: si_code by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `setup`: what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// `setup`: what the kernel said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// `setup`: what was done instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimerReport {
    /// As the field calls it.
    pub name: String,
    /// How exactly it fires: `wheel`, `slack`, `high-resolution`, `deadline`.
    pub class: &'static str,
    /// Armed for this long, in seconds.
    pub armed_s: f64,
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
        report.snapshot = snapshot;
        report.events = timeline.events.iter().map(|event| event_report(evidence, event)).collect();
        report.findings = verdict.findings.iter().map(finding_report).collect();
        report
    }

    /// A run that did not take place: skipped, or failed before there was evidence.
    pub fn not_run(plan: &Plan, engine: EngineKind, status: Status, reason: Option<String>) -> Self {
        Self {
            scenario: plan.scenario.clone(),
            run: plan.run.clone(),
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

impl TimerReport {
    pub(super) fn of(timer: &Timer) -> Self {
        let armed_s = Duration::from_nanos(timer.armed_ns).as_secs_f64();
        Self { name: timer.name.clone(), class: class(timer.class), armed_s }
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

fn event_report(evidence: &Evidence, event: &Event) -> EventReport {
    let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
    let mut report = EventReport {
        t_s: seconds(event.t_ns),
        at: event.at.clone(),
        kind: event.kind,
        text: event.text.clone(),
        claim: event.is_claim,
        gap_s: event.wait.as_ref().map(|wait| seconds(wait.gap_ns)),
        timer: timer.map(TimerReport::of),
        call: None,
        result: None,
        duration_s: None,
        pid: None,
        sightings: (event.kind == EventKind::Packet).then_some(event.evidence.len()),
        wire_bytes: None,
        signal: None,
        code: None,
        asked: None,
        refused: None,
        instead: None,
    };
    if let Some(first) = event.evidence.first() {
        add_fields(&mut report, evidence, *first);
    }
    report
}

/// The fields of an event's kind, from what it rests on.
fn add_fields(report: &mut EventReport, evidence: &Evidence, first: EvidenceRef) {
    match first {
        EvidenceRef::Call(index) => {
            let call = &evidence.calls[index];
            report.call = Some(call.name.clone());
            report.pid = Some(call.pid);
            report.duration_s = call.exit_ns.map(|exit| seconds(exit - call.entry_ns));
            report.result = call.result.as_ref().map(|result| match result {
                CallResult::Value(value) => value.to_string(),
                CallResult::Error(errno) => errno.clone(),
            });
        }
        EvidenceRef::Packet(index) => report.wire_bytes = Some(evidence.packets[index].wire_len),
        EvidenceRef::Signal(index) => {
            let signal = &evidence.signals[index];
            report.pid = Some(signal.pid);
            report.signal = Some(signal.name.clone());
            report.code = Some(signal.code.clone());
        }
        EvidenceRef::Setup(index) => {
            let note = &evidence.setup[index];
            report.asked = Some(note.asked.clone());
            report.refused = Some(note.refused.clone());
            report.instead = Some(note.instead.clone());
        }
        EvidenceRef::Process(index) => report.pid = Some(evidence.processes[index].pid),
        EvidenceRef::Sample(_) | EvidenceRef::Destroyed(_) => {}
    }
}

fn class(class: TimerClass) -> &'static str {
    match class {
        TimerClass::Wheel => "wheel",
        TimerClass::Slack => "slack",
        TimerClass::HighResolution => "high-resolution",
        TimerClass::Deadline => "deadline",
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
