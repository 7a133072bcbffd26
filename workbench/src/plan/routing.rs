//! Routes: the scenario's own, and those that let every host reach every network through the routers between.
//!
//! Automatic routes follow the shortest way and, among equal ones, the order of the file. They are those of a network
//! that works: a pulled cable or a dropped packet changes none of them.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use super::model::{RoutePlan, RouteTarget};
use super::origin::{by_rule, origin};
use crate::scenario::{End, Family, Host, Link, Prefix, ResolvedRoute, Route, RouteTo, Scenario};

/// All routes of a host beyond those to its own links.
pub(super) fn routes(scenario: &Scenario, host: &Host) -> Vec<RoutePlan> {
    let mut routes = declared(scenario, host);
    let taken: BTreeSet<Prefix> =
        routes.iter().map(|route| Prefix { address: route.destination, len: route.prefix_len }).collect();
    routes.extend(automatic(scenario, host).into_iter().filter(|(network, _)| !taken.contains(network)).map(
        |(network, gateway)| RoutePlan {
            destination: network.address,
            prefix_len: network.len,
            target: RouteTarget::Via(gateway),
            is_automatic: true,
            origin: by_rule("the shortest way through the routers"),
        },
    ));
    routes
}

fn declared(scenario: &Scenario, host: &Host) -> Vec<RoutePlan> {
    let mut plans = Vec::new();
    for route in &host.routes {
        plans.extend(of_route(scenario, host, route));
    }
    plans
}

/// A declared route, one for each destination that its name has.
pub(super) fn of_route(scenario: &Scenario, host: &Host, route: &Route) -> Vec<RoutePlan> {
    let Ok(resolved) = scenario.resolve_route(host, route) else {
        unreachable!("a scenario with a route that cannot be resolved does not parse");
    };
    let plan = |resolved: ResolvedRoute| RoutePlan {
        destination: resolved.destination.address,
        prefix_len: resolved.destination.len,
        target: target(&route.to.value, &resolved),
        is_automatic: false,
        origin: origin(&scenario.source, route.span),
    };
    resolved.into_iter().map(plan).collect()
}

fn target(to: &RouteTo, resolved: &ResolvedRoute) -> RouteTarget {
    match (to, resolved.gateway) {
        (_, Some(gateway)) => RouteTarget::Via(gateway),
        (RouteTo::Dev(interface), None) => RouteTarget::Dev(interface.clone()),
        (RouteTo::Unreachable, None) => RouteTarget::Unreachable,
        (RouteTo::Prohibit, None) => RouteTarget::Prohibit,
        (RouteTo::Throw, None) => RouteTarget::Throw,
        (RouteTo::Blackhole | RouteTo::ViaHost(_) | RouteTo::ViaAddress(_), None) => RouteTarget::Blackhole,
    }
}

/// Every network that is not the host's own and can be reached, in the order of the file, with the next hop.
fn automatic(scenario: &Scenario, host: &Host) -> Vec<(Prefix, IpAddr)> {
    let mut routes = Vec::new();
    for link in &scenario.links {
        for network in &link.networks {
            let is_own = scenario.networks_of(host).any(|own| own == *network);
            let gateway = if is_own { None } else { next_hop(scenario, host, link, network.family()) };
            routes.extend(gateway.map(|gateway| (*network, gateway)));
        }
    }
    routes
}

/// The neighbour through which the shortest way to a link begins: breadth first, links in the order of the file.
fn next_hop(scenario: &Scenario, host: &Host, goal: &Link, family: Family) -> Option<IpAddr> {
    let mut seen = BTreeSet::from([host.name.value.as_str()]);
    let mut queue: VecDeque<(&str, Option<IpAddr>)> = VecDeque::from([(host.name.value.as_str(), None)]);
    while let Some((here, first_hop)) = queue.pop_front() {
        for (link, near, far) in hops(scenario, here) {
            // A host's interface that is down takes the routes through it away.
            if first_hop.is_none() && near.is_down {
                continue;
            }
            if std::ptr::eq(link, goal) && first_hop.is_some() {
                return first_hop;
            }
            let address = far.addresses.iter().map(|a| a.address).find(|address| Family::of(*address) == family);
            let is_router = scenario.hosts.iter().any(|host| host.name.value == far.host.value && host.is_router);
            if let Some(address) = address.filter(|_| is_router)
                && seen.insert(&far.host.value)
            {
                queue.push_back((&far.host.value, first_hop.or(Some(address))));
            }
        }
    }
    None
}

/// A host's links with its own end and the far one.
fn hops<'a>(scenario: &'a Scenario, host: &str) -> Vec<(&'a Link, &'a End, &'a End)> {
    let of_link = |link: &'a Link| {
        let [a, b] = &link.ends;
        match (a.host.value == host, b.host.value == host) {
            (true, _) => Some((link, a, b)),
            (_, true) => Some((link, b, a)),
            _ => None,
        }
    };
    scenario.links.iter().filter_map(of_link).collect()
}
