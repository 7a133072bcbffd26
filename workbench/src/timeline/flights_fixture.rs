//! Hand-made evidence for the tests of flights: a small network, and packets at its ends.

use std::net::IpAddr;

use etherparse::PacketBuilder;

use crate::evidence::{
    Direction, EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, Lateness, Machine, Output, Packet,
    RuleCounter,
};
use crate::plan::{
    CommandPlan, Expectations, Hook, HostPlan, LinkEnd, LinkPlan, Netem, NetemPlan, Origin, PLAN_FORMAT_VERSION, Plan,
    Protocol, RuleAction, RuleMatch, RulePlan, StdinPlan, Which,
};

pub const MS: i64 = 1_000_000;
pub const S: i64 = 1_000_000_000;

/// Evidence without packets: `client` and `server` on one link, 10.9.0.1 and 10.9.0.2.
pub fn two_hosts() -> Evidence {
    evidence(vec![host("client", false), host("server", false)], vec![link("client", "eth0", 1, "server", "eth0", 2)])
}

/// `client` (10.9.0.1) and `server` (10.9.0.4), with `router` (10.9.0.2, 10.9.0.3) between them.
pub fn routed() -> Evidence {
    let hosts = vec![host("client", false), host("router", true), host("server", false)];
    evidence(
        hosts,
        vec![link("client", "eth0", 1, "router", "eth0", 2), link("router", "eth1", 3, "server", "eth0", 4)],
    )
}

fn plan(hosts: Vec<HostPlan>, links: Vec<LinkPlan>) -> Plan {
    Plan {
        programs: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        format_version: PLAN_FORMAT_VERSION,
        scenario: "hand-made".to_owned(),
        file: "hand-made.kdl".to_owned(),
        about: None,
        run: "test".to_owned(),
        documented: Vec::new(),
        sweep: Vec::new(),
        template: None,
        requires: Vec::new(),
        memory_bytes: 0,
        hosts,
        links,
        etc: Default::default(),
        command: CommandPlan {
            program: None,
            host: "client".to_owned(),
            argv: vec!["true".to_owned()],
            env: Default::default(),
            stdin: StdinPlan::Empty,
            deadline_ns: None,
            files: Vec::new(),
            has_default_deadline: false,
            is_horizon: false,
            origin: Origin::default(),
        },
        expect: Expectations::default(),
        differs: Vec::new(),
    }
}

fn evidence(hosts: Vec<HostPlan>, links: Vec<LinkPlan>) -> Evidence {
    let plan = plan(hosts, links);
    Evidence {
        blind_spots: Vec::new(),
        format_version: EVIDENCE_FORMAT_VERSION,
        machine: Machine {
            engine: EngineKind::Host,
            kernel: "6.18.0".to_owned(),
            arch: "x86_64".to_owned(),
            tick_ns: 4_000_000,
            zero_realtime_ns: 1_700_000_000_123_456_789,
            realtime_offsets: Vec::new(),
            wire: None,
            phase: None,
            guest: None,
        },
        plan,
        setup: Vec::new(),
        sysctls: Default::default(),
        tools: Default::default(),
        calls: Vec::new(),
        signals: Vec::new(),
        processes: Vec::new(),
        packets: Vec::new(),
        capture_loss: Vec::new(),
        sockets: Vec::new(),
        destroyed: Vec::new(),
        counters: Default::default(),
        faults: Vec::new(),
        daemons: Vec::new(),
        steps: Vec::new(),
        rule_counters: Default::default(),
        output: Output::default(),
        end: End { t_ns: 10 * S, how: Ending::Exit(0) },
        lateness: Lateness::default(),
    }
}

fn host(name: &str, is_router: bool) -> HostPlan {
    HostPlan {
        name: name.to_owned(),
        is_router,
        sysctls: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        peers: Vec::new(),
        origin: Origin::default(),
    }
}

fn link(a: &str, a_interface: &str, a_number: u8, b: &str, b_interface: &str, b_number: u8) -> LinkPlan {
    let end = |host: &str, interface: &str, number: u8| LinkEnd {
        host: host.to_owned(),
        interface: interface.to_owned(),
        mac: mac(number),
        addresses: vec![(address(number), 24)],
        neighbours: Vec::new(),
        netem: None,
        drops: Vec::new(),
        is_down: false,
    };
    LinkPlan {
        name: format!("{a}-{b}"),
        ends: [end(a, a_interface, a_number), end(b, b_interface, b_number)],
        mtu: 1500,
        delay_ns: 0,
        is_cut: false,
        origin: Origin::default(),
    }
}

pub fn mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

pub fn address(number: u8) -> IpAddr {
    [10, 9, 0, number].into()
}

/// A rule for TCP to port 80 that counts as if its counter had never been read; change what differs.
pub fn rule(id: &str, hook: Option<Hook>, which: Which) -> RulePlan {
    RulePlan {
        id: id.to_owned(),
        text: String::new(),
        hook,
        matching: RuleMatch {
            protocol: Protocol::Tcp,
            sport: None,
            dport: Some(crate::plan::PortRange { first: 80, last: 80 }),
            flags: None,
            from: None,
            to: None,
            which,
        },
        from: Vec::new(),
        to: Vec::new(),
        action: RuleAction::Drop,
        origin: Origin::default(),
    }
}

/// Puts netem on what an end of the first link sends.
pub fn set_netem(evidence: &mut Evidence, end: usize, netem: Netem) {
    evidence.plan.links[0].ends[end].netem = Some(NetemPlan { netem, origin: Origin::default() });
}

pub fn set_counter(evidence: &mut Evidence, rule: &str, packets: u64) {
    evidence.rule_counters.insert(rule.to_owned(), RuleCounter { packets, bytes: 0 });
}

/// A TCP segment between numbered addresses; `edit` adds flags, the payload is `payload_len` zeros.
pub fn tcp(from: u8, to: u8, ports: (u16, u16), seq: u32, flags: &str, payload_len: usize) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2(mac(from), mac(to)).ipv4([10, 9, 0, from], [10, 9, 0, to], 64);
    let segment = flags.chars().fold(ip.tcp(ports.0, ports.1, seq, 1000), |tcp, flag| match flag {
        'S' => tcp.syn(),
        'F' => tcp.fin(),
        'R' => tcp.rst(),
        'A' => tcp.ack(1),
        other => panic!("no flag {other}"),
    });
    let mut bytes = Vec::new();
    segment.write(&mut bytes, &vec![0; payload_len]).expect("writing to memory");
    bytes
}

/// The client's SYN to the server's port 80; retransmissions differ in their IP id, which `id` stands for.
pub fn syn(id: u16) -> Vec<u8> {
    let mut bytes = tcp(1, 2, (40000, 80), 100, "S", 0);
    bytes[18..20].copy_from_slice(&id.to_be_bytes());
    bytes
}

/// Adds a sighting. They may be added in any order of time, but in each capture's own order.
pub fn see(evidence: &mut Evidence, host: &str, interface: &str, direction: Direction, t_ns: i64, bytes: &[u8]) {
    let seq = evidence.packets.iter().filter(|p| p.host == host).count() as u64;
    let wire_len = bytes.len() as u32;
    let (host, interface) = (host.to_owned(), interface.to_owned());
    evidence.packets.push(Packet { host, interface, seq, direction, t_ns, wire_len, bytes: bytes.to_vec() });
    evidence.packets.sort_by_key(|p| p.t_ns);
}

/// A packet from `client` to `server` that was seen at both ends.
pub fn pass(evidence: &mut Evidence, sent_ns: i64, arrived_ns: i64, bytes: &[u8]) {
    see(evidence, "client", "eth0", Direction::Sent, sent_ns, bytes);
    see(evidence, "server", "eth0", Direction::Received, arrived_ns, bytes);
}

/// A packet from `client` to `server` that was seen only where it left.
pub fn vanish(evidence: &mut Evidence, sent_ns: i64, bytes: &[u8]) {
    see(evidence, "client", "eth0", Direction::Sent, sent_ns, bytes);
}
