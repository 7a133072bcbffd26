//! Routes of a host beyond the connected ones.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::address::family;
use super::error::Ask;
use super::netlink::Batch;
use crate::plan::{RoutePlan, RouteTarget};

/// Asks for a route; `index` is that of the interface a [`RouteTarget::Dev`] names.
pub(super) fn push_route(batch: &mut Batch, host: &str, route: &RoutePlan, index: Option<u32>) {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination);
    message.header.destination_prefix_length = route.prefix_len;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = if index.is_some() { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = match route.target {
        RouteTarget::Via(_) | RouteTarget::Dev(_) => RouteType::Unicast,
        RouteTarget::Blackhole => RouteType::BlackHole,
        RouteTarget::Unreachable => RouteType::Unreachable,
        RouteTarget::Prohibit => RouteType::Prohibit,
        RouteTarget::Throw => RouteType::Throw,
    };
    if route.prefix_len > 0 {
        message.attributes.push(RouteAttribute::Destination(route_address(route.destination)));
    }
    if let RouteTarget::Via(gateway) = route.target {
        message.attributes.push(RouteAttribute::Gateway(route_address(gateway)));
    }
    message.attributes.extend(index.map(RouteAttribute::Oif));
    let ask = Ask::new(host, describe(route), &route.origin);
    batch.push(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL, ask);
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// As ip-route(8) writes it: `route 10.0.0.0/8 via 10.1.0.2`, `route blackhole 10.9.0.0/16`.
fn describe(route: &RoutePlan) -> String {
    let network = format!("{}/{}", route.destination, route.prefix_len);
    match &route.target {
        RouteTarget::Via(gateway) => format!("route {network} via {gateway}"),
        RouteTarget::Dev(interface) => format!("route {network} dev {interface}"),
        RouteTarget::Blackhole => format!("route blackhole {network}"),
        RouteTarget::Unreachable => format!("route unreachable {network}"),
        RouteTarget::Prohibit => format!("route prohibit {network}"),
        RouteTarget::Throw => format!("route throw {network}"),
    }
}
