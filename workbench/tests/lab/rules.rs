//! Rules take exactly the packets they say: what `nft` shows, and what arrives.

use std::net::{IpAddr, TcpStream};

use serde_json::Value;
use workbench::lab::Lab;
use workbench::plan::{Hook, Plan, PortRange, Protocol, RejectWith, RuleAction, RulePlan, TcpFlagsMatch, Which};

use crate::support::capture::{Capture, inside, numbers_that_arrive, oracle, oracle_json, send_numbers};
use crate::support::namespace::Body;
use crate::support::network::{add_ipv6, add_route, drop_udp, ipv4, ipv6, network, rule};

pub const BODIES: &[Body] = &[
    ("nft_lists_every_part_of_a_rule", nft_lists_every_part_of_a_rule),
    ("each_which_drops_exactly_its_packets", each_which_drops_exactly_its_packets),
    ("a_rule_for_several_addresses_counts_as_one", a_rule_for_several_addresses_counts_as_one),
    ("addresses_ports_and_flags_are_matched", addresses_ports_and_flags_are_matched),
    ("rejections_are_answered_as_the_plan_says", rejections_are_answered_as_the_plan_says),
    ("rules_stand_at_the_hook_of_the_plan", rules_stand_at_the_hook_of_the_plan),
];

/// A client and a server with IPv4 and IPv6.
fn pair() -> Plan {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    plan
}

fn server_rules(plan: &mut Plan, rules: Vec<RulePlan>) -> Lab {
    plan.hosts[1].rules = rules;
    Lab::build(plan).expect("a lab")
}

fn nft_lists_every_part_of_a_rule() {
    let reset = RuleAction::Reject(RejectWith::TcpReset);
    let mut everything = rule("everything", Some(Hook::Input), Protocol::Tcp, reset);
    everything.matching.sport = Some(PortRange { first: 1024, last: 65535 });
    everything.matching.dport = Some(PortRange { first: 80, last: 80 });
    everything.matching.flags = Some(TcpFlagsMatch { set: 0x02, clear: 0x10 });
    everything.matching.which = Which::Every(3);
    everything.from = vec![(ipv4(0, 0), 32)];
    everything.to = vec![("10.0.0.0".parse().expect("v4"), 20)];
    let chance = drop_udp("chance", Some(Hook::Forward), 53, Which::Chance(0.25));
    let bytes = drop_udp("bytes", Some(Hook::Output), 54, Which::AfterBytes(4096));
    let unreachable = RuleAction::Reject(RejectWith::HostUnreachable);
    let unreachable = rule("unreachable", Some(Hook::Input), Protocol::Icmp, unreachable);
    let lab = server_rules(&mut pair(), vec![everything, chance, bytes, unreachable]);

    let text = oracle(&lab, "server", "nft list ruleset");
    for line in [
        "type filter hook input priority filter; policy accept;",
        "type filter hook forward priority filter; policy accept;",
        "type filter hook output priority filter; policy accept;",
        "ip saddr 10.0.0.1 ip daddr 10.0.0.0/20 tcp sport 1024-65535 tcp dport 80 tcp flags syn / syn,ack \
         numgen inc mod 3 2 counter packets 0 bytes 0 reject with tcp reset comment \"everything\"",
        "udp dport 53 numgen random mod 1000000000 < 250000000 counter packets 0 bytes 0 drop comment \"chance\"",
        "udp dport 54 quota over 4 kbytes counter packets 0 bytes 0 drop comment \"bytes\"",
        "meta l4proto icmp counter packets 0 bytes 0 reject with icmpx host-unreachable comment \"unreachable\"",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    let json = oracle_json(&lab, "server", "nft -j list ruleset");
    let comments: Vec<&str> = json["nftables"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["rule"]["comment"].as_str())
        .collect();
    assert_eq!(comments, ["everything", "unreachable", "chance", "bytes"]);
    let counters = lab.rule_counters().expect("counters");
    assert_eq!(counters.keys().collect::<Vec<_>>(), ["bytes", "chance", "everything", "unreachable"]);
}

fn each_which_drops_exactly_its_packets() {
    let cases: [(u16, Which, &[u32]); 9] = [
        (1, Which::All, &[]),
        (2, Which::First(3), &[4, 5, 6, 7, 8, 9, 10]),
        (3, Which::First(1), &[2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (4, Which::After(3), &[1, 2, 3]),
        (5, Which::Every(4), &[1, 2, 3, 5, 6, 7, 9, 10]),
        (6, Which::Every(1), &[]),
        // A datagram with 4 bytes is 32 bytes long (20 + 8 + 4): with the fourth, more than 100 have come.
        (7, Which::AfterBytes(100), &[1, 2, 3]),
        (8, Which::Chance(0.0), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (9, Which::Chance(1.0), &[]),
    ];
    let rules =
        cases.iter().map(|(port, which, _)| drop_udp(&format!("rule-{port}"), Some(Hook::Input), *port, *which));
    let lab = server_rules(&mut pair(), rules.collect());
    for (port, which, expected) in cases {
        let arrived = numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), port, 10);
        assert_eq!(arrived, expected, "{which:?}");
        let counter = lab.rule_counters().expect("counters")[&format!("rule-{port}")];
        let dropped = 10 - expected.len() as u64;
        assert_eq!((counter.packets, counter.bytes), (dropped, dropped * 32), "{which:?}");
    }
}

fn a_rule_for_several_addresses_counts_as_one() {
    let mut plan = pair();
    let mut both = drop_udp("both", Some(Hook::Input), 7, Which::Every(2));
    both.from = vec![(ipv4(0, 0), 32), (ipv6(0, 0), 128)];
    both.to = vec![(ipv4(0, 1), 32), (ipv6(0, 1), 128)];
    let mut never = drop_udp("never", Some(Hook::Input), 7, Which::All);
    never.from = vec![(ipv4(0, 0), 32)];
    never.to = vec![(ipv6(0, 1), 128)];
    let lab = server_rules(&mut plan, vec![both, never]);
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), 7, 3), [1, 3]);
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv6(0, 1), 7, 3), [2], "the fourth and the sixth");
    let counters = lab.rule_counters().expect("counters");
    assert_eq!((counters["both"].packets, counters["never"].packets), (3, 0));
}

fn addresses_ports_and_flags_are_matched() {
    let mut ranged = drop_udp("ranged", Some(Hook::Input), 100, Which::All);
    ranged.matching.dport = Some(PortRange { first: 100, last: 199 });
    let mut elsewhere = drop_udp("elsewhere", Some(Hook::Input), 7, Which::All);
    elsewhere.from = vec![("10.0.0.128".parse().expect("v4"), 25)];
    let mut net6 = drop_udp("net6", Some(Hook::Input), 8, Which::All);
    net6.from = vec![("fd00::".parse().expect("v6"), 13)];
    let mut syn = rule("syn", Some(Hook::Input), Protocol::Tcp, RuleAction::Reject(RejectWith::TcpReset));
    syn.matching.flags = Some(TcpFlagsMatch { set: 0x02, clear: 0x10 });
    let mut ack = syn.clone();
    ack.id = "ack".to_owned();
    ack.matching.flags = Some(TcpFlagsMatch { set: 0x10, clear: 0 });
    let lab = server_rules(&mut pair(), vec![ranged, elsewhere, net6, ack, syn]);
    for (address, port, expected) in [
        (ipv4(0, 1), 99, 1),
        (ipv4(0, 1), 100, 0),
        (ipv6(0, 1), 199, 0),
        (ipv4(0, 1), 200, 1),
        (ipv4(0, 1), 7, 1),
        (ipv4(0, 1), 8, 1),
        (ipv6(0, 1), 8, 0),
    ] {
        let arrived = numbers_that_arrive(&lab, "client", "server", address, port, 1).len();
        assert_eq!(arrived, expected, "{address} port {port}");
    }
    let refused = inside(&lab, "client", || TcpStream::connect((ipv4(0, 1), 80))).expect_err("a reset");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let counters = lab.rule_counters().expect("counters");
    assert_eq!((counters["syn"].packets, counters["ack"].packets), (1, 0));
}

fn rejections_are_answered_as_the_plan_says() {
    // Type and code for IPv4 and, where there is one, IPv6 (RFC 792; RFC 1812, 5.2.7.1; RFC 4443, 3.1).
    let cases = [
        (RejectWith::NetUnreachable, (3, 0), Some((1, 0))),
        (RejectWith::HostUnreachable, (3, 1), Some((1, 3))),
        (RejectWith::ProtocolUnreachable, (3, 2), None),
        (RejectWith::PortUnreachable, (3, 3), Some((1, 4))),
        (RejectWith::NetProhibited, (3, 9), None),
        (RejectWith::HostProhibited, (3, 10), None),
        (RejectWith::AdminProhibited, (3, 13), Some((1, 1))),
    ];
    let rules = cases.iter().enumerate().map(|(number, (with, ..))| {
        let mut rule = drop_udp(&format!("reject-{number}"), Some(Hook::Input), 100 + number as u16, Which::All);
        rule.action = RuleAction::Reject(*with);
        rule
    });
    let lab = server_rules(&mut pair(), rules.collect());
    // Errors are limited to so many in a second (net/ipv4/icmp.c); that is not what is asked here.
    inside(&lab, "server", || {
        std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").expect("no limit");
        std::fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").expect("no limit");
    });
    for (number, (with, on_ipv4, on_ipv6)) in cases.into_iter().enumerate() {
        let port = 100 + number as u16;
        let answered = |address: IpAddr, header_bytes: usize| {
            let capture = Capture::start(&lab, "client");
            send_numbers(&lab, "client", address, port, 1);
            let answer = capture.frames().into_iter().find(|frame| !frame.is_outgoing);
            answer.map(|frame| (frame.bytes[14 + header_bytes], frame.bytes[14 + header_bytes + 1]))
        };
        assert_eq!(answered(ipv4(0, 1), 20), Some(on_ipv4), "{with:?}");
        if on_ipv6.is_some() {
            assert_eq!(answered(ipv6(0, 1), 40), on_ipv6, "{with:?}");
        } else {
            // The rule leaves it alone, and nobody listens there.
            assert_eq!(answered(ipv6(0, 1), 40), Some((1, 4)), "{with:?}");
        }
    }
}

fn rules_stand_at_the_hook_of_the_plan() {
    let links = [("client", "router"), ("router", "server")];
    let mut plan = network(&["client", "router", "server"], &links);
    plan.hosts[1].is_router = true;
    add_route(&mut plan, 0, ipv4(1, 1), 32, workbench::plan::RouteTarget::Via(ipv4(0, 1)));
    add_route(&mut plan, 2, ipv4(0, 0), 32, workbench::plan::RouteTarget::Via(ipv4(1, 0)));
    plan.hosts[0].rules = vec![drop_udp("output", Some(Hook::Output), 1, Which::All)];
    plan.hosts[1].rules = vec![
        drop_udp("forward", Some(Hook::Forward), 2, Which::All),
        drop_udp("not-for-the-router", Some(Hook::Input), 3, Which::All),
    ];
    let lab = Lab::build(&plan).expect("a lab");
    let capture = Capture::start(&lab, "client");
    assert!(numbers_that_arrive(&lab, "client", "server", ipv4(1, 1), 1, 2).is_empty());
    assert!(capture.frames().is_empty(), "what the output hook drops never leaves");
    assert!(numbers_that_arrive(&lab, "client", "server", ipv4(1, 1), 2, 2).is_empty());
    assert_eq!(capture.frames().len(), 2, "what the router drops has left");
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv4(1, 1), 3, 2), [1, 2]);
    let counters = lab.rule_counters().expect("counters");
    let packets = ["output", "forward", "not-for-the-router"].map(|id| counters[id].packets);
    assert_eq!(packets, [2, 2, 0]);
    let families: Value = oracle_json(&lab, "router", "nft -j list tables");
    assert_eq!(families["nftables"][1]["table"]["family"], "inet");
}
