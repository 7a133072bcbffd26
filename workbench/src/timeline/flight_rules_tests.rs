//! Which packets rules took, from hand-made evidence.

use super::flight::Fate;
use super::flights::flights;
use super::flights_fixture::*;
use crate::evidence::{Direction, Evidence};
use crate::plan::{Hook, PortRange, Protocol, RulePlan, TcpFlagsMatch, Which};

/// The rule that took each flight, by id; empty for none.
fn takers(evidence: &Evidence) -> Vec<String> {
    let taker = |fate| match fate {
        Fate::TakenByRule { rule, .. } => rule,
        _ => String::new(),
    };
    flights(evidence).into_iter().map(|f| taker(f.fate)).collect()
}

/// Which of so many segments to port 80 an input rule of the server takes, from 1.
fn taken_of(count: u16, rule: RulePlan) -> Vec<usize> {
    let mut evidence = two_hosts();
    evidence.plan.hosts[1].rules.push(rule);
    for id in 1..=count {
        // A packet to another port between them: it does not count.
        pass(&mut evidence, i64::from(id) * MS, i64::from(id) * MS, &syn(id));
        let other = tcp(1, 2, (40000, 81), id.into(), "S", 0);
        pass(&mut evidence, i64::from(id) * MS + 1, i64::from(id) * MS + 1, &other);
    }
    let takers = takers(&evidence);
    let taken = |(index, taker): (usize, &String)| (!taker.is_empty()).then_some(index);
    let taken: Vec<_> = takers.iter().enumerate().filter_map(taken).collect();
    assert!(taken.iter().all(|index| index % 2 == 0), "only port 80 is matched");
    taken.into_iter().map(|index| index / 2 + 1).collect()
}

#[test]
fn each_which_takes_the_packets_that_the_kernel_takes() {
    let with = |which| taken_of(6, rule("r", Some(Hook::Input), which));
    assert_eq!(with(Which::All), [1, 2, 3, 4, 5, 6]);
    assert_eq!(with(Which::First(2)), [1, 2]);
    assert_eq!(with(Which::After(2)), [3, 4, 5, 6]);
    assert_eq!(with(Which::Every(2)), [2, 4, 6]);
    assert_eq!(with(Which::Every(0)), [0; 0]);
    // 40 bytes of IP and TCP header each: the third is the first one over 80.
    assert_eq!(with(Which::AfterBytes(80)), [3, 4, 5, 6]);
}

#[test]
fn conditions_narrow_what_a_rule_takes() {
    let base = || rule("r", Some(Hook::Input), Which::All);
    let count = |edit: &dyn Fn(&mut RulePlan)| {
        let mut rule = base();
        edit(&mut rule);
        taken_of(1, rule).len()
    };
    assert_eq!(count(&|_| ()), 1);
    assert_eq!(count(&|r| r.matching.sport = Some(PortRange { first: 40000, last: 40000 })), 1);
    assert_eq!(count(&|r| r.matching.sport = Some(PortRange { first: 1, last: 39999 })), 0);
    assert_eq!(count(&|r| r.matching.flags = Some(TcpFlagsMatch { set: 2, clear: 16 })), 1);
    assert_eq!(count(&|r| r.matching.flags = Some(TcpFlagsMatch { set: 18, clear: 0 })), 0);
    assert_eq!(count(&|r| r.matching.flags = Some(TcpFlagsMatch { set: 0, clear: 2 })), 0);
    assert_eq!(count(&|r| r.matching.protocol = Protocol::Udp), 0);
    assert_eq!(count(&|r| r.from = vec![(address(9), 32), (address(0), 24)]), 1);
    assert_eq!(count(&|r| r.from = vec![(address(9), 32)]), 0);
    assert_eq!(count(&|r| r.to = vec![(address(2), 32)]), 1);
    assert_eq!(count(&|r| r.to = vec![([0; 16].into(), 0)]), 0);
    assert_eq!(count(&|r| r.hook = Some(Hook::Output)), 0);
    assert_eq!(count(&|r| r.hook = Some(Hook::Forward)), 0);
}

#[test]
fn the_first_rule_that_takes_a_packet_has_it_and_later_rules_do_not_count_it() {
    let mut evidence = two_hosts();
    let first = rule("first", Some(Hook::Input), Which::First(1));
    let second = rule("second", Some(Hook::Input), Which::First(2));
    evidence.plan.hosts[1].rules.extend([first, second]);
    (0..4).for_each(|n| pass(&mut evidence, n, n, &syn(n as u16)));
    assert_eq!(takers(&evidence), ["first", "second", "second", ""]);
}

#[test]
fn no_rule_gets_more_packets_than_its_counter_says() {
    let mut evidence = two_hosts();
    evidence.plan.hosts[1].rules.push(rule("r", Some(Hook::Input), Which::All));
    (0..3).for_each(|n| pass(&mut evidence, n, n, &syn(n as u16)));
    set_counter(&mut evidence, "r", 2);
    assert_eq!(takers(&evidence), ["r", "r", ""]);
}

#[test]
fn a_rule_of_chance_gets_the_packets_that_were_sent_again() {
    let mut evidence = two_hosts();
    evidence.plan.hosts[1].rules.push(rule("r", Some(Hook::Input), Which::Chance(0.5)));
    (0..4).for_each(|n| pass(&mut evidence, n, n, &syn(n as u16)));
    set_counter(&mut evidence, "r", 3);
    assert_eq!(takers(&evidence), ["r", "r", "r", ""], "the last one was not sent again");
    set_counter(&mut evidence, "r", 1);
    assert_eq!(takers(&evidence), ["r", "", "", ""]);
}

#[test]
fn a_rule_on_the_wire_gets_the_packets_that_never_arrived_and_counts_all() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].ends[0].drops.push(rule("wire", None, Which::Every(2)));
    pass(&mut evidence, 0, 0, &syn(1));
    vanish(&mut evidence, 1, &syn(2));
    pass(&mut evidence, 2, 2, &syn(3));
    vanish(&mut evidence, 3, &syn(4));
    vanish(&mut evidence, 4, &syn(5)); // netem's: it is the fifth
    assert_eq!(takers(&evidence), ["", "wire", "", "wire", ""]);
    let places: Vec<_> = flights(&evidence).into_iter().map(|f| f.fate).collect();
    assert_eq!(places[1], Fate::TakenByRule { rule: "wire".to_owned(), at: "client-server".to_owned() });
    assert_eq!(places[4], Fate::Lost);
}

#[test]
fn a_rule_on_the_wire_of_chance_gets_what_is_missing_up_to_its_counter() {
    let mut evidence = two_hosts();
    evidence.plan.links[0].ends[0].drops.push(rule("wire", None, Which::Chance(0.5)));
    set_counter(&mut evidence, "wire", 1);
    pass(&mut evidence, 0, 0, &syn(1));
    vanish(&mut evidence, 1, &syn(2));
    vanish(&mut evidence, 2, &syn(3));
    assert_eq!(takers(&evidence), ["", "wire", ""]);
}

#[test]
fn a_routers_forward_rules_meet_what_passes_and_its_input_rules_what_is_for_it() {
    let mut evidence = routed();
    let forward = rule("forward", Some(Hook::Forward), Which::All);
    let input = rule("input", Some(Hook::Input), Which::All);
    evidence.plan.hosts[1].rules.extend([forward, input]);
    let mut passing = tcp(1, 4, (40000, 80), 1, "S", 0);
    passing[..6].copy_from_slice(&mac(2));
    for (t_ns, packet) in [(1, passing), (2, tcp(1, 2, (40000, 80), 2, "S", 0))] {
        see(&mut evidence, "client", "eth0", Direction::Sent, t_ns, &packet);
        see(&mut evidence, "router", "eth0", Direction::Received, t_ns, &packet);
    }
    assert_eq!(takers(&evidence), ["forward", "input"]);
    evidence.plan.hosts[1].is_router = false;
    assert_eq!(takers(&evidence), ["", "input"], "a host does not pass packets on");
}

#[test]
fn rules_meet_broadcasts_and_what_crosses_lo_but_not_what_is_for_another_mac() {
    let mut evidence = two_hosts();
    let mut any = rule("r", Some(Hook::Input), Which::All);
    (any.matching.protocol, any.matching.dport) = (Protocol::Any, None);
    evidence.plan.hosts.iter_mut().for_each(|h| h.rules.push(any.clone()));
    let mut broadcast = tcp(1, 255, (1, 2), 1, "A", 0);
    broadcast[..6].copy_from_slice(&[0xff; 6]);
    let mut for_another = syn(1);
    for_another[..6].copy_from_slice(&mac(77));
    pass(&mut evidence, 0, 0, &broadcast);
    pass(&mut evidence, 1, 1, &for_another);
    see(&mut evidence, "client", "lo", Direction::Received, 2, &tcp(1, 1, (1, 2), 1, "A", 0));
    assert_eq!(takers(&evidence), ["r", "", "r"]);
}
