//! Routes and pinned neighbours that a scenario declares: what their names stand for, and whether the kernel could take
//! them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::{Family, Prefix};
use super::error::{Problem, quoted};
use super::model::{Destination, Host, Neighbour, Party, Route, RouteTo, Scenario};

/// A declared route with its names replaced by addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRoute {
    /// Destination network.
    pub destination: Prefix,
    /// Next hop, for the routes that have one.
    pub gateway: Option<IpAddr>,
}

/// Checks the routes and neighbours of all hosts.
pub(super) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    for host in &scenario.hosts {
        let mut seen: BTreeMap<Prefix, &Route> = BTreeMap::new();
        for route in &host.routes {
            match scenario.resolve_route(host, route) {
                Err(problem) => problems.push(problem),
                Ok(resolved) => problems.extend(resolved.iter().filter_map(|resolved| {
                    let first = seen.insert(resolved.destination, route)?;
                    let problem = Problem::new(format!("two routes to {}", resolved.destination));
                    Some(problem.at(route.span).label("again").also(first.span, "first here").help("keep one of them"))
                })),
            }
        }
        problems.extend(host.neighbours.iter().filter_map(|neighbour| stranger(scenario, host, neighbour)));
    }
}

fn stranger(scenario: &Scenario, host: &Host, neighbour: &Neighbour) -> Option<Problem> {
    let is_near = on_link(scenario, host, neighbour.address.value);
    (!is_near).then(|| {
        let address = neighbour.address.value;
        let problem = Problem::new(format!("{address} is on no link of {}", quoted(&host.name.value)));
        problem.at(neighbour.address.span).label("no neighbour").help(networks(scenario, host))
    })
}

fn on_link(scenario: &Scenario, host: &Host, address: IpAddr) -> bool {
    let is_own = scenario.addresses_of(&host.name.value).contains(&address);
    !is_own && scenario.networks_of(host).any(|network| network.contains(address))
}

fn networks(scenario: &Scenario, host: &Host) -> String {
    let networks: Vec<String> = scenario.networks_of(host).map(|network| network.to_string()).collect();
    match networks.is_empty() {
        true => "it has no links".to_owned(),
        false => format!("its links are in {}", networks.join(", ")),
    }
}

impl Scenario {
    /// The networks of a host's links.
    pub fn networks_of(&self, host: &Host) -> impl Iterator<Item = Prefix> {
        self.ends_of(&host.name.value).flat_map(|(link, _)| link.networks.iter().copied())
    }

    /// Names of a host's interfaces, in the order of its links: those given, else `eth0`, `eth1`, ….
    pub fn interfaces_of(&self, host: &str) -> Vec<String> {
        let name = |(index, given): (usize, Option<String>)| given.unwrap_or_else(|| format!("eth{index}"));
        let given = self.ends_of(host).map(|(_, end)| end.interface.as_ref().map(|interface| interface.value.clone()));
        given.enumerate().map(name).collect()
    }

    /// What a declared route is for and where it leads, one for each destination that its name has.
    ///
    /// # Errors
    ///
    /// The kernel could not take it: the next hop is no neighbour, the interface does not exist, the destination is
    /// connected already.
    pub(crate) fn resolve_route(&self, host: &Host, route: &Route) -> Result<Vec<ResolvedRoute>, Problem> {
        let destinations = self.destinations(host, route);
        if let RouteTo::Dev(name) = &route.to.value
            && !self.interfaces_of(&host.name.value).contains(name)
        {
            let known = self.interfaces_of(&host.name.value).join(", ");
            return Err(Problem::new(format!("{} has no interface {}", quoted(&host.name.value), quoted(name)))
                .at(route.to.span)
                .help(format!("known here: {known}")));
        }
        destinations
            .into_iter()
            .map(|destination| {
                if self.networks_of(host).any(|network| network == destination) {
                    return Err(Problem::new(format!(
                        "{destination} is connected to {} already",
                        quoted(&host.name.value)
                    ))
                    .at(route.destination.span)
                    .help("the kernel keeps one route to a network; name a host or a part of the network"));
                }
                Ok(ResolvedRoute { destination, gateway: self.gateway(host, route, destination.family())? })
            })
            .collect()
    }

    fn destinations(&self, host: &Host, route: &Route) -> Vec<Prefix> {
        match &route.destination.value {
            Destination::Party(Party::Prefix(prefix)) => vec![*prefix],
            Destination::Party(Party::Host(name)) => self.addresses_of(name).into_iter().map(Prefix::host).collect(),
            Destination::Default => {
                let mut families: Vec<Family> = match &route.to.value {
                    RouteTo::ViaAddress(address) => vec![Family::of(*address)],
                    RouteTo::ViaHost(name) => self.shared_addresses(host, name).into_iter().map(Family::of).collect(),
                    _ => self.networks_of(host).map(Prefix::family).collect(),
                };
                families.sort();
                families.dedup();
                // With no family at all the next hop is no neighbour, which is told when it is looked for.
                if families.is_empty() {
                    families.push(Family::V4);
                }
                families.into_iter().map(everything).collect()
            }
        }
    }

    /// The addresses of another host on the links that both have.
    fn shared_addresses(&self, host: &Host, other: &str) -> Vec<IpAddr> {
        let own = self.ends_of(&host.name.value).map(|(link, _)| link);
        own.flat_map(|link| &link.ends)
            .filter(|end| end.host.value == other && other != host.name.value)
            .flat_map(|end| end.addresses.iter().map(|address| address.address))
            .collect()
    }

    fn gateway(&self, host: &Host, route: &Route, family: Family) -> Result<Option<IpAddr>, Problem> {
        let who = quoted(&host.name.value);
        match &route.to.value {
            RouteTo::ViaAddress(address) if Family::of(*address) != family => {
                Err(Problem::new(format!("an {family} route cannot lead through {address}"))
                    .at(route.to.span)
                    .also(route.destination.span, format!("{family}")))
            }
            RouteTo::ViaAddress(address) if !on_link(self, host, *address) => {
                Err(Problem::new(format!("{address} is no neighbour of {who}"))
                    .at(route.to.span)
                    .label("on none of its links")
                    .help(networks(self, host)))
            }
            RouteTo::ViaAddress(address) => Ok(Some(*address)),
            RouteTo::ViaHost(name) => {
                let addresses = self.shared_addresses(host, name);
                let found = addresses.into_iter().find(|address| Family::of(*address) == family);
                found.map(Some).ok_or_else(|| {
                    Problem::new(format!("{} is no {family} neighbour of {who}", quoted(name)))
                        .at(route.to.span)
                        .label("no link between them")
                        .help(self.neighbours_of(host))
                })
            }
            _ => Ok(None),
        }
    }

    fn neighbours_of(&self, host: &Host) -> String {
        let links = self.ends_of(&host.name.value).map(|(link, _)| link);
        let others = links.flat_map(|link| &link.ends).filter(|end| end.host.value != host.name.value);
        let names: Vec<&str> = others.map(|end| end.host.value.as_str()).collect();
        match names.is_empty() {
            true => "it has no links".to_owned(),
            false => format!("its neighbours are {}", names.join(", ")),
        }
    }
}

fn everything(family: Family) -> Prefix {
    let address = match family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    };
    Prefix { address, len: 0 }
}
