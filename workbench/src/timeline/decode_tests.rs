//! Decoding: what each kind of packet reads as, and that no bytes can hurt.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{ArpEthIpv4Packet, Icmpv4Type, Icmpv6Type, IpNumber, PacketBuilder, icmpv4, icmpv6};

use super::decode::{Decoded, decode};
use super::flight::{Content, Dns, QuotedFlow, TcpSegment};

const A_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const A: [u8; 4] = [10, 9, 0, 1];
const B: [u8; 4] = [10, 9, 0, 2];

/// Writes a packet that a builder describes.
macro_rules! packet {
    ($builder:expr, $payload:expr) => {{
        let payload: &[u8] = $payload;
        let mut bytes = Vec::new();
        $builder.write(&mut bytes, payload).expect("writing to memory");
        bytes
    }};
}

fn ipv4() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2(A_MAC, B_MAC).ipv4(A, B, 64)
}

fn ipv6() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2(A_MAC, B_MAC).ipv6([1; 16], [2; 16], 64)
}

fn dns_frame(message: &[u8]) -> Vec<u8> {
    packet!(ipv4().udp(40000, 53), message)
}

/// Header, then the question section as given.
fn dns_message(flags: u16, questions: u16, answers: u16, rest: &[u8]) -> Vec<u8> {
    let words = [0xbeef, flags, questions, answers, 0, 0];
    words.iter().flat_map(|w: &u16| w.to_be_bytes()).chain(rest.iter().copied()).collect()
}

fn dns_of(message: &[u8]) -> Option<Dns> {
    match decode(&dns_frame(message)).content {
        Content::Udp { dns, .. } => dns,
        other => panic!("expected UDP, found {other:?}"),
    }
}

fn other_of(frame: &[u8]) -> String {
    match decode(frame).content {
        Content::Other(text) => text,
        known => panic!("expected something unknown, found {known:?}"),
    }
}

#[test]
fn a_tcp_segment_is_read_with_its_addresses_and_flags() {
    let frame = packet!(ipv4().tcp(40000, 80, 7, 1000).syn().ack(9).psh(), b"hello");
    let segment =
        TcpSegment { sport: 40000, dport: 80, seq: 7, ack: 9, flags: 2 | 8 | 16, window: 1000, payload_len: 5 };
    let addresses = Some((IpAddr::from(A), IpAddr::from(B)));
    assert_eq!(decode(&frame), Decoded { addresses, content: Content::Tcp(segment) });
}

#[test]
fn payload_lengths_are_those_of_the_wire_where_the_snap_length_cut_the_packet() {
    let tcp = packet!(ipv4().tcp(1, 2, 3, 4), &[0; 1400]);
    let Content::Tcp(segment) = decode(&tcp[..300]).content else { panic!("not TCP") };
    assert_eq!(segment.payload_len, 1400);
    let tcp6 = packet!(ipv6().tcp(1, 2, 3, 4), &[0; 1400]);
    let Content::Tcp(segment) = decode(&tcp6[..300]).content else { panic!("not TCP") };
    assert_eq!(segment.payload_len, 1400);
    let udp = packet!(ipv4().udp(1, 2), &[0; 1400]);
    let Content::Udp { payload_len, .. } = decode(&udp[..300]).content else { panic!("not UDP") };
    assert_eq!(payload_len, 1400);
}

#[test]
fn padding_behind_a_short_packet_is_not_payload() {
    let mut frame = packet!(ipv4().tcp(1, 2, 3, 4), b"");
    frame.resize(60, 0);
    let Content::Tcp(segment) = decode(&frame).content else { panic!("not TCP") };
    assert_eq!(segment.payload_len, 0);
}

#[test]
fn a_dns_query_and_its_answer_are_read() {
    let question = b"\x06server\x00\x00\x01\x00\x01";
    let query = Dns {
        is_query: true,
        id: 0xbeef,
        question: "A server.".to_owned(),
        rcode: "NOERROR".to_owned(),
        answers: 0,
        is_truncated: false,
    };
    assert_eq!(dns_of(&dns_message(0x0100, 1, 0, question)), Some(query.clone()));
    let answer = Dns { is_query: false, rcode: "NXDOMAIN".to_owned(), ..query };
    assert_eq!(dns_of(&dns_message(0x8183, 1, 0, question)), Some(answer));
}

#[test]
fn dns_names_are_followed_through_pointers_and_escaped() {
    // The id's two bytes serve as a label of one letter, and the flags' first zero ends the name.
    let message = [1, b'x', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, b'.', b'\\', 27, 0xc0, 0, 0, 99, 0, 1];
    assert_eq!(dns_of(&message).map(|d| d.question), Some("TYPE99 \\.\\\\\\027.x.".to_owned()));
    assert_eq!(dns_of(&dns_message(0, 1, 0, &[0, 0, 2, 0, 1])).map(|d| d.question), Some("NS .".to_owned()));
    let without_question = dns_of(&dns_message(0x8001, 0, 0, b""));
    assert_eq!(without_question.map(|d| (d.question, d.rcode)), Some((String::new(), "FORMERR".to_owned())));
}

#[test]
fn dns_messages_that_loop_or_lie_are_not_read() {
    let to_itself = [0xc0, 12, 0, 1, 0, 1];
    let forward = [0xc0, 14, 0xc0, 12, 0, 1, 0, 1];
    let through_a_label = [1, b'a', 0xc0, 12, 0, 1, 0, 1];
    let label_too_long = [63, b'a', 0, 0, 1, 0, 1];
    let reserved_length = [0x40, 0, 0, 1, 0, 1];
    let no_type = [1, b'a', 0];
    let cases: [&[u8]; 6] = [&to_itself, &forward, &through_a_label, &label_too_long, &reserved_length, &no_type];
    for rest in cases {
        assert_eq!(dns_of(&dns_message(0x0100, 1, 0, rest)), None, "{rest:02x?}");
    }
    let name_of_300_bytes: Vec<u8> = [[9; 10].as_slice(); 30].concat().into_iter().chain([0, 0, 1, 0, 1]).collect();
    assert_eq!(dns_of(&dns_message(0x0100, 1, 0, &name_of_300_bytes)), None);
    assert_eq!(dns_of(&[0; 11]), None);
}

#[test]
fn an_icmp_error_tells_about_the_flow_it_quotes() {
    let quoted = packet!(PacketBuilder::ipv4(A, B, 64).tcp(40000, 80, 7, 1000), b"");
    let error = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
    let about =
        QuotedFlow { from: A.into(), to: B.into(), protocol: "tcp".to_owned(), sport: Some(40000), dport: Some(80) };
    let content = Content::Icmp { kind: "port unreachable".to_owned(), about: Some(about.clone()) };
    // RFC 792 promises no more of the quoted packet than its IP header and 8 bytes.
    for kept in [quoted.len(), 28] {
        assert_eq!(decode(&packet!(ipv4().icmpv4(error.clone()), &quoted[..kept])).content, content);
    }
    let quoted = packet!(PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(40000, 53), b"question");
    let error = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Address);
    let about =
        QuotedFlow { from: [1; 16].into(), to: [2; 16].into(), protocol: "udp".to_owned(), dport: Some(53), ..about };
    let content = Content::Icmp { kind: "address unreachable".to_owned(), about: Some(about) };
    assert_eq!(decode(&packet!(ipv6().icmpv6(error), &quoted)).content, content);
}

#[test]
fn echo_quotes_nothing() {
    let header = etherparse::IcmpEchoHeader { id: 1, seq: 2 };
    let content = Content::Icmp { kind: "echo request".to_owned(), about: None };
    assert_eq!(decode(&packet!(ipv4().icmpv4(Icmpv4Type::EchoRequest(header)), b"x")).content, content);
    assert_eq!(decode(&packet!(ipv6().icmpv6(Icmpv6Type::EchoRequest(header)), b"x")).content, content);
}

#[test]
fn arp_tells_who_is_asked_for_and_who_answers() {
    let arp = |operation, sender: [u8; 4], target: [u8; 4]| {
        let arp = ArpEthIpv4Packet {
            operation,
            sender_mac: A_MAC,
            sender_ipv4: sender,
            target_mac: [0; 6],
            target_ipv4: target,
        };
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(A_MAC, B_MAC).arp(arp.into()).write(&mut frame).expect("writing to memory");
        decode(&frame).content
    };
    let target = IpAddr::V4(Ipv4Addr::from(B));
    assert_eq!(arp(etherparse::ArpOperation::REQUEST, A, B), Content::Arp { is_request: true, target });
    assert_eq!(arp(etherparse::ArpOperation::REPLY, B, A), Content::Arp { is_request: false, target });
}

#[test]
fn what_cannot_be_read_says_how_far_reading_came() {
    let whole = packet!(ipv4().tcp(1, 2, 3, 4), b"");
    assert_eq!(other_of(&whole[..10]), "cut Ethernet frame");
    assert_eq!(other_of(&whole[..20]), "malformed IPv4");
    assert_eq!(other_of(&whole[..40]), "malformed TCP");
    let mut fragment = whole.clone();
    fragment[20] |= 0x20; // more fragments
    assert_eq!(other_of(&fragment), "fragment of TCP");
    let mut lldp = whole.clone();
    lldp[12..14].copy_from_slice(&0x88cc_u16.to_be_bytes());
    assert_eq!(other_of(&lldp), "EtherType 0x88cc");
    for (number, name) in [(IpNumber::SCTP, "SCTP"), (IpNumber(99), "IP protocol 99")] {
        let mut frame = Vec::new();
        ipv4().write(&mut frame, number, b"12345678").expect("writing to memory");
        assert_eq!(other_of(&frame), name);
    }
}

/// xorshift64* (Vigna, 2016): the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

#[test]
fn no_bytes_make_decoding_panic() {
    let quoted = packet!(PacketBuilder::ipv4(A, B, 64).udp(1, 53), b"x");
    let error = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
    let seeds = [
        packet!(ipv4().tcp(1, 2, 3, 4).syn().options_raw(&[2, 4, 5, 180]).expect("four bytes"), b"payload"),
        packet!(ipv6().tcp(1, 2, 3, 4).ack(5), b"payload"),
        packet!(ipv4().icmpv4(error), &quoted),
        packet!(ipv6().icmpv6(Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port)), &quoted),
        dns_frame(&dns_message(0x8180, 1, 2, b"\x03www\x06server\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01")),
        packet!(ipv6().udp(53, 53), &dns_message(0x0100, 1, 0, b"\x01a\xc0\x0c\x00\x1c\x00\x01")),
    ];
    let mut numbers = Numbers(20_261_122);
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..100_000 {
        let mut frame = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..numbers.below(6) {
            let at = numbers.below(frame.len());
            frame[at] = match numbers.below(3) {
                0 => 0xff,
                1 => frame[at] ^ (1 << numbers.below(8)),
                _ => numbers.below(256) as u8,
            };
        }
        if numbers.below(3) == 0 {
            frame.truncate(numbers.below(frame.len() + 1));
        }
        kinds.insert(match decode(&frame).content {
            Content::Tcp(_) => "TCP",
            Content::Udp { dns: Some(_), .. } => "DNS",
            Content::Udp { .. } => "UDP",
            Content::Icmp { about: Some(_), .. } => "ICMP error",
            Content::Icmp { .. } => "ICMP",
            Content::Arp { .. } => "ARP",
            Content::Other(_) => "other",
        });
    }
    let expected = ["DNS", "ICMP", "ICMP error", "TCP", "UDP", "other"];
    assert!(expected.iter().all(|kind| kinds.contains(kind)), "mutation reached only {kinds:?}");
}
