//! Which of the things that faults and socket programs wait for have come. Fed by the poll loop; acts on nothing.

use crate::evidence::{Packet, SocketSample};
use crate::plan::Cause;

/// What has happened so far, as far as causes ask for it. Stamps are CLOCK_MONOTONIC.
#[derive(Debug, Default)]
pub struct Causes {
    zero_ns: Option<i64>,
}

impl Causes {
    /// The command was let go then.
    pub fn set_zero(&mut self, zero_ns: i64) {
        self.zero_ns = Some(zero_ns);
    }

    /// New looks at sockets.
    pub fn note_sockets(&mut self, _samples: &[SocketSample]) {}

    /// New packets.
    pub fn note_packets(&mut self, _packets: &[Packet]) {}

    /// A socket program has come to a step.
    pub fn note_step(&mut self, _program: &str, _step: &str) {}

    /// When the next cause comes that is a time, if nothing happens before.
    pub fn next_ns(&self) -> Option<i64> {
        None
    }

    /// Whether a cause has come by `now_ns`.
    pub fn has_come(&self, _cause: &Cause, _now_ns: i64) -> bool {
        false
    }
}
