//! A flight: one packet's whole way, both ends' sightings paired, decoded, with where it ended.
//!
//! The types only; pairing and decoding fill them.

use std::net::IpAddr;

/// One packet from the end it left to where it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Flight {
    /// Host it left (or, when only the arrival was seen, the host on the other end of that link).
    pub from: String,
    /// Host at the other end of the link: the next hop, not the final destination.
    pub to: String,
    /// Link's name, or `lo`.
    pub link: String,
    /// Stamp at the sending end, since zero.
    pub sent_ns: Option<i64>,
    /// Stamp at the receiving end, since zero.
    pub arrived_ns: Option<i64>,
    /// Where it ended.
    pub fate: Fate,
    /// Source and destination of the IP packet; `None` for ARP and other non-IP.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// What it carried.
    pub content: Content,
    /// Length on the wire, link-layer header included.
    pub wire_len: u32,
    /// For TCP: the how-many-th retransmission of the same sequence range this is; 0 is the first sending.
    pub retransmission: u32,
    /// Index into `Evidence::packets` of the sending end's sighting.
    pub sent_index: Option<usize>,
    /// Index into `Evidence::packets` of the receiving end's sighting.
    pub arrived_index: Option<usize>,
}

impl Flight {
    /// The stamp that orders it: when it left, else when it arrived.
    pub fn t_ns(&self) -> i64 {
        self.sent_ns.or(self.arrived_ns).unwrap_or(0)
    }
}

/// Where a packet ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Reached the other end of its link and no rule there took it.
    Arrived,
    /// A rule took it: `Plan` rule id, and the host or link where the rule stands.
    TakenByRule {
        /// `RulePlan::id`.
        rule: String,
        /// Host or link name.
        at: String,
    },
    /// Left one end and never reached the other: netem's loss, or a cut cable.
    Lost,
    /// Still on its way when the run ended.
    InFlight,
}

/// What a packet carried.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// TCP.
    Tcp(TcpSegment),
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Bytes of payload.
        payload_len: u32,
        /// The payload as DNS, where one of the ports is 53 and it parses.
        dns: Option<Dns>,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// In words, as RFC 792 and 4443 have it: `port unreachable`, `echo request`.
        kind: String,
        /// For errors: the flow of the packet quoted inside.
        about: Option<QuotedFlow>,
    },
    /// ARP (RFC 826).
    Arp {
        /// Request, else reply.
        is_request: bool,
        /// The address asked for or told.
        target: IpAddr,
    },
    /// Anything else, by EtherType or IP protocol in words or hex.
    Other(String),
}

/// A TCP segment's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSegment {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Flag bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
    pub flags: u8,
    /// Window as in the header, unscaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload_len: u32,
}

/// The flow that an ICMP error quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedFlow {
    /// Source.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// `tcp`, `udp`, or the protocol's number.
    pub protocol: String,
    /// Source port, where there is one.
    pub sport: Option<u16>,
    /// Destination port, where there is one.
    pub dport: Option<u16>,
}

/// A DNS message, as far as a timeline needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Query, else response.
    pub is_query: bool,
    /// Transaction id.
    pub id: u16,
    /// `A server.`, `AAAA server.`.
    pub question: String,
    /// Response code's name: `NOERROR`, `NXDOMAIN`, `SERVFAIL`.
    pub rcode: String,
    /// Answer records.
    pub answers: u16,
    /// TC: it did not fit, and is to be asked for over TCP.
    pub is_truncated: bool,
}
