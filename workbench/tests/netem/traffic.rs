//! Numbered datagrams from one host to another through a netem, and when each was seen at both ends of the link.
//!
//! The sender is bash: `/dev/udp` as its standard output, which is not traced, and `read -t` on a standard input that
//! nobody writes to, which waits without starting a process: two thousand datagrams take a third of a second.

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use workbench::evidence::{Direction, Evidence, Packet};

use crate::support::virtual_engine::evidence;

/// Ethernet, IPv4 and UDP headers.
pub const HEADERS_BYTES: usize = 14 + 20 + 8;

/// What is sent through what.
#[derive(Debug, Clone, Copy)]
pub struct Traffic<'a> {
    /// What the link's block says.
    pub link: &'a str,
    /// How many datagrams.
    pub count: u32,
    /// Seconds between them; where it is empty, one follows the other.
    pub pause: &'a str,
    /// Length of a frame.
    pub frame_bytes: usize,
    /// Something to run when all has arrived, for its output.
    pub then: &'a str,
}

impl<'a> Traffic<'a> {
    /// Datagrams of 100 bytes, one after the other.
    pub fn through(link: &'a str, count: u32) -> Self {
        Self { link, count, pause: "", frame_bytes: 100, then: "true" }
    }

    fn scenario(&self) -> String {
        let Self { link, count, pause, frame_bytes, then } = *self;
        let width = frame_bytes - HEADERS_BYTES;
        let wait = if pause.is_empty() { String::new() } else { format!("read -t {pause};") };
        let send = format!("for i in {{1..{count}}}; do printf %-{width}d $i; {wait} done");
        format!(
            r#"namespace client
namespace server {{
    // Nobody listens; without this, errors would come back.
    drop udp dport=9
}}
link client server {{
    {link}
}}
run run in=client bash -c "exec 3>&1 >/dev/udp/server/9; {send}; read -t 20; exec >&3; {then}" {{
    stdin silent
}}
"#
        )
    }

    /// Sends it, with all of the machine's randomness made from `seed`.
    pub fn run(&self, seed: u64) -> Result<Seen, Failed> {
        let text = self.scenario();
        let evidence = evidence(&text, seed)?;
        let seen = Seen { evidence };
        let sent = seen.sent().count();
        if sent != self.count as usize || !seen.evidence.capture_loss.is_empty() {
            return Err(format!("{text}\n{sent} sent, capture loss {:?}", seen.evidence.capture_loss).into());
        }
        Ok(seen)
    }
}

/// What was seen of it.
pub struct Seen {
    pub evidence: Evidence,
}

/// One datagram at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// When it left, since the first one left.
    pub sent_ns: i64,
    /// How long each of its arrivals was under way: none if it was lost, two if it was duplicated.
    pub under_way_ns: Vec<i64>,
}

impl Journey {
    pub fn is_lost(&self) -> bool {
        self.under_way_ns.is_empty()
    }
}

impl Seen {
    /// What left the client, in order.
    pub fn sent(&self) -> impl Iterator<Item = &Packet> {
        self.at("client", Direction::Sent)
    }

    /// What came to the server, in order.
    pub fn arrived(&self) -> impl Iterator<Item = &Packet> {
        self.at("server", Direction::Received)
    }

    fn at<'a>(&'a self, host: &'a str, direction: Direction) -> impl Iterator<Item = &'a Packet> {
        self.evidence
            .packets
            .iter()
            .filter(move |p| p.host == host && p.interface == "eth0" && p.direction == direction)
    }

    /// The numbers in order of arrival.
    pub fn order(&self) -> Vec<u32> {
        self.arrived().filter_map(number).collect()
    }

    /// One for each datagram, in order of their numbers.
    pub fn journeys(&self) -> Vec<Journey> {
        let mut arrivals: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        for packet in self.arrived() {
            arrivals.entry(number(packet).unwrap_or(0)).or_default().push(packet.t_ns);
        }
        let first_ns = self.sent().next().map_or(0, |packet| packet.t_ns);
        let journey = |packet: &Packet| {
            let arrivals = number(packet).and_then(|number| arrivals.get(&number)).into_iter().flatten();
            let under_way_ns = arrivals.map(|arrived_ns| arrived_ns - packet.t_ns).collect();
            Journey { sent_ns: packet.t_ns - first_ns, under_way_ns }
        };
        self.sent().map(journey).collect()
    }

    /// Which datagrams never arrived.
    pub fn losses(&self) -> Vec<bool> {
        self.journeys().iter().map(Journey::is_lost).collect()
    }

    /// How long those were under way that arrived, in milliseconds.
    pub fn delays_ms(&self) -> Vec<f64> {
        self.journeys().iter().flat_map(|journey| &journey.under_way_ns).map(|&ns| ns as f64 / 1e6).collect()
    }

    /// Whether the kernel is this one or a newer one.
    pub fn is_kernel(&self, wanted: (u32, u32)) -> bool {
        let mut numbers = self.evidence.machine.kernel.split(['.', '-']).map_while(|n| n.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
    }
}

/// The number that a datagram begins with.
fn number(packet: &Packet) -> Option<u32> {
    let payload = packet.bytes.get(HEADERS_BYTES..)?;
    let digits = payload.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
