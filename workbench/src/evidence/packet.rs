//! Packets as a capture saw them: raw bytes with their place and their stamp. Decoding is the timeline's job.

use serde::{Deserialize, Serialize};

/// Which way a packet crossed an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Left the host here (`PACKET_OUTGOING`, packet(7)).
    Sent,
    /// Came in here. On `lo` only this copy is kept, so that each packet is there once.
    Received,
}

/// One packet at one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Host that owns the interface.
    pub host: String,
    /// Interface name in that host.
    pub interface: String,
    /// Order in which this host's capture saw it, from 0.
    pub seq: u64,
    /// Which way.
    pub direction: Direction,
    /// Kernel's stamp, since zero.
    pub t_ns: i64,
    /// Length on the wire, link-layer header included.
    pub wire_len: u32,
    /// The first bytes, from the Ethernet header on; fewer than `wire_len` if the snap length cut it.
    #[serde(with = "super::bytes")]
    pub bytes: Vec<u8>,
}

/// Packets that did not fit into a capture's ring (`PACKET_STATISTICS`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureLoss {
    /// Host whose capture lost them.
    pub host: String,
    /// How many.
    pub packets: u64,
}
