//! A peer as its author wrote it, with the places of its values.

use std::net::IpAddr;

use miette::SourceSpan;

use super::super::span::Spanned;
use super::kind::{PeerKind, Transport};

/// A built-in peer: `silent port=80`.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// What it does.
    pub kind: PeerKind,
    /// What it listens on.
    pub transport: Transport,
    /// Its port.
    pub port: Spanned<u16>,
    /// The one address it is on; `None` is all of the host's.
    pub address: Option<Spanned<IpAddr>>,
    /// A name server's own answers, in order.
    pub answers: Vec<Answer>,
    /// As the scenario writes it, in one line.
    pub text: String,
    /// The node.
    pub span: SourceSpan,
}

/// `answer NAME ADDRESS…` of a name server.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The name.
    pub name: Spanned<String>,
    /// Its addresses, in order.
    pub addresses: Vec<IpAddr>,
}
