//! What a reader calls a TCP connection that is known by the addresses of its ends, as a socket is.

use std::net::SocketAddr;

use super::flight::{Flight, QuotedFlow};
use super::flows::Flows;
use super::names::Names;
use super::sockets::Sockets;
use crate::evidence::Evidence;

/// The names that the timeline gives to connections.
pub struct TcpLabels<'a> {
    names: Names<'a>,
    flows: Flows,
}

impl<'a> TcpLabels<'a> {
    /// From the same evidence and packets as the timeline.
    pub fn new(evidence: &'a Evidence, flights: &[Flight]) -> Self {
        let names = Names::new(evidence);
        let flows = Flows::new(evidence, flights, &Sockets::new(evidence), &names);
        Self { names, flows }
    }

    /// `server:80#2`, from either end. Without a packet that was seen, the place at the other end.
    pub fn of(&self, local: SocketAddr, remote: SocketAddr) -> String {
        let quoted = QuotedFlow {
            from: local.ip(),
            to: remote.ip(),
            protocol: "tcp".into(),
            sport: Some(local.port()),
            dport: Some(remote.port()),
        };
        match self.flows.quoted(&quoted) {
            Some(flow) => self.flows.get(flow).label.clone(),
            None => self.names.place(remote.ip(), remote.port()),
        }
    }
}
