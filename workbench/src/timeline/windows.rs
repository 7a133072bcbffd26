//! Receive windows that close, and open again: what a sender's persist timer waits for (RFC 9293, 3.8.6.1).
//!
//! How wide an open window is depends on the machine's buffers and is not told.

use std::collections::BTreeSet;

use super::flight::TcpSegment;
use super::tcp_flags::{ACK, RST, SYN};

/// Ends of connections whose window is closed: the flow, and whether it is the server's own.
#[derive(Default)]
pub(super) struct Windows {
    closed: BTreeSet<(usize, bool)>,
}

impl Windows {
    /// What a segment that arrived says of its sender's window, if that is news.
    pub(super) fn note(&mut self, segment: &TcpSegment, (flow, to_server): (usize, bool)) -> Option<&'static str> {
        // A reset's window means nothing, and a handshake's is the first.
        let says = segment.flags & (ACK | SYN | RST) == ACK;
        let key = (flow, to_server);
        match segment.window {
            _ if !says => None,
            0 => self.closed.insert(key).then_some("zero window"),
            _ => self.closed.remove(&key).then_some("window open again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_closes_is_told_once_until_it_opens() {
        let mut windows = Windows::default();
        let mut said = |window, flags| {
            let segment = TcpSegment { sport: 80, dport: 1, seq: 1, ack: 1, flags, window, payload_len: 0 };
            windows.note(&segment, (0, false))
        };
        let told = [(512, ACK), (0, ACK), (0, ACK), (0, RST | ACK), (9, ACK), (10, ACK)].map(|(w, f)| said(w, f));
        assert_eq!(told, [None, Some("zero window"), None, None, Some("window open again"), None]);
    }
}
