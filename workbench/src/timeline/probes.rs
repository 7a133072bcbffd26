//! Probes of a peer that says nothing, told from other acknowledgments: keepalive (RFC 9293, 3.8.4) and of a window of
//! zero (3.8.6.1). Both have a sequence number that the peer has had, so that it has to answer; Linux sends no byte with
//! it (tcp_xmit_probe_skb(), net/ipv4/tcp_output.c). Says nothing about timers.

use std::collections::BTreeMap;

use super::flight::{Fate, Flight, TcpSegment};
use super::tcp_flags::{ACK, FIN, RST, SYN};

/// Answered probes of one kind, one after the other, that stand for themselves: they go on for as long as the peer answers.
const TOLD: u32 = 5;

/// What a probe is.
pub(super) struct Probe {
    /// Whether it is the window that it asks for, and not the peer.
    pub is_of_window: bool,
    /// The how many-eth in a row.
    pub nth: u32,
    /// Since the last packet of the flow, in either direction.
    pub gap_ns: i64,
    /// Whether it is one too many to be told.
    pub is_more_of_it: bool,
}

impl Probe {
    /// `keepalive probe 2`.
    pub(super) fn words(&self) -> String {
        format!("{} probe {}", if self.is_of_window { "window" } else { "keepalive" }, self.nth)
    }
}

/// One direction of a flow on a link.
#[derive(Default)]
struct Direction {
    /// The sequence number behind all that was sent.
    next: Option<u32>,
    last_ns: i64,
    /// Probes in a row, and how many of them arrived.
    count: u32,
    arrived: u32,
    /// As in the header.
    window: Option<u16>,
}

/// What every direction has sent.
#[derive(Default)]
pub(super) struct Probes<'a> {
    seen: BTreeMap<(&'a str, usize, bool), Direction>,
}

impl<'a> Probes<'a> {
    /// Takes note of a segment, and says whether it is a probe.
    pub(super) fn note(
        &mut self,
        segment: &TcpSegment,
        (flow, to_server): (usize, bool),
        flight: &'a Flight,
    ) -> Option<Probe> {
        let link = flight.link.as_str();
        let other = self.seen.get(&(link, flow, !to_server));
        let is_shut = other.and_then(|other| other.window) == Some(0);
        let heard_ns = other.map_or(i64::MIN, |other| other.last_ns);
        let own = self.seen.entry((link, flow, to_server)).or_default();
        let gap_ns = flight.t_ns() - own.last_ns.max(heard_ns);
        own.last_ns = flight.t_ns();
        if segment.flags & RST == 0 {
            own.window = Some(segment.window);
        }
        let is_bare = segment.flags & (SYN | FIN | RST | ACK) == ACK && segment.payload_len == 0;
        if is_bare && own.next == Some(segment.seq.wrapping_add(1)) {
            own.count += 1;
            own.arrived += u32::from(flight.fate == Fate::Arrived);
            return Some(Probe { is_of_window: is_shut, nth: own.count, gap_ns, is_more_of_it: own.arrived > TOLD });
        }
        let length = segment.payload_len + u32::from(segment.flags & SYN != 0) + u32::from(segment.flags & FIN != 0);
        let end = segment.seq.wrapping_add(length);
        let is_new = own.next.is_none_or(|next| end.wrapping_sub(next) as i32 > 0);
        if is_new {
            *own = Direction { next: Some(end), last_ns: own.last_ns, window: own.window, ..Direction::default() };
        }
        None
    }
}
