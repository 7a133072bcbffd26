//! What a packet is and what became of it, in a few words, for exports that show every packet by itself.

use crate::evidence::Evidence;
use crate::plan::{RuleAction, RulePlan};
use crate::timeline::{Content, Fate, Flight, Wait, duration, escape};

/// Flag bits of a TCP header (RFC 9293, 3.1), in the order in which they are named.
const FLAGS: [(u8, &str); 6] = [(2, "SYN"), (1, "FIN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG")];

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
    match &flight.fate {
        Fate::Arrived => None,
        Fate::Lost => Some("lost on the wire".into()),
        Fate::InFlight => Some("still on its way at the end".into()),
        Fate::TakenByRule { rule, at } => Some(match rule_of(evidence, rule) {
            Some(rule) => {
                let verb = if rule.action == RuleAction::Drop { "dropped" } else { "rejected" };
                format!("{verb} at {at} by \"{}\"", escape(&rule.text))
            }
            None => format!("taken at {at} by {}", escape(rule)),
        }),
    }
}

fn rule_of<'a>(evidence: &'a Evidence, id: &str) -> Option<&'a RulePlan> {
    let plan = &evidence.plan;
    let of_hosts = plan.hosts.iter().flat_map(|host| &host.rules);
    let of_links = plan.links.iter().flat_map(|link| &link.ends).flat_map(|end| &end.drops);
    of_hosts.chain(of_links).find(|rule| rule.id == id)
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
