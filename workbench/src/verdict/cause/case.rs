//! A run as the search for its cause sees it: the evidence, and what was made from it once.

use std::cell::OnceCell;
use std::net::SocketAddr;

use super::happenings::{Happening, happenings};
use crate::evidence::{Evidence, TcpSocket};
use crate::timeline::objects::{Kind, ObjectId, Objects};
use crate::timeline::{Content, EvidenceRef, Flight, Flows, Names, Sockets};

/// Everything that the search looks at.
pub struct Case<'a> {
    /// What was seen.
    pub evidence: &'a Evidence,
    /// Its packets, paired.
    pub flights: &'a [Flight],
    /// What is behind descriptors.
    pub objects: Objects,
    /// What let processes go on.
    pub happenings: Vec<Happening>,
    /// Names for a reader.
    pub names: Names<'a>,
    sockets: Sockets,
    flows: Flows,
    /// By flow: its packets' places in [`Self::flights`], and whether each goes to the server.
    of_flow: Vec<Vec<(usize, bool)>>,
    /// By object: its flow, once somebody has asked.
    flow_of: Vec<OnceCell<Option<(usize, bool)>>>,
}

/// A segment's flags (RFC 9293, 3.1).
pub const FIN: u8 = 1;
/// As [`FIN`].
pub const SYN: u8 = 2;
/// As [`FIN`].
pub const RST: u8 = 4;

impl<'a> Case<'a> {
    /// Prepares a run.
    pub fn new(evidence: &'a Evidence, flights: &'a [Flight]) -> Self {
        let names = Names::new(evidence);
        let objects = Objects::new(evidence);
        let sockets = Sockets::new(evidence, &objects);
        let flows = Flows::new(evidence, flights, &sockets, &names);
        let happenings = happenings(evidence, &objects);
        let mut of_flow = vec![Vec::new(); flows.count()];
        for (index, flight) in flights.iter().enumerate() {
            if let Some((flow, to_server)) = flows.of(flight) {
                of_flow[flow].push((index, to_server));
            }
        }
        let flow_of = objects.ids().map(|_| OnceCell::new()).collect();
        Self { evidence, flights, objects, happenings, names, sockets, flows, of_flow, flow_of }
    }

    /// What had happened by a moment, in order.
    pub fn until(&self, t_ns: i64) -> &[Happening] {
        &self.happenings[..self.happenings.partition_point(|h| h.t_ns <= t_ns)]
    }

    /// The host that the command runs in.
    pub fn host(&self) -> &'a str {
        &self.evidence.plan.command.host
    }

    /// The flow of a socket: its number, and whether the socket is its server's end.
    pub fn flow(&self, id: ObjectId) -> Option<(usize, bool)> {
        *self.flow_of[id].get_or_init(|| self.find_flow(id))
    }

    fn find_flow(&self, id: ObjectId) -> Option<(usize, bool)> {
        let object = self.objects.get(id);
        if let Some(connect) = object.connect.filter(|_| object.kind == Kind::Tcp) {
            let connection = self.sockets.begun_by(connect)?;
            return Some((self.flows.of_connection(connection)?, false));
        }
        let remote = object.remote?;
        // A socket's own datagrams: those sent after it was made. Another may have asked the same server before.
        let made_ns = self.evidence.calls[object.made_by].entry_ns;
        let datagrams =
            |from_ns: i64| self.flows.find(|flow| !flow.is_tcp && flow.server == remote && flow.first_ns >= from_ns);
        let flow = match object.kind {
            Kind::Tcp => self.flows.find(|flow| flow.is_tcp && flow.client == remote),
            _ => datagrams(made_ns).or_else(|| datagrams(i64::MIN)),
        }?;
        Some((flow, object.kind == Kind::Tcp))
    }

    /// What a reader calls a socket's other end: `server:80`.
    pub fn place(&self, id: ObjectId) -> String {
        let flow = self.flow(id).map(|(flow, _)| self.flows.get(flow).label.clone());
        let remote = self.objects.get(id).remote.map(|remote| self.names.place(remote.ip(), remote.port()));
        flow.or(remote).unwrap_or_else(|| "its peer".into())
    }

    /// Packets of a socket's flow, each with whether the socket sent it.
    pub fn packets(&self, id: ObjectId) -> impl DoubleEndedIterator<Item = (&'a Flight, bool)> {
        let (flow, is_server) = self.flow(id).unzip();
        let packets = flow.map_or(&[][..], |flow| self.of_flow[flow].as_slice());
        packets.iter().map(move |(index, to_server)| (&self.flights[*index], Some(*to_server) != is_server))
    }

    /// The last packet to a socket, not after `t_ns`, that `wanted` says is one.
    pub fn last_arrived(&self, id: ObjectId, t_ns: i64, wanted: impl Fn(&Flight) -> bool) -> Option<&'a Flight> {
        let arrived = |flight: &&Flight| flight.arrived_ns.or(flight.sent_ns).is_some_and(|at| at <= t_ns);
        let to_us = self.packets(id).rev().filter(|(_, is_ours)| !is_ours).map(|(flight, _)| flight);
        to_us.filter(arrived).find(|flight| wanted(flight))
    }

    /// The last ICMP error about a socket's packets that arrived between these two moments.
    pub fn icmp_about(&self, id: ObjectId, from_ns: i64, t_ns: i64) -> Option<(&'a Flight, &'a str)> {
        let flow = self.flow(id).map(|(flow, _)| flow);
        let remote = self.objects.get(id).remote;
        let about = |flight: &'a Flight| match &flight.content {
            Content::Icmp { kind, about: Some(quoted) } => {
                let is_flow = flow.is_some() && self.flows.quoted(quoted) == flow;
                let is_place =
                    remote.is_some_and(|remote| quoted.to == remote.ip() && quoted.dport == Some(remote.port()));
                let at = flight.arrived_ns?;
                ((is_flow || is_place) && (from_ns..=t_ns).contains(&at)).then_some((flight, kind.as_str()))
            }
            _ => None,
        };
        self.flights.iter().filter_map(about).next_back()
    }

    /// A socket as it was sampled last at or before `t_ns`, with the sample's index.
    pub fn sampled(&self, id: ObjectId, t_ns: i64) -> Option<(usize, &'a TcpSocket)> {
        self.samples_of(id, t_ns).next_back()
    }

    /// A socket in all samples up to `t_ns`, with their indices.
    pub fn samples_of(&self, id: ObjectId, t_ns: i64) -> impl DoubleEndedIterator<Item = (usize, &'a TcpSocket)> {
        let samples = self.evidence.sockets.iter().enumerate();
        let ours = samples.filter(move |(_, sample)| sample.host == self.host() && sample.t_ns <= t_ns);
        ours.filter_map(move |(index, sample)| Some((index, sample.sockets.iter().find(|s| self.is(id, s))?)))
    }

    /// Whether a sampled socket is this one.
    pub fn is(&self, id: ObjectId, socket: &TcpSocket) -> bool {
        let place = |(ip, port): (std::net::IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
        let (local, remote) = (place(socket.local), place(socket.remote));
        match self.flow(id) {
            Some((flow, is_server)) => {
                let flow = self.flows.get(flow);
                let ends = if is_server { (flow.server, flow.client) } else { (flow.client, flow.server) };
                ends == (local, remote)
            }
            None => self.objects.get(id).remote == Some(remote),
        }
    }

    /// A process's name, as it is known in reports.
    pub fn process(&self, pid: u32) -> String {
        self.names.process(pid).to_owned()
    }
}

/// Where a packet can be found.
pub fn seen(flight: &Flight) -> Vec<EvidenceRef> {
    [flight.sent_index, flight.arrived_index].into_iter().flatten().map(EvidenceRef::Packet).collect()
}

/// The flags of a TCP segment, 0 for anything else.
pub fn flags(flight: &Flight) -> u8 {
    match &flight.content {
        Content::Tcp(segment) => segment.flags,
        _ => 0,
    }
}
