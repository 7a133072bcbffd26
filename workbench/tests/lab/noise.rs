//! An idle lab is silent, and what it carries is what a wire would.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use workbench::lab::Lab;

use crate::support::capture::{Capture, inside};
use crate::support::namespace::Body;
use crate::support::network::{add_ipv6, ipv4, ipv6, network};

pub const BODIES: &[Body] = &[
    ("an_idle_lab_sends_nothing", an_idle_lab_sends_nothing),
    ("packets_are_no_longer_than_the_mtu_and_their_checksums_are_right", packets_are_as_on_a_wire),
];

fn an_idle_lab_sends_nothing() {
    let links = [("client", "router"), ("router", "server"), ("client", "server")];
    let mut plan = network(&["client", "router", "server"], &links);
    plan.hosts[1].is_router = true;
    plan.links[1].delay_ns = 1_000_000;
    add_ipv6(&mut plan, 0);
    add_ipv6(&mut plan, 1);
    let lab = Lab::build(&plan).expect("a lab");
    let captures = ["client", "router", "server"].map(|host| (host, Capture::start(&lab, host)));
    // Long enough for duplicate address detection, router solicitations (RFC 4861: within 1 s) and two listener reports
    // (RFC 3810: 1 s apart).
    std::thread::sleep(Duration::from_millis(2500));
    for (host, capture) in captures {
        let frames = capture.frames();
        assert!(frames.is_empty(), "{host}: {frames:02x?}");
    }
}

fn packets_are_as_on_a_wire() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    let lab = Lab::build(&plan).expect("a lab");
    for address in [ipv4(0, 1), ipv6(0, 1)] {
        let captures = ["client", "server"].map(|host| Capture::start(&lab, host));
        let listener = inside(&lab, "server", || TcpListener::bind((address, 80))).expect("a port");
        let mut sender = inside(&lab, "client", || TcpStream::connect((address, 80))).expect("a connection");
        let (mut receiver, _) = listener.accept().expect("a connection");
        sender.write_all(&[7; 30_000]).expect("room for it");
        receiver.read_exact(&mut [0; 30_000]).expect("all of it");
        let mut payload_bytes = 0;
        for frame in captures.iter().flat_map(Capture::frames) {
            assert!(frame.bytes.len() <= 1514, "a frame of {} bytes", frame.bytes.len());
            payload_bytes += checked_payload(&frame.bytes);
        }
        assert_eq!(payload_bytes, 60_000, "all of it, seen at both ends");
    }
}

/// Length of a TCP segment's payload, once its checksum has been found to be right.
fn checked_payload(frame: &[u8]) -> usize {
    let packet = SlicedPacket::from_ethernet(frame).expect("a frame");
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("not TCP: {frame:02x?}") };
    let right = match packet.net {
        Some(NetSlice::Ipv4(ip)) => tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()),
        Some(NetSlice::Ipv6(ip)) => tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()),
        _ => panic!("not IP: {frame:02x?}"),
    };
    assert_eq!(tcp.checksum(), right.expect("a length"), "checksum of {frame:02x?}");
    tcp.payload().len()
}
