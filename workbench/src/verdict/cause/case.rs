//! A run as the search for its cause sees it: the evidence, and what was made from it once.

use std::cell::RefCell;
use std::collections::BTreeSet;

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
    /// What the search has asked about already. It ends with the first answer, so whatever is in here had none: two
    /// threads that wake each other are asked once each, and not once for every way from one to the other.
    asked: RefCell<BTreeSet<(i64, u32, Option<usize>)>>,
}

impl<'a> Case<'a> {
    /// Prepares a run.
    pub fn new(evidence: &'a Evidence, flights: &'a [Flight]) -> Self {
        let Index { names, objects, sockets, flows } = Index::new(evidence, flights);
        let happenings = happenings(evidence, &objects);
        Self { evidence, flights, objects, happenings, names, sockets, flows, asked: RefCell::default() }
    }

    /// The host that the command runs in.
    pub fn host(&self) -> &'a str {
        &self.evidence.plan.command.host
    }

    /// Notes that the search asks what lies behind a happening; false if it has asked before.
    pub fn ask(&self, happening: &Happening) -> bool {
        self.asked.borrow_mut().insert((happening.t_ns, happening.tid, happening.call))
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
        let object = self.objects.get(id);
        if let Some(connect) = self.connect(id).filter(|_| object.kind == Kind::Tcp) {
            let connection = self.sockets.begun_by(connect)?;
            return Some((self.flows.of_connection(connection)?, false));
        }
        let remote = object.remote?;
        let is_tcp = object.kind == Kind::Tcp;
        let is_server = is_tcp && self.evidence.calls[object.made_by].name.starts_with("accept");
        let flow = self
            .flows
            .find(|flow| flow.is_tcp == is_tcp && remote == if is_server { flow.client } else { flow.server })?;
        Some((flow, is_server))
    }

    /// What a reader calls a socket's other end: `server:80`.
    pub fn place(&self, id: ObjectId) -> String {
        let flow = self.flow(id).map(|(flow, _)| self.flows.get(flow).label.clone());
        let remote = self.objects.get(id).remote.map(|remote| self.names.place(remote.ip(), remote.port()));
        flow.or(remote).unwrap_or_else(|| "its peer".into())
    }

    /// Packets of a socket's flow, each with whether the socket sent it.
    pub fn packets(&self, id: ObjectId) -> impl Iterator<Item = (&'a Flight, bool)> {
        let flow = self.flow(id);
        let of_flow = move |flight: &'a Flight| {
            let (wanted, is_server) = flow?;
            let (flow, to_server) = self.flows.of(flight)?;
            (flow == wanted).then_some((flight, to_server != is_server))
        };
        self.flights.iter().filter_map(of_flow)
    }

    /// The last packet to a socket, not after `t_ns`, that `wanted` says is one.
    pub fn last_arrived(&self, id: ObjectId, t_ns: i64, wanted: impl Fn(&Flight) -> bool) -> Option<&'a Flight> {
        let arrived = |flight: &&Flight| flight.arrived_ns.or(flight.sent_ns).is_some_and(|at| at <= t_ns);
        let to_us = self.packets(id).filter(|(_, is_ours)| !is_ours).map(|(flight, _)| flight);
        to_us.filter(arrived).filter(|flight| wanted(flight)).last()
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
