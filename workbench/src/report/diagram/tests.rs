//! Diagrams of hand-made runs: as they look, how wide they are, and that every claim is in them once.

use std::collections::BTreeMap;

use super::scene::{Scene, What};
use super::svg::picture;
use super::terminal::text;
use super::words::width;
use crate::evidence::{Ending, SampleReason, SocketSample, TcpSocket, TcpState, TimerKind};
use crate::report::text::Options;
use crate::timeline::build_from;
use crate::timeline::fixture::{Fixture, error, ip};
use crate::verdict::{Confidence, EndedBy, Mechanism, Next, Party, judge};

fn scene(run: &Fixture) -> Scene {
    let timeline = build_from(&run.evidence, &run.flights);
    Scene::build(&run.evidence, &timeline, &judge(&run.evidence, &timeline), &run.flights)
}

/// The drawing without its heading and its foot, whose words are the verdict's.
fn drawn(run: &Fixture) -> String {
    let text = text(&Scene { foot: Vec::new(), ..scene(run) }, Options::KEPT);
    // Of the empty line between the two, one line feed stays, so that what is expected begins on a line of its own.
    let at = text.find("\n\n").expect("a heading and a drawing");
    text[at + 1..].to_owned()
}

/// Every host becomes another one, and there are others before, between and behind.
fn renamed(run: &mut Fixture, names: [&str; 2], others: &[&str]) {
    let rename = |name: &mut String| match name.as_str() {
        "client" => *name = names[0].into(),
        "server" => *name = names[1].into(),
        _ => {}
    };
    let plan = &mut run.evidence.plan;
    plan.hosts.iter_mut().for_each(|host| rename(&mut host.name));
    plan.links.iter_mut().flat_map(|link| &mut link.ends).for_each(|end| rename(&mut end.host));
    rename(&mut plan.command.host);
    for other in others {
        let mut host = plan.hosts[0].clone();
        host.name = (*other).to_owned();
        host.is_router = true;
        plan.hosts.insert(1, host);
    }
    run.evidence.setup.iter_mut().for_each(|note| rename(&mut note.at));
    for flight in &mut run.flights {
        rename(&mut flight.from);
        rename(&mut flight.to);
        if let crate::timeline::Fate::TakenByRule { at, .. } = &mut flight.fate {
            rename(at);
        }
    }
}

/// A socket that is in one state after the other.
fn samples(run: &mut Fixture, host: &str, states: &[(i64, Option<TcpState>)]) {
    for (us, state) in states {
        let socket = |state: TcpState| TcpSocket {
            local: (ip("client"), 40_404),
            remote: (ip("server"), 80),
            interface: 0,
            interface_name: None,
            only_v6: false,
            cookie: 1,
            state,
            timer: TimerKind::Off,
            expires_ms: 0,
            retransmits: 0,
            recv_queue: 0,
            send_queue: 0,
            uid: 0,
            inode: 0,
            owner: None,
            shutdown: 0,
            congestion: None,
            info: None,
        };
        run.evidence.sockets.push(SocketSample {
            host: host.into(),
            t_ns: us * 1000,
            took_ns: 0,
            because: SampleReason::Packet,
            sockets: state.map(socket).into_iter().collect(),
        });
    }
}

#[test]
fn a_connect_that_nobody_answers_looks_like_a_figure_of_the_rfc() {
    assert_eq!(drawn(&Fixture::syn_retries()), SYN_RETRIES);
}

const SYN_RETRIES: &str = r#"
  time  client                                                            server
        |                                                                      |
 0.000  * net.ipv4.tcp_syn_retries = 0 refused: EINVAL; 1 instead              |
 0.020  * connect to server:80 -> EINPROGRESS                                  |
 0.020  |--- SYN to server:80 ------------------------------------------------>X
        |                             dropped at server by "drop tcp dport=80" |
        |                                                                      |
        ~ 1.024 s  RTO 1 s ~                                                   ~
        |                                                                      |
 1.044  |--- SYN to server:80, retransmission 1 ------------------------------>X
        |                             dropped at server by "drop tcp dport=80" |
        |                                                                      |
        ~ 2.025 s  RTO 2 s ~                                                   ~
        |                                                                      |
 3.069  * connect to server:80 failed: ETIMEDOUT                               |
        | after 3.049 s  SYN retries 3 s                                       |
 3.071  # exit 28                                                              |
        |                                                                      |
"#;

/// States come from samples alone.
#[test]
fn states_stand_where_samples_first_show_them() {
    let mut run = Fixture::syn_retries();
    let syn_sent = Some(TcpState::SynSent);
    samples(&mut run, "client", &[(20_300, syn_sent), (1_044_200, syn_sent), (3_069_150, None)]);
    let drawn = drawn(&run);
    let lines: Vec<&str> = drawn.lines().filter(|line| line.contains("SYN_SENT") || line.contains("CLOSED")).collect();
    assert_eq!(lines.len(), 2, "{drawn}");
    assert!(lines[0].trim_start().starts_with("0.020  | SYN_SENT"), "{drawn}");
    assert!(lines[1].trim_start().starts_with("3.069  | CLOSED"), "{drawn}");
}

/// A socket that listens is told by its port, and both ends of a connection in one host by which end they are.
#[test]
fn states_of_several_sockets_say_whose_they_are() {
    let mut run = Fixture::new("curl http://client/");
    run.segment(25, ("client", 40_404, "client", 80), "S", 0).end(1000, Ending::Exit(0));
    samples(&mut run, "client", &[(30, Some(TcpState::SynSent)), (40, None)]);
    let [client, gone] = [0, 1].map(|sample| run.evidence.sockets[sample].clone());
    let at = |local, remote, state, cookie| {
        let mut socket = client.sockets[0].clone();
        (socket.local, socket.remote, socket.state, socket.cookie) = (local, remote, state, cookie);
        socket
    };
    let (low, high) = ((ip("client"), 80), (ip("client"), 40_404));
    let mut sample = client.clone();
    sample.sockets = vec![
        at(low, (ip("0.0.0.0"), 0), TcpState::Listen, 7),
        at(low, high, TcpState::Established, 8),
        at(high, low, TcpState::Established, 9),
    ];
    run.evidence.sockets = vec![sample, gone];
    let seen: Vec<String> = super::states::states(&run.evidence, &run.flights).into_iter().map(|s| s.words).collect();
    assert_eq!(seen[..3], ["LISTEN, port 80", "ESTABLISHED, server's end", "ESTABLISHED, client's end"]);
    assert_eq!(seen[3..], ["CLOSED, port 80", "CLOSED, server's end", "CLOSED, client's end"]);
}

#[test]
fn a_packet_that_routers_pass_on_is_one_arrow_over_their_lifelines() {
    let mut run = Fixture::new("curl http://server/");
    let ends = ("client", 40_404, "server", 80);
    run.socket(10, 5).connect((20, 30), 5, ("server", 80), error("EINPROGRESS"));
    run.segment(25, ends, "S", 0).but(|flight| flight.to = "middle".into());
    run.segment(45, ends, "S", 0).but(|flight| flight.from = "middle".into());
    run.end(1000, Ending::Exit(0));
    renamed(&mut run, ["client", "server"], &["middle"]);
    let mut behind = run.evidence.plan.links[0].clone();
    behind.ends[0].host = "middle".into();
    behind.ends[0].addresses.clear();
    run.evidence.plan.links[0].ends[1] = behind.ends[0].clone();
    run.evidence.plan.links.push(behind);
    assert_eq!(drawn(&run), ROUTED);
}

const ROUTED: &str = r#"
  time  client                          middle                            server
        |                                  |                                   |
 0.000  * connect to server:80 ->          |                                   |
        |   EINPROGRESS                    |                                   |
 0.000  |--- SYN to server:80 -------------|---------------------------------->|
 0.001  # exit 0                           |                                   |
        |                                  |                                   |
"#;

#[test]
fn a_packet_on_the_loopback_interface_comes_back() {
    let mut run = Fixture::new("curl http://localhost/");
    run.evidence.plan.hosts.truncate(1);
    run.evidence.plan.links.clear();
    run.segment(25, ("client", 40_404, "client", 80), "S", 0);
    run.end(1000, Ending::Exit(7));
    assert_eq!(drawn(&run), LOOPBACK);
}

const LOOPBACK: &str = r#"
  time  client
        |
 0.000  |--- SYN to 10.9.0.1:80 .
        |<----------------------'
 0.001  # exit 7
        |
"#;

/// All the fixtures that a width could break.
fn wide_runs() -> Vec<Fixture> {
    let long = "a-very-long-name-of-a-host-that-goes-on-and-on-for-sixty-letters";
    let other = "another_name_without_any_place_to_break_it_anywhere_at_all";
    let others = ["r1", "router-in-the-middle", other, "r4", "r5", "r6", "r7", "r8", "r9"];
    let mut runs = Vec::new();
    for count in 0..=others.len() {
        for names in [["client", "server"], [long, other]] {
            let mut run = Fixture::syn_retries();
            renamed(&mut run, names, &others[..count]);
            samples(&mut run, names[0], &[(20_300, Some(TcpState::SynSent)), (30_000, Some(TcpState::Established))]);
            run.evidence.plan.hosts[count + 1].rules[0].text = "drop ".to_owned() + &"タイムアウト".repeat(30);
            runs.push(run);
        }
    }
    let mut alone = Fixture::syn_retries();
    alone.evidence.plan.hosts.truncate(1);
    runs.push(alone);
    runs
}

#[test]
fn no_line_is_wider_than_eighty_columns_whatever_the_names() {
    for run in wide_runs() {
        for columns in [20, 60, 79, 80, 200] {
            let text = text(&scene(&run), Options { width: columns, ..Options::KEPT });
            let widest = text.lines().map(width).max().unwrap_or(0);
            assert!(widest <= columns.clamp(60, 80), "{widest} cells:\n{text}");
        }
    }
}

#[test]
fn every_claim_is_drawn_once_and_nothing_twice() {
    for run in wide_runs() {
        let timeline = build_from(&run.evidence, &run.flights);
        let scene = scene(&run);
        let mut count: BTreeMap<usize, u32> = BTreeMap::new();
        scene.steps.iter().filter_map(|step| step.event).for_each(|event| *count.entry(event).or_default() += 1);
        let claims = timeline.events.iter().enumerate().filter(|(_, event)| event.is_claim);
        assert!(claims.map(|(index, _)| index).eq(count.keys().copied()), "{scene:#?}");
        assert!(count.values().all(|count| *count == 1), "{scene:#?}");
        let svg = picture(&scene);
        count.keys().for_each(|event| assert_eq!(svg.matches(&format!("id=\"event-{event}\"")).count(), 1));
    }
}

#[test]
fn what_came_from_outside_steers_neither_a_terminal_nor_a_picture() {
    let mut run = Fixture::syn_retries();
    run.evidence.plan.command.argv = vec!["curl".into(), "\x1b[2J<script>&\u{202e}\u{301}".into()];
    let scene = scene(&run);
    let text = text(&scene, Options::KEPT);
    assert!(text.contains("\\x1b[2J<script>&\\u{202e}\\u{301}"), "{text}");
    let svg = picture(&scene);
    assert!(svg.contains("\\x1b[2J&lt;script&gt;&amp;\\u{202e}"), "{svg}");
}

#[test]
fn at_the_foot_stands_what_ended_it_and_what_would_have_come_next() {
    let run = Fixture::syn_retries();
    let timeline = build_from(&run.evidence, &run.flights);
    let mut verdict = judge(&run.evidence, &timeline);
    let sentence = "the kernel gave up after 3.049 s: SYN retries were used up; ".to_owned() + &"on and on ".repeat(20);
    let next = Next { mechanism: None, earliest_ns: None, latest_ns: None, words: "never".into() };
    verdict.ended_by = Some(EndedBy {
        party: Party::Kernel,
        mechanism: Mechanism::SynRetries,
        who: "client".into(),
        armed_at_ns: None,
        armed_for_ns: None,
        fired_at_ns: 0,
        evidence: Vec::new(),
        confidence: Confidence::Certain,
        words: sentence.clone(),
        next: Some(next),
        also: Vec::new(),
    });
    verdict.inconclusive.push("the machine stood still".into());
    let text = text(&Scene::build(&run.evidence, &timeline, &verdict, &run.flights), Options::KEPT);
    let foot: Vec<&str> = text.rsplitn(4, "\n\n").collect();
    assert_eq!([foot[0], foot[1]], ["inconclusive: the machine stood still\n", "never"]);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(foot[2]), words(&sentence));
    assert!(foot[2].lines().all(|line| width(line) <= 80), "{text}");
}

#[test]
fn of_many_processes_the_first_are_told_and_the_others_counted() {
    let mut run = Fixture::new("sh loop");
    for pid in 8..40 {
        let mut process = run.evidence.processes[0].clone();
        (process.pid, process.tid, process.end_ns, process.exit_code) = (pid, pid, Some(1_000), Some(0));
        run.evidence.processes.push(process);
    }
    run.end(1000, Ending::Exit(0));
    let drawn = drawn(&run);
    assert_eq!(drawn.matches(": started").count() + drawn.matches(": exit").count(), 6, "{drawn}");
    assert!(drawn.contains("... 58 more of processes"), "{drawn}");
}

#[test]
fn colours_are_there_only_if_they_are_wanted() {
    let scene = scene(&Fixture::syn_retries());
    let plain = text(&scene, Options::KEPT);
    let colored = text(&scene, Options { color: true, ..Options::KEPT });
    assert!(!plain.contains('\x1b') && colored.contains("\x1b[31mX\x1b[0m"));
    assert_eq!(console::strip_ansi_codes(&colored), plain);
}

#[test]
fn a_host_without_a_lifeline_still_has_its_say() {
    let mut run = Fixture::syn_retries();
    run.evidence.setup[0].at = "nowhere".into();
    let scene = scene(&run);
    assert!(matches!(&scene.steps[0].what, What::Note { text } if text.starts_with("nowhere: net.ipv4")));
}
