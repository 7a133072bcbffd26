//! Addresses of an interface and the neighbours pinned to it.
//!
//! IPv6 addresses skip duplicate address detection (RFC 4862, 5.4): it would take a second and send packets.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::error::Ask;
use super::netlink::Batch;
use crate::plan::{LinkEnd, NeighbourPlan, Origin, RouteTarget};

/// Asks for the addresses and neighbours of one end of a link.
///
/// An end that is down keeps what the kernel leaves an interface that is taken down: its IPv4 addresses.
pub(super) fn push_end(batch: &mut Batch, end: &LinkEnd, index: u32, link: &Origin) {
    for &(address, prefix_len) in end.addresses.iter().filter(|(address, _)| !end.is_down || address.is_ipv4()) {
        let asked = format!("address {address}/{prefix_len} on {}", end.interface);
        push_address(batch, index, address, prefix_len, Ask::new(&end.host, asked, link));
    }
    for neighbour in end.neighbours.iter().filter(|_| !end.is_down) {
        let asked = format!("neighbour {} on {}", neighbour.address, end.interface);
        push_neighbour(batch, index, neighbour, Ask::new(&end.host, asked, &neighbour.origin));
    }
}

/// Whether a route with this target leads out of this end: it names the interface, or a gateway in one of its networks.
pub(super) fn leads_to(end: &LinkEnd, target: &RouteTarget) -> bool {
    match target {
        RouteTarget::Dev(interface) => *interface == end.interface,
        RouteTarget::Via(gateway) => end.addresses.iter().any(|&network| is_within(*gateway, network)),
        _ => false,
    }
}

fn is_within(address: IpAddr, (network, prefix_len): (IpAddr, u8)) -> bool {
    let (difference, bits) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), 128),
        _ => return false,
    };
    difference.checked_shr(bits - u32::from(prefix_len)).unwrap_or(0) == 0
}

/// The address family of an address.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn push_address(batch: &mut Batch, index: u32, address: IpAddr, prefix_len: u8, ask: Ask) {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix_len;
    message.header.index = index;
    if address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    batch.push(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, ask);
}

fn push_neighbour(batch: &mut Batch, index: u32, neighbour: &NeighbourPlan, ask: Ask) {
    let mut message = NeighbourMessage::default();
    message.header.family = family(neighbour.address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.kind = RouteType::Unicast;
    let destination = match neighbour.address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes = vec![
        NeighbourAttribute::Destination(destination),
        NeighbourAttribute::LinkLayerAddress(neighbour.mac.to_vec()),
    ];
    batch.push(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE, ask);
}
