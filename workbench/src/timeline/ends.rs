//! What frames a run: the kernel's words while the lab was built, processes, signals, and the end.

use super::escape::escape;
use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::names::Names;
use super::order::{Cause, Placed};
use super::render::duration;
use super::sockets::Sockets;
use super::waits::{Waits, before_signal};
use crate::evidence::{Ending, Evidence, SetupNote, Signal, StepRecord};
use crate::plan::Call;

/// What the kernel refused or changed: before everything else.
pub(super) fn setup(evidence: &Evidence) -> Vec<Placed> {
    let place = |(index, note): (usize, &SetupNote)| Placed {
        anchor_ns: 0,
        turn: 0,
        cause: Cause::Setup,
        seq: index,
        event: Event {
            t_ns: 0,
            at: if note.at.is_empty() { "lab".into() } else { escape(&note.at) },
            kind: EventKind::Setup,
            text: refusal(note),
            wait: None,
            is_claim: true,
            evidence: vec![EvidenceRef::Setup(index)],
        },
    };
    evidence.setup.iter().enumerate().map(place).collect()
}

/// `net.ipv4.tcp_syn_retries = 0 refused: EINVAL; 1 instead`
fn refusal(note: &SetupNote) -> String {
    let key = note.asked.split_once(" = ").map_or("", |(key, _)| key);
    let instead = match note.instead.split_once(" = ") {
        Some((same, value)) if same == key => format!("{value} instead"),
        _ => note.instead.clone(),
    };
    escape(&format!("{} refused: {}; {instead}", note.asked, note.refused))
}

/// Processes beside the command: when they began and how they ended. Threads are their process.
pub(super) fn processes(evidence: &Evidence, names: &Names<'_>) -> Vec<Placed> {
    let mut placed = Vec::new();
    // Its end is the run's.
    let command = evidence.command().map(|(index, _)| index);
    let processes = evidence.processes.iter().enumerate().filter(|(_, process)| process.tid == process.pid);
    for (index, process) in processes {
        let name = names.process(process.pid);
        // A companion that ends otherwise than well is news; at the run's end it is killed.
        let is_companion = names.is_program(process.pid) && command != Some(index);
        let is_bad =
            is_companion && process.exit_code != Some(0) && process.end_ns.is_some_and(|t| t < evidence.end.t_ns);
        let mut add = |t_ns: i64, cause: Cause, text: String| {
            let event = Event {
                t_ns,
                at: names.host(process.pid).to_owned(),
                kind: EventKind::Process,
                text,
                wait: None,
                is_claim: is_bad && cause == Cause::ProcessEnd,
                evidence: vec![EvidenceRef::Process(index)],
            };
            placed.push(Placed {
                anchor_ns: t_ns,
                turn: if cause == Cause::Start { 0 } else { usize::MAX },
                cause,
                seq: index,
                event,
            });
        };
        add(process.start_ns, Cause::Start, format!("{name}: started"));
        let end_ns = process.end_ns.filter(|_| command != Some(index));
        match (end_ns, process.exit_code, &process.killed_by) {
            (Some(t_ns), _, Some(signal)) => add(t_ns, Cause::ProcessEnd, format!("{name}: killed by {signal}")),
            (Some(t_ns), Some(code), None) => add(t_ns, Cause::ProcessEnd, format!("{name}: exit {code}")),
            (Some(t_ns), None, None) => add(t_ns, Cause::ProcessEnd, format!("{name}: gone")),
            (None, ..) => {}
        }
    }
    placed
}

/// Signals. One that a timer sent ends the wait that began when the timer was armed. What a process sends to itself is
/// how it is written; if it dies of it, its end says so.
pub(super) fn signals(evidence: &Evidence, names: &Names<'_>, sockets: &Sockets) -> Vec<Placed> {
    let place = |(index, signal): (usize, &Signal)| {
        let wait = before_signal(evidence, signal);
        let event = Event {
            t_ns: signal.t_ns,
            at: names.host(signal.pid).to_owned(),
            kind: EventKind::Signal,
            text: format!(
                "{}{}{}",
                names.speaker(signal.pid),
                origin(signal, wait.as_ref(), names),
                if is_ignored(evidence, signal) { ", ignored" } else { "" }
            ),
            wait,
            is_claim: !signal.is_housekeeping() || (names.is_program(signal.pid) && signal.name == "SIGPIPE"),
            evidence: vec![EvidenceRef::Signal(index)],
        };
        let begun = evidence.calls.partition_point(|call| call.entry_ns <= signal.t_ns);
        Placed { anchor_ns: signal.t_ns, turn: sockets.begun_before(begun), cause: Cause::Signal, seq: index, event }
    };
    evidence.signals.iter().enumerate().map(place).collect()
}

/// Whether a socket program had been told to ignore this signal (its step `signal`).
fn is_ignored(evidence: &Evidence, signal: &Signal) -> bool {
    let Some(name) = evidence.program_of(signal.pid).filter(|_| signal.name == "SIGPIPE") else { return false };
    let Some(program) = evidence.plan.programs.iter().find(|program| program.name == name) else { return false };
    let done = evidence.steps.iter().filter(|step| step.program == name && step.began_ns <= signal.t_ns);
    let disposition = |step: &StepRecord| match program.steps.get(step.index)?.call {
        Call::Sigpipe { is_ignored } => Some(is_ignored),
        _ => None,
    };
    done.filter_map(disposition).next_back() == Some(true)
}

fn origin(signal: &Signal, wait: Option<&Wait>, names: &Names<'_>) -> String {
    let name = escape(&signal.name);
    match (wait.and_then(|wait| wait.timer.as_ref()), signal.sender_pid, signal.code.as_str()) {
        (Some(timer), ..) => format!("{name} from {}", timer.name),
        // The kernel sends it in the name of the process itself (write(2), EPIPE).
        (None, ..) if signal.name == "SIGPIPE" && names.is_program(signal.pid) => name,
        (None, Some(pid), "SI_USER" | "SI_TKILL" | "SI_QUEUE") if pid == signal.pid => format!("{name} from itself"),
        (None, Some(pid), "SI_USER" | "SI_TKILL" | "SI_QUEUE") => format!("{name} from {}", names.process(pid)),
        _ => name,
    }
}

/// The command's end. It ends the command's own wait if that is what ran out last and nothing was said about it yet.
pub(super) fn end(evidence: &Evidence, waits: &Waits<'_>, placed: &[Placed]) -> Placed {
    let t_ns = evidence.end.t_ns;
    let (text, wait) = match &evidence.end.how {
        Ending::Exit(code) => (format!("exit {code}"), own_wait(evidence, waits, placed)),
        Ending::Signal(name) => (format!("killed by {}", escape(name)), None),
        Ending::Deadline => {
            let armed_ns = evidence.plan.command.deadline_ns.unwrap_or(t_ns.unsigned_abs());
            let timer = Timer { name: "deadline".into(), class: TimerClass::Deadline, armed_ns };
            let text = match evidence.plan.command.is_horizon {
                true => format!("never, within the horizon of {}", horizon(armed_ns)),
                false => format!("still running at the deadline of {}", duration(armed_ns)),
            };
            (text, Some(Wait { gap_ns: t_ns, timer: Some(timer) }))
        }
        Ending::ExecFailed(errno) if errno == "ENOENT" => ("program not found".into(), None),
        Ending::ExecFailed(errno) => (format!("program not started: {}", escape(errno)), None),
    };
    let event = Event {
        t_ns,
        at: evidence.plan.command.host.clone(),
        kind: EventKind::End,
        text,
        wait,
        is_claim: true,
        evidence: evidence.command().map(|(index, _)| EvidenceRef::Process(index)).into_iter().collect(),
    };
    Placed { anchor_ns: t_ns, turn: usize::MAX, cause: Cause::End, seq: 0, event }
}

/// In days, if it is whole days.
fn horizon(ns: u64) -> String {
    const DAY_NS: u64 = 86_400 * 1_000_000_000;
    match ns % DAY_NS {
        0 => format!("{} d", ns / DAY_NS),
        _ => duration(ns),
    }
}

fn own_wait(evidence: &Evidence, waits: &Waits<'_>, placed: &[Placed]) -> Option<Wait> {
    let (_, command) = evidence.command()?;
    let chain = waits.before(command.tid, evidence.end.t_ns)?;
    let is_companions = |p: &Placed| match p.event.evidence.first() {
        Some(EvidenceRef::Call(index)) => !evidence.is_of_command(evidence.calls[*index].pid),
        _ => p.event.kind == EventKind::State,
    };
    let is_told = |p: &Placed| {
        let is_later = p.event.is_claim && p.event.wait.is_some() && p.event.t_ns >= chain.last.until_ns;
        is_later && !is_companions(p)
    };
    if placed.iter().any(is_told) { None } else { chain.notable() }
}
