//! Addresses of an interface and the neighbours pinned to it.
//!
//! IPv6 addresses skip duplicate address detection (RFC 4862, 5.4): it would take a second and send packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::AddressMessageBuilder;

use super::error::{Ask, LabError};
use super::namespace::Namespace;
use super::netlink::{Batch, Connection};
use crate::plan::{LinkEnd, NeighbourPlan, Origin, RouteTarget};

/// RTNLGRP_IPV6_ROUTE (include/uapi/linux/rtnetlink.h).
const IPV6_ROUTE_GROUP: u32 = 11;

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

/// Blocks until the IPv6 addresses of an end that is up can be reached.
///
/// Adding one returns before the kernel has put it into the table of local addresses, which a work item does even where
/// there is no detection to wait for (net/ipv6/addrconf.c, `addrconf_dad_start`); until then a packet to it is lost.
pub(super) fn wait_for_ipv6(namespace: &Namespace, end: &LinkEnd) -> Result<(), LabError> {
    let addresses = end.addresses.iter().filter_map(|(address, _)| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    });
    for address in addresses {
        let what = format!("{address} on {} to be local", end.host);
        namespace.wait_until(IPV6_ROUTE_GROUP, &what, |route| Ok(is_local(route, address)))?;
    }
    Ok(())
}

/// Whether the route to an address leads to this host itself. A lookup that finds none at all is an error, and no.
fn is_local(route: &Connection, address: Ipv6Addr) -> bool {
    let mut question = RouteMessage::default();
    question.header.address_family = AddressFamily::Inet6;
    question.header.destination_prefix_length = 128;
    question.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet6(address))];
    let answer = route.query(RouteNetlinkMessage::GetRoute(question), 0).unwrap_or_default();
    answer.iter().any(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => route.header.kind == RouteType::Local,
        _ => false,
    })
}

/// Asks again for the addresses and neighbours of an end that is up; what is still there stays.
pub(super) fn push_end_again(batch: &mut Batch, end: &LinkEnd, index: u32, origin: &Origin) {
    for &(address, prefix_len) in &end.addresses {
        let asked = format!("address {address}/{prefix_len} on {}", end.interface);
        let message = message(index, address, prefix_len);
        let ask = Ask::new(&end.host, asked, origin);
        batch.push(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE, ask);
    }
    for neighbour in &end.neighbours {
        let asked = format!("neighbour {} on {}", neighbour.address, end.interface);
        push_neighbour(batch, index, neighbour, Ask::new(&end.host, asked, &neighbour.origin));
    }
}

/// Asks for an address to go away.
pub(super) fn push_removal(batch: &mut Batch, index: u32, address: IpAddr, prefix_len: u8, ask: Ask) {
    batch.push(RouteNetlinkMessage::DelAddress(message(index, address, prefix_len)), 0, ask);
}

fn push_address(batch: &mut Batch, index: u32, address: IpAddr, prefix_len: u8, ask: Ask) {
    let message = message(index, address, prefix_len);
    batch.push(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, ask);
}

fn message(index: u32, address: IpAddr, prefix_len: u8) -> AddressMessage {
    match address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, prefix_len).build()
        }
        IpAddr::V6(address) => {
            let builder = AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(address, prefix_len);
            let mut message = builder.build();
            message.header.flags = AddressHeaderFlags::Nodad;
            message
        }
    }
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
