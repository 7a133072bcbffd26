//! The built-in peers of a lab: one process that serves all of them, in their hosts' network namespaces.
//!
//! It knows nothing of the command or of what is recorded; it sleeps unless a connection or a datagram is served.

mod clock;
mod companion;
mod datagrams;
mod dns;
mod dns_message;
mod filler;
mod http;
mod http_request;
mod open;
mod serve;
mod speech;
mod wire;

pub use companion::{Companion, PeersError};
