//! What a reader calls a TCP connection that is known by the addresses of its ends, as a socket is.

use std::net::SocketAddr;

use super::flight::{Flight, QuotedFlow};
use super::flows::Flows;
use super::names::Names;
use super::objects::Objects;
use super::sockets::Sockets;
use crate::evidence::Evidence;

/// The names that the timeline gives to connections.
pub struct TcpLabels<'a> {
    names: Names<'a>,
    flows: Flows,
}

/// What one end of a connection is called.
pub struct TcpLabel {
    /// `server:80#2`.
    pub name: String,
    /// Whether it is the end that was asked; `None` if no packet tells.
    pub is_server: Option<bool>,
}

impl<'a> TcpLabels<'a> {
    /// From the same evidence and packets as the timeline.
    pub fn new(evidence: &'a Evidence, flights: &[Flight]) -> Self {
        let names = Names::new(evidence);
        let sockets = Sockets::new(evidence, &Objects::new(evidence));
        let flows = Flows::new(evidence, flights, &sockets, &names);
        Self { names, flows }
    }

    /// `server:80#2`, from either end. Without a packet that was seen, the place at the other end.
    pub fn of(&self, local: SocketAddr, remote: SocketAddr) -> TcpLabel {
        let quoted = QuotedFlow {
            from: local.ip(),
            to: remote.ip(),
            protocol: "tcp".into(),
            sport: Some(local.port()),
            dport: Some(remote.port()),
        };
        match self.flows.quoted(&quoted).map(|flow| self.flows.get(flow)) {
            Some(flow) => TcpLabel { name: flow.label.clone(), is_server: Some(flow.server == local) },
            None => TcpLabel { name: self.names.place(remote.ip(), remote.port()), is_server: None },
        }
    }
}
