//! Data and acknowledgments, summed up: one event for each direction between two things that happen.
//!
//! How a stream is cut into segments, how often it is acknowledged, and how two directions interleave depends on the
//! machine; that data went there, roughly how much, and what became of it does not.

use std::collections::BTreeMap;

use super::event::{Event, EventKind, EvidenceRef, Wait};
use super::flight::{Content, Fate, Flight};
use super::flows::Flows;
use super::names::Names;
use super::packets::{at, is_copy, sightings};
use super::programs::bytes as exact;

/// A silence this long ends a run of data. Above what delayed acknowledgments (200 ms) and a busy machine make, and
/// beside the lengths that scenarios like to use.
const SILENCE_NS: i64 = 350_000_000;

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
    gap_ns: Option<i64>,
    evidence: Vec<EvidenceRef>,
}

/// How far a flow has come on a link.
#[derive(Default)]
struct Phase {
    number: u32,
    last_ns: Option<i64>,
    /// Length of the silence that began this phase.
    silence_ns: Option<i64>,
}

/// All runs of data so far.
pub(super) struct Data<'a> {
    flows: &'a Flows,
    names: &'a Names<'a>,
    phases: BTreeMap<(usize, String), Phase>,
    runs: BTreeMap<Key, Run>,
}

impl<'a> Data<'a> {
    pub(super) fn new(flows: &'a Flows, names: &'a Names<'a>) -> Self {
        Self { flows, names, phases: BTreeMap::new(), runs: BTreeMap::new() }
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
        let phase = self.phases.entry((flow, flight.link.clone())).or_default();
        let silence = phase.last_ns.map(|last| flight.t_ns() - last).filter(|gap| *gap >= SILENCE_NS);
        if silence.is_some() {
            phase.number += 1;
            phase.silence_ns = silence;
        }
        phase.last_ns = Some(flight.t_ns());
        let fate = self.names.fate(&flight.fate);
        // Nobody counts acknowledgments; one that never arrives may be the point of a scenario, unless only the end cut
        // it short.
        let is_claim = is_claim && (is_data || !matches!(flight.fate, Fate::Arrived | Fate::InFlight));
        let (number, gap_ns) = (phase.number, phase.silence_ns);
        let key = Key { flow, link: flight.link.clone(), phase: number, to_server, is_data, fate, is_claim };
        let run = self.runs.entry(key).or_insert_with(|| Run {
            first: index,
            t_ns: flight.t_ns(),
            at: at(flight),
            bytes: 0,
            gap_ns,
            evidence: Vec::new(),
        });
        run.bytes += if flight.retransmission == 0 && !is_copy(flight) { u64::from(bytes) } else { 0 };
        run.evidence.extend(sightings(flight));
    }

    /// Something happened on this flow that is no data: what follows is another run.
    pub(super) fn interrupt(&mut self, flight: &Flight, flow: usize) {
        let phase = self.phases.entry((flow, flight.link.clone())).or_default();
        phase.number += 1;
        phase.last_ns = Some(flight.t_ns());
        phase.silence_ns = None;
    }

    /// One event for each run, with the index of its first packet.
    pub(super) fn events(self) -> Vec<(usize, Event)> {
        let Self { flows, runs, .. } = self;
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
            let text = format!("{what} {direction} {}{size}{}", flow.label, key.fate);
            let wait = run.gap_ns.filter(|_| key.is_data).map(|gap_ns| Wait { gap_ns, timer: None });
            let (t_ns, at, is_claim, evidence) = (run.t_ns, run.at, key.is_claim, run.evidence);
            (run.first, Event { t_ns, at, kind: EventKind::Packet, text, wait, is_claim, evidence })
        };
        runs.into_iter().map(event).collect()
    }
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
