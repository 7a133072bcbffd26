//! What a packet is and what became of it, in a few words, for exports that show every packet by itself.

use std::collections::BTreeMap;

use crate::evidence::Evidence;
use crate::timeline::tcp_flags::{ACK, FIN, PSH, RST, SYN, URG};
use crate::timeline::{self, Content, EvidenceRef, Flight, Timeline, Wait, duration, escape};

/// Flags of a TCP segment in the order in which they are named.
const FLAGS: [(u8, &str); 6] = [(SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG")];

/// `SYN`, `SYN-ACK`, `ACK, 1448 bytes`, `DNS query A server.`, `ICMP port unreachable`.
pub fn kind(flight: &Flight) -> String {
    match &flight.content {
        Content::Tcp(segment) => {
            let flags: Vec<&str> =
                FLAGS.iter().filter(|(bit, _)| segment.flags & bit != 0).map(|(_, name)| *name).collect();
            let flags = if flags.is_empty() { "TCP".to_owned() } else { flags.join("-") };
            if segment.payload_len > 0 { format!("{flags}, {} bytes", segment.payload_len) } else { flags }
        }
        Content::Udp { dns: Some(dns), .. } if dns.is_query => format!("DNS query {}", escape(&dns.question)),
        Content::Udp { dns: Some(dns), .. } => format!("DNS {} {}", dns.rcode, escape(&dns.question)),
        Content::Udp { payload_len, .. } => format!("UDP, {payload_len} bytes"),
        Content::Icmp { kind, .. } => format!("ICMP {kind}"),
        Content::Arp { is_request: true, target } => format!("ARP who has {target}"),
        Content::Arp { is_request: false, target } => format!("ARP {target} is at"),
        Content::Other(text) => escape(text),
    }
}

/// What became of it: `dropped at server by "drop tcp dport=80"`. `None` if it arrived.
pub fn fate(evidence: &Evidence, flight: &Flight) -> Option<String> {
    timeline::fate(&evidence.plan, &flight.fate)
}

/// What the timeline says of packets, by their place in the evidence.
pub fn told(timeline: &Timeline) -> BTreeMap<usize, &str> {
    let packets = timeline.events.iter().flat_map(|event| {
        event.evidence.iter().filter_map(|reference| match reference {
            EvidenceRef::Packet(index) => Some((*index, event.text.as_str())),
            _ => None,
        })
    });
    packets.collect()
}

/// `retransmission 1, RTO 1 s, 1.024 s after the previous`; what is known of it. `wait` is what it ended.
pub fn retransmission(flight: &Flight, wait: Option<&Wait>) -> Option<String> {
    if flight.retransmission == 0 {
        return None;
    }
    let mut text = format!("retransmission {}", flight.retransmission);
    if let Some(wait) = wait {
        if let Some(timer) = &wait.timer {
            text.push_str(&format!(", {} {}", timer.name, duration(timer.armed_ns)));
        }
        text.push_str(&format!(", {:.3} s after the previous", wait.gap_ns as f64 / 1e9));
    }
    Some(text)
}
