//! A run as the search for its cause sees it: the evidence, and what was made from it once.

use std::cell::OnceCell;

use super::happenings::{Happening, happenings};
use crate::evidence::{Evidence, TcpSocket};
use crate::timeline::objects::{Kind, ObjectId, Objects};
use crate::timeline::{Content, EvidenceRef, Flight, Flows, Index, Names, Sockets};

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

impl<'a> Case<'a> {
    /// Prepares a run.
    pub fn new(evidence: &'a Evidence, flights: &'a [Flight]) -> Self {
        let Index { names, objects, sockets, flows } = Index::new(evidence, flights);
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

    /// The call that began a socket's connection: a later `connect` to the same place only asks how it came out
    /// (connect(2), EALREADY and EISCONN).
    pub fn connect(&self, id: ObjectId) -> Option<usize> {
        let last = self.objects.get(id).connect?;
        let begun = self.evidence.calls[last].fd().and_then(|fd| self.sockets.of(last, fd));
        Some(begun.map_or(last, |connection| self.sockets.connections[connection].call))
    }

    /// The flow of a socket: its number, and whether the socket is its server's end.
    pub fn flow(&self, id: ObjectId) -> Option<(usize, bool)> {
        *self.flow_of[id].get_or_init(|| self.find_flow(id))
    }

    /// Whether two sockets are the two ends of one connection.
    pub fn are_ends(&self, id: ObjectId, other: ObjectId) -> bool {
        let (Some((flow, is_server)), Some((same, is_other))) = (self.flow(id), self.flow(other)) else { return false };
        flow == same && is_server != is_other
    }

    fn find_flow(&self, id: ObjectId) -> Option<(usize, bool)> {
        let object = self.objects.get(id);
        if let Some(connect) = self.connect(id).filter(|_| object.kind == Kind::Tcp) {
            let connection = self.sockets.begun_by(connect)?;
            return Some((self.flows.of_connection(connection)?, false));
        }
        let remote = object.remote?;
        let is_tcp = object.kind == Kind::Tcp;
        let is_server = is_tcp && self.evidence.calls[object.made_by].name.starts_with("accept");
        let since = |from_ns: i64| {
            let is_its = |end| remote == end;
            self.flows.find(|flow| {
                let end = if is_server { flow.client } else { flow.server };
                flow.is_tcp == is_tcp && is_its(end) && flow.first_ns >= from_ns
            })
        };
        // A socket's own datagrams: those sent after it was made. Another may have asked the same server before.
        let made_ns = if is_tcp { i64::MIN } else { self.evidence.calls[object.made_by].entry_ns };
        let flow = since(made_ns).or_else(|| since(i64::MIN))?;
        Some((flow, is_server))
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
                let is_ours = match (flow, self.flows.quoted(quoted)) {
                    (Some(flow), Some(quoted)) => flow == quoted,
                    _ => remote.is_some_and(|remote| quoted.to == remote.ip() && quoted.dport == Some(remote.port())),
                };
                let at = flight.arrived_ns?;
                (is_ours && (from_ns..=t_ns).contains(&at)).then_some((flight, kind.as_str()))
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
        let (local, remote) = socket.ends();
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
