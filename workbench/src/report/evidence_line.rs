//! One record of the evidence in one line of words, whichever recorder it is from. Names what the timeline names.

use super::strace::{render, render_signal};
use crate::evidence::{Evidence, Process, TcpSocket, TimerKind};
use crate::timeline::{EvidenceRef, Timeline, escape};

/// Longest text of one record; a transfer's first bytes are of no use to anybody in full.
const LIMIT_CHARS: usize = 400;

/// The list of `evidence.json` that a record is in, and its place there.
pub fn place(reference: EvidenceRef) -> (&'static str, usize) {
    match reference {
        EvidenceRef::Call(index) => ("calls", index),
        EvidenceRef::Packet(index) => ("packets", index),
        EvidenceRef::Signal(index) => ("signals", index),
        EvidenceRef::Setup(index) => ("setup", index),
        EvidenceRef::Process(index) => ("processes", index),
        EvidenceRef::Sample(index) => ("sockets", index),
        EvidenceRef::Destroyed(index) => ("destroyed", index),
        EvidenceRef::Fault(index) => ("faults", index),
        EvidenceRef::Daemon(index) => ("daemons", index),
        EvidenceRef::Step(index) => ("steps", index),
    }
}

/// When it was, since zero: a call's entry, a process's end if it has one. What stood before zero stands at 0.
pub fn t_ns(evidence: &Evidence, reference: EvidenceRef) -> i64 {
    let t_ns = match reference {
        EvidenceRef::Call(index) => evidence.calls.get(index).map(|call| call.entry_ns),
        EvidenceRef::Packet(index) => evidence.packets.get(index).map(|packet| packet.t_ns),
        EvidenceRef::Signal(index) => evidence.signals.get(index).map(|signal| signal.t_ns),
        EvidenceRef::Setup(_) => None,
        EvidenceRef::Process(index) => evidence.processes.get(index).map(|p| p.end_ns.unwrap_or(p.start_ns)),
        EvidenceRef::Sample(index) => evidence.sockets.get(index).map(|sample| sample.t_ns),
        EvidenceRef::Destroyed(index) => evidence.destroyed.get(index).map(|destroyed| destroyed.t_ns),
        EvidenceRef::Fault(index) => evidence.faults.get(index).map(|fault| fault.began_ns),
        EvidenceRef::Daemon(index) => evidence.daemons.get(index).and_then(|d| d.end.as_ref()).map(|(t_ns, _)| *t_ns),
        EvidenceRef::Step(index) => evidence.steps.get(index).map(|step| step.began_ns),
    };
    t_ns.unwrap_or(0)
}

/// The record in words. One that is not there says so: evidence may be of another version.
pub fn text(evidence: &Evidence, timeline: &Timeline, reference: EvidenceRef) -> String {
    let text = match reference {
        EvidenceRef::Call(index) => evidence.calls.get(index).map(render),
        EvidenceRef::Packet(index) => packet(evidence, timeline, index),
        EvidenceRef::Signal(index) => evidence.signals.get(index).map(render_signal),
        EvidenceRef::Setup(index) => {
            evidence.setup.get(index).map(|note| format!("{} refused: {}; {}", note.asked, note.refused, note.instead))
        }
        EvidenceRef::Process(index) => evidence.processes.get(index).map(process),
        EvidenceRef::Sample(index) => evidence.sockets.get(index).map(|sample| {
            let sockets: Vec<String> = sample.sockets.iter().map(socket).collect();
            format!("{}: {}", sample.host, if sockets.is_empty() { "no sockets".into() } else { sockets.join("; ") })
        }),
        EvidenceRef::Destroyed(index) => {
            evidence.destroyed.get(index).map(|gone| format!("{}: destroyed {}", gone.host, socket(&gone.socket)))
        }
        EvidenceRef::Fault(index) => evidence.faults.get(index).map(|fault| format!("fault {}", fault.id)),
        EvidenceRef::Daemon(index) => evidence.daemons.get(index).map(|daemon| format!("daemon {}", daemon.name)),
        EvidenceRef::Step(index) => {
            evidence.steps.get(index).map(|step| format!("{}: step {}", step.program, step.index + 1))
        }
    };
    short(&escape(&text.unwrap_or_else(|| "no such record".into())))
}

/// `text`, cut where it is too long to be read.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(LIMIT_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The event that tells of a packet; one that none tells of is named by its place alone.
fn packet(evidence: &Evidence, timeline: &Timeline, index: usize) -> Option<String> {
    let packet = evidence.packets.get(index)?;
    let event = timeline.events.iter().find(|event| event.evidence.contains(&EvidenceRef::Packet(index)));
    Some(match event {
        Some(event) => format!("{}: {}", event.at, event.text),
        None => format!("{}/{}: {} bytes", packet.host, packet.interface, packet.wire_len),
    })
}

fn process(process: &Process) -> String {
    let name = process.argv.join(" ");
    match (&process.killed_by, process.exit_code, process.end_ns) {
        (Some(signal), ..) => format!("{name}: killed by {signal}"),
        (None, Some(code), _) => format!("{name}: exit {code}"),
        (None, None, Some(_)) => format!("{name}: gone"),
        (None, None, None) => format!("{name}: started"),
    }
}

/// `SYN_SENT 10.9.0.1:40404 -> 10.9.0.2:80, timer on in 1.024 s, 1 retransmit`.
pub fn socket(socket: &TcpSocket) -> String {
    let (local, remote) = (std::net::SocketAddr::from(socket.local), std::net::SocketAddr::from(socket.remote));
    let mut text = format!("{} {local} -> {remote}", state(socket));
    if socket.timer != TimerKind::Off {
        text.push_str(&format!(", timer {} in {} ms", timer(socket.timer), socket.expires_ms));
    }
    for (count, what) in [
        (socket.retransmits.into(), "retransmits"),
        (socket.recv_queue, "bytes not read"),
        (socket.send_queue, "bytes not acknowledged"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// A state as the kernel calls it: `SYN_SENT`.
pub fn state(socket: &TcpSocket) -> String {
    match serde_json::to_value(socket.state) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => "?".into(),
    }
}

/// A timer as ss(8) calls it.
pub fn timer(kind: TimerKind) -> String {
    match kind {
        TimerKind::Off => "off".into(),
        TimerKind::On => "on".into(),
        TimerKind::Keepalive => "keepalive".into(),
        TimerKind::TimeWait => "timewait".into(),
        TimerKind::Probe => "persist".into(),
        TimerKind::Unknown(number) => number.to_string(),
    }
}
