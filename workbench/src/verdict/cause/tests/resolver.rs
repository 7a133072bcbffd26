//! Asking name servers: waits that add up, and answers that say no.

use super::build::{judged, line};
use crate::evidence::Arg;
use crate::timeline::fixture::{Fixture, place, symbol, value};
use crate::timeline::{Content, Dns};

fn dns(run: &mut Fixture, us: i64, is_query: bool, rcode: &str) {
    let dns =
        Dns { is_query, id: 1, question: "A example.".into(), rcode: rcode.into(), answers: 0, is_truncated: false };
    let (from, to) = if is_query { ("client", "server") } else { ("server", "client") };
    let (sport, dport) = if is_query { (40_404, 53) } else { (53, 40_404) };
    run.flight(us, from, to, Content::Udp { sport, dport, payload_len: 30, dns: Some(dns) });
}

/// A datagram socket that asks the server's port 53 at `us`.
fn asked(run: &mut Fixture, us: i64) {
    run.call((us, us + 10), "sendto", vec![Arg::Fd(5), Arg::Pointer(1), Arg::Int(30)], value(30));
    dns(run, us + 5, true, "NOERROR");
}

fn asking() -> Fixture {
    let mut run = Fixture::new("program");
    run.call((100, 101), "socket", vec![symbol("AF_INET"), symbol("SOCK_DGRAM")], value(5));
    run.call((110, 120), "connect", vec![Arg::Fd(5), place("server", 53)], value(0));
    run
}

#[test]
fn a_resolvers_waits_are_counted_and_added() {
    let mut run = asking();
    asked(&mut run, 1_000);
    run.poll((1_100, 5_002_000), 5, 5000, "");
    asked(&mut run, 5_002_100);
    run.poll((5_002_200, 10_003_000), 5, 5000, "").exit(10_004_000);
    let found = judged(&run);
    assert_eq!(line(&found), "resolver program: resolver timeout x attempts, 1 + 10000 ms, Certain");
    assert_eq!(
        found.words,
        "the resolver of program gave up after 10.002 s: 2 waits, armed for 5 s + 5 s, and no answer"
    );
}

#[test]
fn a_name_that_does_not_exist_is_the_name_servers_answer() {
    let mut run = asking();
    asked(&mut run, 1_000);
    run.poll((1_100, 20_000), 5, 5000, "POLLIN").receive((20_010, 20_020), 5, value(30));
    dns(&mut run, 19_000, false, "NXDOMAIN");
    run.exit(21_000);
    let found = judged(&run);
    assert_eq!(line(&found), "resolver server:53: DNS NXDOMAIN, Certain");
    assert_eq!(found.words, "server:53 answered A example. with NXDOMAIN");
}

#[test]
fn port_53_is_no_name_server_if_it_does_not_speak_like_one() {
    let mut run = asking();
    run.call((1_000, 1_010), "sendto", vec![Arg::Fd(5), Arg::Pointer(1), Arg::Int(30)], value(30));
    run.flight(1_005, "client", "server", Content::Udp { sport: 40_404, dport: 53, payload_len: 3, dns: None });
    run.poll((1_100, 5_002_000), 5, 5000, "").exit(5_003_000);
    assert_eq!(line(&judged(&run)), "tool program: poll, 1 + 5000 ms, Certain");
}
