//! A packet's bytes to its addresses and what it carried.
//!
//! Any bytes are fine: a captured packet is cut at the snap length, and a peer may send what it likes. What cannot be
//! read is [`Content::Other`] with a word on how far reading came. Nothing here checks checksums.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{
    ArpOperation, ArpPacketSlice, EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice, UdpSlice,
};

use super::decode_dns::dns;
use super::decode_icmp::{icmpv4, icmpv6};
use super::flight::{Content, TcpSegment};

/// The well-known port of DNS (RFC 1035, 4.2).
const DNS_PORT: u16 = 53;

/// A packet's headers, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Source and destination; `None` where there is no IP.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// What it carried.
    pub content: Content,
}

/// Decodes an Ethernet frame, from its header on. It may be cut anywhere.
pub fn decode(frame: &[u8]) -> Decoded {
    let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
        return Decoded { addresses: None, content: Content::Other("cut Ethernet frame".to_owned()) };
    };
    match &packet.net {
        None => Decoded { addresses: None, content: Content::Other(without_net(&packet)) },
        Some(LaxNetSlice::Arp(arp)) => Decoded { addresses: None, content: arp_content(arp) },
        Some(net) => Decoded {
            addresses: addresses(net),
            content: ip_content(&packet).unwrap_or_else(|| without_ports(&packet)),
        },
    }
}

/// Source and destination of an IP packet.
pub(super) fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr)> {
    match net {
        LaxNetSlice::Ipv4(ip) => Some((ip.header().source_addr().into(), ip.header().destination_addr().into())),
        LaxNetSlice::Ipv6(ip) => Some((ip.header().source_addr().into(), ip.header().destination_addr().into())),
        LaxNetSlice::Arp(_) => None,
    }
}

/// What an IP packet carried; `None` if its transport header is missing, cut or unknown.
fn ip_content(packet: &LaxSlicedPacket<'_>) -> Option<Content> {
    let net = packet.net.as_ref()?;
    Some(match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => Content::Tcp(tcp_segment(tcp, ip_payload_len(net))),
        TransportSlice::Udp(udp) => udp_content(udp),
        TransportSlice::Icmpv4(icmp) => icmpv4(icmp),
        TransportSlice::Icmpv6(icmp) => icmpv6(icmp),
        TransportSlice::Igmp(_) => return None,
    })
}

fn tcp_segment(tcp: &TcpSlice<'_>, segment_len: usize) -> TcpSegment {
    let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg()];
    TcpSegment {
        sport: tcp.source_port(),
        dport: tcp.destination_port(),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: flags.iter().enumerate().fold(0, |bits, (bit, &is_set)| bits | (u8::from(is_set) << bit)),
        window: tcp.window_size(),
        payload_len: segment_len.saturating_sub(tcp.header_slice().len()) as u32,
    }
}

fn udp_content(udp: &UdpSlice<'_>) -> Content {
    let (sport, dport) = (udp.source_port(), udp.destination_port());
    let dns = if [sport, dport].contains(&DNS_PORT) { dns(udp.payload()) } else { None };
    Content::Udp { sport, dport, payload_len: u32::from(udp.length()).saturating_sub(8), dns }
}

fn arp_content(arp: &ArpPacketSlice<'_>) -> Content {
    let is_request = arp.operation() == ArpOperation::REQUEST;
    let told = if is_request { arp.target_protocol_addr() } else { arp.sender_protocol_addr() };
    match <[u8; 4]>::try_from(told) {
        Ok(address) => Content::Arp { is_request, target: Ipv4Addr::from(address).into() },
        Err(_) => Content::Other("ARP for another protocol than IPv4".to_owned()),
    }
}

/// Bytes behind the IP headers on the wire, also where the snap length cut them off.
fn ip_payload_len(net: &LaxNetSlice<'_>) -> usize {
    let (captured, declared) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let headers = ip.header().slice().len() + ip.extensions().auth.as_ref().map_or(0, |a| a.slice().len());
            (ip.payload(), usize::from(ip.header().total_len()).saturating_sub(headers))
        }
        LaxNetSlice::Ipv6(ip) => {
            let headers = ip.extensions().slice().len();
            (ip.payload(), usize::from(ip.header().payload_length()).saturating_sub(headers))
        }
        LaxNetSlice::Arp(_) => return 0,
    };
    if captured.incomplete { declared } else { captured.payload.len() }
}

/// What to call a frame without a network header that could be read.
fn without_net(packet: &LaxSlicedPacket<'_>) -> String {
    match packet.ether_payload().map(|p| p.ether_type) {
        Some(EtherType::IPV4) => "malformed IPv4".to_owned(),
        Some(EtherType::IPV6) => "malformed IPv6".to_owned(),
        Some(EtherType::ARP) => "malformed ARP".to_owned(),
        Some(EtherType(number)) => format!("EtherType 0x{number:04x}"),
        None => "malformed frame".to_owned(),
    }
}

/// What to call an IP packet without a transport header that could be read.
fn without_ports(packet: &LaxSlicedPacket<'_>) -> Content {
    let Some(payload) = packet.ip_payload() else { return Content::Other("malformed IP".to_owned()) };
    let protocol = protocol_name(payload.ip_number);
    Content::Other(match payload.ip_number {
        _ if payload.fragmented => format!("fragment of {protocol}"),
        IpNumber::TCP | IpNumber::UDP | IpNumber::ICMP | IpNumber::IPV6_ICMP => format!("malformed {protocol}"),
        _ => protocol,
    })
}

/// Assigned Internet Protocol Numbers (IANA) that turn up in a lab; the others by number.
fn protocol_name(number: IpNumber) -> String {
    let name = match number {
        IpNumber::ICMP => "ICMP",
        IpNumber::IGMP => "IGMP",
        IpNumber::TCP => "TCP",
        IpNumber::UDP => "UDP",
        IpNumber::GRE => "GRE",
        IpNumber::IPV6_ICMP => "ICMPv6",
        IpNumber::SCTP => "SCTP",
        IpNumber(other) => return format!("IP protocol {other}"),
    };
    name.to_owned()
}
