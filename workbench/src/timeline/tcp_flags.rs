//! Flag bits of a TCP header (RFC 9293, 3.1).

use super::flight::{Content, Flight};

/// The sender has sent everything.
pub const FIN: u8 = 1;
/// Opens a connection.
pub const SYN: u8 = 2;
/// There is no such connection, or no longer.
pub const RST: u8 = 4;
/// To be handed to the program at once.
pub const PSH: u8 = 8;
/// The acknowledgment number counts.
pub const ACK: u8 = 16;
/// The urgent pointer counts.
pub const URG: u8 = 32;

/// The flags of a TCP segment, 0 for anything else.
pub fn of(flight: &Flight) -> u8 {
    match &flight.content {
        Content::Tcp(segment) => segment.flags,
        _ => 0,
    }
}
