//! Packets on their links: from sent to arrived, in lanes; where one was taken; and arrows from the call that sent it
//! and to the call that waited for it, where the evidence says which.

use std::collections::BTreeMap;

use serde_json::Value;

use super::calls::{ends_ns, threads};
use super::event::{Args, Events, Key, Rank, Track, args};
use super::tracks::Tracks;
use crate::evidence::{Call, CallResult, Evidence};
use crate::report::packet_words;
use crate::report::views::Run;
use crate::timeline::{Content, Fate, Flight};

/// Calls that send by themselves; a packet that leaves within one of them is taken for its.
const SENDING: [&str; 12] = [
    "connect", "send", "sendto", "sendmsg", "sendmmsg", "write", "writev", "pwritev", "sendfile", "splice", "close",
    "shutdown",
];
/// Calls that a packet's arrival may end.
const WAITING: [&str; 19] = [
    "connect",
    "accept",
    "accept4",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "read",
    "readv",
    "preadv",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "splice",
    "io_uring_enter",
];
/// A call that a packet ended returns within this time, the same as the timeline allows for.
const RETURN_NS: i64 = 20_000_000;

pub(super) fn add(run: &Run<'_>, tracks: &Tracks<'_>, flights: &[Flight], events: &mut Events) {
    let told = packet_words::told(run.timeline);
    let ends = Ends::new(run.evidence, tracks);
    let mut lanes = Lanes::default();
    for (number, flight) in flights.iter().enumerate() {
        let (sent_ns, end_ns) = (flight.t_ns(), end_ns(run.evidence, flight));
        let track = lanes.track(tracks, flight, sent_ns, end_ns);
        let sender = ends.sender(flight);
        let (rank, step) = match sender {
            Some(call) if run.evidence.calls[call].entry_ns == sent_ns => (Rank::Call(call), 4 * number + 1),
            _ => (Rank::Packet(number), 1),
        };
        let key = |more: usize| Key { t_ns: sent_ns, rank, step: step + more };
        let said = said(run.evidence, flight, told.get(&first_sighting(flight)).copied());
        events.slice(key(1), end_ns, track, "packet", &packet_words::kind(flight), said);
        if let Some(from) = sender.and_then(|call| ends.track(call)) {
            events.flow("sends", (key(0), from), (key(2), track));
        }
        if let Some(to) = ends.receiver(flight).and_then(|call| ends.track(call)) {
            let arrival = Key { t_ns: end_ns, rank: Rank::Arrival, step: number };
            let arrival = if end_ns == sent_ns { key(3) } else { arrival };
            events.flow("wakes", (key(3), track), (arrival, to));
        }
        if let Some(fate) = packet_words::fate(run.evidence, flight) {
            events.instant(Key::at(end_ns), track, "fault", &fate, args([]));
        }
    }
}

/// Where its slice ends: where it arrived or was taken. One that was lost ends at once: nobody saw where.
fn end_ns(evidence: &Evidence, flight: &Flight) -> i64 {
    let sent_ns = flight.t_ns();
    let end_ns = match (flight.arrived_ns, &flight.fate) {
        (Some(arrived_ns), _) => arrived_ns,
        (None, Fate::InFlight) => evidence.end.t_ns,
        (None, _) => sent_ns,
    };
    end_ns.max(sent_ns)
}

fn first_sighting(flight: &Flight) -> usize {
    flight.sent_index.or(flight.arrived_index).unwrap_or(usize::MAX)
}

fn said(evidence: &Evidence, flight: &Flight, told: Option<&str>) -> Args {
    let addresses = flight.addresses.map(|(from, to)| match &flight.content {
        Content::Tcp(s) => format!("{from} port {} to {to} port {}", s.sport, s.dport),
        Content::Udp { sport, dport, .. } => format!("{from} port {sport} to {to} port {dport}"),
        _ => format!("{from} to {to}"),
    });
    let tcp = match &flight.content {
        Content::Tcp(segment) => Some(segment),
        _ => None,
    };
    args([
        ("text", told.into()),
        ("from", flight.from.clone().into()),
        ("to", flight.to.clone().into()),
        ("addresses", addresses.into()),
        ("wire_bytes", flight.wire_len.into()),
        ("seq", tcp.map(|s| s.seq).into()),
        ("ack", tcp.map(|s| s.ack).into()),
        ("window", tcp.map(|s| s.window).into()),
        ("retransmission", if flight.retransmission > 0 { flight.retransmission.into() } else { Value::Null }),
        ("fate", packet_words::fate(evidence, flight).into()),
    ])
}

/// Threads for one direction of a link: packets that are on their way at once are on different ones.
#[derive(Default)]
struct Lanes {
    /// By direction: until when each lane is taken.
    until_ns: BTreeMap<String, Vec<i64>>,
}

impl Lanes {
    fn track(&mut self, tracks: &Tracks<'_>, flight: &Flight, sent_ns: i64, end_ns: i64) -> Track {
        let name = match flight.from == flight.to {
            true => format!("{} {}", flight.from, flight.link),
            false => format!("{} -> {} on {}", flight.from, flight.to, flight.link),
        };
        let lanes = self.until_ns.entry(name.clone()).or_default();
        let free = lanes.iter().position(|until_ns| *until_ns <= sent_ns);
        let lane = free.unwrap_or(lanes.len());
        if free.is_none() {
            lanes.push(end_ns);
        }
        lanes[lane] = end_ns;
        tracks.link(&if lane == 0 { name } else { format!("{name} #{}", lane + 1) })
    }
}

/// The calls at the ends of packets.
struct Ends<'a> {
    evidence: &'a Evidence,
    threads: BTreeMap<u32, Track>,
    ends_ns: Vec<i64>,
    sending: Vec<usize>,
    waiting: Vec<usize>,
}

impl<'a> Ends<'a> {
    fn new(evidence: &'a Evidence, tracks: &Tracks<'_>) -> Self {
        let of = |names: &[&str]| -> Vec<usize> {
            (0..evidence.calls.len()).filter(|index| names.contains(&evidence.calls[*index].name.as_str())).collect()
        };
        let (sending, waiting) = (of(&SENDING), of(&WAITING));
        Self { evidence, threads: threads(evidence, tracks), ends_ns: ends_ns(evidence), sending, waiting }
    }

    fn track(&self, call: usize) -> Option<Track> {
        self.threads.get(&self.evidence.calls[call].tid).copied()
    }

    fn is_at_home(&self, host: &str) -> bool {
        self.evidence.plan.command.host == host
    }

    /// The only call that the packet left in. What a timer sends again is nobody's call.
    fn sender(&self, flight: &Flight) -> Option<usize> {
        let sent_ns = flight.sent_ns.filter(|_| flight.retransmission == 0 && self.is_at_home(&flight.from))?;
        let around = |call: &usize| self.ends_ns[*call] >= sent_ns;
        self.only(self.begun(&self.sending, sent_ns).filter(around))
    }

    /// The only call that had been waiting when the packet arrived and that returned something soon afterwards.
    fn receiver(&self, flight: &Flight) -> Option<usize> {
        let is_whole = flight.fate == Fate::Arrived && self.is_at_home(&flight.to) && flight.from != flight.to;
        let arrived_ns = flight.arrived_ns.filter(|_| is_whole)?;
        let returns = |call: &usize| {
            let Call { entry_ns, exit_ns, result, .. } = &self.evidence.calls[*call];
            let is_ready = |value: i64, name: &str| value > 0 || !name.contains("poll") && !name.contains("select");
            let name = self.evidence.calls[*call].name.as_str();
            let got = match result {
                Some(CallResult::Value(value)) => is_ready(*value, name),
                Some(CallResult::Error(errno)) => errno.starts_with("ECONN") || errno.starts_with("EHOST"),
                None => false,
            };
            let soon = exit_ns.is_some_and(|exit_ns| (arrived_ns..=arrived_ns + RETURN_NS).contains(&exit_ns));
            got && soon && *entry_ns < arrived_ns
        };
        self.only(self.begun(&self.waiting, arrived_ns).filter(returns))
    }

    /// Calls of `among` that began not after `t_ns`, the last ones first; of so many that whoever is still in one is
    /// among them.
    fn begun<'b>(&self, among: &'b [usize], t_ns: i64) -> impl Iterator<Item = usize> + use<'b> {
        let count = among.partition_point(|call| self.evidence.calls[*call].entry_ns <= t_ns);
        let threads = self.threads.len().max(1);
        among[count.saturating_sub(8 * threads)..count].iter().rev().copied()
    }

    fn only(&self, mut calls: impl Iterator<Item = usize>) -> Option<usize> {
        let first = calls.next();
        if calls.next().is_some() { None } else { first }
    }
}
