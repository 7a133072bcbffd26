//! TCP sockets as sock_diag(7) shows them: state, queues, timers, `tcp_info`; and what the kernel counted.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::tcp_info::TcpInfo;
use crate::plan::SocketState;

/// All TCP sockets of one host at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SocketSample {
    /// Host.
    pub host: String,
    /// When the kernel was asked, since zero.
    pub t_ns: i64,
    /// How long its answer took: what is said held at some moment in it.
    pub took_ns: u64,
    /// What made the recorder look.
    pub because: SampleReason,
    /// The sockets, in the kernel's order.
    pub sockets: Vec<TcpSocket>,
}

/// What made the recorder look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleReason {
    /// The run begins.
    Start,
    /// A packet was seen.
    Packet,
    /// A system call was made.
    Call,
    /// A socket's timer was due.
    Due,
    /// A socket was destroyed.
    Destroyed,
    /// The run ends.
    End,
}

/// A socket that the kernel destroyed, as it was then (SKNLGRP_INET_TCP_DESTROY). TIME_WAIT begins with such a
/// notification and ends without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestroyedSocket {
    /// Host.
    pub host: String,
    /// When the notification was read, since zero.
    pub t_ns: i64,
    /// Its last state.
    pub socket: TcpSocket,
}

/// A TCP socket: `struct inet_diag_msg` and its attributes (include/uapi/linux/inet_diag.h).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TcpSocket {
    /// Address and port here.
    pub local: (IpAddr, u16),
    /// Address and port there.
    pub remote: (IpAddr, u16),
    /// Interface it is bound to, 0 for any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interface: u32,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// IPV6_V6ONLY, which the kernel tells of listening sockets alone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub only_v6: bool,
    /// The same for as long as the socket lives, and no other's.
    pub cookie: u64,
    /// State.
    pub state: TcpState,
    /// Which timer runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timer: TimerKind,
    /// Until it fires, milliseconds. 0 also if it is late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expires_ms: u32,
    /// As `inet_diag_msg` counts: retransmissions for `on`, probes for `keepalive` and `probe`, 0 otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retransmits: u8,
    /// Bytes not read. Listening: connections not accepted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recv_queue: u32,
    /// Bytes not acknowledged. Listening: the backlog's limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub send_queue: u32,
    /// User.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Inode; 0 for a socket that no process has: TIME_WAIT, SYN_RECV, orphans.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inode: u32,
    /// Process that has it open: the one with the smallest id, as netstat(8) tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SocketOwner>,
    /// Which directions are shut down: receiving 1, sending 2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shutdown: u8,
    /// Congestion control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion: Option<String>,
    /// `struct tcp_info`; `None` for SYN_RECV and TIME_WAIT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<TcpInfo>,
}

impl TcpSocket {
    /// Its own end and the other, as they are on the wire: an IPv4 address that an IPv6 socket has (RFC 4291, 2.5.5.2)
    /// travels as IPv4.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        let end = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
        (end(self.local), end(self.remote))
    }
}

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOwner {
    /// Process id in the lab.
    pub pid: u32,
    /// `comm` of proc(5).
    pub name: String,
    /// The first of its arguments (`cmdline` of proc(5)), which netstat(8) takes for its name; empty if not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub argument: String,
}

/// `idiag_timer` (tcp_diag_get_info, inet_csk_diag_msg_fill in net/ipv4/inet_diag.c), with the names of netstat(8) and
/// ss(8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum TimerKind {
    /// 0: none.
    #[default]
    Off,
    /// 1: retransmission, or tail loss probe, or reordering timer.
    On,
    /// 2: keepalive (`sk_timer`, which also is a SYN-ACK's and FIN_WAIT2's).
    Keepalive,
    /// 3: TIME_WAIT, or FIN_WAIT2 without a socket.
    TimeWait,
    /// 4: persist, RFC 9293, 3.8.6.1.
    Probe,
    /// Any other, by number.
    Unknown(u8),
}

impl TimerKind {
    /// IDIAG_TIMER_DELACK: newer kernels (7.2 does, 6.18 does not) tell of a delayed acknowledgment where no other
    /// timer runs, in sock_diag alone (inet_sk_diag_fill in net/ipv4/inet_diag.c). It comes and goes with every other
    /// segment.
    pub const DELAYED_ACK: Self = Self::Unknown(5);
}

impl From<u8> for TimerKind {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::On,
            2 => Self::Keepalive,
            3 => Self::TimeWait,
            4 => Self::Probe,
            other => Self::Unknown(other),
        }
    }
}

impl From<TimerKind> for u8 {
    fn from(kind: TimerKind) -> Self {
        match kind {
            TimerKind::Off => 0,
            TimerKind::On => 1,
            TimerKind::Keepalive => 2,
            TimerKind::TimeWait => 3,
            TimerKind::Probe => 4,
            TimerKind::Unknown(other) => other,
        }
    }
}

/// A TCP state, with the kernel's numbers (include/net/tcp_states.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TcpState {
    /// 1.
    Established,
    /// 2.
    SynSent,
    /// 3. Also NEW_SYN_RECV, 12, which sock_diag shows as this.
    SynRecv,
    /// 4.
    FinWait1,
    /// 5.
    FinWait2,
    /// 6.
    TimeWait,
    /// 7.
    Close,
    /// 8.
    CloseWait,
    /// 9.
    LastAck,
    /// 10.
    Listen,
    /// 11.
    Closing,
    /// Any other, by number.
    Unknown(u8),
}

impl TcpState {
    /// The kernel's word for a state as a scenario names it; `None` for [`SocketState::Gone`], that of having none.
    pub fn named(state: SocketState) -> Option<Self> {
        Some(match state {
            SocketState::SynSent => Self::SynSent,
            SocketState::SynRecv => Self::SynRecv,
            SocketState::Established => Self::Established,
            SocketState::FinWait1 => Self::FinWait1,
            SocketState::FinWait2 => Self::FinWait2,
            SocketState::TimeWait => Self::TimeWait,
            SocketState::CloseWait => Self::CloseWait,
            SocketState::LastAck => Self::LastAck,
            SocketState::Closing => Self::Closing,
            SocketState::Listening => Self::Listen,
            SocketState::Gone => return None,
        })
    }
}

impl From<u8> for TcpState {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Unknown(other),
        }
    }
}

/// What a counter of a host's network stack (`/proc/net/snmp`, `snmp6`, `netstat`) was before the command was let go
/// and at its end. Only those that changed are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterChange {
    /// Before.
    pub before: i64,
    /// After.
    pub after: i64,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_default(kind: &TimerKind) -> bool {
    *kind == TimerKind::Off
}
