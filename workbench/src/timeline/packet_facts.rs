//! What a single packet is, for whoever tells of it: upkeep of a link, for a group, the answer to a connect. Makes no event.

use super::flight::{Content, Flight};
use super::flows::Flows;
use super::tcp_flags::{RST, SYN};

/// What IPv6 says on a link all by itself.
pub(super) fn is_housekeeping(kind: &str) -> bool {
    ["router solicitation", "router advertisement", "multicast listener"].iter().any(|word| kind.contains(word))
}

/// When the packet arrived that ended a connect on this flow: SYN-ACK, RST, or an ICMP error about it.
pub(super) fn answer_arrived_ns(flights: &[Flight], flows: &Flows, flow: usize, before_ns: i64) -> Option<i64> {
    let is_answer = |flight: &&Flight| match &flight.content {
        Content::Tcp(segment) => segment.flags & (SYN | RST) != 0 && flows.of(flight) == Some((flow, false)),
        Content::Icmp { .. } => true,
        _ => false,
    };
    let about = flows.about(flow).iter().map(|index| &flights[*index]);
    about.filter(is_answer).filter_map(|f| f.arrived_ns).filter(|arrived| *arrived <= before_ns).max()
}

/// Sent to a multicast group.
pub(super) fn is_to_a_group(flight: &Flight) -> bool {
    flight.addresses.is_some_and(|(_, to)| to.is_multicast())
}
