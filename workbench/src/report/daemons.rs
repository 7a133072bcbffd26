//! The daemons of a run: what each was started as, when it was ready, how it ended, and what it wrote. What they sent is
//! in the timeline.

use std::fmt::Write as _;

use super::text::{Options, command_line, headline, output};
use crate::evidence::{DaemonRecord, Ending, Evidence};
use crate::timeline::{Timeline, escape};

/// All of them, as text. Output is data: it is escaped.
pub fn render(evidence: &Evidence, timeline: &Timeline, options: Options) -> String {
    let mut out = format!("{}\n", headline(evidence, timeline, options));
    if evidence.daemons.is_empty() {
        out.push_str("  no daemons took part\n");
    }
    for daemon in &evidence.daemons {
        let plan = evidence.plan.daemons.iter().find(|plan| plan.name == daemon.name);
        let started = plan.map_or_else(String::new, |plan| format!("\n  $ {}", command_line(&plan.argv)));
        let host = escape(evidence.host_of_daemon(&daemon.name));
        let _ = writeln!(out, "\ndaemon {} in {host}{started}", escape(&daemon.name));
        let _ = writeln!(
            out,
            "  started at {:.3} s, ready at {:.3} s{}",
            s(daemon.started_ns),
            s(daemon.ready_ns),
            ended(daemon)
        );
        output(&mut out, "stdout", &daemon.output.stdout, options);
        output(&mut out, "stderr", &daemon.output.stderr, options);
        if daemon.output.discarded_bytes > 0 {
            let _ = writeln!(out, "  {} more bytes of output were not kept", daemon.output.discarded_bytes);
        }
    }
    out
}

fn s(ns: i64) -> f64 {
    ns as f64 / 1e9
}

fn ended(daemon: &DaemonRecord) -> String {
    let Some((t_ns, how)) = &daemon.end else { return ", there until the end".into() };
    let how = match how {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(name) => format!("killed by {}", escape(name)),
        Ending::Deadline => "stopped".into(),
        Ending::ExecFailed(errno) => format!("not started: {}", escape(errno)),
    };
    format!(", {how} at {:.3} s", s(*t_ns))
}
