//! The top of a trace: the whole run, what ended it, and what the kernel refused before it began.

use serde_json::Value;

use super::event::{Events, Key, Rank, args};
use super::tracks::Tracks;
use crate::report::text::{Options, headline};
use crate::report::views::Run;
use crate::timeline::EventKind;
use crate::verdict::EndedBy;

pub(super) fn add(run: &Run<'_>, tracks: &Tracks<'_>, events: &mut Events) {
    if let Some(ended_by) = &run.verdict.ended_by {
        ended(ended_by, tracks, events);
    }
    let track = tracks.run("run");
    let headline = headline(run.evidence, run.timeline, Options::KEPT);
    let around = Key { t_ns: 0, rank: Rank::Around, step: 0 };
    events.slice(around, run.evidence.end.t_ns, track, "run", &headline, args([]));
    for event in run.timeline.events.iter().filter(|event| event.kind == EventKind::Setup) {
        let text = format!("{}: {}", event.at, event.text);
        events.instant(Key::at(event.t_ns), track, "fault", &text, args([]));
    }
    for finding in &run.verdict.findings {
        let text = format!("{}: expected {}, observed {}", finding.what, finding.expected, finding.observed);
        events.instant(Key::at(run.evidence.end.t_ns), track, "fault", &text, args([]));
    }
    for reason in &run.verdict.inconclusive {
        let text = format!("inconclusive: {reason}");
        events.instant(Key::at(run.evidence.end.t_ns), track, "fault", &text, args([]));
    }
}

/// The timer from armed to fired, and the verdict's sentence where it fired. What would have come next stands in its
/// arguments: it may be hours away, and a trace that long shows nothing.
fn ended(ended_by: &EndedBy, tracks: &Tracks<'_>, events: &mut Events) {
    let seconds = |ns: Option<i64>| ns.map_or(Value::Null, |ns| (ns as f64 / 1e9).into());
    let track = tracks.run("ended by");
    let next = ended_by.next.as_ref();
    let said = args([
        ("party", serde_json::to_value(ended_by.party).unwrap_or_default()),
        ("mechanism", ended_by.mechanism.name().into()),
        ("who", ended_by.who.clone().into()),
        ("confidence", serde_json::to_value(ended_by.confidence).unwrap_or_default()),
        ("words", ended_by.words.clone().into()),
        ("armed_for_s", seconds(ended_by.armed_for_ns.and_then(|ns| i64::try_from(ns).ok()))),
        ("next", next.map_or(Value::Null, |next| next.words.clone().into())),
        ("next_earliest_s", seconds(next.and_then(|next| next.earliest_ns))),
        ("next_latest_s", seconds(next.and_then(|next| next.latest_ns))),
    ]);
    let fired_ns = ended_by.fired_at_ns;
    if let Some(armed_ns) = ended_by.armed_at_ns.filter(|armed_ns| *armed_ns <= fired_ns) {
        let name = format!("{} of {}", ended_by.mechanism.name(), ended_by.who);
        events.slice(Key::at(armed_ns), fired_ns, track, "verdict", &name, said.clone());
    }
    events.instant(Key::at(fired_ns), track, "verdict", &ended_by.words, said);
}
