//! ICMP and ICMPv6 in words, and the packet that an error quotes.

use etherparse::{Icmpv4Slice, Icmpv6Slice, IpNumber, LaxSlicedPacket};

use super::decode::addresses;
use super::flight::{Content, QuotedFlow};

/// Type, code and checksum, and four bytes that depend on the type: the quoted packet stands behind them.
const HEADER_BYTES: usize = 8;

pub(super) fn icmpv4(icmp: &Icmpv4Slice<'_>) -> Content {
    let (kind, code) = (icmp.type_u8(), icmp.code_u8());
    let is_error = matches!(kind, 3 | 4 | 5 | 11 | 12);
    Content::Icmp { kind: kind_v4(kind, code), about: is_error.then(|| quoted(icmp.slice())).flatten() }
}

pub(super) fn icmpv6(icmp: &Icmpv6Slice<'_>) -> Content {
    let (kind, code) = (icmp.type_u8(), icmp.code_u8());
    // RFC 4443, 2.1: error messages have a zero in the high-order bit of their type.
    let is_error = kind < 128;
    Content::Icmp { kind: kind_v6(kind, code), about: is_error.then(|| quoted(icmp.slice())).flatten() }
}

/// RFC 792, RFC 1122 3.2.2.1 (codes 6 to 12), RFC 1812 5.2.7.1 (13 to 15), RFC 1256 (9 and 10).
fn kind_v4(kind: u8, code: u8) -> String {
    let words = match (kind, code) {
        (0, _) => "echo reply",
        (3, 0) => "net unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed and DF set",
        (3, 5) => "source route failed",
        (3, 6) => "destination network unknown",
        (3, 7) => "destination host unknown",
        (3, 8) => "source host isolated",
        (3, 9) => "network administratively prohibited",
        (3, 10) => "host administratively prohibited",
        (3, 11) => "network unreachable for type of service",
        (3, 12) => "host unreachable for type of service",
        (3, 13) => "communication administratively prohibited",
        (3, 14) => "host precedence violation",
        (3, 15) => "precedence cutoff in effect",
        (4, _) => "source quench",
        (5, _) => "redirect",
        (8, _) => "echo request",
        (9, _) => "router advertisement",
        (10, _) => "router solicitation",
        (11, 0) => "time to live exceeded in transit",
        (11, 1) => "fragment reassembly time exceeded",
        (12, _) => "parameter problem",
        (13, _) => "timestamp",
        (14, _) => "timestamp reply",
        _ => return format!("type {kind} code {code}"),
    };
    words.to_owned()
}

/// RFC 4443, and RFC 4861 (neighbor discovery), RFC 2710 and 3810 (multicast listener discovery).
fn kind_v6(kind: u8, code: u8) -> String {
    let words = match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "communication administratively prohibited",
        (1, 2) => "beyond scope of source address",
        (1, 3) => "address unreachable",
        (1, 4) => "port unreachable",
        (1, 5) => "source address failed ingress/egress policy",
        (1, 6) => "reject route to destination",
        (2, _) => "packet too big",
        (3, 0) => "hop limit exceeded in transit",
        (3, 1) => "fragment reassembly time exceeded",
        (4, _) => "parameter problem",
        (128, _) => "echo request",
        (129, _) => "echo reply",
        (130, _) => "multicast listener query",
        (131, _) => "multicast listener report",
        (132, _) => "multicast listener done",
        (133, _) => "router solicitation",
        (134, _) => "router advertisement",
        (135, _) => "neighbor solicitation",
        (136, _) => "neighbor advertisement",
        (137, _) => "redirect",
        (143, _) => "multicast listener report version 2",
        _ => return format!("type {kind} code {code}"),
    };
    words.to_owned()
}

/// The flow of the packet that an error quotes: an IP header and at least 8 bytes behind it (RFC 792, RFC 1812 4.3.2.3).
fn quoted(message: &[u8]) -> Option<QuotedFlow> {
    let packet = LaxSlicedPacket::from_ip(message.get(HEADER_BYTES..)?).ok()?;
    let (from, to) = addresses(packet.net.as_ref()?)?;
    let payload = packet.ip_payload()?;
    let (protocol, has_ports) = match payload.ip_number {
        IpNumber::TCP => ("tcp".to_owned(), true),
        IpNumber::UDP => ("udp".to_owned(), true),
        IpNumber(other) => (other.to_string(), false),
    };
    // Both start with the ports (RFC 768, RFC 9293 3.1); the rest of a TCP header may be cut.
    let ports = payload.payload.get(..4).filter(|_| has_ports && !payload.fragmented);
    let port = |at: usize| ports.map(|p| u16::from_be_bytes([p[at], p[at + 1]]));
    Some(QuotedFlow { from, to, protocol, sport: port(0), dport: port(2) })
}
