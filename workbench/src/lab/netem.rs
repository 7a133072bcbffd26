//! netem's parameters as the bytes of TCA_OPTIONS: a pure function, compared with what tc(8) sends.
//!
//! Layout and attribute numbers are those of include/uapi/linux/pkt_sched.h; what the kernel makes of them is in
//! net/sched/sch_netem.c, `netem_change`.

use super::netem_tables;
use crate::plan::Netem;
use crate::scenario::{Chance, Distribution, LossModel, Rate, Slot};

/// Attributes of `TCA_NETEM_*` after the fixed part.
const CORR: u16 = 1;
const DELAY_DIST: u16 = 2;
const REORDER: u16 = 3;
const CORRUPT: u16 = 4;
const LOSS: u16 = 5;
const RATE: u16 = 6;
const ECN: u16 = 7;
const RATE64: u16 = 8;
const LATENCY64: u16 = 10;
const JITTER64: u16 = 11;
const SLOT: u16 = 12;
const SLOT_DIST: u16 = 13;
const PRNG_SEED: u16 = 14;

/// Attributes within [`LOSS`]: `NETEM_LOSS_GI` (4 states) and `NETEM_LOSS_GE`.
const LOSS_GI: u16 = 1;
const LOSS_GE: u16 = 2;

/// The type of a nested attribute carries this bit (NLA_F_NESTED, netlink(7)).
const NESTED: u16 = 0x8000;

/// Packets that may wait, if the scenario does not say: tc's default.
const DEFAULT_LIMIT_PACKETS: u32 = 1000;

/// One tick of the packet scheduler's clock: `PSCHED_SHIFT` is 6 (include/net/pkt_sched.h).
const TICK_NS: u64 = 64;

/// The bytes of TCA_OPTIONS, in the machine's byte order as netlink wants it.
pub(super) fn encode(netem: &Netem) -> Vec<u8> {
    let delay_ns = netem.delay_ns.unwrap_or(0);
    let jitter_ns = netem.jitter_ns.unwrap_or(0);
    let (loss, loss_correlation) = match netem.loss {
        Some(LossModel::Random { probability, correlation }) => (probability, correlation),
        _ => (0.0, 0.0),
    };
    let duplicate = netem.duplicate.unwrap_or_default();

    let mut bytes = Vec::new();
    for word in [
        ticks(delay_ns),
        netem.limit_packets.unwrap_or(DEFAULT_LIMIT_PACKETS),
        fraction(loss),
        gap(netem),
        fraction(duplicate.probability),
        ticks(jitter_ns),
    ] {
        bytes.extend(word.to_ne_bytes());
    }
    let correlations = [netem.delay_correlation.unwrap_or(0.0), loss_correlation, duplicate.correlation];
    if correlations.iter().any(|&correlation| correlation > 0.0) {
        attribute(&mut bytes, CORR, &correlations.map(fraction).map(u32::to_ne_bytes).concat());
    }
    push_chances(&mut bytes, netem);
    push_loss_model(&mut bytes, netem.loss);
    if let Some(rate) = netem.rate {
        push_rate(&mut bytes, rate);
    }
    let slots = netem.slot.and_then(|slot| slot.distribution).map(|slots| slots.shape);
    for (kind, shape) in [(DELAY_DIST, netem.distribution), (SLOT_DIST, slots)] {
        if let Some(table) = shape.and_then(table) {
            attribute(&mut bytes, kind, &table.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>());
        }
    }
    // Ticks are 64 ns and end at 274 s; these replace them (kernel 4.15).
    attribute(&mut bytes, LATENCY64, &delay_ns.to_ne_bytes());
    attribute(&mut bytes, JITTER64, &jitter_ns.to_ne_bytes());
    if let Some(seed) = netem.seed {
        attribute(&mut bytes, PRNG_SEED, &seed.to_ne_bytes());
    }
    bytes
}

/// As [`encode`], for a netem that may be there already: what `netem_change` leaves as it was unless it is told is told.
/// A table of a distribution alone cannot be taken back.
pub(super) fn encode_change(netem: &Netem) -> Vec<u8> {
    let mut bytes = encode(netem);
    let correlations =
        [netem.delay_correlation, netem.duplicate.map(|chance| chance.correlation), loss_correlation(netem)];
    if correlations.iter().all(|correlation| correlation.unwrap_or(0.0) <= 0.0) {
        attribute(&mut bytes, CORR, &[0; 12]);
    }
    if netem.corrupt.is_none() {
        attribute(&mut bytes, CORRUPT, &[0; 8]);
    }
    if !netem.ecn {
        attribute(&mut bytes, ECN, &[0; 4]);
    }
    if netem.rate.is_none() {
        attribute(&mut bytes, RATE, &[0; 16]);
    }
    if netem.slot.is_none() {
        attribute(&mut bytes, SLOT, &[0; 40]);
    }
    bytes
}

fn loss_correlation(netem: &Netem) -> Option<f64> {
    match netem.loss {
        Some(LossModel::Random { correlation, .. }) => Some(correlation),
        _ => None,
    }
}

/// Reordering sends every gap-th packet at once, if the dice say so; without a gap, each is asked (tc's default of 1).
fn gap(netem: &Netem) -> u32 {
    netem.gap.unwrap_or(u32::from(netem.reorder.is_some()))
}

/// `struct tc_netem_reorder`, `struct tc_netem_corrupt`, `struct tc_netem_slot` and the ECN flag, in tc's order.
fn push_chances(bytes: &mut Vec<u8>, netem: &Netem) {
    let pair = |chance: Chance| [chance.probability, chance.correlation].map(fraction).map(u32::to_ne_bytes).concat();
    if let Some(reorder) = netem.reorder {
        attribute(bytes, REORDER, &pair(reorder));
    }
    if netem.ecn {
        attribute(bytes, ECN, &1u32.to_ne_bytes());
    }
    if let Some(corrupt) = netem.corrupt {
        attribute(bytes, CORRUPT, &pair(corrupt));
    }
    if let Some(slot) = netem.slot {
        push_slot(bytes, slot);
    }
}

/// `struct tc_netem_slot`; with a distribution its last two members count in place of the first two.
fn push_slot(bytes: &mut Vec<u8>, slot: Slot) {
    let mut value = [slot.min_delay_ns, slot.max_delay_ns].map(u64::to_ne_bytes).concat();
    value.extend([slot.packets, slot.bytes].map(u32::to_ne_bytes).concat());
    let (delay_ns, jitter_ns) = slot.distribution.map_or((0, 0), |slots| (slots.delay_ns, slots.jitter_ns));
    value.extend([delay_ns, jitter_ns].map(u64::to_ne_bytes).concat());
    attribute(bytes, SLOT, &value);
}

/// `struct tc_netem_gimodel` or `struct tc_netem_gemodel`.
fn push_loss_model(bytes: &mut Vec<u8>, loss: Option<LossModel>) {
    let (kind, words) = match loss {
        None | Some(LossModel::Random { .. }) => return,
        Some(LossModel::State { p13, p31, p32, p23, p14 }) => {
            (LOSS_GI, [p13, p31, p32, p14, p23].map(fraction).to_vec())
        }
        Some(LossModel::GilbertElliott { p, r, one_minus_h, one_minus_k }) => {
            let h = u32::MAX - fraction(one_minus_h);
            (LOSS_GE, vec![fraction(p), fraction(r), h, fraction(one_minus_k)])
        }
    };
    let mut model = Vec::new();
    attribute(&mut model, kind, &words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>());
    attribute(bytes, LOSS | NESTED, &model);
}

/// `struct tc_netem_rate`, whose bytes in a second are 32 bits wide, with a second attribute where they do not do.
fn push_rate(bytes: &mut Vec<u8>, rate: Rate) {
    let bytes_per_s = rate.bits_per_s / 8;
    let narrow = u32::try_from(bytes_per_s).unwrap_or(u32::MAX);
    if u64::from(narrow) != bytes_per_s {
        attribute(bytes, RATE64, &bytes_per_s.to_ne_bytes());
    }
    let mut value = narrow.to_ne_bytes().to_vec();
    value.extend(rate.packet_overhead_bytes.to_ne_bytes());
    value.extend(rate.cell_size_bytes.to_ne_bytes());
    value.extend(rate.cell_overhead_bytes.to_ne_bytes());
    attribute(bytes, RATE, &value);
}

fn table(distribution: Distribution) -> Option<Vec<i16>> {
    match distribution {
        Distribution::Uniform => None,
        Distribution::Normal => Some(netem_tables::normal()),
        Distribution::Pareto => Some(netem_tables::pareto()),
        Distribution::ParetoNormal => Some(netem_tables::pareto_normal()),
    }
}

/// 0.0 to 1.0 as a part of 2^32 - 1, rounded as tc does.
fn fraction(value: f64) -> u32 {
    (value * f64::from(u32::MAX)).round_ties_even() as u32
}

/// Nanoseconds in the scheduler's ticks, as many as fit.
fn ticks(ns: u64) -> u32 {
    u32::try_from(ns / TICK_NS).unwrap_or(u32::MAX)
}

/// Appends an attribute (`struct nlattr`, netlink(7)); the length counts the header, not the padding.
fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
