//! Routes of a host beyond the connected ones.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteMessage, RouteScope, RouteType};
use rtnetlink::RouteMessageBuilder;

use super::error::{Ask, LabError};
use super::netlink::Batch;
use crate::plan::{RoutePlan, RouteTarget};

/// Asks for a route; `index` is that of the interface a [`RouteTarget::Dev`] names.
pub(super) fn push_route(batch: &mut Batch, host: &str, route: &RoutePlan, index: Option<u32>) -> Result<(), LabError> {
    let ask = Ask::new(host, describe(route), &route.origin);
    batch.push(RouteNetlinkMessage::NewRoute(message(route, index)?), NLM_F_CREATE | NLM_F_EXCL, ask);
    Ok(())
}

/// As [`push_route`], in place of the route to the same destination, if there is one.
pub(super) fn push_replacing(
    batch: &mut Batch,
    host: &str,
    route: &RoutePlan,
    index: Option<u32>,
) -> Result<(), LabError> {
    let ask = Ask::new(host, describe(route), &route.origin);
    batch.push(RouteNetlinkMessage::NewRoute(message(route, index)?), NLM_F_CREATE | NLM_F_REPLACE, ask);
    Ok(())
}

/// Asks for a route to go away.
pub(super) fn push_removal(
    batch: &mut Batch,
    host: &str,
    route: &RoutePlan,
    index: Option<u32>,
) -> Result<(), LabError> {
    let ask = Ask::new(host, format!("no {}", describe(route)), &route.origin);
    batch.push(RouteNetlinkMessage::DelRoute(message(route, index)?), 0, ask);
    Ok(())
}

fn message(route: &RoutePlan, index: Option<u32>) -> Result<RouteMessage, LabError> {
    let kind = match route.target {
        RouteTarget::Via(_) | RouteTarget::Dev(_) => RouteType::Unicast,
        RouteTarget::Blackhole => RouteType::BlackHole,
        RouteTarget::Unreachable => RouteType::Unreachable,
        RouteTarget::Prohibit => RouteType::Prohibit,
        RouteTarget::Throw => RouteType::Throw,
    };
    let mut builder = RouteMessageBuilder::<IpAddr>::new().kind(kind);
    builder = builder.destination_prefix(route.destination, route.prefix_len).map_err(|e| mixed(route, &e))?;
    if let RouteTarget::Via(gateway) = route.target {
        builder = builder.gateway(gateway).map_err(|e| mixed(route, &e))?;
    }
    if let Some(index) = index {
        builder = builder.scope(RouteScope::Link).output_interface(index);
    }
    Ok(builder.build())
}

/// A gateway of another family than its destination's: the planner should have seen it.
fn mixed(route: &RoutePlan, error: &dyn std::error::Error) -> LabError {
    LabError::Plan { what: error.to_string(), origin: Box::new(route.origin.clone()) }
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
