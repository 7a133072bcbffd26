//! Bytes of sock_diag(7) to sockets and back: the request for a dump, and `struct inet_diag_msg` with its attributes.
//!
//! Read from the bytes, because a library's timers have lost what is recorded here: how often a keepalive was sent, when
//! TIME_WAIT ends, and kinds that it does not know. Pure; it asks nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::evidence::{TcpInfo, TcpSocket, TcpState};

/// SOCK_DIAG_BY_FAMILY (include/uapi/linux/sock_diag.h), of requests and answers alike.
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// NLM_F_REQUEST | NLM_F_DUMP (netlink(7)).
const DUMP: u16 = 0x301;

/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;

/// `struct inet_diag_req_v2`.
const REQUEST_BYTES: usize = 56;

/// The kernel's numbers of states, 1 to 12, one bit each. 13 is left out: a socket that is bound and no more, which
/// kernels since 6.8 show when asked, and neither netstat(8) nor `/proc/net/tcp` does.
const STATES: u32 = 0x1ffe;

/// INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SHUTDOWN, INET_DIAG_SKV6ONLY (include/uapi/linux/inet_diag.h).
const INFO: u16 = 2;
const CONGESTION: u16 = 4;
const SHUTDOWN: u16 = 8;
/// Always told of a listening IPv6 socket.
const ONLY_V6: u16 = 11;

/// Asks for all TCP sockets of a family.
pub(super) fn request(family: u8, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + REQUEST_BYTES);
    bytes.extend(((HEADER_BYTES + REQUEST_BYTES) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    let extensions = [INFO, CONGESTION, SHUTDOWN].iter().fold(0, |bits, number| bits | 1u8 << (number - 1));
    bytes.extend([family, libc::IPPROTO_TCP as u8, extensions, 0]);
    bytes.extend(STATES.to_ne_bytes());
    // Any addresses and ports.
    bytes.resize(HEADER_BYTES + REQUEST_BYTES, 0);
    bytes
}

/// One message of a netlink datagram.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// A socket.
    Socket(Box<TcpSocket>),
    /// The dump is complete.
    Done,
    /// The kernel refuses: its errno.
    Refused(i32),
    /// Of another kind, or of no use.
    Other,
}

/// The messages of a datagram, each with its sequence number.
pub(super) fn messages(mut datagram: &[u8]) -> Vec<(u32, Message)> {
    let mut messages = Vec::new();
    while let Some(length) = number(datagram, 0) {
        let length = length as usize;
        if length < HEADER_BYTES || length > datagram.len() {
            break;
        }
        let (message, payload) = (&datagram[..length], &datagram[HEADER_BYTES..length]);
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        messages.push((number(message, 8).unwrap_or(0), read(kind, payload)));
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
    }
    messages
}

fn read(kind: u16, payload: &[u8]) -> Message {
    let errno = || number(payload, 0).map_or(0, |number| (number as i32).saturating_neg());
    match i32::from(kind) {
        libc::NLMSG_DONE => match errno() {
            0 => Message::Done,
            errno => Message::Refused(errno),
        },
        libc::NLMSG_ERROR => Message::Refused(errno()),
        _ if kind == SOCK_DIAG_BY_FAMILY => socket(payload).map_or(Message::Other, |s| Message::Socket(Box::new(s))),
        _ => Message::Other,
    }
}

/// A socket from `struct inet_diag_msg` and what follows it.
pub(super) fn socket(bytes: &[u8]) -> Option<TcpSocket> {
    let (fixed, mut attributes) = bytes.split_at_checked(MESSAGE_BYTES)?;
    let port = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let number = |at: usize| number(fixed, at).unwrap_or(0);
    let mut socket = TcpSocket {
        local: (address(fixed[0], &fixed[8..24]), port(4)),
        remote: (address(fixed[0], &fixed[24..40]), port(6)),
        interface: number(40),
        interface_name: None,
        only_v6: false,
        cookie: u64::from(number(48)) << 32 | u64::from(number(44)),
        state: TcpState::from(fixed[1]),
        timer: fixed[2].into(),
        retransmits: fixed[3],
        expires_ms: number(52),
        recv_queue: number(56),
        send_queue: number(60),
        uid: number(64),
        inode: number(68),
        owner: None,
        shutdown: 0,
        congestion: None,
        info: None,
    };
    while let Some((kind, value, rest)) = attribute(attributes) {
        match kind {
            INFO => socket.info = Some(TcpInfo::from_bytes(value)),
            CONGESTION => {
                let text = value.split(|&byte| byte == 0).next().unwrap_or_default();
                socket.congestion = Some(String::from_utf8_lossy(text).into_owned());
            }
            ONLY_V6 => socket.only_v6 = value.first().is_some_and(|only| *only != 0),
            SHUTDOWN => socket.shutdown = value.first().copied().unwrap_or(0),
            _ => {}
        }
        attributes = rest;
    }
    Some(socket)
}

/// `struct nlattr`: the first one's kind and value, and what follows it.
fn attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (length, kind) = (bytes.get(..2)?, bytes.get(2..4)?);
    let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
    let value = bytes.get(4..length)?;
    let rest = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    Some((u16::from_ne_bytes([kind[0], kind[1]]), value, rest))
}

fn address(family: u8, bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 16] = bytes.try_into().unwrap_or([0; 16]);
    match i32::from(family) {
        libc::AF_INET => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}

/// A number of 32 bits in this machine's order.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
