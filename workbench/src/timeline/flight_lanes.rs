//! The directions of a plan's links: how long a packet takes on one, and which sighting at its far end is which packet.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{Direction, Packet};
use crate::plan::Distribution;
use crate::plan::{LinkEnd, LinkPlan, Netem, Plan};

/// Bytes of an Ethernet header. What stands behind it does not change on a link: TTL and checksums change in routers.
const ETHERNET_BYTES: usize = 14;
/// How much later than declared a packet may arrive: softirqs and a wire's relay run when the machine lets them.
const LATENESS_NS: i64 = 5_000_000;
/// netem's tables for jitter hold 16-bit values with 8192 for one jitter (NETEM_DIST_SCALE in pkt_sched.h).
const TABLE_REACH: i64 = 4;

/// One direction of a link.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    /// The link.
    pub link: &'a LinkPlan,
    /// The end that sends.
    pub from: &'a LinkEnd,
    /// The end that receives.
    pub to: &'a LinkEnd,
}

/// Both directions of every link of a plan.
pub(super) fn lanes(plan: &Plan) -> Vec<Lane<'_>> {
    plan.links.iter().flat_map(both_directions).collect()
}

fn both_directions(link: &LinkPlan) -> [Lane<'_>; 2] {
    let [a, b] = &link.ends;
    [Lane { link, from: a, to: b }, Lane { link, from: b, to: a }]
}

/// The sending and the arrival of one packet, as indices into the evidence's packets; at least one of them is there.
pub(super) type Pair = (Option<usize>, Option<usize>);

/// Sightings of identical packets at the two ends, in the order of their captures.
#[derive(Default)]
struct Alike {
    sent: Vec<usize>,
    arrived: Vec<usize>,
}

impl Lane<'_> {
    fn netem(&self) -> Option<&Netem> {
        self.from.netem.as_ref().map(|n| &n.netem)
    }

    /// How long a packet takes at least. Stamps are read off CLOCK_REALTIME, which NTP slews by up to 500 ppm.
    fn shortest_ns(&self) -> i64 {
        let netem_ns = self.netem().map_or(0, |netem| {
            let overtakes = netem.reorder.is_some() || netem.gap.is_some();
            let is_flat = matches!(netem.distribution, None | Some(Distribution::Uniform));
            let (delay_ns, jitter_ns) = (ns(netem.delay_ns), ns(netem.jitter_ns));
            let reach_ns = if is_flat { jitter_ns } else { jitter_ns.saturating_mul(TABLE_REACH) };
            if overtakes { 0 } else { delay_ns.saturating_sub(reach_ns).max(0) }
        });
        let declared_ns = ns(Some(self.link.delay_ns)).saturating_add(netem_ns);
        declared_ns - declared_ns / 1000
    }

    /// How long a packet takes at most once the bytes before it and its own are through.
    pub(super) fn longest_ns(&self) -> i64 {
        let netem_ns = self.netem().map_or(0, |netem| {
            let slot_ns = ns(netem.slot.map(|s| s.max_delay_ns));
            let jitter_ns = ns(netem.jitter_ns).saturating_mul(TABLE_REACH);
            ns(netem.delay_ns).saturating_add(jitter_ns).saturating_add(slot_ns)
        });
        let declared_ns = ns(Some(self.link.delay_ns)).saturating_add(netem_ns);
        declared_ns.saturating_add(declared_ns / 1000).saturating_add(LATENESS_NS)
    }

    /// How long a packet's bytes keep a wire with a rate busy.
    pub(super) fn serialisation_ns(&self, wire_len: u32) -> i64 {
        let Some(rate) = self.netem().and_then(|n| n.rate) else { return 0 };
        let bits = (i128::from(wire_len) + i128::from(rate.packet_overhead_bytes)).max(0) * 8;
        i64::try_from(bits * 1_000_000_000 / i128::from(rate.bits_per_s.max(1))).unwrap_or(i64::MAX)
    }

    /// Pairs the sending end's sightings with the receiving end's.
    pub(super) fn pairs(&self, packets: &[Packet]) -> Vec<Pair> {
        let mut groups: BTreeMap<(u32, &[u8]), Alike> = BTreeMap::new();
        for (index, packet) in packets.iter().enumerate() {
            let looks = (packet.wire_len, packet.bytes.get(ETHERNET_BYTES..).unwrap_or_default());
            if is_at(self.from, packet) && packet.direction == Direction::Sent {
                groups.entry(looks).or_default().sent.push(index);
            } else if is_at(self.to, packet) && packet.direction == Direction::Received {
                groups.entry(looks).or_default().arrived.push(index);
            }
        }
        let mut pairs: Vec<_> = groups.values().flat_map(|alike| self.pair_alike(packets, alike)).collect();
        if self.netem().is_some_and(|n| n.corrupt.is_some()) {
            pair_corrupted(packets, &mut pairs);
        }
        pairs
    }

    /// Pairs identical packets, k-th with k-th, none before it could be there.
    ///
    /// With fewer arrivals than sendings some are lost, and each arrival belongs to the last sending that it can
    /// belong to: identical packets are repeats, and a repeat comes after the wait for what was lost. With more
    /// arrivals netem has made copies, and they follow their original.
    fn pair_alike(&self, packets: &[Packet], Alike { sent, arrived }: &Alike) -> Vec<Pair> {
        let fits = |s: usize, a: usize| packets[s].t_ns.saturating_add(self.shortest_ns()) <= packets[a].t_ns;
        let mut matched: BTreeMap<usize, usize> = BTreeMap::new();
        if arrived.len() >= sent.len() {
            let mut waiting = sent.iter().peekable();
            for &a in arrived {
                matched.extend(waiting.next_if(|&&s| fits(s, a)).map(|&s| (a, s)));
            }
        } else {
            let mut waiting = sent.iter().rev();
            for &a in arrived.iter().rev() {
                matched.extend(waiting.find(|&&s| fits(s, a)).map(|&s| (a, s)));
            }
        }
        let arrivals = arrived.iter().map(|a| (matched.get(a).copied(), Some(*a)));
        let seen: BTreeSet<usize> = matched.values().copied().collect();
        let unseen = sent.iter().filter(|s| !seen.contains(s)).map(|s| (Some(*s), None));
        arrivals.chain(unseen).collect()
    }
}

/// Pairs what is left where netem flips bits: same length, one bit differs.
fn pair_corrupted(packets: &[Packet], pairs: &mut Vec<Pair>) {
    let (whole, halves): (Vec<Pair>, Vec<Pair>) = pairs.iter().partition(|(s, a)| s.is_some() && a.is_some());
    let mut sent: Vec<usize> = halves.iter().filter_map(|(s, _)| *s).collect();
    sent.sort_by_key(|&index| packets[index].seq);
    *pairs = whole;
    for arrived in halves.iter().filter_map(|(_, a)| *a) {
        let differs_by_a_bit = |&s: &usize| {
            let (from, to) = (&packets[s], &packets[arrived]);
            let bits = from.bytes.iter().zip(&to.bytes).skip(ETHERNET_BYTES).map(|(x, y)| (x ^ y).count_ones());
            from.wire_len == to.wire_len && from.t_ns <= to.t_ns && bits.sum::<u32>() == 1
        };
        let position = sent.iter().position(differs_by_a_bit);
        pairs.push((position.map(|p| sent.remove(p)), Some(arrived)));
    }
    pairs.extend(sent.into_iter().map(|s| (Some(s), None)));
}

fn is_at(end: &LinkEnd, packet: &Packet) -> bool {
    packet.host == end.host && packet.interface == end.interface
}

fn ns(declared: Option<u64>) -> i64 {
    i64::try_from(declared.unwrap_or(0)).unwrap_or(i64::MAX)
}
