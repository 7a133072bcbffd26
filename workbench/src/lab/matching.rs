//! What a packet must look like, as expressions: addresses, protocol, ports, flags, and which of those that match.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{MetaKey, Operator};

use super::expression::{Base, Draw, Expression, compare, draw, load_meta, load_payload, mask, quota_over};
use crate::plan::{PortRange, Protocol, RuleMatch, RulePlan, TcpFlagsMatch, Which};

/// The families of tables we use: they tell IPv4 from IPv6 by different means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// A host's own hooks, `inet`.
    Inet,
    /// The wire's hooks, `netdev`, which see frames.
    Netdev,
}

/// Counting stops here; a scenario never gets there.
const MOST_PACKETS: u32 = u32::MAX;

/// Steps of a chance.
const CHANCE_STEPS: u32 = 1_000_000_000;

/// Protocol number that no packet has (IANA: reserved).
const PROTOCOL_RESERVED: u8 = 255;

/// Every pair of addresses that the rule stands for, each as what a packet must look like: any one will do.
///
/// None at all if source and destination can never be in one packet.
pub(super) fn addresses(rule: &RulePlan, family: Family, is_ipv4_only: bool) -> Vec<Vec<Expression>> {
    let any = [None];
    let each = |list: &[(IpAddr, u8)]| match list {
        [] => any.to_vec(),
        list => list.iter().copied().map(Some).collect(),
    };
    let mut ways = Vec::new();
    for from in each(&rule.from) {
        for to in each(&rule.to) {
            let versions = [from, to].map(|network| network.map(|(address, _)| address.is_ipv4()));
            let is_ipv4 = match versions {
                [Some(one), Some(other)] if one != other => continue,
                [one, other] => one.or(other).or(is_ipv4_only.then_some(true)),
            };
            if is_ipv4_only && is_ipv4 == Some(false) {
                continue;
            }
            let mut way = is_ipv4.map_or_else(Vec::new, |is_ipv4| version(family, is_ipv4).to_vec());
            way.extend(from.into_iter().flat_map(|network| within(network, Address::Source)));
            way.extend(to.into_iter().flat_map(|network| within(network, Address::Destination)));
            ways.push(way);
        }
    }
    ways
}

/// Protocol, ports and flags.
pub(super) fn headers(matching: &RuleMatch) -> Vec<Expression> {
    let (operator, protocol) = match matching.protocol {
        Protocol::Tcp => (Operator::Equal, libc::IPPROTO_TCP as u8),
        Protocol::Udp => (Operator::Equal, libc::IPPROTO_UDP as u8),
        Protocol::Icmp => (Operator::Equal, libc::IPPROTO_ICMP as u8),
        Protocol::Icmpv6 => (Operator::Equal, libc::IPPROTO_ICMPV6 as u8),
        // What is not IP has no such protocol, and the load ends the rule (net/netfilter/nft_meta.c).
        Protocol::Any => (Operator::NotEqual, PROTOCOL_RESERVED),
    };
    let mut expressions = vec![load_meta(MetaKey::L4Proto), compare(operator, &[protocol])];
    expressions.extend(matching.sport.into_iter().flat_map(|ports| port(0, ports)));
    expressions.extend(matching.dport.into_iter().flat_map(|ports| port(2, ports)));
    expressions.extend(matching.flags.into_iter().flat_map(flags));
    expressions
}

/// Which of the packets that match. It counts what reaches it, so it comes after everything else.
pub(super) fn which(which: Which) -> Vec<Expression> {
    let number = |kind, modulus, operator, value: u32| {
        let [draw, order] = draw(kind, modulus);
        vec![draw, order, compare(operator, &value.to_be_bytes())]
    };
    match which {
        Which::All => vec![],
        Which::First(n) => number(Draw::Incremental, MOST_PACKETS, Operator::LessThan, n),
        Which::After(n) => number(Draw::Incremental, MOST_PACKETS, Operator::GreatherThanEqual, n),
        Which::Every(n) => number(Draw::Incremental, n, Operator::Equal, n.saturating_sub(1)),
        Which::AfterBytes(bytes) => vec![quota_over(bytes)],
        Which::Chance(p) => {
            let below = (p * f64::from(CHANCE_STEPS)).round() as u32;
            number(Draw::Random, CHANCE_STEPS, Operator::LessThan, below)
        }
    }
}

/// The IP version.
fn version(family: Family, is_ipv4: bool) -> [Expression; 2] {
    let ether_type = if is_ipv4 { libc::ETH_P_IP } else { libc::ETH_P_IPV6 } as u16;
    let nf_proto = if is_ipv4 { libc::NFPROTO_IPV4 } else { libc::NFPROTO_IPV6 } as u8;
    match family {
        Family::Inet => [load_meta(MetaKey::Nfproto), compare(Operator::Equal, &[nf_proto])],
        Family::Netdev => [load_meta(MetaKey::EtherTypeProtocol), compare(Operator::Equal, &ether_type.to_be_bytes())],
    }
}

#[derive(Clone, Copy)]
enum Address {
    Source,
    Destination,
}

/// The address lies in a network (RFC 791, 3.1; RFC 8200, 3).
fn within((network, prefix_len): (IpAddr, u8), address: Address) -> Vec<Expression> {
    let (bytes, source_offset) = match network {
        IpAddr::V4(network) => (network.octets().to_vec(), 12),
        IpAddr::V6(network) => (network.octets().to_vec(), 8),
    };
    let len = bytes.len() as u32;
    let offset = match address {
        Address::Source => source_offset,
        Address::Destination => source_offset + len,
    };
    let bits: Vec<u8> = (0..bytes.len()).map(|byte| leading_bits(usize::from(prefix_len), byte)).collect();
    let wanted: Vec<u8> = bytes.iter().zip(&bits).map(|(byte, bits)| byte & bits).collect();
    let mut expressions = vec![load_payload(Base::Network, offset, len)];
    if u32::from(prefix_len) < len * 8 {
        expressions.push(mask(&bits));
    }
    expressions.push(compare(Operator::Equal, &wanted));
    expressions
}

/// The `byte`-th byte of a mask of `prefix_len` ones.
fn leading_bits(prefix_len: usize, byte: usize) -> u8 {
    let ones = prefix_len.saturating_sub(byte * 8).min(8);
    !(0xffu16 >> ones) as u8
}

/// A port of the TCP or UDP header, at `offset`.
fn port(offset: u32, PortRange { first, last }: PortRange) -> Vec<Expression> {
    let load = load_payload(Base::Transport, offset, 2);
    if first == last {
        return vec![load, compare(Operator::Equal, &first.to_be_bytes())];
    }
    let at_least = compare(Operator::GreatherThanEqual, &first.to_be_bytes());
    vec![load, at_least, compare(Operator::LessThanEqual, &last.to_be_bytes())]
}

/// The flags' byte is the 14th of the TCP header (RFC 9293, 3.1).
fn flags(flags: TcpFlagsMatch) -> [Expression; 3] {
    [load_payload(Base::Transport, 13, 1), mask(&[flags.set | flags.clear]), compare(Operator::Equal, &[flags.set])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_becomes_a_mask_of_leading_ones() {
        let mask = |prefix_len| [0, 1, 2, 3].map(|byte| leading_bits(prefix_len, byte));
        assert_eq!(mask(0), [0, 0, 0, 0]);
        assert_eq!(mask(20), [0xff, 0xff, 0xf0, 0]);
        assert_eq!(mask(32), [0xff; 4]);
    }
}
