//! Which packets the plan's rules took: the kernel's decisions, made again over what the captures saw.
//!
//! The kernel says how many packets each rule took, not which. Here every rule meets the packets that it met in the
//! kernel, in their order, and never gets more than its counter says. What is not made again: reassembly (a fragment
//! meets no rule here), and what the kernel drops before its hooks (a TTL that ran out, a bad checksum, no route).

use std::net::{IpAddr, Ipv4Addr};

use super::flight::{Content, Fate, Flight};
use super::flights::Draft;
use crate::evidence::{Evidence, FaultRecord};
use crate::plan::{Action, FaultPlace, Hook, HostPlan, LinkEnd, Plan, PortRange, Protocol, RulePlan, Which};

/// Bytes of an Ethernet header, which the kernel's rules do not count (the packet starts at its IP header there).
const ETHERNET_BYTES: u64 = 14;

/// A rule with what it has met so far.
struct Gate<'a> {
    rule: &'a RulePlan,
    /// Packets that matched.
    packets: u64,
    /// Their bytes, from the IP header on.
    bytes: u64,
    /// How many more it may take by its counter; `None` if there is no counter.
    left: Option<u64>,
    /// The fault that brings it; `None` for a rule that is always there.
    fault: Option<&'a FaultRecord>,
}

/// What is known about a packet's end before any rule is asked.
#[derive(Clone, Copy)]
struct Clue {
    /// It was not seen where it could not have been seen had the rule taken it.
    may_be_taken: bool,
    /// It looks lost: never seen again, or sent once more.
    looks_taken: bool,
}

/// Gives every packet that a rule took its fate.
pub(super) fn decide_takings(evidence: &Evidence, drafts: &mut [Draft<'_>]) {
    let ends = evidence.plan.links.iter().flat_map(|link| link.ends.iter().map(move |end| (link, end)));
    for (link, end) in ends {
        let mut gates = gates(end.drops.iter(), evidence);
        gates.extend(brought_gates(evidence, &FaultPlace::Link(link.name.clone()), |action| match action {
            Action::Drop { from, rule } if *from == end.host => Some(rule),
            _ => None,
        }));
        let is_on_lane = |d: &&mut Draft<'_>| d.lane.is_some_and(|lane| std::ptr::eq(lane.from, end));
        let mut sent: Vec<_> = drafts.iter_mut().filter(is_on_lane).collect();
        sent.retain(|d| d.flight.sent_index.is_some());
        sent.sort_by_key(|d| d.flight.sent_index.map(|index| evidence.packets[index].seq));
        for Draft { flight, .. } in sent {
            let is_missing = flight.arrived_index.is_none();
            let clue = Clue { may_be_taken: is_missing, looks_taken: is_missing };
            let t_ns = flight.sent_index.map_or(0, |index| evidence.packets[index].t_ns);
            take(&mut gates, flight, clue, t_ns, |flight| flight.link.clone());
        }
    }
    for host in &evidence.plan.hosts {
        let on = |hook| {
            let mut gates = gates(host.rules.iter().filter(move |r| r.hook == Some(hook)), evidence);
            gates.extend(brought_gates(evidence, &FaultPlace::Host(host.name.clone()), move |action| match action {
                Action::Rule(rule) if rule.hook == Some(hook) => Some(rule),
                _ => None,
            }));
            gates
        };
        let (mut input, mut forward) = (on(Hook::Input), on(Hook::Forward));
        let mut arrived: Vec<_> = drafts.iter_mut().filter(|d| d.flight.to == host.name).collect();
        arrived.retain(|d| d.flight.arrived_index.is_some());
        arrived.sort_by_key(|d| d.flight.arrived_index.map(|index| evidence.packets[index].seq));
        for draft in arrived {
            let gates = match hook_met(evidence, host, draft) {
                Some(Hook::Input) => &mut input,
                Some(Hook::Forward) => &mut forward,
                _ => continue,
            };
            let clue = Clue { may_be_taken: true, looks_taken: draft.is_repeated_later };
            let t_ns = draft.flight.arrived_index.map_or(0, |index| evidence.packets[index].t_ns);
            take(gates, &mut draft.flight, clue, t_ns, |flight| flight.to.clone());
        }
    }
}

fn gates<'a>(rules: impl Iterator<Item = &'a RulePlan>, evidence: &Evidence) -> Vec<Gate<'a>> {
    rules.map(|rule| gate(rule, evidence, None)).collect()
}

fn gate<'a>(rule: &'a RulePlan, evidence: &Evidence, fault: Option<&'a FaultRecord>) -> Gate<'a> {
    let left = evidence.rule_counters.get(&rule.id).map(|counter| counter.packets);
    Gate { rule, packets: 0, bytes: 0, left, fault }
}

/// The rules that faults have brought to a place, in the order of the plan: they stand behind those that are always there.
fn brought_gates<'a>(
    evidence: &'a Evidence,
    place: &FaultPlace,
    rule_of: impl Fn(&'a Action) -> Option<&'a RulePlan>,
) -> Vec<Gate<'a>> {
    let mut gates = Vec::new();
    for fault in evidence.plan.faults.iter().filter(|fault| fault.at == *place) {
        let Some(record) = evidence.faults.iter().find(|record| record.id == fault.id) else { continue };
        gates.extend(fault.actions.iter().filter_map(&rule_of).map(|rule| gate(rule, evidence, Some(record))));
    }
    gates
}

/// Lets the rules have a packet, in order; the first that takes it ends its way.
fn take(gates: &mut [Gate<'_>], flight: &mut Flight, clue: Clue, t_ns: i64, at: impl Fn(&Flight) -> String) {
    let mut there = gates.iter_mut().filter(|gate| gate.is_there(t_ns));
    if let Some(gate) = there.find_map(|gate| gate.takes(flight, clue).then_some(gate)) {
        flight.fate = Fate::TakenByRule { rule: gate.rule.id.clone(), at: at(flight) };
    }
}

/// The hook that an arrived packet meets in a host; `None` if it meets neither.
fn hook_met(evidence: &Evidence, host: &HostPlan, draft: &Draft<'_>) -> Option<Hook> {
    let (_, destination) = draft.flight.addresses?;
    let frame = &evidence.packets[draft.flight.arrived_index?].bytes;
    let is_for_its_mac = match draft.lane {
        // The low bit of the first byte marks a group (IEEE 802.3, 3.2.3).
        Some(lane) => frame.first().is_some_and(|byte| byte & 1 == 1) || frame.get(..6) == Some(&lane.to.mac),
        None => true,
    };
    match is_local(&evidence.plan, host, destination) {
        _ if !is_for_its_mac => None,
        true => Some(Hook::Input),
        false => host.is_router.then_some(Hook::Forward),
    }
}

/// Whether a host delivers packets for this address to itself.
fn is_local(plan: &Plan, host: &HostPlan, address: IpAddr) -> bool {
    let ends = plan.links.iter().flat_map(|link| &link.ends).filter(|end| end.host == host.name);
    let is_own =
        |end: &LinkEnd| end.addresses.iter().any(|&(own, len)| own == address || is_broadcast(own, len, address));
    let is_everywhere = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_multicast() || v4 == Ipv4Addr::BROADCAST,
        // Link-local addresses are never forwarded (RFC 4291, 2.5.6).
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    is_everywhere || ends.into_iter().any(is_own)
}

/// Whether an IPv4 address is the broadcast address of an interface's network.
fn is_broadcast(own: IpAddr, prefix_len: u8, address: IpAddr) -> bool {
    let (IpAddr::V4(own), IpAddr::V4(address)) = (own, address) else { return false };
    let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    prefix_len < 31 && own.to_bits() | host_bits == address.to_bits()
}

impl Gate<'_> {
    /// Whether a packet at that time meets the rule. What is stamped while the fault comes and goes may or may not; the
    /// clue and the counter decide.
    fn is_there(&self, t_ns: i64) -> bool {
        self.fault
            .is_none_or(|fault| t_ns >= fault.cause_ns && fault.healed_ns.is_none_or(|healed_ns| t_ns <= healed_ns))
    }

    /// Whether the rule takes this packet. Counts as the kernel does: what reaches `which` has matched everything else.
    fn takes(&mut self, flight: &Flight, clue: Clue) -> bool {
        if !matches(self.rule, flight) {
            return false;
        }
        self.packets += 1;
        self.bytes += u64::from(flight.wire_len).saturating_sub(ETHERNET_BYTES);
        let is_chosen = match self.rule.matching.which {
            Which::All => true,
            Which::First(n) => self.packets <= u64::from(n),
            Which::After(n) => self.packets > u64::from(n),
            Which::Every(n) => self.packets.is_multiple_of(u64::from(n)),
            Which::AfterBytes(bytes) => self.bytes > bytes,
            Which::Chance(probability) => probability >= 1.0 || clue.looks_taken,
        };
        let takes = is_chosen && clue.may_be_taken && self.left != Some(0);
        if takes {
            self.left = self.left.map(|left| left - 1);
        }
        takes
    }
}

/// Whether a packet is what a rule is about, before `which` chooses.
fn matches(rule: &RulePlan, flight: &Flight) -> bool {
    let Some((source, destination)) = flight.addresses else { return false };
    let matching = &rule.matching;
    let in_ports = |range: Option<PortRange>, port| range.is_none_or(|r| (r.first..=r.last).contains(&port));
    let is_in = |networks: &[(IpAddr, u8)], address| {
        networks.is_empty() || networks.iter().any(|&(network, len)| is_in_network(address, network, len))
    };
    let is_protocol = match (&flight.content, matching.protocol) {
        (_, Protocol::Any) => true,
        (Content::Tcp(segment), Protocol::Tcp) => {
            let flags = matching.flags.is_none_or(|f| segment.flags & f.set == f.set && segment.flags & f.clear == 0);
            flags && in_ports(matching.sport, segment.sport) && in_ports(matching.dport, segment.dport)
        }
        (&Content::Udp { sport, dport, .. }, Protocol::Udp) => {
            in_ports(matching.sport, sport) && in_ports(matching.dport, dport)
        }
        (Content::Icmp { .. }, Protocol::Icmp) => source.is_ipv4(),
        (Content::Icmp { .. }, Protocol::Icmpv6) => source.is_ipv6(),
        _ => false,
    };
    is_protocol && is_in(&rule.from, source) && is_in(&rule.to, destination)
}

fn is_in_network(address: IpAddr, network: IpAddr, prefix_len: u8) -> bool {
    let len = u32::from(prefix_len);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()) & !u32::MAX.checked_shr(len).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()) & !u128::MAX.checked_shr(len).unwrap_or(0) == 0
        }
        _ => false,
    }
}
