//! States of the sockets of hosts in which socket programs run: those that lasted, with the timer that ran.
//!
//! Samples are taken when something happens. What lived for less than [`LASTING_NS`] may have been missed on one machine
//! and seen on another, so it is not told, unless a socket program waited for it; nor is what packets tell better (SYN_SENT), nor an idle connection by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::flight::Flight;
use super::flows::Flows;
use super::names::Names;
use super::order::{Cause, Placed, WAKE_UP_NS};
use super::render::duration;
use super::retries::Retries;
use crate::evidence::{Evidence, TcpSocket, TcpState, TimerKind};
use crate::plan::{Call, Cause as WaitedFor};

/// So long a state has to last. Above delayed acknowledgments and what a busy machine makes.
const LASTING_NS: i64 = 350_000_000;

/// What the states are read from.
pub(super) struct States<'a> {
    pub evidence: &'a Evidence,
    pub names: &'a Names<'a>,
    pub flows: &'a Flows,
    pub flights: &'a [Flight],
    /// When the command last looked: what happens elsewhere after that is chance.
    pub last_look_ns: i64,
}

/// A socket as it was from one sample on.
struct Span {
    /// `None`: it is gone.
    what: Option<(TcpState, TimerKind)>,
    begin_ns: i64,
    sample: usize,
    expires_ms: u32,
    /// When a socket program began to wait for it, if one did.
    awaited_from_ns: Option<i64>,
}

/// A socket by its host and its two ends. TIME_WAIT has another cookie than the socket it came from.
type Key<'a> = (&'a str, SocketAddr, SocketAddr);

impl States<'_> {
    pub(super) fn events(&self) -> Vec<Placed> {
        let processes = self.evidence.processes.iter().filter(|process| process.program.is_some());
        let hosts: BTreeSet<&str> = processes.map(|process| self.names.host(process.pid)).collect();
        if hosts.is_empty() {
            return Vec::new();
        }
        let mut spans: BTreeMap<Key<'_>, Vec<Span>> = BTreeMap::new();
        for (index, sample) in self.evidence.sockets.iter().enumerate() {
            let Some(host) = hosts.get(sample.host.as_str()).copied() else { continue };
            let mut seen = BTreeSet::new();
            for socket in sample.sockets.iter().filter(|socket| is_connection(socket)) {
                let (local, remote) = socket.ends();
                seen.insert((local, remote));
                let span = Span {
                    what: Some((socket.state, timer(socket))),
                    begin_ns: sample.t_ns,
                    sample: index,
                    expires_ms: socket.expires_ms,
                    awaited_from_ns: None,
                };
                add(spans.entry((host, local, remote)).or_default(), span);
            }
            let is_gone = |key: &Key<'_>| key.0 == host && !seen.contains(&(key.1, key.2));
            for (_, of_socket) in spans.iter_mut().filter(|(key, _)| is_gone(key)) {
                let (begin_ns, sample) = (sample.t_ns, index);
                add(of_socket, Span { what: None, begin_ns, sample, expires_ms: 0, awaited_from_ns: None });
            }
        }
        self.mark_awaited(&mut spans);
        spans.into_iter().flat_map(|(key, spans)| self.lasting(key, spans)).collect()
    }

    /// Marks what steps of socket programs waited for: of each wait the state that was there when it ended, that of the
    /// youngest socket if several have it.
    fn mark_awaited(&self, spans: &mut BTreeMap<Key<'_>, Vec<Span>>) {
        for step in &self.evidence.steps {
            let program = self.evidence.plan.programs.iter().find(|program| program.name == step.program);
            let call = program.and_then(|program| program.steps.get(step.index)).map(|step| &step.call);
            let Some(Call::Wait { cause: WaitedFor::Socket { host, state, port } }) = call else { continue };
            let Some(done_ns) = step.done_ns else { continue };
            let is_asked = |(of, local, remote): &Key<'_>| {
                *of == host.as_str() && port.is_none_or(|port| [local.port(), remote.port()].contains(&port))
            };
            let there = spans.iter_mut().filter(|(key, _)| is_asked(key)).filter_map(|(_, spans)| {
                let span = spans.iter_mut().rev().find(|span| span.begin_ns <= done_ns)?;
                (span.what.map(|(state, _)| state) == TcpState::named(*state)).then_some(span)
            });
            if let Some(span) = there.max_by_key(|span| span.begin_ns) {
                span.awaited_from_ns.get_or_insert(step.began_ns);
            }
        }
    }

    fn lasting(&self, key: Key<'_>, spans: Vec<Span>) -> Vec<Placed> {
        let end_ns = self.evidence.end.t_ns;
        let until = |next: usize| spans.get(next).map_or(end_ns, |span: &Span| span.begin_ns);
        let lasts = |place: usize| until(place + 1).min(end_ns) - spans[place].begin_ns >= LASTING_NS;
        let mut placed: Vec<Placed> = Vec::new();
        let mut told: Option<&Span> = None;
        for (place, span) in spans.iter().enumerate() {
            let before = told.and_then(|told| told.what);
            let is_idle = span.what == Some((TcpState::Established, TimerKind::Off));
            let is_syn_sent = matches!(span.what, Some((TcpState::SynSent, _)));
            let is_news = match span.what {
                _ if span.awaited_from_ns.is_some() => true,
                // What is gone stays so, whenever that was; that it went is told of what was told of. While a process has
                // the socket, one of its calls tells how it went, and whether there is a sample between that and the
                // process's end is chance.
                None => before.is_some_and(|before| !has_owner(before)) && span.begin_ns <= end_ns,
                Some(_) => lasts(place) && span.what != before && !is_syn_sent && !(is_idle && told.is_none()),
            };
            if is_news {
                placed.push(self.place(key, span, told));
                told = Some(span);
            }
        }
        placed
    }

    fn place(&self, key: Key<'_>, span: &Span, before: Option<&Span>) -> Placed {
        let what = match span.what {
            None => "is gone".to_owned(),
            Some((state, timer)) => format!("is in {}{}", name(state), timer_words(timer, span.expires_ms)),
        };
        let counted = before.filter(|before| span.what.is_none() && is_counting_down(before));
        let wait = counted.map(|before| {
            let armed_ns = whole_seconds(before.expires_ms) * 1_000_000_000;
            // A sample may have come late; what was left then says when the timer was armed.
            let due_ns = before.begin_ns.saturating_add_unsigned(u64::from(before.expires_ms) * 1_000_000);
            let gap_ns = span.begin_ns - due_ns.saturating_sub_unsigned(armed_ns).min(before.begin_ns);
            Wait { gap_ns, timer: Some(Timer { name: "timewait".into(), class: TimerClass::Wheel, armed_ns }) }
        });
        let retried = before.filter(|before| span.what.is_none() && is_retrying(before));
        let wait = wait.or_else(|| retried.and_then(|_| self.after_the_last(key, span.begin_ns)));
        let event = Event {
            t_ns: span.begin_ns,
            at: key.0.to_owned(),
            kind: EventKind::State,
            text: format!("{} {what}", self.socket(key)),
            wait,
            is_claim: key.0 == self.evidence.plan.command.host || span.begin_ns <= self.last_look_ns,
            evidence: vec![EvidenceRef::Sample(span.sample)],
        };
        // A sample may see what a call made before that call is back, and one that takes long what came after it began. A
        // state that a step waited for stands between what the program did before and what the step let go on.
        let anchor_ns = match span.awaited_from_ns {
            Some(from_ns) => span.begin_ns.max(from_ns),
            None => span.begin_ns + WAKE_UP_NS,
        };
        Placed { anchor_ns, turn: usize::MAX, cause: Cause::State, seq: span.sample, event }
    }

    /// A socket went with nobody to tell, as its retransmissions were used up: the RTO after the last of them.
    fn after_the_last(&self, (host, local, remote): Key<'_>, until_ns: i64) -> Option<Wait> {
        let ends = [(local, remote), (remote, local)];
        let flow = ends
            .into_iter()
            .find_map(|(client, server)| self.flows.find(|f| f.is_tcp && f.client == client && f.server == server))?;
        let about = self.flows.about(flow).iter().map(|flight| &self.flights[*flight]);
        let again = about.filter(|f| f.from == host && f.retransmission > 0 && f.t_ns() <= until_ns);
        let gap_ns = until_ns - again.map(Flight::t_ns).max()?;
        let retries = Retries::of(self.evidence, host);
        let armed_ns = retries.established_ns(0, gap_ns, self.evidence.machine.tick_ns)?;
        let latest_ns = armed_ns + armed_ns / 8 + self.evidence.machine.tick_ns;
        let timer = Timer { name: "RTO".into(), class: TimerClass::Wheel, armed_ns };
        (gap_ns.unsigned_abs() <= latest_ns).then_some(Wait { gap_ns, timer: Some(timer) })
    }

    /// `socket to server:80`, and at the other end `socket :80 from client`; `#2` where there are several.
    fn socket(&self, (_, local, remote): Key<'_>) -> String {
        let is_client = |client, server| self.flows.find(|f| f.is_tcp && f.client == client && f.server == server);
        let count = |flow: usize| {
            let label = &self.flows.get(flow).label;
            label.rsplit_once('#').map_or_else(String::new, |(_, nth)| format!("#{nth}"))
        };
        if let Some(flow) = is_client(remote, local) {
            let from = self.names.address(remote.ip());
            return format!("socket :{}{} from {from}", local.port(), count(flow));
        }
        match is_client(local, remote) {
            Some(flow) => format!("socket to {}", self.flows.get(flow).label),
            None => format!("socket to {}", self.names.address(remote.ip())),
        }
    }
}

/// A delayed acknowledgment's timer comes and goes with every other segment, and not every kernel tells of it.
fn timer(socket: &TcpSocket) -> TimerKind {
    if socket.timer == TimerKind::DELAYED_ACK { TimerKind::Off } else { socket.timer }
}

fn add(spans: &mut Vec<Span>, span: Span) {
    if spans.last().is_none_or(|last| last.what != span.what) {
        spans.push(span);
    }
}

fn is_connection(socket: &TcpSocket) -> bool {
    let is_told = !matches!(socket.state, TcpState::Listen | TcpState::Close);
    is_told && socket.remote.1 != 0
}

/// TIME_WAIT, and FIN_WAIT2 without a socket (tcp_time_wait in net/ipv4/tcp_minisocks.c).
fn is_counting_down(span: &Span) -> bool {
    matches!(span.what, Some((_, TimerKind::TimeWait)))
}

/// States in which a socket stays until its process closes it, or it fails.
fn has_owner((state, _): (TcpState, TimerKind)) -> bool {
    matches!(state, TcpState::Established | TcpState::CloseWait | TcpState::SynRecv)
}

/// Closed, and still sending. While a process has the socket, one of its calls says how it ended.
fn is_retrying(span: &Span) -> bool {
    matches!(span.what, Some((TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing, TimerKind::On)))
}

fn whole_seconds(ms: u32) -> u64 {
    (u64::from(ms) + 500) / 1_000
}

fn timer_words(timer: TimerKind, expires_ms: u32) -> String {
    match timer {
        TimerKind::Off => String::new(),
        TimerKind::On => ", timer on".into(),
        TimerKind::Keepalive => ", timer keepalive".into(),
        TimerKind::TimeWait => format!(", timer timewait {}", duration(whole_seconds(expires_ms) * 1_000_000_000)),
        TimerKind::Probe => ", timer persist".into(),
        TimerKind::Unknown(number) => format!(", timer {number}"),
    }
}

/// As the kernel and netstat(8) write it.
fn name(state: TcpState) -> String {
    match state {
        TcpState::Unknown(number) => format!("state {number}"),
        known => match serde_json::to_value(known) {
            Ok(serde_json::Value::String(name)) => {
                name.replace("FIN_WAIT_1", "FIN_WAIT1").replace("FIN_WAIT_2", "FIN_WAIT2")
            }
            _ => "?".into(),
        },
    }
}
