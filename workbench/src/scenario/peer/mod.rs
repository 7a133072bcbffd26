//! `silent`, `stall`, `http`, `dns` and the other peers that a host can have, and what is wrong with them.

mod check;
mod decode;
mod dns;
mod http;
mod kind;
mod model;

pub(super) use check::check;
pub(super) use decode::{NODES, peer};
pub use kind::{BodyEnd, DnsMode, Http, PeerKind, Speech, Transport};
pub use model::{Answer, Peer};
