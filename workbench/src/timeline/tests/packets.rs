//! Packets: handshakes, ends, errors, neighbours, names, transfers, and what is no claim.

use super::claims::{DROPPED, claims};
use crate::evidence::{Arg, Ending};
use crate::plan::HostPlan;
use crate::timeline::fixture::{self, Fixture, error, value};
use crate::timeline::{Content, Dns, Fate, Flight, QuotedFlow};

const TO_SERVER: (&str, u16, &str, u16) = ("client", 40_404, "server", 80);
const TO_CLIENT: (&str, u16, &str, u16) = ("server", 80, "client", 40_404);

/// A connection that stands at 200 us.
fn established() -> Fixture {
    let mut run = Fixture::new("tool");
    run.socket(0, 3).connect((100, 200), 3, ("server", 80), value(0));
    run.segment(120, TO_SERVER, "S", 0).segment(140, TO_CLIENT, "SA", 0);
    run
}

#[test]
fn a_transfer_is_one_line_for_each_direction_however_it_was_cut() {
    let transfer = |segment: u32| {
        let mut run = Fixture::new("curl http://server/");
        run.socket(0, 5).connect((10, 20), 5, ("server", 80), error("EINPROGRESS"));
        run.segment(15, ("client", 40_404, "server", 80), "S", 0);
        run.segment(30, ("server", 80, "client", 40_404), "SA", 0);
        run.poll((40, 60), 5, 1000, "POLLOUT").socket_error(70, 5, "0");
        run.segment(80, ("client", 40_404, "server", 80), "PA", 78);
        for number in 0..(1 << 20) / segment {
            let us = 100 + i64::from(number);
            run.segment(us, ("server", 80, "client", 40_404), "A", segment).but(|f| seq(f, number * segment + 1));
            run.segment(us, ("client", 40_404, "server", 80), "A", 0);
        }
        run.call((90_000, 90_010), "recvfrom", vec![Arg::Fd(5)], value(100));
        run.segment(90_020, ("client", 40_404, "server", 80), "FA", 0).but(|f| seq(f, 79)).end(91_000, Ending::Exit(0));
        claims(&run)
    };
    let expected = [
        "client | connect to server:80 -> EINPROGRESS",
        "client -> server | SYN to server:80",
        "server -> client | SYN-ACK from server:80",
        "client | connected to server:80",
        "client -> server | data to server:80, under 1 KiB",
        "server -> client | data from server:80, 1024 KiB",
        "client -> server | FIN to server:80",
        "client | exit 0",
    ];
    assert_eq!(transfer(1024), expected);
    assert_eq!(transfer(512), expected);
}

fn seq(flight: &mut Flight, seq: u32) {
    if let Content::Tcp(segment) = &mut flight.content {
        segment.seq = seq;
    }
}

#[test]
fn what_comes_after_the_programs_last_look_is_no_claim() {
    let mut run = Fixture::new("nc server 80");
    run.socket(0, 3).connect((100, 200), 3, ("server", 80), value(0));
    run.segment(120, ("client", 40_404, "server", 80), "S", 0);
    run.segment(140, ("server", 80, "client", 40_404), "SA", 0);
    run.close(1_000, 3).segment(1_010, ("client", 40_404, "server", 80), "FA", 0).but(|f| seq(f, 1));
    run.segment(1_030, ("server", 80, "client", 40_404), "FA", 0).but(|f| seq(f, 1));
    run.end(2_000, Ending::Exit(0));
    let story = claims(&run);
    assert!(story.contains(&"client -> server | FIN to server:80".into()));
    assert!(!story.iter().any(|claim| claim.contains("FIN from")));
}

#[test]
fn a_neighbour_that_is_not_there_is_told_from_syn_retries() {
    let mut run = Fixture::new("nc 10.9.0.9 80");
    run.socket(0, 3).connect((100, 3_070_000), 3, ("10.9.0.9", 80), error("EHOSTUNREACH"));
    for us in [150, 1_010_000, 2_030_000] {
        let arp = Content::Arp { is_request: true, target: "10.9.0.9".parse().unwrap() };
        run.flight(us, "client", "server", arp).but(|flight| flight.addresses = None);
    }
    run.end(3_071_000, Ending::Exit(1));
    let expected = [
        "client | connect to 10.9.0.9:80",
        "client -> server | ARP who has 10.9.0.9",
        "client -> server | ARP who has 10.9.0.9, retransmission 1 | neighbour 1 s",
        "client -> server | ARP who has 10.9.0.9, retransmission 2 | neighbour 1 s",
        "client | connect to 10.9.0.9:80 failed: EHOSTUNREACH | neighbour 3 s",
        "client | exit 1",
    ];
    assert_eq!(claims(&run), expected);
}

#[test]
fn a_question_that_goes_out_as_the_connect_fails_was_not_waited_for() {
    let mut run = Fixture::new("nc 10.9.0.9 80");
    run.socket(0, 3).connect((100, 3_070_000), 3, ("10.9.0.9", 80), error("EHOSTUNREACH"));
    for us in [150, 1_010_000, 2_030_000, 3_069_950] {
        let arp = Content::Arp { is_request: true, target: "10.9.0.9".parse().unwrap() };
        run.flight(us, "client", "server", arp).but(|flight| flight.addresses = None);
    }
    run.end(3_071_000, Ending::Exit(1));
    let expected = [
        "client | connect to 10.9.0.9:80",
        "client -> server | ARP who has 10.9.0.9",
        "client -> server | ARP who has 10.9.0.9, retransmission 1 | neighbour 1 s",
        "client -> server | ARP who has 10.9.0.9, retransmission 2 | neighbour 1 s",
        "client -> server | ARP who has 10.9.0.9, retransmission 3 | neighbour 1 s",
        "client | connect to 10.9.0.9:80 failed: EHOSTUNREACH | neighbour 3 s",
        "client | exit 1",
    ];
    assert_eq!(claims(&run), expected);
}

#[test]
fn an_icmp_error_names_the_flow_it_is_about() {
    let mut run = Fixture::new("nc server 80");
    run.socket(0, 3).connect((100, 400), 3, ("server", 80), error("EHOSTUNREACH"));
    run.segment(150, ("client", 40_404, "server", 80), "S", 0).dropped();
    let about = QuotedFlow {
        from: fixture::ip("client"),
        to: fixture::ip("server"),
        protocol: "tcp".into(),
        sport: Some(40_404),
        dport: Some(80),
    };
    run.flight(200, "server", "client", Content::Icmp { kind: "host unreachable".into(), about: Some(about) });
    run.end(900, Ending::Exit(1));
    assert_eq!(claims(&run)[2], "server -> client | ICMP host unreachable about server:80");
}

#[test]
fn a_dns_question_asked_again_waited_for_the_resolvers_poll() {
    let mut run = Fixture::new("tool");
    let dns = Dns {
        is_query: true,
        id: 1,
        question: "A x.".into(),
        rcode: "NOERROR".into(),
        answers: 0,
        is_truncated: false,
    };
    let query = Content::Udp { sport: 5353, dport: 53, payload_len: 20, dns: Some(dns) };
    run.call((90, 130), "sendto", vec![Arg::Fd(3)], value(20)).flight(100, "client", "server", query.clone());
    run.poll((200, 5_005_200), 3, 5000, "");
    run.call((5_005_290, 5_005_330), "sendto", vec![Arg::Fd(3)], value(20));
    run.flight(5_005_300, "client", "server", query).end(9_000_000, Ending::Exit(1));
    let story = claims(&run);
    assert_eq!(story[0], "client -> server | DNS query A x. to server:53");
    assert_eq!(story[1], "client -> server | DNS query A x. to server:53, retry 1 | poll 5 s");
}

#[test]
fn a_dns_answer_under_another_id_answers_nothing_and_a_truncated_one_says_so() {
    let mut run = Fixture::new("tool");
    let dns = |is_query, id, is_truncated| {
        let (question, rcode) = ("A x.".to_owned(), "NOERROR".to_owned());
        let dns = Dns { is_query, id, question, rcode, answers: 1, is_truncated };
        let (sport, dport) = if is_query { (5353, 53) } else { (53, 5353) };
        Content::Udp { sport, dport, payload_len: 20, dns: Some(dns) }
    };
    run.flight(100, "client", "server", dns(true, 7, false)).flight(200, "server", "client", dns(false, 8, false));
    run.flight(1_000_300, "client", "server", dns(true, 7, false)).flight(
        1_000_400,
        "server",
        "client",
        dns(false, 7, true),
    );
    run.end(9_000_000, Ending::Exit(1));
    let story = claims(&run);
    assert!(story[1].ends_with("1 answer, under an id that was not asked for"), "{}", story[1]);
    assert!(story[2].contains("A x. to server:53, retry 1"), "{}", story[2]);
    assert!(story[3].ends_with("1 answer, truncated"), "{}", story[3]);
}

#[test]
fn what_an_rto_sent_again_is_a_claim_and_what_came_back_sooner_is_not() {
    let mut run = established();
    run.segment(300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).dropped();
    run.segment(30_300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).again(1).dropped();
    run.segment(234_300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).again(2).dropped();
    run.segment(650_300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).again(3).dropped().end(900_000, Ending::Deadline);
    let data: Vec<_> = claims(&run).into_iter().filter(|claim| claim.contains("data")).collect();
    let expected = [
        format!("client -> server | data to server:80{DROPPED}"),
        format!("client -> server | data to server:80, retransmission 2{DROPPED} | RTO 200 ms"),
        format!("client -> server | data to server:80, retransmission 3{DROPPED} | RTO 400 ms"),
    ];
    assert_eq!(data, expected);
}

#[test]
fn a_gap_that_no_rto_explains_names_none() {
    let mut run = established();
    run.segment(300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).dropped();
    run.segment(330_300, TO_SERVER, "PA", 100).but(|f| seq(f, 1)).again(1).dropped().end(900_000, Ending::Deadline);
    let story = claims(&run);
    assert!(story.contains(&format!("client -> server | data to server:80, retransmission 1{DROPPED}")), "{story:#?}");
}

#[test]
fn an_acknowledgment_is_a_claim_only_if_it_never_arrives() {
    let mut run = established();
    run.segment(160, TO_SERVER, "A", 0).segment(170, TO_SERVER, "A", 0).but(|f| f.fate = Fate::Lost);
    run.segment(1_060_140, TO_CLIENT, "SA", 0).again(1).end(2_000_000, Ending::Deadline);
    let story = claims(&run);
    assert_eq!(story[4], "client -> server | ACK to server:80, lost on the wire");
    assert_eq!(story[5], "server -> client | SYN-ACK from server:80, retransmission 1 | RTO 1 s");
    assert_eq!(story.len(), 7);
}

#[test]
fn a_drip_is_a_line_for_each_drop() {
    let mut run = established();
    for second in 1..4 {
        run.segment(second * 1_000_000, TO_CLIENT, "PA", 1).but(|f| seq(f, second as u32));
        run.segment(second * 1_000_000 + 50, TO_SERVER, "A", 0);
    }
    run.end(4_000_000, Ending::Deadline);
    let dripped = claims(&run).into_iter().filter(|claim| claim.contains("under 1 KiB")).count();
    assert_eq!(dripped, 3);
}

#[test]
fn a_packet_that_a_router_passes_on_is_told_once_and_one_that_it_drops_is_told_there() {
    let through_router = |fate: Fate| {
        let mut run = Fixture::new("tool");
        let router = HostPlan { name: "router".into(), is_router: true, ..run.evidence.plan.hosts[0].clone() };
        run.evidence.plan.hosts.push(router);
        run.socket(0, 3).connect((100, 200), 3, ("server", 80), error("EINPROGRESS"));
        run.segment(120, TO_SERVER, "S", 0).but(|f| f.to = "router".into());
        run.segment(140, TO_SERVER, "S", 0).but(|f| (f.from, f.link) = ("router".into(), "router-server".into()));
        run.but(|f| f.fate = fate).end(900, Ending::Deadline);
        claims(&run)
    };
    assert_eq!(through_router(Fate::Arrived)[1..2], ["client -> router | SYN to server:80"]);
    assert_eq!(through_router(Fate::Arrived).len(), 3);
    assert_eq!(through_router(Fate::Lost)[2], "router -> server | SYN to server:80, lost on the wire");
}

#[test]
fn a_copy_that_the_wire_made_is_told_as_one() {
    let mut run = established();
    run.segment(150, TO_SERVER, "S", 0).but(|f| f.sent_ns = None).end(900, Ending::Deadline);
    assert!(claims(&run).contains(&"client -> server | SYN to server:80, a copy".into()));
}

#[test]
fn neighbours_that_know_each_other_ask_again_without_anybody_noticing() {
    let mut run = Fixture::new("tool");
    let arp = |is_request, target| Content::Arp { is_request, target: fixture::ip(target) };
    run.flight(100, "client", "server", arp(true, "server")).flight(120, "server", "client", arp(false, "server"));
    run.flight(5_000_000, "server", "client", arp(true, "client"));
    run.flight(5_000_020, "client", "server", arp(false, "client")).end(6_000_000, Ending::Deadline);
    assert_eq!(claims(&run)[..2], ["client -> server | ARP who has server", "server -> client | ARP server answers"]);
    assert_eq!(claims(&run).len(), 3);
}

#[test]
fn a_loopback_packet_stays_where_it_is() {
    let mut run = Fixture::new("tool");
    run.segment(100, ("127.0.0.1", 40_404, "127.0.0.1", 80), "S", 0);
    run.but(|f| (f.from, f.to, f.link, f.sent_ns) = ("client".into(), "client".into(), "lo".into(), None));
    run.end(900, Ending::Deadline);
    assert_eq!(claims(&run)[0], "client lo | SYN to 127.0.0.1:80");
}

#[test]
fn a_peers_fin_is_a_claim_if_the_program_read_to_the_end_and_chance_if_it_closed_before() {
    let fins = |reads: &[i64]| {
        let mut run = established();
        run.segment(300, TO_CLIENT, "FA", 100).but(|f| seq(f, 1));
        for (number, count) in reads.iter().enumerate() {
            let us = 400 + number as i64 * 10;
            run.call((us, us + 5), "read", vec![Arg::Fd(3)], value(*count));
        }
        run.close(500, 3).segment(510, TO_SERVER, "FA", 0).but(|f| seq(f, 1)).end(900, Ending::Exit(0));
        claims(&run).into_iter().filter(|claim| claim.contains("FIN from")).count()
    };
    assert_eq!((fins(&[100, 0]), fins(&[100])), (1, 0));
}

/// A probe's sequence number is the last one that the peer has had; whether its window was shut says what is asked.
#[test]
fn probes_are_told_from_acknowledgments_and_by_what_they_ask() {
    let story = |window: u16| {
        let mut run = established();
        run.segment(160, TO_SERVER, "A", 0).but(|f| seq(f, 1));
        run.segment(200, TO_SERVER, "PA", 100).but(|f| seq(f, 1));
        run.segment(210, TO_CLIENT, "A", 0).but(|f| {
            seq(f, 1);
            if let Content::Tcp(segment) = &mut f.content {
                segment.window = window;
            }
        });
        run.segment(212_210, TO_SERVER, "A", 0).but(|f| seq(f, 100)).dropped();
        claims(run.end(300_000, Ending::Exit(0)))
    };
    assert!(story(512).contains(&format!("client -> server | keepalive probe 1 to server:80{DROPPED}")));
    let shut = story(0);
    assert!(
        shut.contains(&format!("client -> server | window probe 1 to server:80{DROPPED} | persist 200 ms")),
        "{shut:#?}"
    );
}

/// A peer that answers is asked for as long as it does: that it goes on is no news.
#[test]
fn answered_probes_are_told_five_times() {
    let mut run = established();
    run.segment(160, TO_SERVER, "A", 0).but(|f| seq(f, 1));
    for nth in 1..=20 {
        run.segment(nth * 1_000_000, TO_SERVER, "A", 0).but(|f| seq(f, 0));
        run.segment(nth * 1_000_000 + 20, TO_CLIENT, "A", 0).but(|f| seq(f, 1));
    }
    let story = claims(run.end(30_000_000, Ending::Exit(0)));
    assert_eq!(story.iter().filter(|line| line.contains("keepalive probe")).count(), 5, "{story:#?}");
}
