//! Flights from hand-made evidence: each way a packet can end, and which sighting is which packet.

use super::flight::{Fate, Flight};
use super::flights::flights;
use super::flights_fixture::*;
use crate::evidence::{Direction, Evidence};
use crate::plan::{Hook, Netem};
use crate::scenario::{Chance, Rate, Which};

fn fates(evidence: &Evidence) -> Vec<Fate> {
    flights(evidence).into_iter().map(|f| f.fate).collect()
}

/// Stamps of each flight's two ends, in milliseconds.
fn stamps_ms(evidence: &Evidence) -> Vec<(Option<i64>, Option<i64>)> {
    let ms = |t_ns: Option<i64>| t_ns.map(|t_ns| t_ns / MS);
    flights(evidence).iter().map(|f| (ms(f.sent_ns), ms(f.arrived_ns))).collect()
}

fn retransmissions(evidence: &Evidence) -> Vec<u32> {
    flights(evidence).iter().map(|f| f.retransmission).collect()
}

#[test]
fn a_packet_seen_at_both_ends_arrived() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].delay_ns = 5 * MS as u64;
    pass(&mut evidence, 0, 5 * MS, &syn(1));
    let [flight] = &flights(&evidence)[..] else { panic!("expected one flight") };
    assert_eq!((&flight.from[..], &flight.to[..], &flight.link[..]), ("client", "server", "client-server"));
    assert_eq!((flight.sent_ns, flight.arrived_ns), (Some(0), Some(5 * MS)));
    assert_eq!((flight.sent_index, flight.arrived_index), (Some(0), Some(1)));
    assert_eq!(flight.addresses, Some((address(1), address(2))));
    assert_eq!(flight.fate, Fate::Arrived);
}

#[test]
fn a_packet_that_never_arrived_is_lost_if_it_had_the_time() {
    let mut evidence = two_hosts();
    set_netem(&mut evidence, 0, Netem { delay_ns: Some(S as u64), ..Netem::default() });
    vanish(&mut evidence, 0, &syn(1));
    vanish(&mut evidence, 9_500 * MS, &syn(2));
    assert_eq!(fates(&evidence), [Fate::Lost, Fate::InFlight]);
}

#[test]
fn a_packet_after_the_commands_end_is_judged_by_the_last_packet_seen() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].delay_ns = S as u64;
    evidence.end.t_ns = S;
    vanish(&mut evidence, S, &syn(1));
    assert_eq!(fates(&evidence), [Fate::InFlight]);
    pass(&mut evidence, 2 * S, 3 * S, &syn(2));
    assert_eq!(fates(&evidence), [Fate::Lost, Fate::Arrived]);
}

#[test]
fn a_packet_behind_others_on_a_slow_wire_needs_their_time_too() {
    let mut evidence = two_hosts();
    let rate = Rate { bits_per_s: 8_000, packet_overhead_bytes: 0, cell_size_bytes: 0, cell_overhead_bytes: 0 };
    set_netem(&mut evidence, 0, Netem { rate: Some(rate), ..Netem::default() });
    evidence.end.t_ns = 1_500 * MS;
    // 1,000 bytes take a second each.
    (0..3).for_each(|n| vanish(&mut evidence, n, &tcp(1, 2, (40000, 80), n as u32, "A", 1000 - 54)));
    assert_eq!(fates(&evidence), [Fate::Lost, Fate::InFlight, Fate::InFlight]);
}

#[test]
fn what_a_cut_cable_was_given_is_lost_at_once() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].is_cut = true;
    vanish(&mut evidence, 10 * S, &syn(1));
    assert_eq!(fates(&evidence), [Fate::Lost]);
}

#[test]
fn a_packet_through_a_router_is_a_flight_on_each_link() {
    let mut evidence = routed();
    let packet = tcp(1, 4, (40000, 80), 100, "S", 0);
    let mut forwarded = packet.clone();
    forwarded[22] -= 1; // TTL
    see(&mut evidence, "client", "eth0", Direction::Sent, 1, &packet);
    see(&mut evidence, "router", "eth0", Direction::Received, 2, &packet);
    see(&mut evidence, "router", "eth1", Direction::Sent, 3, &forwarded);
    see(&mut evidence, "server", "eth0", Direction::Received, 4, &forwarded);
    let flights = flights(&evidence);
    let ways: Vec<_> = flights.iter().map(|f| (&f.from[..], &f.to[..], f.retransmission)).collect();
    assert_eq!(ways, [("client", "router", 0), ("router", "server", 0)]);
}

#[test]
fn a_packet_on_lo_has_an_arrival_only() {
    let mut evidence = two_hosts();
    see(&mut evidence, "client", "lo", Direction::Received, 7, &tcp(1, 1, (40000, 80), 100, "S", 0));
    let [Flight { from, to, link, sent_ns: None, arrived_ns: Some(7), fate: Fate::Arrived, .. }] =
        &flights(&evidence)[..]
    else {
        panic!("expected one arrival")
    };
    assert_eq!((&from[..], &to[..], &link[..]), ("client", "client", "lo"));
}

#[test]
fn identical_packets_are_paired_in_order() {
    let mut evidence = two_hosts();
    [(0, 3), (1, 4), (2, 5)].into_iter().for_each(|(s, a)| pass(&mut evidence, s * MS, a * MS, &syn(1)));
    assert_eq!(stamps_ms(&evidence), [(Some(0), Some(3)), (Some(1), Some(4)), (Some(2), Some(5))]);
}

#[test]
fn of_identical_packets_the_one_that_cannot_have_arrived_is_lost() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].delay_ns = 500 * MS as u64;
    (0..3).for_each(|n| vanish(&mut evidence, n * S, &syn(1)));
    for arrived_ms in [1500, 2500] {
        see(&mut evidence, "server", "eth0", Direction::Received, arrived_ms * MS, &syn(1));
    }
    assert_eq!(stamps_ms(&evidence), [(Some(0), None), (Some(1000), Some(1500)), (Some(2000), Some(2500))]);
}

#[test]
fn a_copy_that_netem_made_is_an_arrival_that_nobody_sent() {
    let mut evidence = two_hosts();
    let duplicate = Some(Chance { probability: 0.5, correlation: 0.0 });
    set_netem(&mut evidence, 0, Netem { duplicate, ..Netem::default() });
    pass(&mut evidence, 0, MS, &syn(1));
    see(&mut evidence, "server", "eth0", Direction::Received, MS, &syn(1));
    pass(&mut evidence, S, S + MS, &syn(1));
    assert_eq!(stamps_ms(&evidence), [(Some(0), Some(1)), (None, Some(1)), (Some(1000), Some(1001))]);
    assert_eq!(retransmissions(&evidence), [0, 0, 1]);
}

#[test]
fn packets_that_overtake_each_other_keep_their_own_stamps() {
    let mut evidence = two_hosts();
    vanish(&mut evidence, 0, &syn(1));
    vanish(&mut evidence, MS, &syn(2));
    see(&mut evidence, "server", "eth0", Direction::Received, 2 * MS, &syn(2));
    see(&mut evidence, "server", "eth0", Direction::Received, 3 * MS, &syn(1));
    assert_eq!(stamps_ms(&evidence), [(Some(0), Some(3)), (Some(1), Some(2))]);
}

#[test]
fn a_packet_with_a_flipped_bit_is_recognised_where_netem_corrupts() {
    let mut evidence = two_hosts();
    vanish(&mut evidence, 0, &syn(1));
    let mut flipped = syn(1);
    flipped[40] ^= 4;
    see(&mut evidence, "server", "eth0", Direction::Received, MS, &flipped);
    assert_eq!(stamps_ms(&evidence), [(Some(0), None), (None, Some(1))]);
    let corrupt = Some(Chance { probability: 0.5, correlation: 0.0 });
    set_netem(&mut evidence, 0, Netem { corrupt, ..Netem::default() });
    assert_eq!(stamps_ms(&evidence), [(Some(0), Some(1))]);
}

#[test]
fn retransmissions_are_counted_for_each_stretch_of_the_stream() {
    let mut evidence = two_hosts();
    let segment = |seq, flags, len| tcp(1, 2, (40000, 80), seq, flags, len);
    let sendings = [
        (segment(100, "S", 0), 0),
        (segment(100, "S", 0), 1),
        (segment(101, "A", 0), 0),
        (segment(101, "A", 0), 0), // a pure ACK repeats nothing
        (segment(101, "A", 50), 0),
        (segment(151, "A", 50), 0),
        (segment(101, "A", 100), 1), // both at once
        (segment(201, "FA", 0), 0),
        (segment(201, "FA", 0), 1),
        (tcp(1, 2, (40001, 80), 100, "S", 0), 0), // another connection
    ];
    for (t_ns, (bytes, _)) in sendings.iter().enumerate() {
        pass(&mut evidence, t_ns as i64, t_ns as i64, bytes);
    }
    assert_eq!(retransmissions(&evidence), sendings.map(|(_, expected)| expected));
}

#[test]
fn packets_with_equal_stamps_are_in_the_order_of_cause() {
    let mut evidence = two_hosts();
    // A whole handshake within one stamp, and the hosts' captures merged in the wrong order.
    let packets = [
        tcp(1, 2, (40000, 80), 100, "S", 0),
        tcp(2, 1, (80, 40000), 500, "SA", 0),
        tcp(1, 2, (40000, 80), 101, "A", 0),
        tcp(1, 2, (40000, 80), 101, "A", 10),
        tcp(2, 1, (80, 40000), 501, "A", 20),
    ];
    for host in ["server", "client"] {
        for packet in &packets {
            let is_sender = (packet[11] == 1) == (host == "client");
            let direction = if is_sender { Direction::Sent } else { Direction::Received };
            see(&mut evidence, host, "eth0", direction, 0, packet);
        }
    }
    let order: Vec<_> =
        flights(&evidence).iter().map(|f| evidence.packets[f.sent_index.expect("sent")].bytes.clone()).collect();
    assert_eq!(order, packets);
}

#[test]
fn stamps_that_contradict_the_captures_still_give_every_packet() {
    let mut evidence = two_hosts();
    let there = tcp(1, 2, (1, 2), 1, "A", 1);
    let back = tcp(2, 1, (2, 1), 1, "A", 1);
    // Each host saw the other's packet before it sent its own.
    see(&mut evidence, "client", "eth0", Direction::Received, 0, &back);
    see(&mut evidence, "client", "eth0", Direction::Sent, 0, &there);
    see(&mut evidence, "server", "eth0", Direction::Received, 0, &there);
    see(&mut evidence, "server", "eth0", Direction::Sent, 0, &back);
    assert_eq!(fates(&evidence), [Fate::Arrived, Fate::Arrived]);
}

#[test]
fn a_packet_that_an_input_rule_took_was_seen_arriving_and_is_taken_there() {
    let mut evidence = two_hosts();
    evidence.plan.hosts[1].rules.push(rule("server-drop-1", Some(Hook::Input), Which::All));
    pass(&mut evidence, 0, 0, &syn(1));
    let taken = Fate::TakenByRule { rule: "server-drop-1".to_owned(), at: "server".to_owned() };
    assert_eq!(fates(&evidence), [taken]);
}
