//! Peers as they are carried out: which addresses each listens on, and what a name server knows.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::model::Origin;
use super::origin::origin;
use crate::scenario::{Host, Peer, PeerKind, Scenario, Transport};

/// A built-in peer of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPlan {
    /// What it does.
    pub kind: PeerKind,
    /// Its port.
    pub port: u16,
    /// Addresses that it listens on for TCP connections; unspecified ones stand for all of their family.
    pub tcp: Vec<IpAddr>,
    /// Addresses that it takes UDP datagrams at. Each of the host's by itself, so that an answer comes from where the
    /// question went.
    pub udp: Vec<IpAddr>,
    /// What a name server knows: addresses by name.
    pub zone: BTreeMap<String, Vec<IpAddr>>,
    /// As the scenario writes it, in one line: `silent port=80`.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}

/// The peers of a host.
pub(super) fn peers(scenario: &Scenario, host: &Host) -> Vec<PeerPlan> {
    host.peers.iter().map(|peer| peer_plan(scenario, host, peer)).collect()
}

fn peer_plan(scenario: &Scenario, host: &Host, peer: &Peer) -> PeerPlan {
    let own = scenario.addresses_of(&host.name.value);
    let is_open = peer.kind != PeerKind::Refuse;
    let has = |transport| is_open && (peer.transport == transport || peer.transport == Transport::Both);
    let has_v6 = own.iter().any(IpAddr::is_ipv6);
    // A host without a link has a loopback interface all the same.
    let has_v4 = own.iter().any(IpAddr::is_ipv4) || !has_v6;
    let of_families = |v4: Ipv4Addr, v6: Ipv6Addr| {
        let v4 = has_v4.then_some(IpAddr::V4(v4));
        v4.into_iter().chain(has_v6.then_some(IpAddr::V6(v6))).collect::<Vec<IpAddr>>()
    };
    let loopback = of_families(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    let chosen = peer.address.as_ref().map(|address| vec![address.value]);
    let tcp = || chosen.clone().unwrap_or_else(|| of_families(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED));
    let udp = || chosen.clone().unwrap_or_else(|| own.iter().copied().chain(loopback).collect());
    PeerPlan {
        kind: peer.kind.clone(),
        port: peer.port.value,
        tcp: if has(Transport::Tcp) { tcp() } else { Vec::new() },
        udp: if has(Transport::Udp) { udp() } else { Vec::new() },
        zone: if matches!(peer.kind, PeerKind::Dns { .. }) { zone(scenario, peer) } else { BTreeMap::new() },
        text: peer.text.clone(),
        origin: origin(&scenario.source, peer.span),
    }
}

/// The lab's names as `/etc/hosts` has them, and the server's own answers, which win.
fn zone(scenario: &Scenario, peer: &Peer) -> BTreeMap<String, Vec<IpAddr>> {
    let hosts = scenario.names().map(|name| (name.value.clone(), scenario.addresses_under(&name.value)));
    let extra = scenario.extra_names.iter().map(|extra| {
        let addresses = extra.addresses.iter().flat_map(|party| scenario.addresses_of_party(&party.value));
        (extra.name.value.clone(), addresses.collect())
    });
    let own = peer.answers.iter().map(|answer| (answer.name.value.clone(), answer.addresses.clone()));
    hosts.chain(extra).chain(own).collect()
}
