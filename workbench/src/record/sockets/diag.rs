//! A NETLINK_SOCK_DIAG socket in one network namespace, and dumps through it. Blocks for nothing: the kernel writes a
//! dump within `send` and `recv`.

use std::io;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::message::{self, Message};
use crate::evidence::TcpSocket;

/// Room for one datagram: the kernel makes none above 32 KiB (`netlink_dump` in net/netlink/af_netlink.c).
pub(super) const DATAGRAM_BYTES: usize = 32 * 1024;

/// Asks for all sockets, and again.
pub(super) struct Diag {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Diag {
    /// Opens it in the calling thread's network namespace, where it stays.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(DATAGRAM_BYTES) })
    }

    /// All TCP sockets of a family, in the kernel's order. ENOENT: the kernel has no `tcp_diag`.
    pub fn dump(&mut self, family: u8) -> io::Result<Vec<TcpSocket>> {
        self.sequence += 1;
        self.socket.send(&message::request(family, self.sequence), 0)?;
        let mut sockets = Vec::new();
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0)?;
            for (sequence, message) in message::messages(&self.buffer) {
                match message {
                    _ if sequence != self.sequence => {}
                    Message::Socket(socket) => sockets.push(*socket),
                    Message::Done => return Ok(sockets),
                    Message::Refused(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Message::Other => {}
                }
            }
        }
    }
}
