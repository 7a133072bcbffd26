//! Data and acknowledgments, summed up: one event for each direction between two things that happen.
//!
//! How a stream is cut into segments, how often it is acknowledged, and how two directions interleave depends on the
//! machine; that data went there, roughly how much, and what became of it does not.

use std::collections::BTreeMap;

use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::flight::{Content, Fate, Flight};
use super::flows::Flows;
use super::names::Names;
use super::packets::{at, is_copy, sightings};
use super::programs::bytes as exact;
use crate::evidence::Evidence;

/// A silence this long ends a run of data. Above what delayed acknowledgments (200 ms) and a busy machine make, and
/// beside the lengths that scenarios like to use.
const SILENCE_NS: i64 = 350_000_000;

/// The same between two sockets of socket programs that say little: their scenario is about what waits for what (Nagle's
/// algorithm, TCP_CORK, delayed acknowledgments of 40 ms).
const PAUSE_NS: i64 = 30_000_000;

/// Up to so many bytes are little. Of more, how a machine cuts them is chance.
const LITTLE_BYTES: u64 = 4096;

/// TCP_DELACK_MIN of include/net/tcp.h.
const DELAYED_ACK_NS: u64 = 40_000_000;

/// Which run a segment belongs to.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    flow: usize,
    link: String,
    phase: u32,
    to_server: bool,
    is_data: bool,
    fate: String,
    is_claim: bool,
}

struct Run {
    first: usize,
    t_ns: i64,
    at: String,
    bytes: u64,
    packets: usize,
    wait: Option<Wait>,
    evidence: Vec<EvidenceRef>,
}

/// How far a flow has come on a link.
#[derive(Default)]
struct Phase {
    number: u32,
    last_ns: Option<i64>,
    /// Length of the silence that began this phase.
    silence_ns: Option<i64>,
    /// Data since this phase began.
    bytes: u64,
    /// Which way data went, if that was the last packet, and when it was there.
    data: Option<(bool, i64)>,
    /// The longest that a packet was on its way.
    way_ns: i64,
}

/// All runs of data so far.
pub(super) struct Data<'a> {
    flows: &'a Flows,
    names: &'a Names<'a>,
    /// How data is cut into packets is what a socket program's scenario is about.
    counts_packets: bool,
    phases: BTreeMap<(usize, String), Phase>,
    runs: BTreeMap<Key, Run>,
}

impl<'a> Data<'a> {
    pub(super) fn new(evidence: &Evidence, flows: &'a Flows, names: &'a Names<'a>) -> Self {
        const CUTTING: [&str; 4] = ["TCP_NODELAY", "TCP_CORK", "TCP_QUICKACK", "TCP_MAXSEG"];
        let mut steps = evidence.plan.programs.iter().flat_map(|program| &program.steps);
        let counts_packets = steps.any(|step| CUTTING.iter().any(|option| step.text.contains(option)));
        Self { flows, names, counts_packets, phases: BTreeMap::new(), runs: BTreeMap::new() }
    }

    /// Adds a segment or datagram. `stands_alone`: it is an event of its own already and only its bytes count here.
    pub(super) fn add(
        &mut self,
        index: usize,
        flight: &Flight,
        (flow, to_server): (usize, bool),
        is_claim: bool,
        stands_alone: bool,
    ) {
        let (bytes, is_data) = match &flight.content {
            Content::Tcp(segment) => (segment.payload_len, segment.payload_len > 0),
            Content::Udp { payload_len, .. } => (*payload_len, true),
            _ => return,
        };
        if stands_alone && flight.retransmission > 0 {
            return;
        }
        let is_of_program = self.flows.get(flow).is_of_program;
        let phase = self.phases.entry((flow, flight.link.clone())).or_default();
        let late_ns = phase.late_ack_ns(flight, to_server).filter(|_| is_of_program && !is_data);
        phase.note(flight, is_of_program, late_ns.is_some());
        phase.data = is_data.then(|| (to_server, flight.arrived_ns.unwrap_or(i64::MAX)));
        phase.bytes += u64::from(bytes);
        let fate = self.names.fate(&flight.fate);
        // Nobody counts acknowledgments; one that never arrives may be the point of a scenario, unless only the end cut
        // it short, and so may one that socket programs had to wait for.
        let is_missing = !matches!(flight.fate, Fate::Arrived | Fate::InFlight);
        let is_claim = is_claim && (is_data || is_missing || late_ns.is_some());
        let number = phase.number;
        let key = Key { flow, link: flight.link.clone(), phase: number, to_server, is_data, fate, is_claim };
        let run = self.runs.entry(key).or_insert_with(|| Run {
            first: index,
            t_ns: flight.t_ns(),
            at: at(flight),
            bytes: 0,
            packets: 0,
            wait: late_ns.map(delayed_ack).or_else(|| {
                let silence_ns = if is_data { phase.silence_ns.take() } else { None };
                silence_ns.map(|gap_ns| Wait { gap_ns, timer: None })
            }),
            evidence: Vec::new(),
        });
        let is_new = flight.retransmission == 0 && !is_copy(flight);
        run.bytes += if is_new { u64::from(bytes) } else { 0 };
        run.packets += usize::from(is_new);
        run.evidence.extend(sightings(flight));
    }

    /// Something happened on this flow that is no data: what follows is another run.
    pub(super) fn interrupt(&mut self, flight: &Flight, flow: usize) {
        let phase = self.phases.entry((flow, flight.link.clone())).or_default();
        phase.number += 1;
        (phase.last_ns, phase.silence_ns) = (Some(flight.t_ns()), None);
        (phase.data, phase.bytes) = (None, 0);
    }

    /// One event for each run, with the index of its first packet.
    pub(super) fn events(self) -> Vec<(usize, Event)> {
        let Self { flows, runs, counts_packets, .. } = self;
        let event = |(key, run): (Key, Run)| {
            let flow = flows.get(key.flow);
            let direction = if key.to_server { "to" } else { "from" };
            let what = match (key.is_data, flow.is_tcp) {
                (false, _) => "ACK",
                (true, true) => "data",
                (true, false) => "datagram",
            };
            let size = match key.is_data && key.fate.is_empty() {
                true if flow.is_of_program => format!(", {}", exact(i64::try_from(run.bytes).unwrap_or(i64::MAX))),
                true => format!(", {}", size(run.bytes)),
                false => String::new(),
            };
            let is_cut = counts_packets && flow.is_of_program && key.is_data && run.packets > 1;
            let cut = match is_cut && run.bytes <= LITTLE_BYTES {
                true => format!(" in {} packets", run.packets),
                false => String::new(),
            };
            let text = format!("{what} {direction} {}{size}{cut}{}", flow.label, key.fate);
            let (t_ns, at, is_claim, evidence, wait) = (run.t_ns, run.at, key.is_claim, run.evidence, run.wait);
            (run.first, Event { t_ns, at, kind: EventKind::Packet, text, wait, is_claim, evidence })
        };
        runs.into_iter().map(event).collect()
    }
}

impl Phase {
    /// How long data had been there when this packet, which says nothing else, acknowledged it; `None` if at once.
    fn late_ack_ns(&self, flight: &Flight, to_server: bool) -> Option<i64> {
        let (way, arrived_ns) = self.data.filter(|_| flight.fate == Fate::Arrived)?;
        let late_ns = flight.t_ns().checked_sub(arrived_ns)?;
        (way != to_server && late_ns >= PAUSE_NS).then_some(late_ns)
    }

    /// A packet: another phase begins with it after a silence, and with an acknowledgment that came late.
    fn note(&mut self, flight: &Flight, is_of_program: bool, is_late: bool) {
        let way_ns = flight.sent_ns.zip(flight.arrived_ns).map_or(0, |(sent, arrived)| arrived - sent);
        self.way_ns = self.way_ns.max(way_ns);
        let least_ns = match is_of_program && self.bytes <= LITTLE_BYTES {
            // On a long way every round trip is a pause.
            true => (PAUSE_NS + 4 * self.way_ns).min(SILENCE_NS),
            false => SILENCE_NS,
        };
        let silence = self.last_ns.map(|last| flight.t_ns() - last).filter(|gap| *gap >= least_ns);
        if silence.is_some() || is_late {
            self.number += 1;
            self.bytes = 0;
            self.silence_ns = silence.filter(|_| !is_late);
        }
        self.last_ns = Some(flight.t_ns());
    }
}

/// An acknowledgment's wait, and the timer where it explains it.
fn delayed_ack(gap_ns: i64) -> Wait {
    let is_explained = gap_ns.unsigned_abs() <= DELAYED_ACK_NS * 3 / 2;
    let timer = || Timer { name: "delayed ACK".into(), class: TimerClass::Wheel, armed_ns: DELAYED_ACK_NS };
    Wait { gap_ns, timer: is_explained.then(timer) }
}

/// Bytes as far as they are a claim: a version number in a header line changes the last digits.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes {
        0..KIB => "under 1 KiB".into(),
        _ if bytes < 10 * KIB * KIB => format!("{} KiB", (bytes + KIB / 2) / KIB),
        _ => format!("{} MiB", (bytes + KIB * KIB / 2) / (KIB * KIB)),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_hides_what_a_header_line_more_or_less_would_change() {
        assert_eq!(size(78), size(76));
        assert_eq!(size(64 * 1024 * 1024 + 200), "64 MiB");
        assert_eq!([size(1023), size(1024), size(1535), size(1537)], ["under 1 KiB", "1 KiB", "1 KiB", "2 KiB"]);
    }
}
