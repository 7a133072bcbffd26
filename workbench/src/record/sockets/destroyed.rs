//! Hears from the kernel when a TCP socket of one network namespace is destroyed (SKNLGRP_INET_TCP_DESTROY).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::diag::DATAGRAM_BYTES;
use super::message::{self, Message};
use crate::evidence::TcpSocket;

/// SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY (include/uapi/linux/sock_diag.h).
const GROUPS: [u32; 2] = [1, 3];

/// Room for the notifications of some thousand sockets that are destroyed at once, as far as the kernel allows it.
const RECEIVE_BYTES: u32 = 4 << 20;

/// A membership in both groups.
pub(super) struct DestroyedSockets {
    socket: Socket,
    buffer: Vec<u8>,
    /// Notifications were lost.
    pub has_lost: bool,
}

impl DestroyedSockets {
    /// Joins in the calling thread's network namespace.
    pub fn join() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.set_rx_buf_sz(RECEIVE_BYTES)?;
        socket.set_non_blocking(true)?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_BYTES), has_lost: false })
    }

    /// What has been destroyed since the last time. Says nothing of timers and owners: those are gone.
    pub fn take(&mut self) -> io::Result<Vec<TcpSocket>> {
        let mut sockets = Vec::new();
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sockets),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.has_lost = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            for (_, message) in message::messages(&self.buffer) {
                if let Message::Socket(socket) = message {
                    sockets.push(*socket);
                }
            }
        }
    }
}

impl AsFd for DestroyedSockets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
