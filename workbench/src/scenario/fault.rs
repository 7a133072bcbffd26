//! The faults a scenario can declare, as plain values: packet rules (`drop`, `reject`) and `netem`.
//!
//! These types carry no spans and decide nothing; they are what is left of a node once every value in it has been
//! checked, and the plan carries them on unchanged. Encoding them for the kernel is `lab`'s job.

use serde::{Deserialize, Serialize};

/// A layer-4 protocol that a rule can match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 792.
    Icmp,
    /// RFC 4443.
    Icmpv6,
    /// Every IP packet (ARP is not IP and is never matched).
    Any,
}

/// An inclusive range of ports; one port is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// First port, included.
    pub first: u16,
    /// Last port, included.
    pub last: u16,
}

/// TCP flags that must be set and flags that must be clear; what is in neither is not looked at.
///
/// Bits as in the TCP header (RFC 9293, 3.1): FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpFlagsMatch {
    /// Bits that must be one.
    pub set: u8,
    /// Bits that must be zero.
    pub clear: u8,
}

/// Which of the matching packets a rule acts on. Counting starts at 1 with the first packet that matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Every matching packet.
    #[default]
    All,
    /// The first `n` matching packets.
    First(u32),
    /// All but the first `n` matching packets.
    After(u32),
    /// Every `n`-th matching packet: the n-th, the 2n-th and so on.
    Every(u32),
    /// All matching packets once more than `bytes` bytes have matched (nft `quota over`).
    AfterBytes(u64),
    /// Each with this probability, drawn by the kernel (nft `numgen random`); 0.0 to 1.0.
    Chance(f64),
}

/// What a packet must look like for a rule to apply. `None` is "whatever".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMatch {
    /// Protocol.
    pub protocol: Protocol,
    /// Source port (TCP and UDP only).
    pub sport: Option<PortRange>,
    /// Destination port (TCP and UDP only).
    pub dport: Option<PortRange>,
    /// TCP flags (TCP only).
    pub flags: Option<TcpFlagsMatch>,
    /// Source: a host's name or an address, with optional prefix length. Resolved to addresses in the plan.
    pub from: Option<String>,
    /// Destination: as `from`.
    pub to: Option<String>,
    /// Which of the packets that match.
    pub which: Which,
}

/// How a `reject` rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectWith {
    /// A TCP segment with RST (TCP only).
    TcpReset,
    /// ICMP type 3 code 0; ICMPv6 type 1 code 0.
    NetUnreachable,
    /// ICMP type 3 code 1; ICMPv6 type 1 code 3.
    HostUnreachable,
    /// ICMP type 3 code 2; no such ICMPv6 code, so IPv4 only.
    ProtocolUnreachable,
    /// ICMP type 3 code 3; ICMPv6 type 1 code 4.
    PortUnreachable,
    /// ICMP type 3 code 9; IPv4 only.
    NetProhibited,
    /// ICMP type 3 code 10; IPv4 only.
    HostProhibited,
    /// ICMP type 3 code 13; ICMPv6 type 1 code 1.
    AdminProhibited,
}

/// What a rule does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// The packet is gone; nobody is told.
    Drop,
    /// The packet is gone; its sender gets this answer.
    Reject(RejectWith),
}

/// The netfilter hook of a rule in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Packets for this host. The default in a `namespace`.
    Input,
    /// Packets this host passes on. The default in a `router`.
    Forward,
    /// Packets this host sends: they never reach the wire, and no capture sees them.
    Output,
}

/// netem's loss models (tc-netem(8), LOSS).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossModel {
    /// Independent losses with optional correlation; fractions 0.0 to 1.0.
    Random {
        /// Probability of a loss.
        probability: f64,
        /// Correlation with the previous draw.
        correlation: f64,
    },
    /// The 4-state Markov model `p13 [p31 [p32 [p23 [p14]]]]`.
    State {
        /// Good to lost in a burst.
        p13: f64,
        /// Back from a lost burst.
        p31: f64,
        /// Good within a burst.
        p32: f64,
        /// From good within a burst back to it.
        p23: f64,
        /// An isolated loss.
        p14: f64,
    },
    /// The Gilbert-Elliott model `p [r [1-h [1-k]]]`.
    GilbertElliott {
        /// Good to bad.
        p: f64,
        /// Bad to good.
        r: f64,
        /// Loss probability in the bad state (1-h).
        one_minus_h: f64,
        /// Loss probability in the good state (1-k).
        one_minus_k: f64,
    },
}

/// The shape of netem's jitter (tc-netem(8), DELAY).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Flat between delay - jitter and delay + jitter; the kernel's default, no table is sent.
    Uniform,
    /// Gaussian.
    Normal,
    /// Pareto.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
}

/// Gaps between slots drawn from a distribution instead of evenly between two limits (tc-netem(8), SLOT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDistribution {
    /// Shape.
    pub shape: Distribution,
    /// Mean gap.
    pub delay_ns: u64,
    /// Variation of the gap.
    pub jitter_ns: u64,
}

/// netem's slotting (tc-netem(8), SLOT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Shortest gap between slots.
    pub min_delay_ns: u64,
    /// Longest gap between slots.
    pub max_delay_ns: u64,
    /// Packets for each slot; 0 is no limit.
    pub packets: u32,
    /// Bytes for each slot; 0 is no limit.
    pub bytes: u32,
    /// Where the gaps are drawn from; with one, the two limits above are 0.
    pub distribution: Option<SlotDistribution>,
}

/// netem's rate limit with its framing (tc-netem(8), RATE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Bits in a second.
    pub bits_per_s: u64,
    /// Bytes added to (or, negative, taken from) each packet.
    pub packet_overhead_bytes: i32,
    /// Cell size in bytes; 0 is none.
    pub cell_size_bytes: u32,
    /// Bytes of overhead for each cell.
    pub cell_overhead_bytes: i32,
}

/// A chance with its correlation to the previous draw; both 0.0 to 1.0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Probability.
    pub probability: f64,
    /// Correlation.
    pub correlation: f64,
}

/// Everything `tc qdisc add ... netem` can be told, for one direction of a link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Netem {
    /// Queue limit in packets; the kernel's `tc` default is 1000.
    pub limit_packets: Option<u32>,
    /// Added delay.
    pub delay_ns: Option<u64>,
    /// Variation of the delay.
    pub jitter_ns: Option<u64>,
    /// Correlation of successive delays, 0.0 to 1.0.
    pub delay_correlation: Option<f64>,
    /// Shape of the jitter.
    pub distribution: Option<Distribution>,
    /// Loss.
    pub loss: Option<LossModel>,
    /// Mark CE instead of dropping (`ecn`).
    pub ecn: bool,
    /// Duplication.
    pub duplicate: Option<Chance>,
    /// Packets sent at once, out of order, while the others are delayed.
    pub reorder: Option<Chance>,
    /// Every n-th packet is sent at once (`gap`).
    pub gap: Option<u32>,
    /// A single bit error.
    pub corrupt: Option<Chance>,
    /// Rate limit.
    pub rate: Option<Rate>,
    /// Slotting.
    pub slot: Option<Slot>,
    /// Seed of the qdisc's own generator (kernel 6.6 and newer).
    pub seed: Option<u64>,
}
