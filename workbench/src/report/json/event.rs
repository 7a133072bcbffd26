//! An event of the timeline as JSON: its words, and the numbers of what it rests on.

use std::time::Duration;

use serde::Serialize;

use super::seconds;
use crate::evidence::{CallResult, Evidence};
use crate::report::transit::took_ns;
use crate::timeline::{Event, EventKind, EvidenceRef, Timer, TimerClass};

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
    /// `packet`: from sent to arrived, in seconds, where it is one packet that both ends saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_s: Option<f64>,
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

impl EventReport {
    /// An event of the evidence's own timeline.
    pub fn new(evidence: &Evidence, event: &Event) -> Self {
        let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
        let mut report = Self {
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
            took_s: took_ns(evidence, event).map(seconds),
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
}

impl TimerReport {
    pub(in crate::report) fn of(timer: &Timer) -> Self {
        let armed_s = Duration::from_nanos(timer.armed_ns).as_secs_f64();
        Self { name: timer.name.clone(), class: class(timer.class), armed_s }
    }
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
        EvidenceRef::Sample(_)
        | EvidenceRef::Destroyed(_)
        | EvidenceRef::Fault(_)
        | EvidenceRef::Daemon(_)
        | EvidenceRef::Step(_) => {}
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
