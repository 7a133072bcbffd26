//! `/proc/net/tcp` and `/proc/net/tcp6` as far as sock_diag tells the same: up to the inode (get_tcp4_sock in
//! net/ipv4/tcp_ipv4.c).
//!
//! The columns behind it have no header: references, an address that is hidden, RTO, ATO, congestion window.

use std::net::IpAddr;

use super::address::by_family;
use super::state::names;
use crate::evidence::{TcpSocket, TcpState, TimerKind};

/// USER_HZ: ticks in a second of what the kernel tells programs, on every architecture but alpha and ia64.
const USER_TICK_NS: u64 = 10_000_000;

/// What a row says of a socket beyond its addresses: the same as sock_diag, with other units and another choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub send_queue: u32,
    pub recv_queue: u32,
    pub timer: TimerKind,
    /// In USER_HZ.
    pub when: u64,
    /// Column `retrnsmt`: RTOs, whatever timer runs.
    pub retransmits: u8,
    /// Column `timeout`: probes, whatever timer runs.
    pub probes: u8,
}

/// A socket's row, on a kernel with ticks of this length.
pub(super) fn row(socket: &TcpSocket, tick_ns: u64) -> Row {
    let (retransmits, probes) = match (&socket.info, socket.timer) {
        (Some(info), _) => (info.retransmits, info.probes),
        // A connection in SYN_RECV, which has no tcp_info: how often the SYN-ACK was sent again.
        (None, TimerKind::On) => (socket.retransmits, 0),
        (None, _) => (0, 0),
    };
    // There it is what was written and not acknowledged, which a listener never has; in sock_diag it is its limit.
    let send_queue = if socket.state == TcpState::Listen { 0 } else { socket.send_queue };
    let (timer, expires_ms) =
        if socket.timer == TimerKind::DELAYED_ACK { (TimerKind::Off, 0) } else { (socket.timer, socket.expires_ms) };
    let when = when(expires_ms, tick_ns);
    Row { send_queue, recv_queue: socket.recv_queue, timer, when, retransmits, probes }
}

/// Milliseconds in USER_HZ as the kernel makes it from jiffies: rounded down (jiffies_to_clock_t in kernel/time/time.c).
/// Milliseconds themselves are made from jiffies, so the nearest number of them is the right one.
fn when(ms: u32, tick_ns: u64) -> u64 {
    let tick_ns = tick_ns.max(1);
    let jiffies = (u64::from(ms) * 1_000_000 + tick_ns / 2) / tick_ns;
    jiffies * tick_ns / USER_TICK_NS
}

/// The IPv4 sockets' rows, header first.
pub fn proc_net_tcp(sockets: &[TcpSocket], tick_ns: u64) -> String {
    let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    table(header, &by_family(sockets).0, tick_ns)
}

/// The IPv6 sockets' rows, header first.
pub fn proc_net_tcp6(sockets: &[TcpSocket], tick_ns: u64) -> String {
    let header = "  sl  local_address                         remote_address                        st tx_queue rx_queue \
                  tr tm->when retrnsmt   uid  timeout inode";
    table(header, &by_family(sockets).1, tick_ns)
}

fn table(header: &str, sockets: &[&TcpSocket], tick_ns: u64) -> String {
    let mut text = format!("{header}\n");
    for (number, socket) in sockets.iter().enumerate() {
        let row = row(socket, tick_ns);
        text.push_str(&format!(
            "{number:4}: {}:{:04X} {}:{:04X} {:02X} {:08X}:{:08X} {:02X}:{:08X} {:08X} {:5} {:8} {}\n",
            hex(socket.local.0),
            socket.local.1,
            hex(socket.remote.0),
            socket.remote.1,
            names(socket.state).number,
            row.send_queue,
            row.recv_queue,
            u8::from(row.timer),
            row.when,
            row.retransmits,
            socket.uid,
            row.probes,
            socket.inode,
        ));
    }
    text
}

/// An address as words of 32 bits, each as this machine reads it: bytes swapped on most.
fn hex(address: IpAddr) -> String {
    let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let words = |bytes: &[u8]| bytes.chunks_exact(4).map(|bytes| format!("{:08X}", word(bytes))).collect();
    match address {
        IpAddr::V4(v4) => words(&v4.octets()),
        IpAddr::V6(v6) => words(&v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn milliseconds_become_what_the_kernel_made_of_the_same_jiffies() {
        for (hz, jiffies) in
            [(100, 1u64), (250, 1), (250, 3), (250, 1_799_996), (300, 1), (300, 2), (300, 299), (1000, 17)]
        {
            let tick_ns = 1_000_000_000 / hz;
            let expected = jiffies * tick_ns / USER_TICK_NS;
            // inet_diag rounds up before Linux 5.18 (DIV_ROUND_UP); jiffies_to_msecs, since then, rounds up too.
            let ms = u32::try_from((jiffies * 1000).div_ceil(hz)).unwrap();
            assert_eq!(when(ms, tick_ns), expected, "{jiffies} at HZ={hz}");
        }
    }

    #[test]
    fn a_delayed_acknowledgment_is_no_timer_here_and_a_kind_to_come_is_one() {
        let of = |kind: u8| TcpSocket { timer: kind.into(), expires_ms: 40, ..fixture::sockets()[1].clone() };
        let row_of = |kind: u8| (row(&of(kind), 4_000_000).timer, row(&of(kind), 4_000_000).when);
        assert_eq!(row_of(5), (TimerKind::Off, 0));
        assert_eq!(row_of(6), (TimerKind::Unknown(6), 4));
    }

    #[test]
    fn rows_are_as_the_kernel_prints_them() {
        let sockets = fixture::sockets();
        assert_eq!(proc_net_tcp(&sockets, 4_000_000), fixture::PROC_NET_TCP);
        assert_eq!(proc_net_tcp6(&sockets, 4_000_000), fixture::PROC_NET_TCP6);
    }
}
