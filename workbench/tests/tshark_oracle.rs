//! tshark as the oracle: it reads our pcapng as it was recorded, and it reads every packet as our decoding does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Completion, Trial};
use workbench::evidence::{
    Direction, EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, Lateness, Machine, Output,
};
use workbench::plan::{
    CommandPlan, Expectations, HostPlan, LinkEnd, LinkPlan, Origin, PLAN_FORMAT_VERSION, Plan, StdinPlan,
};
use workbench::record::packets::Capture;
use workbench::report::pcapng;
use workbench::timeline::{Content, Dns, Flight, QuotedFlow, TcpSegment, flights};

use crate::capture::{Outcome, Result, fresh_namespace, in_namespace, ip, on_thread_with_namespace, this_namespace};

/// The trials of this file.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("tshark_reads_the_pcapng_with_its_times_names_and_lengths", pcapng_is_what_was_recorded),
        trial("tshark_reads_every_packet_as_the_decoding_does", decoding_agrees),
        trial("tshark_shows_the_comments_that_packets_were_given", comments_are_shown),
    ]
}

fn trial(name: &str, test: fn(&Evidence) -> Outcome) -> Trial {
    Trial::ignorable_test(name, move || {
        if Command::new("tshark").arg("--version").output().is_err() {
            return Ok(Completion::ignored_with("needs tshark"));
        }
        on_thread_with_namespace(move || test(&record()?))
    })
}

/// Traffic of every kind that is decoded, recorded at both ends of a link.
fn record() -> Result<Evidence> {
    let (client_ns, server_ns) = (this_namespace()?, fresh_namespace()?);
    let mut captures = Capture::open_all(&[("client", client_ns.as_fd()), ("server", server_ns.as_fd())])?.wait()?;
    let peer = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&server_ns));
    ip(&format!("link add eth0 type veth peer name eth0 netns {peer}"))?;
    in_namespace(&server_ns, || set_addresses(2))?;
    set_addresses(1)?;
    in_namespace(&server_ns, || ip("link set lo up"))?;
    ip("link set lo up")?;
    for family in ["10.9.0.", "fd00:9::"] {
        let at = |number: u8, port| {
            Ok::<_, std::net::AddrParseError>(SocketAddr::new(format!("{family}{number}").parse()?, port))
        };
        transfer(&server_ns, at(2, 8000)?)?;
        let refused = TcpStream::connect(at(2, 81)?);
        assert!(refused.is_err(), "nothing listens on port 81");
        ask_a_closed_port(at(1, 0)?, at(2, 9)?)?;
        resolve(&server_ns, at(1, 0)?, at(2, 53)?)?;
        transfer(&client_ns, at(1, 8000)?)?;
    }
    let (mut packets, mut zero_ns) = (Vec::new(), None);
    for mut capture in captures.drain(..) {
        capture.drain();
        let (recorded, loss) = capture.finish(&|realtime_ns| realtime_ns);
        assert_eq!(loss, None);
        packets.extend(recorded);
    }
    packets.sort_by_key(|p| p.t_ns);
    for packet in &mut packets {
        packet.t_ns -= *zero_ns.get_or_insert(packet.t_ns + 1_234_567);
    }
    Ok(evidence(packets, zero_ns.ok_or("no packets")?))
}

fn set_addresses(number: u8) -> Outcome {
    ip(&format!("addr add 10.9.0.{number}/24 dev eth0"))?;
    ip(&format!("addr add fd00:9::{number}/64 dev eth0 nodad"))?;
    ip("link set eth0 up")
}

/// A connection over which both sides say something, to a server in `netns`.
fn transfer(netns: &File, server: SocketAddr) -> Outcome {
    let listener = in_namespace(netns, || TcpListener::bind(server))?;
    let mut client = TcpStream::connect(server)?;
    let (mut accepted, _) = listener.accept()?;
    client.write_all(&[b'x'; 3000])?;
    accepted.read_exact(&mut [0; 3000])?;
    accepted.write_all(b"enough")?;
    client.read_exact(&mut [0; 6])?;
    drop(client);
    assert_eq!(accepted.read(&mut [0; 1])?, 0, "end of file");
    Ok(())
}

/// A datagram that is answered by an ICMP error.
fn ask_a_closed_port(client: SocketAddr, server: SocketAddr) -> Outcome {
    let socket = UdpSocket::bind(client)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send(b"anybody?")?;
    assert_eq!(socket.recv(&mut [0; 1]).map_err(|e| e.kind()), Err(std::io::ErrorKind::ConnectionRefused));
    Ok(())
}

/// Two questions; the first is answered with a name that is a pointer, the second with NXDOMAIN.
fn resolve(netns: &File, client: SocketAddr, server: SocketAddr) -> Outcome {
    let resolver = in_namespace(netns, || UdpSocket::bind(server))?;
    let socket = UdpSocket::bind(client)?;
    socket.connect(server)?;
    let question = b"\x03www\x07example\x04test\x00\x00\x1c\x00\x01";
    let answer = b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\xfd\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02";
    let exchanges: [(u16, &[u8]); 2] = [(0x8180, answer), (0x8183, b"")];
    for (id, (flags, answer)) in (0x1234_u16..).zip(exchanges) {
        let message = |flags: u16, answers: u16, rest: &[u8]| {
            let words = [id, flags, 1, answers, 0, 0];
            [&words.map(u16::to_be_bytes).concat(), question.as_slice(), rest].concat()
        };
        socket.send(&message(0x0100, 0, b""))?;
        let (_, from) = resolver.recv_from(&mut [0; 512])?;
        resolver.send_to(&message(flags, u16::from(!answer.is_empty()), answer), from)?;
        socket.recv(&mut [0; 512])?;
    }
    Ok(())
}

/// What tshark says about each packet, by field.
fn tshark(evidence: &Evidence, comments: &BTreeMap<usize, Vec<String>>) -> Result<Vec<BTreeMap<String, String>>> {
    const FIELDS: &str = "frame.time_epoch frame.interface_name frame.len frame.cap_len frame.packet_flags_direction \
        frame.comment frame.protocols ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw \
        tcp.flags tcp.window_size_value tcp.len udp.srcport udp.dstport udp.length dns.id dns.qry.name dns.qry.type \
        dns.flags.response dns.flags.rcode dns.count.answers icmp.type icmp.code icmpv6.type icmpv6.code arp.opcode \
        arp.src.proto_ipv4 arp.dst.proto_ipv4 eth.type";
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("packets.pcapng");
    pcapng::write(evidence, comments, &mut File::create(&path)?)?;
    let mut command = Command::new("tshark");
    // A home without preferences: what the user configured must not change what is shown.
    command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    command.args("-n -T fields -E separator=| -E occurrence=a -r".split(' ')).arg(&path);
    command.args(FIELDS.split_whitespace().flat_map(|field| ["-e", field]));
    let output = command.stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let row =
        |line: &str| FIELDS.split_whitespace().map(str::to_owned).zip(line.split('|').map(str::to_owned)).collect();
    Ok(String::from_utf8(output.stdout)?.lines().map(row).collect())
}

fn pcapng_is_what_was_recorded(evidence: &Evidence) -> Outcome {
    let rows = tshark(evidence, &BTreeMap::new())?;
    assert_eq!(rows.len(), evidence.packets.len());
    let mut interfaces = BTreeSet::new();
    for (packet, row) in evidence.packets.iter().zip(&rows) {
        let t_ns = evidence.machine.zero_realtime_ns + packet.t_ns;
        assert_eq!(row["frame.time_epoch"], format!("{}.{:09}", t_ns / 1_000_000_000, t_ns % 1_000_000_000));
        assert_eq!(row["frame.interface_name"], format!("{}/{}", packet.host, packet.interface));
        assert_eq!(row["frame.len"], packet.wire_len.to_string());
        assert_eq!(row["frame.cap_len"], packet.bytes.len().to_string());
        let direction = if packet.direction == Direction::Received { 1 } else { 2 };
        assert_eq!(row["frame.packet_flags_direction"], format!("0x{direction:08x}"));
        interfaces.insert(&row["frame.interface_name"][..]);
    }
    assert_eq!(interfaces.into_iter().collect::<Vec<_>>(), ["client/eth0", "client/lo", "server/eth0"]);
    let write = || -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        pcapng::write(evidence, &BTreeMap::new(), &mut bytes)?;
        Ok(bytes)
    };
    assert_eq!(write()?, write()?, "equal evidence gives equal bytes");
    Ok(())
}

fn comments_are_shown(evidence: &Evidence) -> Outcome {
    let comments = BTreeMap::from([(1, vec!["the first".to_owned(), "and another".to_owned()])]);
    let rows = tshark(evidence, &comments)?;
    assert_eq!(rows[0]["frame.comment"], "");
    assert_eq!(rows[1]["frame.comment"], "the first,and another");
    Ok(())
}

fn decoding_agrees(evidence: &Evidence) -> Outcome {
    let rows = tshark(evidence, &BTreeMap::new())?;
    let flights = flights(evidence);
    let mut kinds = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for flight in &flights {
        for index in [flight.sent_index, flight.arrived_index].into_iter().flatten() {
            assert!(seen.insert(index), "packet {index} is in two flights");
            let agrees = std::panic::catch_unwind(|| compare(flight, &rows[index]));
            let kind = agrees.map_err(|_| format!("packet {index}: {flight:#?}\ntshark: {:#?}", rows[index]))?;
            *kinds.entry(kind).or_insert(0) += 1;
        }
    }
    println!("compared with tshark: {kinds:?}");
    assert_eq!(seen.len(), evidence.packets.len(), "every packet is in a flight");
    for kind in ["TCP", "UDP", "DNS", "ICMP", "ICMPv6", "ARP"] {
        assert!(kinds.contains_key(kind), "no {kind} was recorded");
    }
    Ok(())
}

/// Holds a flight against tshark's fields, and says what kind of packet it was.
fn compare(flight: &Flight, row: &BTreeMap<String, String>) -> &'static str {
    // ICMP errors show the fields of the packet they quote as well, behind their own.
    let field = |name: &str, nth: usize| row[name].split(',').nth(nth).unwrap_or_default().to_owned();
    let is = |name: &str, value: &dyn std::fmt::Display| assert_eq!(field(name, 0), value.to_string(), "{name}");
    let hex = |name: &str, value: u32| {
        assert_eq!(u32::from_str_radix(field(name, 0).trim_start_matches("0x"), 16), Ok(value), "{name}");
    };
    let ip = |address: IpAddr| if address.is_ipv4() { "ip" } else { "ipv6" };
    if let Some((source, destination)) = flight.addresses {
        is(&format!("{}.src", ip(source)), &source);
        is(&format!("{}.dst", ip(destination)), &destination);
    }
    match &flight.content {
        Content::Tcp(TcpSegment { sport, dport, seq, ack, flags, window, payload_len }) => {
            is("tcp.srcport", sport);
            is("tcp.dstport", dport);
            is("tcp.seq_raw", seq);
            is("tcp.ack_raw", ack);
            hex("tcp.flags", (*flags).into());
            is("tcp.window_size_value", window);
            is("tcp.len", payload_len);
            "TCP"
        }
        Content::Udp { sport, dport, payload_len, dns } => {
            is("udp.srcport", sport);
            is("udp.dstport", dport);
            is("udp.length", &(payload_len + 8));
            assert_eq!(dns.is_some(), !row["dns.id"].is_empty());
            let Some(Dns { is_query, id, question, rcode, answers, .. }) = dns else { return "UDP" };
            hex("dns.id", (*id).into());
            assert_eq!(*question, format!("AAAA {}.", field("dns.qry.name", 0)));
            is("dns.qry.type", &28);
            is("dns.flags.response", &u8::from(!is_query));
            let number = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"].iter().position(|name| name == rcode);
            let number = if *is_query { String::new() } else { number.map(|n| n.to_string()).unwrap_or_default() };
            is("dns.flags.rcode", &number);
            is("dns.count.answers", answers);
            "DNS"
        }
        Content::Icmp { kind, about } => compare_icmp(kind, about.as_ref(), row),
        Content::Arp { is_request, target } => {
            is("arp.opcode", &if *is_request { 1 } else { 2 });
            is(if *is_request { "arp.dst.proto_ipv4" } else { "arp.src.proto_ipv4" }, target);
            "ARP"
        }
        Content::Other(text) => panic!("not part of this traffic: {text}"),
    }
}

/// An ICMP error shows the fields of the packet it quotes as well, behind its own.
fn compare_icmp(kind: &str, about: Option<&QuotedFlow>, row: &BTreeMap<String, String>) -> &'static str {
    let field = |name: &str, nth: usize| row[name].split(',').nth(nth).unwrap_or_default().to_owned();
    let ip = |address: IpAddr| if address.is_ipv4() { "ip" } else { "ipv6" };
    let is_v6 = row["icmp.type"].is_empty();
    let family = if is_v6 { "icmpv6" } else { "icmp" };
    let numbers = (field(&format!("{family}.type"), 0), field(&format!("{family}.code"), 0));
    let expected = match (kind, is_v6) {
        ("port unreachable", false) => ("3", "3"),
        ("port unreachable", true) => ("1", "4"),
        ("router solicitation", true) => ("133", "0"),
        ("neighbor solicitation", true) => ("135", "0"),
        ("neighbor advertisement", true) => ("136", "0"),
        ("multicast listener report version 2", true) => ("143", "0"),
        other => panic!("not part of this traffic: {other:?}"),
    };
    assert_eq!((&numbers.0[..], &numbers.1[..]), expected);
    assert_eq!(about.is_some(), kind == "port unreachable");
    if let Some(QuotedFlow { from, to, protocol, sport, dport }) = about {
        assert_eq!(field(&format!("{}.src", ip(*from)), 1), from.to_string());
        assert_eq!(field(&format!("{}.dst", ip(*to)), 1), to.to_string());
        assert_eq!(protocol, "udp");
        assert_eq!(field("udp.srcport", 0), sport.unwrap_or_default().to_string());
        assert_eq!(field("udp.dstport", 0), dport.unwrap_or_default().to_string());
    }
    if is_v6 { "ICMPv6" } else { "ICMP" }
}

fn plan() -> Plan {
    let end = |host: &str, number: u8| LinkEnd {
        host: host.to_owned(),
        interface: "eth0".to_owned(),
        mac: [0; 6],
        addresses: vec![([10, 9, 0, number].into(), 24)],
        neighbours: Vec::new(),
        netem: None,
        drops: Vec::new(),
        is_down: false,
    };
    let host = |name: &str| HostPlan {
        name: name.to_owned(),
        is_router: false,
        sysctls: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        peers: Vec::new(),
        origin: Origin::default(),
    };
    Plan {
        programs: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        format_version: PLAN_FORMAT_VERSION,
        scenario: "oracle".to_owned(),
        file: "oracle.kdl".to_owned(),
        about: None,
        run: "oracle".to_owned(),
        documented: Vec::new(),
        sweep: Vec::new(),
        template: None,
        requires: Vec::new(),
        hosts: vec![host("client"), host("server")],
        links: vec![LinkPlan {
            name: "client-server".to_owned(),
            ends: [end("client", 1), end("server", 2)],
            mtu: 1500,
            delay_ns: 0,
            is_cut: false,
            origin: Origin::default(),
        }],
        etc: BTreeMap::new(),
        memory_bytes: 256 << 20,
        command: CommandPlan {
            program: None,
            host: "client".to_owned(),
            argv: vec!["true".to_owned()],
            env: BTreeMap::new(),
            files: Vec::new(),
            stdin: StdinPlan::Empty,
            deadline_ns: None,
            has_default_deadline: true,
            is_horizon: false,
            origin: Origin::default(),
        },
        expect: Expectations::default(),
        differs: Vec::new(),
    }
}

fn evidence(packets: Vec<workbench::evidence::Packet>, zero_realtime_ns: i64) -> Evidence {
    Evidence {
        blind_spots: Vec::new(),
        format_version: EVIDENCE_FORMAT_VERSION,
        machine: Machine {
            engine: EngineKind::Host,
            kernel: "6.18.0".to_owned(),
            arch: "x86_64".to_owned(),
            tick_ns: 4_000_000,
            zero_realtime_ns,
            realtime_offsets: Vec::new(),
            wire: None,
            phase: None,
            guest: None,
        },
        plan: plan(),
        setup: Vec::new(),
        sysctls: BTreeMap::new(),
        tools: BTreeMap::new(),
        calls: Vec::new(),
        signals: Vec::new(),
        processes: Vec::new(),
        packets,
        capture_loss: Vec::new(),
        sockets: Vec::new(),
        destroyed: Vec::new(),
        counters: BTreeMap::new(),
        faults: Vec::new(),
        daemons: Vec::new(),
        steps: Vec::new(),
        rule_counters: BTreeMap::new(),
        output: Output::default(),
        end: End { t_ns: 0, how: Ending::Exit(0) },
        lateness: Lateness::default(),
    }
}
