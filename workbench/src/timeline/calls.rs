//! System calls to events: what the command asked the world for and what it got are claims, how it is written is not.
//!
//! A claim is the beginning of a connection, its outcome, and the moment the program gave up on it. A call in which a
//! thread waited stands where it returned, any other where it began.

use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::flight::{Content, Flight};
use super::flows::Flows;
use super::names::Names;
use super::order::{Cause, Placed, anchor_of_return};
use super::packet_facts::answer_arrived_ns;
use super::programs::Programs;
use super::render::Renderer;
use super::retries::Retries;
use super::sockets::{How, Outcome, Sockets};
use super::waits::Waits;
use crate::evidence::{Call, Ending, Evidence, SocketAddress};
use crate::kernel_model::Neighbours;

/// What the events of calls are made from.
pub(super) struct Calls<'a> {
    pub evidence: &'a Evidence,
    pub flights: &'a [Flight],
    pub names: &'a Names<'a>,
    pub sockets: &'a Sockets,
    pub flows: &'a Flows,
    pub waits: &'a Waits<'a>,
    pub programs: &'a Programs<'a>,
}

impl Calls<'_> {
    pub(super) fn events(&self) -> Vec<Placed> {
        let mut placed = Vec::new();
        for (index, call) in self.evidence.calls.iter().enumerate() {
            match self.sockets.begun_by(index) {
                Some(connection) => placed.extend(self.connection(connection)),
                None if self.programs.tells(index) => {}
                None => placed.push(self.detail(index, call)),
            }
        }
        placed
    }

    /// A call that is no claim.
    fn detail(&self, index: usize, call: &Call) -> Placed {
        let renderer = Renderer { names: self.names, sockets: self.sockets, flows: self.flows };
        let (t_ns, cause, wait) = match (self.waits.waited(call.tid, index), call.exit_ns) {
            (Some(Some(e)), _) => {
                let wait = Wait { gap_ns: e.until_ns - e.since_ns, timer: Some(e.timer.clone()) };
                (e.until_ns, Cause::CallExit, Some(wait))
            }
            (Some(None), Some(exit_ns)) => {
                (exit_ns, Cause::CallExit, Some(Wait { gap_ns: exit_ns - call.entry_ns, timer: None }))
            }
            _ => (call.entry_ns, Cause::CallEntry, None),
        };
        self.placed(index, cause, t_ns, renderer.call(index, call), wait, false)
    }

    /// A connection's claims: that it began, how it came out or that it was given up.
    fn connection(&self, number: usize) -> Vec<Placed> {
        let connection = &self.sockets.connections[number];
        let call = &self.evidence.calls[connection.call];
        let label = self.flows.label(number);
        let is_claim = !asks_for_names(&connection.remote) && call.entry_ns <= self.programs.until_ns(call.pid);
        let before = self.waits.before(call.tid, call.entry_ns).and_then(|chain| chain.sleep());
        let entry = |text| self.placed(connection.call, Cause::CallEntry, call.entry_ns, text, before, is_claim);
        if let Some(how) = self.at_once(number, call) {
            return vec![entry(format!("connect to {label} {}", in_words(how)))];
        }
        let out_of_time = self.programs.timer(connection.call, call).filter(|_| self.names.is_program(call.pid));
        let mut events = vec![match call.error() {
            Some("EINPROGRESS") if out_of_time.is_some() => entry(format!("connect to {label}")),
            Some(errno @ ("EINPROGRESS" | "EAGAIN")) => entry(format!("connect to {label} -> {errno}")),
            _ => entry(format!("connect to {label}")),
        }];
        // SO_SNDTIMEO bounds connect(2) too, and the kernel goes on (socket(7)).
        if let (Some(timer), Some(t_ns)) = (out_of_time, call.exit_ns) {
            let wait = Wait { gap_ns: t_ns - call.entry_ns, timer: Some(timer) };
            let text = format!("connect to {label} failed: EINPROGRESS");
            events.push(self.placed(connection.call, Cause::CallExit, t_ns, text, Some(wait), is_claim));
        }
        events.extend(connection.outcome.as_ref().map(|outcome| self.outcome(number, outcome, is_claim)));
        // A socket program declares its waits itself.
        if !self.names.is_program(call.pid) {
            events.extend(self.gave_up(number, is_claim));
        }
        events
    }

    fn outcome(&self, number: usize, outcome: &Outcome, is_claim: bool) -> Placed {
        let connection = &self.sockets.connections[number];
        let call = &self.evidence.calls[connection.call];
        let text = match outcome.how {
            How::Connected => format!("connected to {}", self.flows.label(number)),
            _ => format!("connect to {} {}", self.flows.label(number), in_words(&outcome.how)),
        };
        if outcome.how == How::Interrupted {
            // The signal ended it, although the tracer sees the call return first.
            let of_process = self.evidence.signals.iter().filter(|s| s.pid == call.pid && s.t_ns >= outcome.t_ns);
            let t_ns = of_process.map(|s| s.t_ns).min().unwrap_or(outcome.t_ns);
            return self.placed(outcome.call, Cause::Interrupted, t_ns, text, None, is_claim);
        }
        let wait = Wait { gap_ns: outcome.t_ns - call.entry_ns, timer: self.connect_timer(number, call, outcome) };
        let mut placed = self.placed(outcome.call, Cause::CallExit, outcome.t_ns, text, Some(wait), is_claim);
        let flow = self.flows.of_connection(number);
        let arrived = flow.and_then(|flow| answer_arrived_ns(self.flights, self.flows, flow, outcome.t_ns));
        placed.anchor_ns = anchor_of_return(outcome.t_ns, arrived);
        placed
    }

    /// The kernel's timer that ended a connect, if one did.
    fn connect_timer(&self, number: usize, call: &Call, outcome: &Outcome) -> Option<Timer> {
        let How::Failed(Some(errno)) = &outcome.how else { return None };
        let host = self.names.host(call.pid);
        let during = |f: &&Flight| f.from == host && (call.entry_ns..=outcome.t_ns).contains(&f.t_ns());
        let sent = || self.flights.iter().filter(during);
        let flow = self.flows.of_connection(number);
        match (errno.as_str(), flow) {
            ("ETIMEDOUT", _) => {
                let of_flow = sent().filter(|f| flow.is_some() && self.flows.of(f).map(|(of, _)| of) == flow);
                let seen = of_flow.map(|f| f.retransmission).max().unwrap_or(0);
                let connection = &self.sockets.connections[number];
                let retries_ns = Retries::of(self.evidence, host).connect_ns(connection.syn_count, seen);
                let (name, armed_ns) = match connection.user_timeout_ms.map(|ms| ms.saturating_mul(1_000_000)) {
                    Some(ns) if ns > 0 && ns < retries_ns => ("TCP_USER_TIMEOUT", ns),
                    _ => ("SYN retries", retries_ns),
                };
                Some(Timer { name: name.into(), class: TimerClass::Wheel, armed_ns })
            }
            ("EHOSTUNREACH", None) => {
                let each_ns = neighbour_wait_ns(self.evidence, host);
                // A question that goes out as the wait ends is another packet's, which found the neighbour failed.
                let has_run_out =
                    |f: &&Flight| outcome.t_ns - f.t_ns() >= i64::try_from(each_ns / 2).unwrap_or(i64::MAX);
                let asked = sent().filter(|f| is_neighbour_question(f)).filter(has_run_out).count() as u64;
                let armed_ns = asked * each_ns;
                (asked > 0).then(|| Timer { name: "neighbour".into(), class: TimerClass::Wheel, armed_ns })
            }
            _ => None,
        }
    }

    /// A connection whose descriptor was let go when the last wait for it had run out; or that the
    /// deadline found it waiting for again.
    fn gave_up(&self, number: usize, is_claim: bool) -> Option<Placed> {
        let connection = &self.sockets.connections[number];
        let call = &self.evidence.calls[connection.call];
        let (released_ns, by) = connection.released.unwrap_or((self.evidence.end.t_ns, None));
        let chain = self.waits.before(by.unwrap_or(call.tid), released_ns)?;
        let begun_ns = match &connection.outcome {
            None => Some(call.entry_ns),
            Some(Outcome { how: How::Connected, .. }) => None,
            Some(_) => return None,
        };
        if !chain.last.waited_for.contains(&connection.object) || chain.last.until_ns < call.entry_ns {
            return None;
        }
        let label = self.flows.label(number);
        let is_kept = connection.released.is_none_or(|(t_ns, _)| t_ns >= self.evidence.end.t_ns);
        let goes_on = is_kept && self.evidence.end.how == Ending::Deadline;
        let text = match begun_ns {
            Some(_) => format!("gave up on connect to {label}"),
            // A beat at which a program looks at something else is no news.
            None if goes_on && !chain.is_one() => return None,
            None if goes_on => format!("goes on waiting for {label}"),
            None => format!("gave up waiting for {label}"),
        };
        let wait = Some(chain.wait(begun_ns));
        Some(self.placed(chain.last.call, Cause::CallExit, chain.last.until_ns, text, wait, is_claim))
    }

    /// The outcome of a connect that asked nobody: a local socket, or a route that says no.
    fn at_once(&self, number: usize, call: &Call) -> Option<&How> {
        let connection = &self.sockets.connections[number];
        let outcome = connection.outcome.as_ref().filter(|outcome| outcome.call == connection.call)?;
        let host = self.names.host(call.pid);
        let during = call.entry_ns..=outcome.t_ns;
        let asks = |f: &Flight| f.from == host && is_neighbour_question(f) && during.contains(&f.t_ns());
        let is_local = match &outcome.how {
            How::Failed(Some(errno)) => errno != "ETIMEDOUT" && !self.flights.iter().any(asks),
            How::Failed(None) | How::Interrupted => false,
            How::Connected => matches!(connection.remote, SocketAddress::Unix(_)),
        };
        (is_local && self.flows.of_connection(number).is_none()).then_some(&outcome.how)
    }

    fn placed(
        &self,
        index: usize,
        cause: Cause,
        t_ns: i64,
        text: String,
        wait: Option<Wait>,
        is_claim: bool,
    ) -> Placed {
        let call = &self.evidence.calls[index];
        let event = Event {
            t_ns,
            at: self.names.host(call.pid).to_owned(),
            kind: EventKind::Call,
            text: format!("{}{text}", self.names.speaker(call.pid)),
            wait,
            is_claim,
            evidence: vec![EvidenceRef::Call(index)],
        };
        // A claim stands after the detail it was read from.
        let seq = index * 2 + usize::from(is_claim);
        let begun = self.sockets.begun_before(index + 1);
        Placed { anchor_ns: t_ns, turn: begun, cause, seq, event }
    }
}

fn in_words(how: &How) -> String {
    match how {
        How::Connected => "succeeded".into(),
        How::Failed(Some(errno)) => format!("failed: {errno}"),
        How::Failed(None) => "failed".into(),
        How::Interrupted => "interrupted".into(),
    }
}

/// The C library asking a name service on this machine (nscd, systemd-resolved), and syslog: how a program is built,
/// not what it does.
fn asks_for_names(remote: &SocketAddress) -> bool {
    const SERVICES: [&str; 4] = ["/nscd/", "/systemd/", "/dev/log", "/var/lib/sss/"];
    matches!(remote, SocketAddress::Unix(path) if SERVICES.iter().any(|service| path.contains(service)))
}

/// ARP asking, or neighbour discovery doing the same for IPv6.
pub(super) fn is_neighbour_question(flight: &Flight) -> bool {
    match &flight.content {
        Content::Arp { is_request, .. } => *is_request,
        Content::Icmp { kind, .. } => kind.contains("neighbo") && kind.contains("solicitation"),
        _ => false,
    }
}

/// How long the kernel waits for a neighbour's answer before it asks again: `retrans_time_ms`, arp(7).
pub fn neighbour_wait_ns(evidence: &Evidence, host: &str) -> u64 {
    // Each interface has its own, and a run records those that its plan names. Where they differ, the first counts.
    let is_wait = |name: &str| name.starts_with("net.ipv4.neigh.") && name.ends_with(".retrans_time_ms");
    let interface = evidence.sysctls.get(host).and_then(|recorded| {
        let name = recorded.keys().find(|name| is_wait(name))?;
        name.split('.').nth(3)
    });
    Neighbours::of(evidence, host, interface.unwrap_or("default"), false).retransmit_ms * 1_000_000
}
