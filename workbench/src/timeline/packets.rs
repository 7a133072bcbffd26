//! Packets to events: what was sent, where it ended, and after which timer it was sent again.
//!
//! A handshake, an end, an error, a question and everything that was sent again is one event each. Data and
//! acknowledgments are summed up by [`super::data`]: how TCP cuts a stream into segments is no claim.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{is_neighbour_question, neighbour_wait_ns};
use super::data::Data;
use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::flight::{Content, Dns, Fate, Flight, TcpSegment};
use super::flows::Flows;
use super::names::Names;
use super::objects::Objects;
use super::order::{Cause, Placed};
use super::packet_facts::{is_housekeeping, is_to_a_group};
use super::probes::Probes;
use super::retries::Retries;
use super::sockets::Sockets;
use super::tcp_flags::{ACK, FIN, RST, SYN};
use super::waits::Waits;
use super::windows::Windows;
use crate::evidence::Evidence;

/// What the events of packets are made from.
pub(super) struct Packets<'a> {
    pub evidence: &'a Evidence,
    pub flights: &'a [Flight],
    pub names: &'a Names<'a>,
    pub sockets: &'a Sockets,
    pub flows: &'a Flows,
    pub waits: &'a Waits<'a>,
    pub objects: &'a Objects,
}

/// What earlier packets said, as far as later ones depend on it.
#[derive(Default)]
struct Seen<'a> {
    /// Last sending of a sequence number, by link, flow, direction and number.
    sent: BTreeMap<(&'a str, usize, bool, u32), i64>,
    /// RTOs of a flow's SYN that expired, by link.
    expired: BTreeMap<(&'a str, usize), u32>,
    /// When a retransmission timer sent something again last, by link, flow and direction.
    fired: BTreeMap<(&'a str, usize, bool), i64>,
    /// First SYN of a flow and the arrival of its answer.
    handshakes: BTreeMap<usize, (i64, Option<i64>)>,
    /// Directions of flows in which a reset arrived, by link.
    reset: BTreeSet<(&'a str, usize, bool)>,
    /// Flows in which a peer's packet came too late for anybody.
    late: BTreeSet<usize>,
    /// Hosts whose neighbours know them, by link.
    known: BTreeSet<(&'a str, &'a str)>,
    /// How often a question was asked and when last: ARP by target, DNS by server and question.
    asked: BTreeMap<String, (u32, i64)>,
    /// The ids under which a DNS question was asked, by link, server and question.
    ids: BTreeMap<String, BTreeSet<u16>>,
    /// Packets that arrived at a router, which will pass them on.
    passing: BTreeSet<String>,
    /// Probes of silent peers.
    probes: Probes<'a>,
}

/// Why a segment was sent again.
struct Again {
    /// A retransmission timer did it; else what came back from the peer, which depends on the peer's packets.
    is_by_timer: bool,
    /// Since the last sending.
    wait: Wait,
}

/// Half of the smallest RTO (TCP_RTO_MIN, include/net/tcp.h).
const BEHIND_NS: i64 = 100_000_000;

impl<'a> Packets<'a> {
    pub(super) fn events(&self) -> Vec<Placed> {
        let has_routers = self.evidence.plan.hosts.iter().any(|host| host.is_router);
        let last_look_ns = self.waits.last_look_ns(self.evidence);
        let mut seen = Seen::default();
        let (mut data, mut windows) = (Data::new(self.evidence, self.flows, self.names), Windows::default());
        let mut placed = Vec::new();
        for (index, flight) in self.flights.iter().enumerate() {
            let is_late = self.is_late(flight, last_look_ns);
            let is_passed_on = has_routers && pass_on(&mut seen, flight);
            let is_claim = !is_late && (!is_passed_on || flight.fate != Fate::Arrived);
            let flow = self.flows.of(flight);
            match (&flight.content, flow) {
                (Content::Tcp(segment), Some(flow)) => {
                    let single = self.segment(&mut seen, index, (segment, flow.0, flow.1), is_claim);
                    if single.is_none() || segment.payload_len > 0 {
                        data.add(index, flight, flow, is_claim, single.is_some());
                    }
                    if single.is_some() {
                        data.interrupt(flight, flow.0);
                    }
                    placed.extend(single);
                    let is_seen = flight.fate == Fate::Arrived;
                    if let Some(news) = is_seen.then(|| windows.note(segment, flow)).flatten() {
                        let text = format!("{news} {} {}", direction(flow.1), self.flows.get(flow.0).label);
                        placed.push(self.single(index, text, None, is_claim));
                    }
                    if is_late {
                        seen.late.insert(flow.0);
                    }
                }
                (Content::Udp { dns: None, .. }, Some(flow)) => data.add(index, flight, flow, is_claim, false),
                _ => placed.push(self.other(&mut seen, index, is_claim)),
            }
        }
        placed.extend(data.events().into_iter().map(|(index, event)| self.place(index, event)));
        placed.retain(|p| p.event.t_ns >= 0 || self.is_of_program(p.seq));
        placed
    }

    /// Whether a packet is of a connection that a socket program began. Before zero only those are of interest: daemons
    /// and peers that start up talk as well.
    fn is_of_program(&self, index: usize) -> bool {
        let flow = self.flows.of(&self.flights[index]).map(|(flow, _)| self.flows.get(flow));
        flow.is_some_and(|flow| flow.is_of_program)
    }

    /// Whether a packet came when nobody could see it any more: a peer's after the program's last look, the command's
    /// host's own after the command's end. How much of that a capture still catches is chance.
    fn is_late(&self, flight: &Flight, last_look_ns: i64) -> bool {
        let origin = flight.addresses.and_then(|(from, _)| self.names.owner(from)).unwrap_or(&flight.from);
        let is_own = origin == self.evidence.plan.command.host;
        flight.t_ns() > if is_own { self.evidence.end.t_ns } else { last_look_ns }
    }

    /// A TCP segment that stands for itself; `None` for data and acknowledgments.
    fn segment(
        &self,
        seen: &mut Seen<'a>,
        index: usize,
        (segment, flow, to_server): (&TcpSegment, usize, bool),
        is_claim: bool,
    ) -> Option<Placed> {
        let flight = &self.flights[index];
        let has = |flags: u8| segment.flags & flags == flags;
        let key = (flight.link.as_str(), flow, to_server, segment.seq);
        let takes_sequence = (segment.payload_len > 0 || has(SYN) || has(FIN)) && !is_copy(flight);
        let before = if takes_sequence { seen.sent.insert(key, flight.t_ns()) } else { None };
        note_handshake(seen, flow, segment, flight);
        if let Some(probe) = seen.probes.note(segment, (flow, to_server), flight) {
            return Some(self.probe(index, &probe, (flow, to_server), is_claim));
        }
        let gap_ns = before.map(|before| flight.t_ns() - before).filter(|_| flight.retransmission > 0);
        let again = gap_ns.map(|gap_ns| self.again(seen, (flow, to_server), segment, flight, gap_ns));
        let name = match &again {
            _ if has(RST) => "RST",
            _ if has(SYN | ACK) => "SYN-ACK",
            _ if has(SYN) => "SYN",
            _ if has(FIN) => "FIN",
            Some(again) if again.is_by_timer => "data",
            _ => return None,
        };
        let wait = again.map(|again| again.wait);
        let count = match flight.retransmission {
            0 => String::new(),
            nth => format!(", retransmission {nth}"),
        };
        let text = format!("{name} {} {}{count}", direction(to_server), self.flows.get(flow).label);
        let is_answer_to_late = has(RST) && seen.late.contains(&flow);
        // What was sent before the first reset came is answered by another one: how much that is, is chance.
        let arrives = has(RST) && flight.fate == Fate::Arrived;
        let is_repeated = arrives && !seen.reset.insert((&flight.link, flow, to_server));
        let connection = self.flows.get(flow).connection.filter(|_| has(FIN) && !to_server);
        let (arrived_ns, end_ns) = (flight.arrived_ns.unwrap_or_else(|| flight.t_ns()), self.evidence.end.t_ns);
        // A socket program's FIN and its peer's are what its scenario is about.
        let is_ignored = connection
            .filter(|_| !self.is_of_program(index))
            .is_some_and(|number| self.sockets.ignores_fin(number, arrived_ns, end_ns));
        Some(self.single(index, text, wait, is_claim && !is_answer_to_late && !is_repeated && !is_ignored))
    }

    /// Why a segment was sent again, as far as the time since its last sending tells.
    fn again(
        &self,
        seen: &mut Seen<'a>,
        (flow, to_server): (usize, bool),
        segment: &TcpSegment,
        flight: &'a Flight,
        gap_ns: i64,
    ) -> Again {
        let retries = Retries::of(self.evidence, &flight.from);
        let tick_ns = self.evidence.machine.tick_ns;
        let rto = |armed_ns| Some(Timer { name: "RTO".into(), class: TimerClass::Wheel, armed_ns });
        if segment.flags & (SYN | ACK) == SYN {
            let expired = seen.expired.entry((&flight.link, flow)).or_default();
            let (armed_ns, count) = retries.syn_ns(*expired, gap_ns, tick_ns);
            *expired += count;
            return Again { is_by_timer: true, wait: Wait { gap_ns, timer: rto(armed_ns) } };
        }
        if segment.flags & SYN != 0 {
            let armed_ns = retries.syn_ack_ns(flight.retransmission);
            return Again { is_by_timer: true, wait: Wait { gap_ns, timer: rto(armed_ns) } };
        }
        let round_trip_ns = match seen.handshakes.get(&flow) {
            Some((sent_ns, Some(answered_ns))) => answered_ns - sent_ns,
            _ => 0,
        };
        let armed_ns = retries.established_ns(round_trip_ns, gap_ns, tick_ns);
        // The kernel's own estimate of the round trip is not on the wire. Where ours explains the gap, it is named.
        let explained = armed_ns.filter(|armed_ns| {
            let latest_ns = armed_ns + armed_ns / 8 + tick_ns;
            gap_ns.unsigned_abs() <= latest_ns
        });
        // A socket has one such timer: what is sent again right behind was asked for by the answer to what it sent.
        let key = (flight.link.as_str(), flow, to_server);
        let is_behind = seen.fired.get(&key).is_some_and(|fired_ns| flight.t_ns() - fired_ns < BEHIND_NS);
        let is_by_timer = armed_ns.is_some() && !is_behind;
        if is_by_timer {
            seen.fired.insert(key, flight.t_ns());
        }
        Again { is_by_timer, wait: Wait { gap_ns, timer: explained.filter(|_| is_by_timer).and_then(rto) } }
    }

    /// Anything but TCP and plain datagrams.
    fn other(&self, seen: &mut Seen<'a>, index: usize, is_claim: bool) -> Placed {
        let flight = &self.flights[index];
        let (text, wait, is_claim) = match &flight.content {
            Content::Udp { sport, dport, dns: Some(dns), .. } => {
                let (text, wait) = self.dns(seen, flight, (*sport, *dport), dns);
                (text, wait, is_claim)
            }
            Content::Arp { is_request: false, target } => {
                let is_news = seen.known.insert((&flight.link, &flight.from));
                (format!("ARP {} answers", self.names.address(*target)), None, is_claim && is_news)
            }
            Content::Arp { is_request: true, target } => {
                let neighbour = self.names.owner(*target);
                let text = format!("ARP who has {}", self.names.address(*target));
                self.neighbour_question(seen, flight, neighbour, text, is_claim)
            }
            Content::Icmp { kind, about } => {
                let version = if flight.addresses.is_some_and(|(from, _)| from.is_ipv6()) { "ICMPv6" } else { "ICMP" };
                let about = about.as_ref().map(|quoted| match self.flows.quoted(quoted) {
                    Some(flow) => format!(" about {}", self.flows.get(flow).label),
                    None => format!(" about {}", self.names.address(quoted.to)),
                });
                let text = format!("{version} {kind}{}", about.unwrap_or_default());
                if is_neighbour_question(flight) {
                    self.neighbour_question(seen, flight, Some(&flight.to), text, is_claim)
                } else if kind.contains("neighbo") {
                    (text, None, is_claim && seen.known.insert((&flight.link, &flight.from)))
                } else {
                    (text, None, is_claim && !is_housekeeping(kind))
                }
            }
            Content::Other(what) => (what.clone(), None, is_claim && !is_to_a_group(flight)),
            Content::Tcp(_) | Content::Udp { .. } => ("packet of no flow".into(), None, is_claim),
        };
        self.single(index, text, wait, is_claim)
    }

    /// A neighbour that is known is asked again now and then, at random times: upkeep, no claim.
    fn neighbour_question(
        &self,
        seen: &mut Seen<'a>,
        flight: &'a Flight,
        neighbour: Option<&'a str>,
        text: String,
        is_claim: bool,
    ) -> (String, Option<Wait>, bool) {
        seen.known.insert((&flight.link, &flight.from));
        let is_known = neighbour.is_some_and(|host| seen.known.contains(&(flight.link.as_str(), host)));
        let again = ask(seen, format!("{} {} {text}", flight.link, flight.from), flight.t_ns());
        let wait = again.map(|(_, gap_ns)| {
            let armed_ns = neighbour_wait_ns(self.evidence, &flight.from);
            Wait { gap_ns, timer: Some(Timer { name: "neighbour".into(), class: TimerClass::Wheel, armed_ns }) }
        });
        match again {
            Some((nth, _)) => (format!("{text}, retransmission {nth}"), wait, is_claim && !is_known),
            None => (text, None, is_claim && !is_known),
        }
    }

    fn dns(&self, seen: &mut Seen<'_>, flight: &Flight, ports: (u16, u16), dns: &Dns) -> (String, Option<Wait>) {
        let Some((from, to)) = flight.addresses else { return ("DNS".into(), None) };
        let question = super::escape::escape(&dns.question);
        if !dns.is_query {
            let place = self.names.place(from, ports.0);
            let key = format!("{} {place} {question}", flight.link);
            let count = if dns.answers == 1 { "answer" } else { "answers" };
            let truncated = if dns.is_truncated { ", truncated" } else { "" };
            // Whoever asked throws such an answer away and goes on waiting (RFC 5452, 9.1).
            let is_asked = seen.ids.get(&key).is_none_or(|ids| ids.contains(&dns.id));
            if is_asked {
                seen.asked.remove(&key);
            }
            let under = if is_asked { "" } else { ", under an id that was not asked for" };
            let text =
                format!("DNS {} from {place} to {question} {} {count}{truncated}{under}", dns.rcode, dns.answers);
            return (text, None);
        }
        let place = self.names.place(to, ports.1);
        let key = format!("{} {place} {question}", flight.link);
        seen.ids.entry(key.clone()).or_default().insert(dns.id);
        let again = ask(seen, key, flight.t_ns());
        let text = format!("DNS query {question} to {place}");
        let Some((nth, gap_ns)) = again else { return (text, None) };
        let timer = self.wait_before_sending(flight.t_ns()).and_then(|wait| wait.timer);
        (format!("{text}, retry {nth}"), Some(Wait { gap_ns, timer }))
    }

    /// The wait that had run out when a thread sent this packet.
    fn wait_before_sending(&self, sent_ns: i64) -> Option<Wait> {
        let sends = |name: &str| name.starts_with("send") || name.starts_with("write");
        let calls = self.evidence.calls.iter().filter(|call| sends(&call.name));
        let call = calls.rev().find(|c| c.entry_ns <= sent_ns && c.exit_ns.is_none_or(|exit| exit >= sent_ns))?;
        Some(self.waits.before(call.tid, call.entry_ns)?.wait(None))
    }

    pub(super) fn single(&self, index: usize, text: String, wait: Option<Wait>, is_claim: bool) -> Placed {
        let flight = &self.flights[index];
        let copy = if is_copy(flight) { ", a copy" } else { "" };
        let text = format!("{text}{copy}{}", self.names.fate(&flight.fate));
        let evidence = sightings(flight);
        let (t_ns, at) = (flight.t_ns(), at(flight));
        self.place(index, Event { t_ns, at, kind: EventKind::Packet, text, wait, is_claim, evidence })
    }

    /// A packet of a connection belongs to its `connect`, also when the next one has the same stamp.
    fn place(&self, index: usize, event: Event) -> Placed {
        let flow = self.flows.of(&self.flights[index]).map(|(flow, _)| self.flows.get(flow));
        let begun = || self.evidence.calls.iter().filter(|c| c.name == "connect" && c.entry_ns < event.t_ns).count();
        let turn = flow.and_then(|flow| flow.connection).map_or_else(begun, |connection| connection + 1);
        Placed { anchor_ns: event.t_ns, turn, cause: Cause::Packet, seq: index, event }
    }
}

/// `client -> server`; a packet on the loopback interface stays where it is.
pub(super) fn at(flight: &Flight) -> String {
    if flight.from == flight.to { format!("{} lo", flight.from) } else { format!("{} -> {}", flight.from, flight.to) }
}

fn direction(to_server: bool) -> &'static str {
    if to_server { "to" } else { "from" }
}

pub(super) fn sightings(flight: &Flight) -> Vec<EvidenceRef> {
    [flight.sent_index, flight.arrived_index].into_iter().flatten().map(EvidenceRef::Packet).collect()
}

/// netem makes copies on the wire: they arrive and nobody sent them.
pub(super) fn is_copy(flight: &Flight) -> bool {
    flight.sent_ns.is_none() && flight.link != "lo"
}

fn note_handshake(seen: &mut Seen<'_>, flow: usize, segment: &TcpSegment, flight: &Flight) {
    match segment.flags & (SYN | ACK) {
        SYN => {
            seen.handshakes.entry(flow).or_insert((flight.t_ns(), None));
        }
        flags if flags & SYN != 0 => {
            if let Some((_, answered @ None)) = seen.handshakes.get_mut(&flow) {
                *answered = flight.arrived_ns;
            }
        }
        _ => {}
    }
}

/// Counts a question; returns how often it was asked before, and the time since the last.
fn ask(seen: &mut Seen<'_>, question: String, t_ns: i64) -> Option<(u32, i64)> {
    match seen.asked.get_mut(&question) {
        Some((count, last_ns)) => {
            *count += 1;
            Some((*count, t_ns - std::mem::replace(last_ns, t_ns)))
        }
        None => {
            seen.asked.insert(question, (0, t_ns));
            None
        }
    }
}

/// Whether this packet was seen on an earlier link: a router passes it on.
fn pass_on(seen: &mut Seen<'_>, flight: &Flight) -> bool {
    let key = |host: &str| format!("{host} {:?} {:?}", flight.addresses, flight.content);
    let is_passed_on = flight.addresses.is_some() && seen.passing.remove(&key(&flight.from));
    if flight.fate == Fate::Arrived {
        seen.passing.insert(key(&flight.to));
    }
    is_passed_on
}
