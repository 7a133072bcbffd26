//! Tests of reading sock_diag's bytes, on a message that Linux 6.18 wrote.

use super::*;
use crate::evidence::TimerKind;

/// `struct nlmsghdr` and what follows it: a connection on the loopback interface a moment after SO_KEEPALIVE was set.
const RECORDED: &str = "\
    a00100001400020007000000e3600000020102009c861f907f0000010000000000000000000000007f000001000000000000\
    00000000000000000000350100000000000000dd6d00000000000000000000000000dd784400050008000000000008000f00\
    000000000c001500010000000000000006001600520000001c010200010000000007aa01e01c030000000000e57f00001802\
    0000000000000000000000000000000000000000000000000000000000000000000000000000ffff0000d7ff00001e000000\
    0f000000ffffff7f0a000000cbff00000300000000000000d7ff00000000000064190c4307000000ffffffffffffffff0100\
    00000000000000000000000000000200000001000000000000001e0000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000000\
    000000000000cbff000000000100000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000800040062627200";

/// Where `idiag_timer` and `idiag_retrans` stand.
const TIMER: usize = HEADER_BYTES + 2;
const RETRANSMITS: usize = HEADER_BYTES + 3;

fn recorded() -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    RECORDED.as_bytes().chunks(2).map(byte).collect()
}

fn only_socket(datagram: &[u8]) -> TcpSocket {
    match messages(datagram).pop() {
        Some((_, Message::Socket(socket))) => *socket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_of_the_kernel_is_read_in_full() {
    let socket = only_socket(&recorded());
    assert_eq!(socket.local, ([127, 0, 0, 1].into(), 40070));
    assert_eq!(socket.remote, ([127, 0, 0, 1].into(), 8080));
    assert_eq!((socket.state, socket.cookie, socket.interface), (TcpState::Established, 309, 0));
    assert_eq!((socket.timer, socket.expires_ms, socket.retransmits), (TimerKind::Keepalive, 7_200_000, 0));
    assert_eq!((socket.recv_queue, socket.send_queue, socket.uid, socket.inode), (0, 0, 0, 0x4478dd));
    assert_eq!((socket.congestion.as_deref(), socket.shutdown), (Some("bbr"), 0));
    let info = socket.info.unwrap();
    assert_eq!((info.state, info.rto, info.pmtu, info.advmss), (1, 204_000, 65_535, 65_483));
}

#[test]
fn a_timer_that_has_no_name_is_kept_by_its_number() {
    let mut datagram = recorded();
    datagram[TIMER] = 9;
    datagram[RETRANSMITS] = 3;
    let socket = only_socket(&datagram);
    assert_eq!((socket.timer, socket.retransmits), (TimerKind::Unknown(9), 3));
    let json = serde_json::to_value(&socket).unwrap();
    assert_eq!(json["timer"], 9);
    assert_eq!(serde_json::from_value::<TcpSocket>(json).unwrap(), socket);
}

#[test]
fn ipv6_addresses_are_read_whole() {
    let mut datagram = recorded();
    datagram[HEADER_BYTES] = libc::AF_INET6 as u8;
    datagram[HEADER_BYTES + 8..HEADER_BYTES + 24].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
    assert_eq!(only_socket(&datagram).local.0, Ipv6Addr::LOCALHOST);
}

#[test]
fn several_messages_and_the_end_come_in_one_datagram() {
    let one = recorded();
    let mut done = Vec::new();
    for number in [20u32, 3 | 2 << 16, 7, 0, 0] {
        done.extend(number.to_ne_bytes());
    }
    let all = messages(&[one.clone(), one, done].concat());
    assert_eq!(all.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [7, 7, 7]);
    assert_eq!(all.last().unwrap().1, Message::Done);
}

#[test]
fn a_refusal_is_told_with_its_errno() {
    let mut error = Vec::new();
    for number in [36u32, 2, 7, 0, (-libc::ENOENT) as u32, 72, 20, 7, 0] {
        error.extend(number.to_ne_bytes());
    }
    assert_eq!(messages(&error), [(7, Message::Refused(libc::ENOENT))]);
}

#[test]
fn what_is_cut_short_is_no_socket_and_no_panic() {
    let whole = recorded();
    for length in 0..whole.len() {
        let mut cut = whole[..length].to_vec();
        messages(&cut);
        if length >= HEADER_BYTES {
            cut[..4].copy_from_slice(&(length as u32).to_ne_bytes());
            let is_socket = matches!(messages(&cut).as_slice(), [(7, Message::Socket(_))]);
            assert_eq!(is_socket, length >= HEADER_BYTES + MESSAGE_BYTES, "{length}");
        }
    }
}

#[test]
fn a_request_asks_for_all_states_but_those_that_are_only_bound() {
    let request = request(libc::AF_INET as u8, 3);
    assert_eq!(request.len(), 72);
    assert_eq!(&request[16..20], &[2, 6, 0b1000_1010, 0]);
    assert_eq!(number(&request, 20), Some(0x1ffe));
}
