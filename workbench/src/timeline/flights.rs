//! Evidence to flights: pairs what both ends of every link saw, decodes it, and decides where each packet ended.
//!
//! A packet that an output rule took is in no capture and is not here. Nothing here reads a clock or a file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::decode::decode;
use super::flight::{Content, Fate, Flight, TcpSegment};
use super::flight_lanes::{Lane, lanes};
use super::flight_order::by_cause;
use super::flight_rules::decide_takings;
use crate::evidence::Evidence;

/// A flight in the making, and what decides its fate.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The flight; `Arrived` if an arrival was seen, else `Lost`, until it is known better.
    pub flight: Flight,
    /// The direction of a link it took; `None` on `lo`.
    pub lane: Option<&'a Lane<'a>>,
    /// The same bytes of the stream were sent again later by the same host.
    pub is_repeated_later: bool,
}

/// All packets of a run, each from the end it left to where it ended, in the order they left.
///
/// Packets with equal stamps, of which virtual time has many, are ordered by cause: a packet that a host sent after
/// another one had arrived there comes after it.
pub fn flights(evidence: &Evidence) -> Vec<Flight> {
    let lanes = lanes(&evidence.plan);
    let mut drafts = drafts(evidence, &lanes);
    by_cause(evidence, &mut drafts);
    count_retransmissions(&mut drafts);
    decide_takings(evidence, &mut drafts);
    let horizon_ns = evidence.packets.iter().map(|p| p.t_ns).fold(evidence.end.t_ns, i64::max);
    decide_losses(&mut drafts, horizon_ns);
    drafts.into_iter().map(|d| d.flight).collect()
}

/// Flights with what can be said from one packet and its pair.
fn drafts<'a>(evidence: &Evidence, lanes: &'a [Lane<'a>]) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    let mut is_on_a_link = vec![false; evidence.packets.len()];
    for lane in lanes {
        for (sent, arrived) in lane.pairs(&evidence.packets) {
            [sent, arrived].into_iter().flatten().for_each(|index| is_on_a_link[index] = true);
            drafts.extend(draft(evidence, Some(lane), sent, arrived));
        }
    }
    // `lo`, of which only the arrivals are kept.
    for index in (0..evidence.packets.len()).filter(|&index| !is_on_a_link[index]) {
        drafts.extend(draft(evidence, None, None, Some(index)));
    }
    drafts
}

/// `None` if there is no packet.
fn draft<'a>(
    evidence: &Evidence,
    lane: Option<&'a Lane<'a>>,
    sent: Option<usize>,
    arrived: Option<usize>,
) -> Option<Draft<'a>> {
    let packet = &evidence.packets[sent.or(arrived)?];
    let decoded = decode(&packet.bytes);
    let (from, to, link) = match lane {
        Some(lane) => (&lane.from.host, &lane.to.host, &lane.link.name),
        None => (&packet.host, &packet.host, &packet.interface),
    };
    let flight = Flight {
        from: from.clone(),
        to: to.clone(),
        link: link.clone(),
        sent_ns: sent.map(|index| evidence.packets[index].t_ns),
        arrived_ns: arrived.map(|index| evidence.packets[index].t_ns),
        fate: if arrived.is_some() { Fate::Arrived } else { Fate::Lost },
        addresses: decoded.addresses,
        content: decoded.content,
        wire_len: packet.wire_len,
        retransmission: 0,
        sent_index: sent,
        arrived_index: arrived,
    };
    Some(Draft { flight, lane, is_repeated_later: false })
}

/// Bytes of the sequence space that a segment takes: its payload, and one each for SYN and FIN (RFC 9293, 3.4).
fn sequence_len(segment: &TcpSegment) -> u32 {
    segment.payload_len + u32::from(segment.flags & 0x02 != 0) + u32::from(segment.flags & 0x01 != 0)
}

/// Numbers the sendings of one stretch of a TCP stream by one host: 0 is the first.
///
/// A stretch is known by where it starts: a retransmission may carry more than the segment it repeats (the kernel
/// merges small ones, tcp_retrans_try_collapse), or less. A copy that netem made is not a sending.
fn count_retransmissions(drafts: &mut [Draft<'_>]) {
    type Stretch = (String, (IpAddr, IpAddr), (u16, u16), u32);
    let mut sendings: BTreeMap<Stretch, Vec<usize>> = BTreeMap::new();
    for (index, Draft { flight, lane, .. }) in drafts.iter_mut().enumerate() {
        let (Content::Tcp(segment), Some(addresses)) = (&flight.content, flight.addresses) else { continue };
        if sequence_len(segment) == 0 {
            continue;
        }
        let stretch = (flight.from.clone(), addresses, (segment.sport, segment.dport), segment.seq);
        let earlier = sendings.entry(stretch).or_default();
        let is_copy = lane.is_some() && flight.sent_index.is_none();
        flight.retransmission = earlier.len().saturating_sub(usize::from(is_copy)) as u32;
        if !is_copy {
            earlier.push(index);
        }
    }
    for earlier in sendings.values() {
        let Some((_last, repeated)) = earlier.split_last() else { continue };
        repeated.iter().for_each(|&index| drafts[index].is_repeated_later = true);
    }
}

/// Tells what was lost from what the end of the run, the later of the command's end and the last packet, cut short.
fn decide_losses(drafts: &mut [Draft<'_>], horizon_ns: i64) {
    let mut busy_until_ns: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for Draft { flight, lane, .. } in drafts {
        let (Some(lane), Some(sent_ns)) = (*lane, flight.sent_ns) else { continue };
        let busy_until_ns = busy_until_ns.entry((&lane.link.name, &lane.from.host)).or_insert(i64::MIN);
        *busy_until_ns = sent_ns.max(*busy_until_ns).saturating_add(lane.serialisation_ns(flight.wire_len));
        let had_time = busy_until_ns.saturating_add(lane.longest_ns()) <= horizon_ns;
        if flight.fate == Fate::Lost && !had_time && !lane.link.is_cut {
            flight.fate = Fate::InFlight;
        }
    }
}
