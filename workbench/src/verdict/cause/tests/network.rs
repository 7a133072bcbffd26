//! What the network said: RST, FIN, data, ICMP errors, neighbours that do not answer, routes that say no.

use super::build::{BACK, THERE, judged, line, said};
use crate::evidence::Arg;
use crate::timeline::fixture::{Fixture, error, ip, place, symbol, value};
use crate::timeline::{Content, QuotedFlow};

fn icmp(run: &mut Fixture, us: i64, from: &str, kind: &str, (sport, dport): (u16, u16)) {
    let about = QuotedFlow {
        from: ip("client"),
        to: ip("server"),
        protocol: "tcp".into(),
        sport: Some(sport),
        dport: Some(dport),
    };
    run.flight(us, from, "client", Content::Icmp { kind: kind.into(), about: Some(about) });
}

fn arp(run: &mut Fixture, us: i64, is_request: bool, target: &str) {
    let (from, to) = if is_request { ("client", "server") } else { ("server", "client") };
    run.flight(us, from, to, Content::Arp { is_request, target: ip(target) }).but(|flight| flight.addresses = None);
}

/// A blocking connect from 200 us that fails at `us`.
fn failed(us: i64, errno: &str) -> Fixture {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((200, us), 5, ("server", 80), error(errno)).exit(us + 1_000);
    run
}

#[test]
fn a_reset_answers_a_connect() {
    let mut run = failed(500, "ECONNREFUSED");
    run.segment(300, THERE, "S", 0).segment(400, BACK, "RA", 0);
    let found = judged(&run);
    assert_eq!(line(&found), "peer server: RST, Certain");
    assert_eq!(found.words, "server refused the connection to server:80 with a RST");
}

#[test]
fn a_reset_breaks_a_connection_off() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).receive((1_000, 500_000), 5, error("ECONNRESET")).segment(499_000, BACK, "R", 0);
    run.exit(501_000);
    assert_eq!(judged(&run).words, "server reset the connection with server:80 (RST)");
}

#[test]
fn a_reset_is_not_blamed_on_an_icmp_error_that_came_before_it() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).receive((1_000, 500_000), 5, error("ECONNRESET"));
    icmp(&mut run, 300_000, "server", "host unreachable", (40_404, 80));
    run.segment(499_000, BACK, "R", 0).exit(501_000);
    assert_eq!(said(&run), "peer server: RST, Certain");
}

#[test]
fn a_read_to_the_end_is_the_peers_fin() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).receive((1_000, 500_000), 5, value(0)).segment(499_000, BACK, "FA", 0).exit(501_000);
    assert_eq!(said(&run), "peer server: FIN, Certain");
    let mut unseen = Fixture::new("program");
    unseen.connected(100, 5).receive((1_000, 500_000), 5, value(0)).exit(501_000);
    assert_eq!(said(&unseen), "peer server:80: FIN, Likely");
}

#[test]
fn a_write_after_the_peers_end_is_its_fins_too_and_so_is_sigpipe() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).segment(300_000, BACK, "FA", 0).fails((500_000, 500_010), "write", 5, "EPIPE");
    run.exit(501_000);
    assert_eq!(said(&run), "peer server: FIN, Certain");
    run.killed_by("SIGPIPE");
    assert_eq!(said(&run), "peer server: FIN, Certain");
}

#[test]
fn an_answer_that_came_is_data() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).receive((1_000, 500_000), 5, value(7)).segment(499_000, BACK, "PA", 7).exit(501_000);
    let found = judged(&run);
    assert_eq!(line(&found), "peer server: data, Certain");
    assert_eq!(found.words, "server:80 answered");
}

#[test]
fn an_icmp_error_is_its_senders() {
    let mut run = failed(500, "EHOSTUNREACH");
    run.segment(300, THERE, "S", 0);
    icmp(&mut run, 400, "server", "host unreachable", (40_404, 80));
    run.but(|flight| flight.addresses = Some((ip("192.0.2.1"), ip("client"))));
    assert_eq!(said(&run), "peer 192.0.2.1: ICMP host unreachable, Certain");
}

#[test]
fn an_icmp_error_about_another_connection_to_the_same_place_is_not_this_ones() {
    let mut run = failed(500_000, "ECONNREFUSED");
    run.segment(300, THERE, "S", 0).segment(400_000, BACK, "RA", 0);
    run.segment(10, ("client", 50_505, "server", 80), "S", 0);
    run.flights.sort_by_key(crate::timeline::Flight::t_ns);
    icmp(&mut run, 350_000, "server", "port unreachable", (50_505, 80));
    assert_eq!(said(&run), "peer server: RST, Certain");
}

#[test]
fn a_connect_that_is_asked_about_by_a_second_one_is_still_the_first() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((200, 210), 5, ("server", 80), error("EINPROGRESS"));
    run.segment(205, THERE, "S", 0);
    icmp(&mut run, 400_000, "server", "host unreachable", (40_404, 80));
    run.poll((300, 400_100), 5, -1, "POLLERR");
    run.connect((400_200, 400_210), 5, ("server", 80), error("EHOSTUNREACH")).exit(401_000);
    assert_eq!(said(&run), "peer server: ICMP host unreachable, Certain");
}

#[test]
fn a_neighbour_that_does_not_answer_is_told_from_a_router_that_says_so() {
    let mut run = failed(3_060_000, "EHOSTUNREACH");
    (0..3).for_each(|n| arp(&mut run, 300 + n * 1_024_000, true, "10.9.0.9"));
    let found = judged(&run);
    assert_eq!((found.party, found.mechanism.name()), (crate::verdict::Party::Kernel, "neighbour".into()));
    assert!(found.words.contains("nobody answered who has that address (3 questions)"), "{}", found.words);
}

#[test]
fn a_neighbour_that_did_answer_is_not_blamed_for_a_route() {
    let mut run = failed(3_000, "EHOSTUNREACH");
    arp(&mut run, 300, true, "server");
    arp(&mut run, 400, false, "server");
    assert_eq!(said(&run), "kernel client: no route, Certain");
}

#[test]
fn a_route_that_says_no_is_told_from_a_refusal() {
    for (errno, mechanism) in [("ENETUNREACH", "no route"), ("EINVAL", "no route"), ("EPERM", "refused at once")] {
        assert_eq!(said(&failed(300, errno)), format!("kernel client: {mechanism}, Certain"));
    }
}

#[test]
fn a_refusal_counts_only_where_nothing_else_was_tried() {
    let mut run = Fixture::new("program");
    run.call((100, 110), "execve", vec![Arg::Text("/usr/local/bin/program".into())], error("ENOENT")).exit(300);
    assert_eq!(said(&run), "kernel client: exec failure, Certain");
    run.call((120, 190), "execve", vec![Arg::Text("/usr/bin/program".into())], value(0));
    assert_eq!(said(&run), "tool program: exit, Certain");
}

#[test]
fn so_error_tells_what_a_poll_only_hinted_at() {
    let mut run = Fixture::new("program");
    run.socket(100, 5).connect((200, 210), 5, ("server", 80), error("EINPROGRESS")).segment(205, THERE, "S", 0);
    run.segment(300, BACK, "RA", 0).poll((250, 400), 5, 2000, "POLLOUT|POLLERR|POLLHUP");
    run.socket_error(500, 5, "ECONNREFUSED").exit(600);
    assert_eq!(said(&run), "peer server: RST, Certain");
}

#[test]
fn a_datagram_that_a_port_refused_is_told_by_its_icmp_error() {
    let mut run = Fixture::new("program");
    run.call((100, 101), "socket", vec![symbol("AF_INET"), symbol("SOCK_DGRAM")], value(5));
    run.call((110, 120), "connect", vec![Arg::Fd(5), place("server", 9)], value(0));
    run.flight(200, "client", "server", Content::Udp { sport: 40_404, dport: 9, payload_len: 1, dns: None });
    icmp(&mut run, 300, "server", "port unreachable", (40_404, 9));
    run.but(|flight| {
        if let Content::Icmp { about: Some(quoted), .. } = &mut flight.content {
            quoted.protocol = "udp".into();
        }
    });
    run.receive((250, 400), 5, error("ECONNREFUSED")).exit(500);
    assert_eq!(said(&run), "peer server: ICMP port unreachable, Certain");
}
