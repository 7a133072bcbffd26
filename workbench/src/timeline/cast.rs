//! What took part beside the command and is no process of ours: daemons that ended, faults that began and healed.

use super::escape::escape;
use super::event::{Event, EventKind, EvidenceRef};
use super::order::{Cause, Placed};
use crate::evidence::{DaemonRecord, Ending, Evidence, FaultRecord};
use crate::plan::FaultPlace;

/// A daemon that ended while the run went on.
pub(super) fn daemons(evidence: &Evidence) -> Vec<Placed> {
    let place = |(index, daemon): (usize, &DaemonRecord)| {
        let (t_ns, how) = daemon.end.as_ref().filter(|(t_ns, _)| *t_ns <= evidence.end.t_ns)?;
        let how = match how {
            Ending::Exit(code) => format!("exit {code}"),
            Ending::Signal(name) => format!("killed by {}", escape(name)),
            Ending::Deadline => "stopped".into(),
            Ending::ExecFailed(errno) => format!("not started: {}", escape(errno)),
        };
        let text = format!("daemon {}: {how}", escape(&daemon.name));
        let event = Event {
            t_ns: *t_ns,
            at: evidence.host_of_daemon(&daemon.name).to_owned(),
            kind: EventKind::Process,
            text,
            wait: None,
            is_claim: true,
            evidence: vec![EvidenceRef::Daemon(index)],
        };
        Some(Placed { anchor_ns: *t_ns, turn: usize::MAX, cause: Cause::ProcessEnd, seq: index, event })
    };
    evidence.daemons.iter().enumerate().filter_map(place).collect()
}

/// Faults as they came and went.
pub(super) fn faults(evidence: &Evidence) -> Vec<Placed> {
    let place = |(index, record): (usize, &FaultRecord)| {
        let (at, what, cause) = fault_words(evidence, record);
        let event = |t_ns: i64, text: String| Placed {
            anchor_ns: t_ns,
            turn: 0,
            cause: Cause::Fault,
            seq: index,
            event: Event {
                t_ns,
                at: at.clone(),
                kind: EventKind::Fault,
                text,
                wait: None,
                is_claim: t_ns <= evidence.end.t_ns,
                evidence: vec![EvidenceRef::Fault(index)],
            },
        };
        let cause = if cause.is_empty() { String::new() } else { format!(" ({cause})") };
        let refused = record.refused.as_ref().map_or_else(String::new, |why| format!(", refused: {}", escape(why)));
        let began = event(record.began_ns, format!("fault begins{cause}: {what}{refused}"));
        let healed = record.healed_ns.map(|t_ns| event(t_ns, format!("fault heals: {what}")));
        std::iter::once(began).chain(healed).collect::<Vec<_>>()
    };
    evidence.faults.iter().enumerate().flat_map(place).collect()
}

/// Where a fault is, what it does, and what brings it about.
fn fault_words(evidence: &Evidence, record: &FaultRecord) -> (String, String, String) {
    let Some(plan) = evidence.plan.faults.iter().find(|plan| plan.id == record.id) else {
        return ("lab".into(), escape(&record.id), String::new());
    };
    let (FaultPlace::Host(place) | FaultPlace::Link(place)) = &plan.at;
    (place.clone(), escape(&plan.text), escape(&plan.cause.to_string()))
}
