//! The command's threads: their lives, system calls and signals.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::{Events, Key, Rank, Track, args};
use super::tracks::Tracks;
use crate::evidence::{Arg, Call, CallResult, Evidence};
use crate::report::evidence_line::short;
use crate::report::strace;
use crate::report::views::Run;

pub(super) fn add(run: &Run<'_>, tracks: &Tracks<'_>, events: &mut Events) {
    let threads = threads(run.evidence, tracks);
    let ends_ns = ends_ns(run.evidence);
    lives(run.evidence, tracks, &ends_ns, events);
    for (index, call) in run.evidence.calls.iter().enumerate() {
        let Some(track) = threads.get(&call.tid) else { continue };
        let key = Key { t_ns: call.entry_ns, rank: Rank::Call(index), step: 0 };
        let said = args([
            ("strace", short(&strace::render(call)).into()),
            ("result", result(call)),
            ("armed_s", armed_s(call)),
            ("returned", if call.exit_ns.is_none() { false.into() } else { Value::Null }),
        ]);
        events.slice(key, ends_ns[index], *track, "call", &call.name, said);
    }
    for signal in &run.evidence.signals {
        let track = threads.get(&signal.tid).copied();
        let track = track.unwrap_or_else(|| tracks.host(run.evidence.host_of(signal.pid), "signals"));
        let said = args([("code", signal.code.clone().into()), ("sender_pid", signal.sender_pid.into())]);
        events.instant(Key::at(signal.t_ns), track, "signal", &signal.name, said);
    }
}

/// The track of each thread id.
pub(super) fn threads(evidence: &Evidence, tracks: &Tracks<'_>) -> BTreeMap<u32, Track> {
    evidence.processes.iter().enumerate().map(|(index, process)| (process.tid, tracks.thread(index))).collect()
}

/// When each call was over: its return, or for one that never returned its thread's end; never later than the thread's
/// next call, so that slices do not overlap.
pub(super) fn ends_ns(evidence: &Evidence) -> Vec<i64> {
    let mut next_ns: BTreeMap<u32, i64> = BTreeMap::new();
    let gone_ns: BTreeMap<u32, i64> =
        evidence.processes.iter().filter_map(|process| Some((process.tid, process.end_ns?))).collect();
    let mut ends_ns = vec![0; evidence.calls.len()];
    for (index, call) in evidence.calls.iter().enumerate().rev() {
        let gone_ns = || gone_ns.get(&call.tid).copied().unwrap_or(evidence.end.t_ns);
        let end_ns = call.exit_ns.unwrap_or_else(gone_ns).min(next_ns.get(&call.tid).copied().unwrap_or(i64::MAX));
        ends_ns[index] = end_ns.max(call.entry_ns);
        next_ns.insert(call.tid, call.entry_ns);
    }
    ends_ns
}

/// A slice for each thread around its calls, and an instant where it ended.
fn lives(evidence: &Evidence, tracks: &Tracks<'_>, ends_ns: &[i64], events: &mut Events) {
    let mut spans_ns: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for (call, end_ns) in evidence.calls.iter().zip(ends_ns) {
        let span = spans_ns.entry(call.tid).or_insert((call.entry_ns, *end_ns));
        *span = (span.0.min(call.entry_ns), span.1.max(*end_ns));
    }
    for (index, process) in evidence.processes.iter().enumerate() {
        let (first_ns, last_ns) = spans_ns.get(&process.tid).copied().unwrap_or((i64::MAX, process.start_ns));
        let start_ns = first_ns.min(process.start_ns);
        let end_ns = process.end_ns.unwrap_or(evidence.end.t_ns).max(last_ns);
        let (track, name) = (tracks.thread(index), process.argv.first().map_or("process", String::as_str));
        let key = Key { t_ns: start_ns, rank: Rank::Around, step: index };
        let said = args([
            ("argv", process.argv.clone().into()),
            ("pid", process.pid.into()),
            ("tid", process.tid.into()),
            ("exit_code", process.exit_code.into()),
            ("killed_by", process.killed_by.clone().into()),
        ]);
        events.slice(key, end_ns, track, "process", name, said);
        let how = match (&process.killed_by, process.exit_code) {
            (Some(signal), _) => format!("killed by {signal}"),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) => continue,
        };
        events.instant(Key::at(end_ns), track, "process", &how, args([]));
    }
}

fn result(call: &Call) -> Value {
    match &call.result {
        None => Value::Null,
        Some(CallResult::Value(value)) => (*value).into(),
        Some(CallResult::Error(errno)) => errno.clone().into(),
    }
}

/// How long a wait or a timer was armed for: seconds, or `for ever`.
fn armed_s(call: &Call) -> Value {
    let timer = call.args.iter().find_map(|arg| match arg {
        Arg::Timer { value_ns, .. } => Some(*value_ns),
        _ => None,
    });
    match (call.timeout_ns(), timer) {
        (Some(None), _) => "for ever".into(),
        (Some(Some(ns)), _) | (None, Some(ns)) => (ns as f64 / 1e9).into(),
        (None, None) => Value::Null,
    }
}
