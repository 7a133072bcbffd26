//! The socket recorder: what sock_diag(7) says of every host's TCP sockets, and when to ask. See [`SocketRecorder`].

mod destroyed;
mod diag;
mod families;
mod message;
mod owners;
mod recorder;
mod schedule;

pub use recorder::{Recorded, SocketError, SocketRecorder};
pub use schedule::Schedule;
