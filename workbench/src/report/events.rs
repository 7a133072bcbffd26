//! Every record of every recorder on one clock, one line of JSON each: what was seen, before anybody makes a story of it.
//!
//! The fields stand in `docs/report.md`. Equal evidence gives equal bytes.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::evidence_line::{short, state, timer};
use super::packet_words;
use super::strace::{render, render_signal};
use super::views::Run;
use crate::evidence::{Call, CallResult, Direction, Ending, Evidence, Process, TcpSocket};
use crate::timeline::{Flight, escape, flights};

/// The records of one recorder that have one stamp keep their order; recorders come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Setup,
    Start,
    Packets,
    Calls,
    Signals,
    Sockets,
    Destroyed,
    Gone,
    End,
    Counters,
}

/// A line: what all have in common stands first.
#[derive(Serialize)]
struct Line {
    t_s: f64,
    recorder: &'static str,
    index: usize,
    host: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Lines in the making.
struct Lines<'a> {
    evidence: &'a Evidence,
    lines: Vec<((i64, Turn, usize), Line)>,
}

/// Writes all records, in the order of their stamps.
///
/// # Errors
/// Those of `out`.
pub fn write(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines { evidence: run.evidence, lines: Vec::new() };
    lines.setup();
    lines.calls();
    lines.packets(run, &flights(run.evidence));
    lines.signals();
    lines.processes();
    lines.sockets();
    lines.end(run);
    lines.lines.sort_by_key(|(key, _)| *key);
    let mut out = BufWriter::new(out);
    for (_, line) in lines.lines {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

impl Lines<'_> {
    /// A record; what is null in `fields` is left out.
    fn push(&mut self, t_ns: i64, turn: Turn, index: usize, (recorder, host): (&'static str, &str), fields: Value) {
        let fields = match fields {
            Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let line = Line { t_s: t_ns as f64 / 1e9, recorder, index, host: host.to_owned(), fields };
        self.lines.push(((t_ns, turn, index), line));
    }

    fn command_host(&self) -> String {
        self.evidence.plan.command.host.clone()
    }

    fn setup(&mut self) {
        for (index, note) in self.evidence.setup.iter().enumerate() {
            let fields = json!({ "asked": note.asked, "refused": note.refused, "instead": note.instead });
            self.push(0, Turn::Setup, index, ("setup", &note.at), fields);
        }
    }

    /// Entry and return are two lines: others may have happened in between.
    fn calls(&mut self) {
        let mut moments: Vec<(i64, usize, bool)> = Vec::new();
        for (index, call) in self.evidence.calls.iter().enumerate() {
            moments.push((call.entry_ns, index, true));
            moments.extend(call.exit_ns.map(|exit_ns| (exit_ns, index, false)));
        }
        // A thread's return before its next entry; an entry before its own return, which is of the same stamp in
        // virtual time.
        moments.sort_by_key(|(t_ns, index, _)| (*t_ns, *index));
        for (t_ns, index, is_entry) in moments {
            let call = &self.evidence.calls[index];
            let fields = if is_entry { entry(call) } else { exit(call) };
            self.push(t_ns, Turn::Calls, index, ("calls", self.evidence.host_of(call.pid)), fields);
        }
    }

    fn packets(&mut self, run: &Run<'_>, flights: &[Flight]) {
        let by_packet: BTreeMap<usize, &Flight> = flights
            .iter()
            .flat_map(|flight| {
                [flight.sent_index, flight.arrived_index].map(|index| index.map(|index| (index, flight)))
            })
            .flatten()
            .collect();
        let told = packet_words::told(run.timeline);
        for (index, packet) in self.evidence.packets.iter().enumerate() {
            let flight = by_packet.get(&index);
            // A record is of one end; how long it took is known where it arrived.
            let took_ns = flight.filter(|_| packet.direction == Direction::Received).and_then(|flight| {
                let (sent_ns, arrived_ns) = (flight.sent_ns?, flight.arrived_ns?);
                (arrived_ns >= sent_ns).then(|| arrived_ns - sent_ns)
            });
            let fields = json!({
                "interface": packet.interface,
                "direction": if packet.direction == Direction::Sent { "sent" } else { "received" },
                "wire_bytes": packet.wire_len,
                "packet": flight.map(|flight| packet_words::kind(flight)),
                "text": told.get(&index),
                "took_s": took_ns.map(|ns| ns as f64 / 1e9),
                "retransmission": flight.map(|flight| flight.retransmission).filter(|nth| *nth > 0),
                "fate": flight.and_then(|flight| packet_words::fate(self.evidence, flight)),
            });
            self.push(packet.t_ns, Turn::Packets, index, ("packets", &packet.host), fields);
        }
    }

    fn signals(&mut self) {
        let host = self.command_host();
        for (index, signal) in self.evidence.signals.iter().enumerate() {
            let fields = json!({
                "pid": signal.pid, "tid": signal.tid, "signal": signal.name, "code": signal.code,
                "sender_pid": signal.sender_pid, "text": render_signal(signal),
            });
            self.push(signal.t_ns, Turn::Signals, index, ("signals", &host), fields);
        }
    }

    fn processes(&mut self) {
        let host = self.command_host();
        for (index, process) in self.evidence.processes.iter().enumerate() {
            let Process { program: _, pid, tid, parent_tid, argv, start_ns, end_ns, exit_code, killed_by } = process;
            let fields = json!({ "pid": pid, "tid": tid, "what": "start", "parent_tid": parent_tid, "argv": argv });
            self.push(*start_ns, Turn::Start, index, ("processes", &host), fields);
            if let Some(end_ns) = end_ns {
                let fields =
                    json!({ "pid": pid, "tid": tid, "what": "end", "exit_code": exit_code, "killed_by": killed_by });
                self.push(*end_ns, Turn::Gone, index, ("processes", &host), fields);
            }
        }
    }

    fn sockets(&mut self) {
        for (index, sample) in self.evidence.sockets.iter().enumerate() {
            let sockets: Vec<Value> = sample.sockets.iter().map(socket).collect();
            let fields =
                json!({ "because": sample.because, "took_s": sample.took_ns as f64 / 1e9, "sockets": sockets });
            self.push(sample.t_ns, Turn::Sockets, index, ("sockets", &sample.host), fields);
        }
        for (index, gone) in self.evidence.destroyed.iter().enumerate() {
            let fields = json!({ "socket": socket(&gone.socket) });
            self.push(gone.t_ns, Turn::Destroyed, index, ("destroyed", &gone.host), fields);
        }
    }

    /// The end, and what was counted until then.
    fn end(&mut self, run: &Run<'_>) {
        let (host, end) = (self.command_host(), &self.evidence.end);
        let (what, exit_code, killed_by) = match &end.how {
            Ending::Exit(code) => ("exit", Some(*code), None),
            Ending::Signal(name) => ("signal", None, Some(name.as_str())),
            Ending::Deadline => ("deadline", None, None),
            Ending::ExecFailed(_) => ("exec-failed", None, None),
        };
        let words = run.verdict.ended_by.as_ref().map(|ended_by| escape(&ended_by.words));
        let fields = json!({ "what": what, "exit_code": exit_code, "killed_by": killed_by, "words": words });
        self.push(end.t_ns, Turn::End, 0, ("end", &host), fields);
        let mut number = 0;
        for (host, counters) in &self.evidence.counters {
            for (name, change) in counters {
                let fields = json!({ "counter": name, "before": change.before, "after": change.after });
                self.push(end.t_ns, Turn::Counters, number, ("counters", host), fields);
                number += 1;
            }
        }
        for (rule, counter) in &self.evidence.rule_counters {
            let fields = json!({ "rule": rule, "packets": counter.packets, "bytes": counter.bytes });
            self.push(end.t_ns, Turn::Counters, number, ("counters", ""), fields);
            number += 1;
        }
    }
}

fn entry(call: &Call) -> Value {
    let armed_s = call.timeout_ns().flatten().map(|ns| ns as f64 / 1e9);
    json!({ "pid": call.pid, "tid": call.tid, "what": "entry", "call": call.name, "armed_s": armed_s })
}

fn exit(call: &Call) -> Value {
    let result = call.result.as_ref().map(|result| match result {
        CallResult::Value(value) => value.to_string(),
        CallResult::Error(errno) => errno.clone(),
    });
    let duration_s = call.exit_ns.map(|exit_ns| (exit_ns - call.entry_ns) as f64 / 1e9);
    json!({
        "pid": call.pid, "tid": call.tid, "what": "exit", "call": call.name, "result": result,
        "duration_s": duration_s, "text": escape(&short(&render(call))),
    })
}

/// What a reader of `ss -tano` looks at; all of it stands in `evidence.json`.
fn socket(socket: &TcpSocket) -> Value {
    let place = |(ip, port)| std::net::SocketAddr::new(ip, port).to_string();
    let mut fields = json!({
        "local": place(socket.local), "remote": place(socket.remote), "state": state(socket),
        "timer": timer(socket.timer), "expires_ms": socket.expires_ms, "retransmits": socket.retransmits,
        "recv_queue": socket.recv_queue, "send_queue": socket.send_queue,
    });
    if let (Some(info), Value::Object(fields)) = (&socket.info, &mut fields) {
        let (rto, backoff, cwnd) = (f64::from(info.rto) / 1e3, info.backoff, info.snd_cwnd);
        fields.extend(
            [("rto_ms", json!(rto)), ("backoff", json!(backoff)), ("cwnd", json!(cwnd))].map(|(k, v)| (k.into(), v)),
        );
    }
    fields
}
