//! The network of every link and the addresses on it: given ones as they are, the others by rule.
//!
//! The rule, for the link that is the i-th of the file: 10.9.i.0/24 and fd09:0:0:i::/64; the first end has the first
//! address, the second the second, absent hosts those that follow.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use miette::SourceSpan;

use super::address::{Family, Prefix};
use super::error::{Problem, quoted};
use super::model::{Address, Link};

/// More links than the rule has networks for.
const LINKS_LIMIT: usize = 256;

/// Fills in networks and addresses of all links.
pub(super) fn resolve(links: &mut [Link], problems: &mut Vec<Problem>) {
    if let Some(link) = links.get(LINKS_LIMIT) {
        let help = "the rule that numbers them ends there";
        problems.push(Problem::new(format!("more than {LINKS_LIMIT} links")).at(link.span).help(help));
        return;
    }
    for (index, link) in links.iter_mut().enumerate() {
        for family in link.families.clone() {
            let network = network(link, index, family);
            link.networks.push(network);
            fill(link, network, problems);
        }
    }
    overlaps(links, problems);
    doubles(links, problems);
}

fn network(link: &Link, index: usize, family: Family) -> Prefix {
    let subnet = if family == Family::V4 { &link.subnet } else { &link.subnet6 };
    if let Some(subnet) = subnet {
        return subnet.value;
    }
    let given = all_given(link).find_map(|(_, given)| {
        let is_usable = Family::of(given.address) == family;
        given.len.filter(|_| is_usable).map(|len| Prefix { address: given.address, len }.network())
    });
    given.unwrap_or_else(|| by_rule(index, family))
}

fn by_rule(index: usize, family: Family) -> Prefix {
    match family {
        Family::V4 => Prefix { address: IpAddr::V4(Ipv4Addr::new(10, 9, index as u8, 0)), len: 24 },
        Family::V6 => Prefix { address: IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, index as u16, 0, 0, 0, 0)), len: 64 },
    }
}

/// The addresses that a link has so far, with whose they are.
fn all_given(link: &Link) -> impl Iterator<Item = (&str, &Address)> {
    let ends = link.ends.iter().map(|end| (end.host.value.as_str(), &end.addresses));
    let absent = link.absent.iter().map(|absent| (absent.name.value.as_str(), &absent.addresses));
    ends.chain(absent).flat_map(|(who, addresses)| addresses.iter().map(move |address| (who, address)))
}

/// Checks the given addresses of a family against its network and adds those that follow by rule.
fn fill(link: &mut Link, network: Prefix, problems: &mut Vec<Problem>) {
    let family = network.family();
    problems.extend(
        all_given(link).filter(|(_, a)| Family::of(a.address) == family).filter_map(|(_, a)| misfit(a, network)),
    );
    let span = link.span;
    let ends = link.ends.iter_mut().map(|end| (end.host.value.clone(), &mut end.addresses));
    let absent = link.absent.iter_mut().map(|absent| (absent.name.value.clone(), &mut absent.addresses));
    for (index, (who, addresses)) in ends.chain(absent).enumerate() {
        if addresses.iter().any(|address| Family::of(address.address) == family) {
            continue;
        }
        let address = network.nth(index as u128 + 1);
        let candidate = Prefix { address, len: network.len };
        if !network.contains(address) || candidate.is_reserved_in(network) {
            let problem = Problem::new(format!("{network} has no room for {}", quoted(&who))).at(span);
            problems.push(problem.label("too small").help("widen the subnet"));
            continue;
        }
        addresses.push(Address { address, len: Some(network.len), span });
    }
    let ends = link.ends.iter_mut().flat_map(|end| &mut end.addresses);
    let absent = link.absent.iter_mut().flat_map(|absent| &mut absent.addresses);
    for address in ends.chain(absent).filter(|address| Family::of(address.address) == family) {
        address.len.get_or_insert(network.len);
    }
}

/// What is wrong with a given address on a network.
fn misfit(given: &Address, network: Prefix) -> Option<Problem> {
    let Address { address, len, span } = *given;
    let prefix = Prefix { address, len: len.unwrap_or(network.len) };
    let problem = if !network.contains(address) {
        Problem::new(format!("{address} is not in the link's network {network}")).label("outside").help(format!(
            "as in \"{}/{}\", or give the link its subnet=",
            network.nth(1),
            network.len
        ))
    } else if prefix.len != network.len {
        Problem::new(format!("{prefix} has another prefix length than the link's network {network}"))
            .label("differs")
            .help(format!("both ends of a link agree on its network: \"{address}/{}\"", network.len))
    } else if prefix.is_reserved_in(network) {
        Problem::new(format!("{address} cannot be a host's in {network}"))
            .label("the network's own, or its broadcast address")
            .help(format!("as in \"{}/{}\"", network.nth(1), network.len))
    } else {
        return None;
    };
    Some(problem.at(span))
}

/// Networks of two links that have addresses in common.
fn overlaps(links: &[Link], problems: &mut Vec<Problem>) {
    for (index, link) in links.iter().enumerate() {
        for (network, other_link, other) in link.networks.iter().flat_map(|network| {
            links[..index].iter().flat_map(move |other| other.networks.iter().map(move |n| (network, other, n)))
        }) {
            if network.overlaps(*other) {
                let problem = Problem::new(format!("{network} and {other} overlap"));
                let problem = problem.at(place(link, *network)).label(format!("{network}"));
                let problem = problem.also(place(other_link, *other), format!("{other}"));
                problems.push(problem.help("each link has a network of its own; give one of them another subnet="));
            }
        }
    }
}

/// Where a link's network comes from.
fn place(link: &Link, network: Prefix) -> SourceSpan {
    let given = [&link.subnet, &link.subnet6].into_iter().flatten().find(|subnet| subnet.value == network);
    given.map_or(link.span, |subnet| subnet.span)
}

/// Addresses in two places.
fn doubles(links: &[Link], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<IpAddr, (&str, &Address)> = BTreeMap::new();
    for (who, address) in links.iter().flat_map(all_given) {
        match seen.get(&address.address) {
            None => {
                seen.insert(address.address, (who, address));
            }
            Some((first_who, first)) => {
                let problem = Problem::new(format!("{} is in two places", address.address));
                let problem =
                    problem.at(address.span).label(format!("{who}'s")).also(first.span, format!("{first_who}'s"));
                problems.push(problem.help("addresses that are not given follow by rule: give both, or neither"));
            }
        }
    }
}
