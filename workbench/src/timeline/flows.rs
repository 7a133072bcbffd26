//! Transport flows among the packets, and what a reader calls them: `server:80`, the second one `server:80#2`.
//!
//! Pairs each `connect` of the command with the flow it began; a client's ephemeral port names nothing to anybody.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::flight::{Content, Flight, QuotedFlow};
use super::names::Names;
use super::sockets::Sockets;
use super::tcp_flags::{ACK, SYN};
use crate::evidence::{Evidence, SocketAddress};

/// The two ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ends {
    is_tcp: bool,
    low: SocketAddr,
    high: SocketAddr,
}

/// One flow.
#[derive(Debug)]
pub struct Flow {
    /// The end that was asked for something.
    pub server: SocketAddr,
    /// The end that asked.
    pub client: SocketAddr,
    /// When its first packet was seen.
    pub first_ns: i64,
    /// As the reader knows it.
    pub label: String,
    /// The connection of the command that it is, if it is one.
    pub connection: Option<usize>,
    /// TCP, else UDP.
    pub is_tcp: bool,
    /// A socket program began it.
    pub is_of_program: bool,
}

/// All flows of a run.
pub struct Flows {
    flows: Vec<Flow>,
    index: BTreeMap<Ends, usize>,
    /// By connection: its label and its flow.
    connections: Vec<(String, Option<usize>)>,
    /// By flow: its packets and the ICMP errors about them.
    about: Vec<Vec<usize>>,
}

impl Flows {
    /// Pairs packets with connections.
    pub fn new(evidence: &Evidence, flights: &[Flight], sockets: &Sockets, names: &Names<'_>) -> Self {
        let (mut flows, index) = collect(flights, names);
        let paired = pair(evidence, &mut flows, sockets, names);
        let connections = label(evidence, &mut flows, sockets, &paired, names);
        let mut made = Self { about: vec![Vec::new(); flows.len()], flows, index, connections };
        for (number, flight) in flights.iter().enumerate() {
            let quoted = match &flight.content {
                Content::Icmp { about: Some(quoted), .. } => made.quoted(quoted),
                _ => None,
            };
            if let Some(flow) = made.of(flight).map(|(flow, _)| flow).or(quoted) {
                made.about[flow].push(number);
            }
        }
        made
    }

    /// The packets of a flow and the ICMP errors about them: their places among the flights.
    pub(super) fn about(&self, flow: usize) -> &[usize] {
        &self.about[flow]
    }

    /// The flow that a packet belongs to, and whether the packet goes to its server.
    pub fn of(&self, flight: &Flight) -> Option<(usize, bool)> {
        let (is_tcp, from, to) = transport(flight)?;
        let flow = *self.index.get(&ends(is_tcp, from, to))?;
        Some((flow, self.flows[flow].server == to))
    }

    /// The flow that an ICMP error quotes.
    pub fn quoted(&self, quoted: &QuotedFlow) -> Option<usize> {
        let is_tcp = quoted.protocol == "tcp";
        let from = SocketAddr::new(quoted.from, quoted.sport?);
        let to = SocketAddr::new(quoted.to, quoted.dport?);
        self.index.get(&ends(is_tcp, from, to)).copied()
    }

    /// The first flow of which this is true.
    pub fn find(&self, wanted: impl Fn(&Flow) -> bool) -> Option<usize> {
        self.flows.iter().position(wanted)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.flows.len()
    }

    /// A flow by its number.
    pub fn get(&self, flow: usize) -> &Flow {
        &self.flows[flow]
    }

    /// What a connection of the command is called.
    pub fn label(&self, connection: usize) -> &str {
        &self.connections[connection].0
    }

    /// The flow of a connection, if it ever sent a packet.
    pub fn of_connection(&self, connection: usize) -> Option<usize> {
        self.connections[connection].1
    }
}

fn transport(flight: &Flight) -> Option<(bool, SocketAddr, SocketAddr)> {
    let (from, to) = flight.addresses?;
    let (is_tcp, sport, dport) = match &flight.content {
        Content::Tcp(segment) => (true, segment.sport, segment.dport),
        Content::Udp { sport, dport, .. } => (false, *sport, *dport),
        _ => return None,
    };
    Some((is_tcp, SocketAddr::new(from, sport), SocketAddr::new(to, dport)))
}

fn ends(is_tcp: bool, from: SocketAddr, to: SocketAddr) -> Ends {
    Ends { is_tcp, low: from.min(to), high: from.max(to) }
}

/// The flows in the order of their first packets, whose sender is the client unless its first packet is an answer.
fn collect(flights: &[Flight], names: &Names<'_>) -> (Vec<Flow>, BTreeMap<Ends, usize>) {
    let mut flows: Vec<Flow> = Vec::new();
    let mut index = BTreeMap::new();
    for flight in flights {
        let Some((is_tcp, from, to)) = transport(flight) else { continue };
        index.entry(ends(is_tcp, from, to)).or_insert_with(|| {
            // A connection that was there before the capture: a port that a service has is the lower one.
            let is_answer = match &flight.content {
                Content::Tcp(s) if s.flags & SYN == 0 => from.port() < to.port(),
                Content::Tcp(s) => s.flags & ACK != 0,
                _ => false,
            };
            let (client, server) = if is_answer { (to, from) } else { (from, to) };
            let label = names.place(server.ip(), server.port());
            flows.push(Flow {
                server,
                client,
                first_ns: flight.t_ns(),
                label,
                connection: None,
                is_tcp,
                is_of_program: false,
            });
            flows.len() - 1
        });
    }
    (flows, index)
}

/// Each connection's flow: the first one to that place that appears between this `connect` and the next one there.
fn pair(evidence: &Evidence, flows: &mut [Flow], sockets: &Sockets, names: &Names<'_>) -> Vec<Option<usize>> {
    let host = |connection: usize| names.host(evidence.calls[sockets.connections[connection].call].pid);
    let entry = |connection: usize| evidence.calls[sockets.connections[connection].call].entry_ns;
    let mut paired = Vec::with_capacity(sockets.connections.len());
    for (number, connection) in sockets.connections.iter().enumerate() {
        let next_there = (number + 1..sockets.connections.len())
            .find(|later| sockets.connections[*later].remote == connection.remote && host(*later) == host(number))
            .map_or(i64::MAX, entry);
        let flow = flows.iter().position(|flow| {
            let is_ours = names.owner(flow.client.ip()).is_none_or(|owner| owner == host(number));
            let is_there = connection.remote.inet() == Some(flow.server) && flow.is_tcp && is_ours;
            is_there && flow.connection.is_none() && (entry(number)..=next_there).contains(&flow.first_ns)
        });
        if let Some(flow) = flow {
            flows[flow].connection = Some(number);
            flows[flow].is_of_program = names.is_program(evidence.calls[connection.call].pid);
        }
        paired.push(flow);
    }
    paired
}

/// Numbers the attempts at each place in the order they began. The first has no number, so that a second one changes
/// no line but its own.
fn label(
    evidence: &Evidence,
    flows: &mut [Flow],
    sockets: &Sockets,
    paired: &[Option<usize>],
    names: &Names<'_>,
) -> Vec<(String, Option<usize>)> {
    let mut labels: Vec<(String, Option<usize>)> = paired.iter().map(|flow| (String::new(), *flow)).collect();
    let of_connections = sockets.connections.iter().enumerate().map(|(number, connection)| {
        let place = match &connection.remote {
            SocketAddress::Unix(path) => super::escape::escape(path),
            remote => remote.inet().map_or_else(String::new, |to| names.place(to.ip(), to.port())),
        };
        (evidence.calls[connection.call].entry_ns, place, Some(number), paired[number])
    });
    let alone = flows.iter().enumerate().filter(|(_, flow)| flow.is_tcp && flow.connection.is_none());
    let of_flows = alone.map(|(number, flow)| (flow.first_ns, flow.label.clone(), None, Some(number)));
    let mut attempts: Vec<_> = of_connections.chain(of_flows).collect();
    attempts.sort_by_key(|(t_ns, ..)| *t_ns);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (_, place, connection, flow) in attempts {
        let count = seen.entry(place.clone()).or_default();
        *count += 1;
        let label = if *count == 1 { place } else { format!("{place}#{count}") };
        if let Some(flow) = flow {
            flows[flow].label.clone_from(&label);
        }
        if let Some(connection) = connection {
            labels[connection].0 = label;
        }
    }
    labels
}
