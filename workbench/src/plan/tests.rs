//! What the planner decides for whole scenarios.

use super::*;
use crate::scenario::{Chance, Distribution, LossModel, Rate, Slot, SlotDistribution, SourceFile, parse};

fn plans(text: &str) -> Vec<Plan> {
    let source = SourceFile::new("some/test.kdl", text);
    match parse(&source) {
        Ok(scenario) => build(&scenario),
        Err(diagnostics) => panic!("{:?}", diagnostics.problems()),
    }
}

fn plan(text: &str) -> Plan {
    plans(text).remove(0)
}

const THREE: &str = "
namespace client
router middle
namespace server
link client middle
link middle server
run x in=client \"true\"
";

fn routes(plan: &Plan, host: &str) -> Vec<String> {
    let host = plan.hosts.iter().find(|h| h.name == host).expect("the host");
    let text = |route: &RoutePlan| format!("{}/{} {:?}", route.destination, route.prefix_len, route.target);
    host.routes.iter().map(text).collect()
}

#[test]
fn addresses_macs_and_interfaces_follow_from_the_order_of_the_file() {
    let plan = plan(THREE);
    let ends: Vec<_> = plan.links.iter().flat_map(|link| &link.ends).collect();
    let told: Vec<String> = ends
        .iter()
        .map(|end| {
            format!("{} {} {}/{} {:02x?}", end.host, end.interface, end.addresses[0].0, end.addresses[0].1, end.mac)
        })
        .collect();
    assert_eq!(
        told,
        [
            "client eth0 10.9.0.1/24 [02, 09, 00, 00, 00, 01]",
            "middle eth0 10.9.0.2/24 [02, 09, 00, 00, 00, 02]",
            "middle eth1 10.9.1.1/24 [02, 09, 00, 01, 00, 01]",
            "server eth0 10.9.1.2/24 [02, 09, 00, 01, 00, 02]",
        ]
    );
    assert_eq!(ends[0].neighbours[0].mac, ends[1].mac);
}

#[test]
fn the_same_scenario_gives_the_same_plans() {
    assert_eq!(plans(THREE), plans(THREE));
}

#[test]
fn every_host_reaches_every_network_through_the_routers() {
    let plan = plan(THREE);
    assert_eq!(routes(&plan, "client"), ["10.9.1.0/24 Via(10.9.0.2)"]);
    assert_eq!(routes(&plan, "middle"), [""; 0]);
    assert_eq!(routes(&plan, "server"), ["10.9.0.0/24 Via(10.9.1.1)"]);
}

#[test]
fn the_shortest_way_wins_and_among_equal_ones_the_first_of_the_file() {
    let square = "
        namespace a
        router r1
        router r2
        namespace b
        link a r1
        link a r2
        link r1 b
        link r2 b
        link r1 r2
        run x in=a \"true\"
    ";
    assert_eq!(
        routes(&plan(square), "a"),
        ["10.9.2.0/24 Via(10.9.0.2)", "10.9.3.0/24 Via(10.9.1.2)", "10.9.4.0/24 Via(10.9.0.2)"]
    );
}

#[test]
fn a_host_that_is_no_router_is_no_way_through() {
    assert_eq!(routes(&plan(&THREE.replace("router", "namespace")), "client"), [""; 0]);
}

#[test]
fn a_declared_route_wins_over_the_automatic_one_to_the_same_network() {
    let text = THREE.replace("namespace client", "namespace client {\n route \"10.9.1.0/24\" blackhole\n}");
    assert_eq!(routes(&plan(&text), "client"), ["10.9.1.0/24 Blackhole"]);
}

#[test]
fn a_declared_route_may_name_hosts() {
    let text = THREE
        .replace("namespace client", "namespace client {\n route server unreachable\n route default via=middle\n}");
    assert_eq!(
        routes(&plan(&text), "client"),
        ["10.9.1.2/32 Unreachable", "0.0.0.0/0 Via(10.9.0.2)", "10.9.1.0/24 Via(10.9.0.2)"]
    );
}

#[test]
fn an_interface_that_is_down_carries_no_route() {
    let text = THREE.replace("link client middle", "link client middle {\n client down\n}");
    let plan = plan(&text);
    assert!(plan.links[0].ends[0].is_down);
    assert_eq!(routes(&plan, "client"), [""; 0]);
    assert_eq!(routes(&plan, "server"), ["10.9.0.0/24 Via(10.9.1.1)"]);
}

#[test]
fn given_addresses_names_and_neighbours_win_over_the_rule() {
    let plan = plan(
        "
        namespace client {
            neighbour \"10.1.0.9\" mac=\"02:00:00:00:00:09\"
        }
        namespace server
        link client server name=cable mtu=1400 delay=\"20ms\" {
            client address=\"10.1.0.5/24\" name=wan mac=\"02:00:00:00:00:05\"
            server down
            absent ghost address=\"10.1.0.9\"
        }
        run x in=client \"true\"
        ",
    );
    let link = &plan.links[0];
    assert_eq!((link.name.as_str(), link.mtu, link.delay_ns), ("cable", 1400, 20_000_000));
    assert_eq!(link.ends[0].interface, "wan");
    assert_eq!(link.ends[0].addresses, [("10.1.0.5".parse().expect("v4"), 24)]);
    assert_eq!(link.ends[1].addresses, [("10.1.0.2".parse().expect("v4"), 24)]);
    assert_eq!(link.ends[1].neighbours[0].mac, [2, 0, 0, 0, 0, 5]);
    let pinned: Vec<String> = link.ends[0].neighbours.iter().map(|n| n.address.to_string()).collect();
    assert_eq!(pinned, ["10.1.0.2", "10.1.0.9"]);
    assert_eq!(plan.etc["hosts"], "127.0.0.1 localhost\n10.1.0.5 client\n10.1.0.2 server\n10.1.0.9 ghost\n");
}

#[test]
fn an_absent_host_has_a_name_and_an_address_and_nobody_knows_its_mac() {
    let plan = plan("namespace a\nnamespace b\nlink a b {\n absent ghost\n}\nrun x in=a \"true\"");
    assert!(plan.etc["hosts"].contains("10.9.0.3 ghost\n"));
    assert!(plan.hosts.iter().all(|host| host.name != "ghost"));
    assert!(plan.links[0].ends.iter().all(|end| end.neighbours.len() == 1));
}

#[test]
fn a_link_that_learns_pins_nobody() {
    let plan = plan("namespace a\nnamespace b\nlink a b neighbours=learn\nrun x in=a \"true\"");
    assert!(plan.links[0].ends.iter().all(|end| end.neighbours.is_empty()));
}

#[test]
fn a_name_has_one_address_unless_its_link_asks_for_both_families() {
    let text = |ip: &str| format!("namespace a\nnamespace b\nlink a b ip={ip}\nrun x in=a \"true\"");
    assert_eq!(plan(&text("v4")).etc["hosts"], "127.0.0.1 localhost\n10.9.0.1 a\n10.9.0.2 b\n");
    assert_eq!(plan(&text("v6")).etc["hosts"], "::1 localhost\n::1 ip6-localhost ip6-loopback\nfd09::1 a\nfd09::2 b\n");
    assert!(plan(&text("both")).etc["hosts"].ends_with("10.9.0.1 a\nfd09::1 a\n10.9.0.2 b\nfd09::2 b\n"));
}

#[test]
fn rules_have_ids_of_their_own_and_the_addresses_of_the_hosts_they_name() {
    let plan = plan(
        "
        namespace client
        namespace server {
            drop tcp dport=80   flags=\"syn,!ack\" from=client // why
            reject udp dport=53
        }
        link client server {
            drop tcp first=1
            drop udp from=server to=\"10.9.0.0/24\"
        }
        run x in=client \"true\"
        ",
    );
    let rules = &plan.hosts[1].rules;
    assert_eq!(rules[0].id, "server-drop-1");
    assert_eq!(rules[0].text, "drop tcp dport=80 flags=\"syn,!ack\" from=client");
    assert_eq!(rules[0].from, [("10.9.0.1".parse().expect("v4"), 32)]);
    assert_eq!(rules[0].matching.flags, Some(TcpFlagsMatch { set: 2, clear: 16 }));
    assert_eq!(rules[1].id, "server-reject-2");
    assert_eq!(rules[1].action, RuleAction::Reject(RejectWith::PortUnreachable));
    assert_eq!(rules[1].hook, Some(Hook::Input));
    let on_wire = plan.links[0].ends.each_ref().map(|end| end.drops.iter().map(|d| d.id.as_str()).collect::<Vec<_>>());
    assert_eq!(on_wire, [vec!["client-server-drop-1"], vec!["client-server-drop-2", "client-server-drop-3"]]);
    assert_eq!(plan.links[0].ends[1].drops[1].to, [("10.9.0.0".parse().expect("v4"), 24)]);
}

#[test]
fn netem_without_an_end_acts_both_ways() {
    let netem = |from: &str| {
        plan(&format!("namespace a\nnamespace b\nlink a b {{\n netem {from} delay=\"1ms\"\n}}\nrun x in=a \"true\""))
    };
    let ends = |plan: Plan| plan.links[0].ends.each_ref().map(|end| end.netem.is_some());
    assert_eq!(ends(netem("")), [true, true]);
    assert_eq!(ends(netem("from=b")), [false, true]);
}

#[test]
fn every_parameter_of_netem_arrives() {
    let plan = plan(
        "
        namespace a
        namespace b
        link a b {
            netem from=a limit=500 delay=\"100ms\" jitter=\"10ms\" correlation=\"25%\" distribution=paretonormal ecn \\
                loss=\"1%\" loss-correlation=\"50%\" duplicate=\"2%\" reorder=\"25%\" reorder-correlation=\"50%\" gap=5 \\
                corrupt=0.001 corrupt-correlation=\"10%\" rate=\"1mbit\" overhead=-14 cell-size=48 cell-overhead=5 seed=42 {
                slot min=\"1ms\" max=\"5ms\" packets=3 bytes=\"64KiB\"
            }
            netem from=b {
                loss gemodel p=\"1%\" \"1-h\"=\"70%\"
                slot distribution=normal delay=\"5ms\" jitter=\"1ms\"
            }
        }
        run x in=a \"true\"
        ",
    );
    let [a, b] = plan.links[0].ends.each_ref().map(|end| end.netem.clone().expect("netem").netem);
    let chance = |probability, correlation| Some(Chance { probability, correlation });
    let expected = Netem {
        limit_packets: Some(500),
        delay_ns: Some(100_000_000),
        jitter_ns: Some(10_000_000),
        delay_correlation: Some(0.25),
        distribution: Some(Distribution::ParetoNormal),
        loss: Some(LossModel::Random { probability: 0.01, correlation: 0.5 }),
        ecn: true,
        duplicate: chance(0.02, 0.0),
        reorder: chance(0.25, 0.5),
        gap: Some(5),
        corrupt: chance(0.001, 0.1),
        rate: Some(Rate {
            bits_per_s: 1_000_000,
            packet_overhead_bytes: -14,
            cell_size_bytes: 48,
            cell_overhead_bytes: 5,
        }),
        slot: Some(Slot {
            min_delay_ns: 1_000_000,
            max_delay_ns: 5_000_000,
            packets: 3,
            bytes: 65_536,
            distribution: None,
        }),
        seed: Some(42),
    };
    assert_eq!(a, expected);
    // What is left out of a loss model is what tc(8) leaves out: r is 1-p, 1-k is 0.
    assert_eq!(b.loss, Some(LossModel::GilbertElliott { p: 0.01, r: 0.99, one_minus_h: 0.7, one_minus_k: 0.0 }));
    let drawn = SlotDistribution { shape: Distribution::Normal, delay_ns: 5_000_000, jitter_ns: 1_000_000 };
    assert_eq!(b.slot.expect("a slot").distribution, Some(drawn));
}

#[test]
fn a_scenarios_own_sysctls_come_after_the_baseline_and_keep_their_place() {
    let plan =
        plan("namespace a {\n    sysctl \"net.ipv4.tcp_rmem\" 4096 8192 16384 or=1 // why\n}\nrun x in=a \"true\"");
    let own = plan.hosts[0].sysctls.last().expect("sysctls");
    assert_eq!((own.value.as_str(), own.or.as_deref()), ("4096 8192 16384", Some("1")));
    assert_eq!((own.origin.line, own.origin.column), (2, 5));
    assert!(plan.hosts[0].sysctls.iter().rev().skip(1).all(|sysctl| sysctl.origin.line == 0));
}

#[test]
fn a_command_is_words_or_arguments_and_has_a_deadline() {
    let plans = plans(
        "
        namespace a
        run words in=a \"sh -c 'echo a | cat'\"
        run arguments in=a sh -c \"echo $HOME\" deadline=\"never\" {
            env A 1
            stdin text=\"x\\n\"
            expect exit=0 stdout=\"a\"
            expect stdout=\"b\" after=\"3s\" within=\"500ms\"
        }
        ",
    );
    assert_eq!(plans[0].command.argv, ["sh", "-c", "echo a | cat"]);
    assert_eq!(plans[0].command.deadline_ns, Some(600_000_000_000));
    assert_eq!(plans[0].command.stdin, StdinPlan::Empty);
    assert_eq!(plans[1].command.argv, ["sh", "-c", "echo $HOME"]);
    assert_eq!(plans[1].command.deadline_ns, None);
    assert_eq!(plans[1].command.env["A"], "1");
    assert_eq!(plans[1].command.stdin, StdinPlan::Text("x\n".into()));
    assert_eq!(plans[1].expect.stdout_contains.iter().map(|c| c.value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(plans[1].expect.within_ns.as_ref().map(|c| c.value), Some(500_000_000));
}

#[test]
fn a_plan_survives_serialisation() {
    let plan = plan(THREE);
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn a_description_holds_everything_and_nothing_that_steers_a_terminal() {
    let text = plan(
        "
        about \"Why?\"
        requires kernel=\"6.5\"
        namespace client { route default via=server }
        namespace server { drop tcp dport=80 }
        link client server delay=\"20ms\" { netem loss=\"1%\"; cut }
        run x in=client echo \"\\u{1b}[31m\" deadline=\"5s\" { expect exit=0 after=\"1s\" }
        ",
    )
    .describe();
    for part in [
        "test / x",
        "Why?",
        "kernel 6.5 or newer",
        "20ms each way",
        "CUT",
        "10.9.0.1/24",
        "02:09:00:00:00:02",
        "sends through",
        "default via 10.9.0.2",
        "drop tcp dport=80",
        "[server-drop-1]",
        "ended after 5s",
        "exit code 0",
        "after 1s",
        "10.9.0.2 server",
        "tcp_congestion_control=reno",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn a_peer_is_on_every_address_of_its_host_and_a_name_server_knows_every_name() {
    let plan = plan(
        "
        namespace a
        namespace b {
            silent port=80
            echo udp port=7 address=\"10.9.0.2\"
            refuse port=81
            dns { answer \"x.example\" \"192.0.2.1\"; }
        }
        link a b ip=both
        resolver b \"10.9.0.9\" timeout=\"2s\" rotate=#true
        name \"www.example\" \"10.9.0.9\" b
        run it in=a \"true\"
        ",
    );
    let [silent, echo, refuse, dns] = &plan.hosts[1].peers[..] else { panic!("four peers") };
    assert_eq!(silent.tcp.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.0.0.0", "::"]);
    assert_eq!(echo.udp.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.9.0.2"]);
    assert_eq!((refuse.tcp.len(), refuse.udp.len(), silent.udp.len()), (0, 0, 0));
    assert_eq!((dns.port, dns.tcp.len(), dns.udp.len()), (53, 2, 4));
    assert_eq!(dns.zone.keys().collect::<Vec<_>>(), ["a", "b", "www.example", "x.example"]);
    assert_eq!(plan.etc["resolv.conf"], "nameserver 10.9.0.2\nnameserver 10.9.0.9\noptions timeout:2 rotate\n");
    assert!(plan.etc["nsswitch.conf"].contains("\nhosts: files dns\n"));
    let www: Vec<&str> = plan.etc["hosts"].lines().filter(|line| line.ends_with("www.example")).collect();
    assert_eq!(www, ["10.9.0.9 www.example", "10.9.0.2 www.example", "fd09::2 www.example"]);
    assert!(!plan.etc["hosts"].contains("x.example"));
}
