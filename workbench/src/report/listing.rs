//! A run's calls, signals and ends as `strace -f -ttt` lists them: thread, seconds since zero, text.

use std::fmt::Write as _;

use super::strace::{render, render_signal};
use crate::evidence::Evidence;

/// The listing. A call stands where it was entered; `<…>` is how long it took.
pub fn listing(evidence: &Evidence) -> String {
    let calls = evidence.calls.iter().map(|call| {
        let took = call.exit_ns.map(|exit| format!(" <{}>", seconds(exit - call.entry_ns))).unwrap_or_default();
        (call.entry_ns, call.tid, render(call) + &took)
    });
    let signals = evidence.signals.iter().map(|signal| (signal.t_ns, signal.tid, render_signal(signal)));
    let ends = evidence.processes.iter().filter_map(|process| {
        let how = match (&process.killed_by, process.exit_code) {
            (Some(signal), _) => format!("+++ killed by {signal} +++"),
            (None, Some(code)) => format!("+++ exited with {code} +++"),
            (None, None) => return None,
        };
        Some((process.end_ns?, process.tid, how))
    });
    let mut lines: Vec<(i64, u32, String)> = calls.chain(signals).chain(ends).collect();
    lines.sort_by_key(|line| line.0);
    let mut text = String::new();
    for (t_ns, tid, line) in lines {
        let _ = writeln!(text, "{tid:<5} {} {line}", seconds(t_ns));
    }
    text
}

fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let us = ns.unsigned_abs() / 1000;
    format!("{sign}{}.{:06}", us / 1_000_000, us % 1_000_000)
}
