//! The wire: drops between the ends, seen by both captures; the cable's delay; what `tc` and `nft` show there.

use std::net::UdpSocket;
use std::time::Duration;

use workbench::lab::Lab;
use workbench::plan::{Plan, Protocol, RuleAction, Which};

use crate::support::capture::{Capture, Frame, inside, numbers_that_arrive, send_numbers};
use crate::support::namespace::Body;
use crate::support::network::{add_ipv6, drop_udp, ipv4, ipv6, network, rule};

pub const BODIES: &[Body] = &[
    ("a_wire_drop_is_seen_leaving_and_not_arriving", a_wire_drop_is_seen_leaving_and_not_arriving),
    ("a_wire_drop_takes_one_direction_and_no_arp", a_wire_drop_takes_one_direction_and_no_arp),
    ("a_packet_travels_as_long_as_the_cable_is", a_packet_travels_as_long_as_the_cable_is),
    ("drops_work_on_a_cable_with_a_delay", drops_work_on_a_cable_with_a_delay),
    ("a_delayed_cable_keeps_order_and_loses_nothing", a_delayed_cable_keeps_order_and_loses_nothing),
    ("neighbours_are_learnt_across_the_wire", neighbours_are_learnt_across_the_wire),
    ("a_cut_cable_keeps_nothing_that_acts_on_it", a_cut_cable_keeps_nothing_that_acts_on_it),
    ("the_relay_ends_with_the_lab", the_relay_ends_with_the_lab),
];

fn pair() -> Plan {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    plan
}

/// Payloads of the datagrams among the frames, with their stamps.
fn datagrams(frames: Vec<Frame>) -> Vec<(u32, i64)> {
    let payload = |frame: &Frame| {
        let tail = frame.bytes.last_chunk::<4>().expect("4 bytes");
        (u32::from_be_bytes(*tail), frame.stamp_ns)
    };
    frames.iter().map(payload).collect()
}

fn numbers(datagrams: &[(u32, i64)]) -> Vec<u32> {
    datagrams.iter().map(|(number, _)| *number).collect()
}

fn a_wire_drop_is_seen_leaving_and_not_arriving() {
    let mut plan = pair();
    plan.links[0].ends[0].drops = vec![drop_udp("wire", None, 7, Which::Every(2))];
    let lab = Lab::build(&plan).expect("a lab");
    assert_eq!(lab.wire(), None, "no delay to keep");
    for address in [ipv4(0, 1), ipv6(0, 1)] {
        let [client, server] = ["client", "server"].map(|host| Capture::start(&lab, host));
        assert_eq!(numbers_that_arrive(&lab, "client", "server", address, 7, 4), [1, 3]);
        assert_eq!(numbers(&datagrams(client.frames())), [1, 2, 3, 4]);
        assert_eq!(numbers(&datagrams(server.frames())), [1, 3]);
    }
    assert_eq!(lab.rule_counters().expect("counters")["wire"].packets, 4);
}

fn a_wire_drop_takes_one_direction_and_no_arp() {
    let mut plan = pair();
    plan.links[0].ends[0].drops = vec![rule("all", None, Protocol::Any, RuleAction::Drop)];
    for end in &mut plan.links[0].ends {
        end.neighbours.clear();
    }
    let lab = Lab::build(&plan).expect("a lab");
    let server = Capture::start(&lab, "server");
    assert!(numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), 7, 1).is_empty());
    let arp = server.frames();
    assert_eq!(arp.len(), 2, "the question and the answer: {arp:02x?}");
    assert!(arp.iter().all(|frame| frame.bytes[12..14] == [0x08, 0x06]));
    assert_eq!(numbers_that_arrive(&lab, "server", "client", ipv4(0, 0), 7, 2), [1, 2]);
}

const DELAY_NS: u64 = 20_000_000;

fn a_packet_travels_as_long_as_the_cable_is() {
    let mut plan = pair();
    plan.links[0].delay_ns = DELAY_NS;
    let lab = Lab::build(&plan).expect("a lab");
    assert!(matches!(lab.wire(), Some("relay" | "netem")));
    for (from, to, side) in [("client", "server", 1), ("server", "client", 0)] {
        for address in [ipv4(0, side), ipv6(0, side)] {
            let [sender, receiver] = [from, to].map(|host| Capture::start(&lab, host));
            assert_eq!(numbers_that_arrive(&lab, from, to, address, 7, 3), [1, 2, 3]);
            let (left, arrived) = (datagrams(sender.frames()), datagrams(receiver.frames()));
            assert_eq!(numbers(&left), numbers(&arrived));
            for (left, arrived) in left.iter().zip(&arrived) {
                let travelled_ns = arrived.1 - left.1;
                // Never sooner; how much later is the machine's business and is not asserted.
                assert!(travelled_ns >= DELAY_NS as i64, "{travelled_ns} ns to {address}");
            }
        }
    }
}

fn drops_work_on_a_cable_with_a_delay() {
    let mut plan = pair();
    plan.links[0].delay_ns = DELAY_NS;
    plan.links[0].ends[0].drops = vec![drop_udp("wire", None, 7, Which::First(2))];
    let lab = Lab::build(&plan).expect("a lab");
    let [client, server] = ["client", "server"].map(|host| Capture::start(&lab, host));
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), 7, 4), [3, 4]);
    assert_eq!(numbers(&datagrams(client.frames())), [1, 2, 3, 4]);
    assert_eq!(numbers(&datagrams(server.frames())), [3, 4]);
    let counter = lab.rule_counters().expect("counters")["wire"];
    assert_eq!(counter.packets, 2);
    assert_eq!(numbers_that_arrive(&lab, "server", "client", ipv4(0, 0), 7, 2), [1, 2], "the other way is free");
}

fn a_delayed_cable_keeps_order_and_loses_nothing() {
    let mut plan = pair();
    plan.links[0].delay_ns = DELAY_NS;
    let lab = Lab::build(&plan).expect("a lab");
    let receiver = inside(&lab, "server", || UdpSocket::bind((ipv4(0, 1), 7))).expect("a port");
    receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    // In bursts that fit into the receiver's own socket buffer.
    for _ in 0..20 {
        send_numbers(&lab, "client", ipv4(0, 1), 7, 100);
        for expected in 1u32..=100 {
            let mut buffer = [0; 4];
            receiver.recv(&mut buffer).expect("a datagram");
            assert_eq!(u32::from_be_bytes(buffer), expected);
        }
    }
    assert_eq!(lab.take_lost_on_wire().expect("statistics"), 0);
}

fn neighbours_are_learnt_across_the_wire() {
    for delay_ns in [0, DELAY_NS] {
        let mut plan = pair();
        plan.links[0].delay_ns = delay_ns;
        for end in &mut plan.links[0].ends {
            end.neighbours.clear();
            end.drops = vec![drop_udp(&format!("of-{}", end.host), None, 9, Which::All)];
        }
        // A wire of its own for each lab, as the agent has.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a fresh wire");
        let lab = Lab::build(&plan).expect("a lab");
        for address in [ipv4(0, 1), ipv6(0, 1)] {
            assert_eq!(numbers_that_arrive(&lab, "client", "server", address, 7, 2), [1, 2], "{address}");
        }
    }
}

fn a_cut_cable_keeps_nothing_that_acts_on_it() {
    let mut plan = pair();
    plan.links[0].is_cut = true;
    plan.links[0].delay_ns = DELAY_NS;
    plan.links[0].ends[0].drops = vec![drop_udp("wire", None, 7, Which::All)];
    let lab = Lab::build(&plan).expect("a lab");
    assert_eq!(lab.wire(), None);
    assert!(!lab.rule_counters().expect("counters").contains_key("wire"));
    assert!(numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), 7, 1).is_empty());
}

/// `/proc/PID/stat` of the processes in this PID namespace that have not ended.
fn processes() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let numbered = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let stats = numbered.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| !stat.contains(") Z")).collect()
}

fn the_relay_ends_with_the_lab() {
    let mut plan = pair();
    plan.links[0].delay_ns = DELAY_NS;
    let lab = Lab::build(&plan).expect("a lab");
    if lab.wire() != Some("relay") {
        return;
    }
    assert_eq!(processes().len(), 2, "this one and the relay: {:?}", processes());
    drop(lab);
    nix::sys::wait::wait().expect("the relay, reaped");
    assert_eq!(processes().len(), 1, "{:?}", processes());
}
