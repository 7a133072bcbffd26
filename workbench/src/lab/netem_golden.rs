//! netem's encoding against what tc(8) sends, byte for byte.
//!
//! The vectors are the value of TCA_OPTIONS in the requests of tc 6.1 on x86-64, taken with
//! `strace -e trace=sendmsg -xx tc qdisc add dev x root netem ...`; tc sends them whether the kernel has netem or not.

use std::collections::BTreeMap;

use super::netem::encode;
use crate::plan::Netem;
use crate::scenario::{Chance, Distribution, LossModel, Rate, Slot};

const MS: u64 = 1_000_000;

/// The fixed part, and the attributes by type.
type Decoded = (Vec<u8>, BTreeMap<u16, Vec<u8>>);

fn decode(bytes: &[u8]) -> Decoded {
    let (fixed, mut rest) = bytes.split_at(24);
    let mut attributes = BTreeMap::new();
    while let [l0, l1, k0, k1, ..] = *rest {
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        attributes.insert(u16::from_le_bytes([k0, k1]), rest[4..length].to_vec());
        rest = &rest[length.next_multiple_of(4)..];
    }
    (fixed.to_vec(), attributes)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// What we send, without the 64-bit attributes, which tc 6.1 leaves out.
fn ours(netem: &Netem) -> Decoded {
    let (fixed, mut attributes) = decode(&encode(netem));
    for kind in [10, 11] {
        assert_eq!(attributes.remove(&kind).expect("a 64-bit attribute").len(), 8);
    }
    (fixed, attributes)
}

/// What tc sends. Correlations that are all zero say nothing, and tc sends them now and then.
fn theirs(golden: &str) -> Decoded {
    let (fixed, mut attributes) = decode(&hex(golden));
    attributes.retain(|&kind, value| kind != 1 || value.iter().any(|&byte| byte != 0));
    (fixed, attributes)
}

fn check(netem: Netem, tc: &str, golden: &str) {
    assert_eq!(ours(&netem), theirs(golden), "tc qdisc add dev x root netem {tc}");
}

fn chance(probability: f64, correlation: f64) -> Option<Chance> {
    Some(Chance { probability, correlation })
}

fn rate(bits_per_s: u64, packet_overhead_bytes: i32, cell_size_bytes: u32, cell_overhead_bytes: i32) -> Netem {
    let rate = Rate { bits_per_s, packet_overhead_bytes, cell_size_bytes, cell_overhead_bytes };
    Netem { rate: Some(rate), ..Netem::default() }
}

#[test]
fn delays_are_encoded_as_tc_does() {
    let delay = |ns| Netem { delay_ns: Some(ns), ..Netem::default() };
    check(delay(100 * MS), "delay 100ms", "84d71700e803000000000000000000000000000000000000");
    check(delay(MS / 10), "delay 100us", "1a060000e803000000000000000000000000000000000000");
    let jitter = Netem { jitter_ns: Some(10 * MS), delay_correlation: Some(0.25), ..delay(100 * MS) };
    let golden = "84d71700e80300000000000000000000000000005a62020010000100000000400000000000000000";
    check(jitter, "delay 100ms 10ms 25%", golden);
    let limit = Netem { limit_packets: Some(17), ..Netem::default() };
    check(limit, "limit 17", "000000001100000000000000000000000000000000000000");
}

#[test]
fn loss_models_are_encoded_as_tc_does() {
    let loss = |loss| Netem { loss: Some(loss), ..Netem::default() };
    let random = |probability, correlation| loss(LossModel::Random { probability, correlation });
    let golden = "00000000e8030000cccccc4c00000000000000000000000010000100000000009a99991900000000";
    check(random(0.3, 0.1), "loss 30% 10%", golden);
    check(random(0.003, 0.0), "loss random 0.3%", "00000000e8030000a69bc400000000000000000000000000");
    let golden = "00000000e8030000cdcccc0c0000000000000000000000000800070001000000";
    check(Netem { ecn: true, ..random(0.05, 0.0) }, "loss 5% ecn", golden);
    let state = loss(LossModel::State { p13: 0.01, p31: 0.02, p32: 0.03, p23: 0.04, p14: 0.05 });
    let golden =
        "00000000e8030000000000000000000000000000000000001c00058018000100295c8f0252b81e057b14ae07cdcccc0ca4703d0a";
    check(state, "loss state 1% 2% 3% 4% 5%", golden);
    let gemodel = loss(LossModel::GilbertElliott { p: 0.01, r: 0.1, one_minus_h: 0.7, one_minus_k: 0.001 });
    let golden = "00000000e8030000000000000000000000000000000000001800058014000200295c8f029a999919cdcccc4c37894100";
    check(gemodel, "loss gemodel 1% 10% 70% 0.1%", golden);
}

#[test]
fn duplication_reordering_and_corruption_are_encoded_as_tc_does() {
    let duplicate = Netem { duplicate: chance(0.01, 0.0), ..Netem::default() };
    check(duplicate, "duplicate 1%", "00000000e80300000000000000000000295c8f0200000000");
    let reorder = Netem { delay_ns: Some(10 * MS), reorder: chance(0.25, 0.5), ..Netem::default() };
    let golden =
        "5a620200e803000000000000010000000000000000000000100001000000000000000000000000000c0003000000004000000080";
    check(reorder.clone(), "delay 10ms reorder 25% 50%", golden);
    let golden =
        "5a620200e803000000000000050000000000000000000000100001000000000000000000000000000c0003000000004000000080";
    check(Netem { gap: Some(5), ..reorder }, "delay 10ms reorder 25% 50% gap 5", golden);
    let corrupt = Netem { corrupt: chance(0.001, 0.05), ..Netem::default() };
    let golden =
        "00000000e803000000000000000000000000000000000000100001000000000000000000000000000c00040037894100cdcccc0c";
    check(corrupt, "corrupt 0.1% 5%", golden);
}

#[test]
fn rates_are_encoded_as_tc_does_also_above_32_bits() {
    let golden = "00000000e8030000000000000000000000000000000000001400060048e80100000000000000000000000000";
    check(rate(1_000_000, 0, 0, 0), "rate 1mbit", golden);
    let golden = "00000000e8030000000000000000000000000000000000001400060048e80100140000006400000005000000";
    check(rate(1_000_000, 20, 100, 5), "rate 1mbit 20 100 5", golden);
    let golden = "00000000e8030000000000000000000000000000000000001400060048e80100f2ffffff0000000000000000";
    check(rate(1_000_000, -14, 0, 0), "rate 1mbit -14", golden);
    let golden = "00000000e8030000000000000000000000000000000000000c00080000f2052a0100000014000600ffffffff000000000000000000000000";
    check(rate(40_000_000_000, 0, 0, 0), "rate 40gbit", golden);
}

#[test]
fn slots_are_encoded_as_tc_does() {
    let slot = Slot { min_delay_ns: 800_000, max_delay_ns: MS, packets: 32, bytes: 64_000, distribution: None };
    let golden = "00000000e8030000000000000000000000000000000000002c000c0000350c000000000040420f00000000002000000000fa000000000000000000000000000000000000";
    check(Netem { slot: Some(slot), ..Netem::default() }, "slot 800us 1000us packets 32 bytes 64000", golden);
}

#[test]
fn everything_at_once_is_encoded_as_tc_does() {
    let netem = Netem {
        limit_packets: Some(100),
        jitter_ns: Some(10 * MS),
        delay_correlation: Some(0.25),
        loss: Some(LossModel::Random { probability: 0.3, correlation: 0.1 }),
        duplicate: chance(0.01, 0.5),
        reorder: chance(0.25, 0.5),
        corrupt: chance(0.001, 0.05),
        slot: Some(Slot { min_delay_ns: MS, max_delay_ns: 2 * MS, packets: 0, bytes: 0, distribution: None }),
        delay_ns: Some(100 * MS),
        ..rate(1_000_000, 0, 0, 0)
    };
    let tc = "delay 100ms 10ms 25% loss 30% 10% duplicate 1% 50% reorder 25% 50% corrupt 0.1% 5% rate 1mbit slot 1ms 2ms \
              limit 100";
    let golden = "84d7170064000000cccccc4c01000000295c8f025a62020010000100000000409a999919000000800c00030000000040000000800c00040037894100cdcccc0c2c000c0040420f000000000080841e00000000000000000000000000000000000000000000000000000000001400060048e80100000000000000000000000000";
    check(netem, tc, golden);
}

#[test]
fn jitter_distributions_begin_as_those_that_tc_sends() {
    let begins = [
        (Distribution::Normal, "00806d910997919a2e9d439f00a17fa2"),
        (Distribution::Pareto, "abeaaceaaceaadeaaeeaafeab0eab1ea"),
        (Distribution::ParetoNormal, "efcf5dd4c4d5a6d64ed7d4d744d8a5d8"),
    ];
    for (distribution, golden) in begins {
        let netem = Netem {
            delay_ns: Some(100 * MS),
            jitter_ns: Some(20 * MS),
            distribution: Some(distribution),
            ..Netem::default()
        };
        let (fixed, attributes) = ours(&netem);
        assert_eq!(fixed, hex("84d71700e8030000000000000000000000000000b4c40400"));
        let table = &attributes[&2];
        assert_eq!((table.len(), &table[..16]), (8192, hex(golden).as_slice()), "{distribution:?}");
    }
}

#[test]
fn a_duplicates_correlation_is_sent_although_tc_forgets_it() {
    // tc 6.1 parses `duplicate 1% 50%` and sends no TCA_NETEM_CORR unless something else needs it.
    let netem = Netem { duplicate: chance(0.01, 0.5), ..Netem::default() };
    assert_eq!(ours(&netem).1[&1], hex("000000000000000000000080"));
}

#[test]
fn times_are_exact_to_the_nanosecond_and_may_exceed_the_tick_counter() {
    let netem = Netem { delay_ns: Some(300_000 * MS + 1), jitter_ns: Some(63), ..Netem::default() };
    let (fixed, attributes) = decode(&encode(&netem));
    assert_eq!((&fixed[..4], &fixed[20..]), ([0xff; 4].as_slice(), [0; 4].as_slice()));
    assert_eq!(attributes[&10], (300_000 * MS + 1).to_le_bytes());
    assert_eq!(attributes[&11], 63u64.to_le_bytes());
}

#[test]
fn a_seed_is_attribute_14() {
    let netem = Netem { seed: Some(0x0102_0304_0506_0708), ..Netem::default() };
    assert_eq!(ours(&netem).1[&14], hex("0807060504030201"));
}
