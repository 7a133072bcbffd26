//! Connections, waits, signals, processes and ends.

use super::claims::{DROPPED, claims};
use crate::evidence::{Arg, Ending, PollEntry, Process, Signal, SocketAddress};
use crate::timeline::build_from;
use crate::timeline::fixture::{self, Fixture, error, ms, place, symbol, timeout, timer, value};

#[test]
fn a_connect_that_syn_retries_end_is_told_in_six_lines() {
    let story = claims(&Fixture::syn_retries());
    let expected = [
        "client | net.ipv4.tcp_syn_retries = 0 refused: EINVAL; 1 instead".to_owned(),
        "client | connect to server:80 -> EINPROGRESS".into(),
        format!("client -> server | SYN to server:80{DROPPED}"),
        format!("client -> server | SYN to server:80, retransmission 1{DROPPED} | RTO 1 s"),
        "client | connect to server:80 failed: ETIMEDOUT | SYN retries 3 s".into(),
        "client | exit 28".into(),
    ];
    assert_eq!(story, expected);
}

#[test]
fn the_gap_of_a_claim_is_since_what_it_waited_for() {
    let run = Fixture::syn_retries();
    let timeline = build_from(&run.evidence, &run.flights);
    let gaps: Vec<_> =
        timeline.events.iter().filter(|e| e.is_claim).map(|e| e.wait.as_ref().map(|w| w.gap_ns)).collect();
    // The outcome stands where poll returned, not where SO_ERROR was read; since the connect, not since the poll.
    assert_eq!(gaps, [None, None, None, Some(1_024_000_000), Some(3_049_100_000), None]);
}

#[test]
fn a_blocking_connect_begins_and_fails_in_two_lines() {
    let mut run = Fixture::new("wget http://server/");
    run.socket(0, 3).connect((100, 3_032_000), 3, ("server", 80), error("ETIMEDOUT"));
    run.segment(150, ("client", 40_404, "server", 80), "S", 0).dropped().end(3_033_000, Ending::Exit(4));
    let story = claims(&run);
    assert_eq!(story[0], "client | connect to server:80");
    assert_eq!(story[2], "client | connect to server:80 failed: ETIMEDOUT | SYN retries 3 s");
}

#[test]
fn a_refusal_stands_behind_the_reset_that_caused_it_and_has_no_timer() {
    let mut run = Fixture::new("nc server 81");
    run.socket(0, 3).connect((100, 400), 3, ("server", 81), error("ECONNREFUSED"));
    run.segment(150, ("client", 40_404, "server", 81), "S", 0);
    run.segment(180, ("server", 81, "client", 40_404), "RA", 0).end(900, Ending::Exit(1));
    let expected = [
        "client | connect to server:81",
        "client -> server | SYN to server:81",
        "server -> client | RST from server:81",
        "client | connect to server:81 failed: ECONNREFUSED",
        "client | exit 1",
    ];
    assert_eq!(claims(&run), expected);
}

#[test]
fn a_return_that_raced_with_the_peers_next_packet_stands_behind_its_own_cause() {
    let mut run = Fixture::new("nc server 22");
    run.socket(0, 3).connect((100, 900), 3, ("server", 22), value(0));
    run.segment(150, ("client", 40_404, "server", 22), "S", 0);
    run.segment(180, ("server", 22, "client", 40_404), "SA", 0);
    run.segment(195, ("client", 40_404, "server", 22), "A", 0);
    run.segment(500, ("server", 22, "client", 40_404), "PA", 41);
    run.call((1_000, 1_100), "read", vec![Arg::Fd(3)], value(41)).end(2_000, Ending::Exit(0));
    let story = claims(&run);
    assert_eq!(story[3], "client | connected to server:22");
    assert_eq!(story[4], "server -> client | data from server:22, under 1 KiB");
}

#[test]
fn a_route_that_is_missing_fails_in_one_line() {
    let mut run = Fixture::new("nc 192.0.2.1 80");
    run.socket(0, 3).connect((100, 110), 3, ("192.0.2.1", 80), error("ENETUNREACH")).end(900, Ending::Exit(1));
    assert_eq!(claims(&run), ["client | connect to 192.0.2.1:80 failed: ENETUNREACH", "client | exit 1"]);
}

#[test]
fn a_deadline_is_one_wait_however_many_polls_keep_it() {
    let kept_by = |polls: &[(i64, i64)]| {
        let mut run = Fixture::new("curl --connect-timeout 2 http://server/");
        run.socket(900, 5).connect((1_000, 1_100), 5, ("server", 80), error("EINPROGRESS"));
        run.segment(1_050, ("client", 40_404, "server", 80), "S", 0).dropped();
        let mut now = 1_200;
        for (timeout_ms, took_us) in polls {
            run.poll((now, now + took_us), 5, *timeout_ms, "");
            now += took_us + 50;
        }
        run.close(now + 100, 5).end(now + 900, Ending::Exit(28));
        claims(&run)
    };
    let version_7 = kept_by(&[(199, 199_300), (0, 1), (1000, 1_000_900), (0, 1), (799, 799_900), (0, 1)]);
    let version_8 = kept_by(&[(200, 200_200), (1000, 1_000_100), (800, 800_400), (0, 1)]);
    assert_eq!(version_7, version_8);
    assert_eq!(version_7[2], "client | gave up on connect to server:80 | deadline 2 s");
    assert_eq!(version_7.len(), 4);
}

#[test]
fn a_single_wait_of_a_round_length_is_that_timer_itself() {
    let mut run = Fixture::new("nc -w 2 server 80");
    run.socket(0, 3).connect((100, 200), 3, ("server", 80), error("EINPROGRESS"));
    let set = Arg::FdSet { asked: vec![3], ready: vec![] };
    run.call((300, 2_002_300), "pselect6", vec![Arg::Int(4), Arg::Pointer(0), set, timeout(2_000_000_000)], value(0));
    run.end(2_003_000, Ending::Exit(1));
    assert_eq!(claims(&run)[1], "client | gave up on connect to server:80 | select 2 s");
}

#[test]
fn an_alarm_ends_a_connect_by_its_signal() {
    let mut run = Fixture::new("wget --connect-timeout 2 http://server/");
    run.socket(0, 3).call(
        (50, 60),
        "setitimer",
        vec![symbol("ITIMER_REAL"), timer(2_000_000_000), Arg::Pointer(0)],
        value(0),
    );
    run.connect((100, 2_000_900), 3, ("server", 80), error("ERESTARTSYS")).signal(2_000_950, "SIGALRM", "SI_KERNEL");
    run.segment(150, ("client", 40_404, "server", 80), "S", 0).dropped();
    run.close(2_001_000, 3).end(2_002_000, Ending::Exit(4));
    let story = claims(&run);
    assert_eq!(story[2], "client | SIGALRM from setitimer | setitimer 2 s");
    assert_eq!(story[3], "client | connect to server:80 interrupted");
    assert_eq!(story[4], "client | exit 4");
}

#[test]
fn an_interrupted_connect_that_goes_on_has_one_outcome() {
    let mut run = Fixture::new("tool");
    run.socket(0, 3).connect((100, 500), 3, ("server", 80), error("ERESTARTSYS")).signal(510, "SIGUSR1", "SI_USER");
    run.connect((600, 900), 3, ("server", 80), value(0)).end(1_000, Ending::Exit(0));
    let connects: Vec<_> = claims(&run).into_iter().filter(|claim| claim.contains("connect")).collect();
    assert_eq!(connects, ["client | connect to server:80", "client | connected to server:80"]);
}

#[test]
fn second_attempts_are_numbered_and_the_sleep_before_them_is_their_wait() {
    let mut run = Fixture::new("wget --tries 2 http://server/");
    run.socket(0, 3).connect((100, 200), 3, ("server", 80), error("ECONNREFUSED"));
    run.segment(120, ("client", 40_404, "server", 80), "S", 0);
    run.segment(140, ("server", 80, "client", 40_404), "RA", 0).close(300, 3);
    run.call((400, 1_000_500), "clock_nanosleep", vec![symbol("CLOCK_REALTIME"), timeout(1_000_000_000)], value(0));
    run.socket(1_000_600, 3).connect((1_000_700, 1_000_900), 3, ("server", 80), error("ECONNREFUSED"));
    run.segment(1_000_720, ("client", 40_406, "server", 80), "S", 0);
    run.segment(1_000_740, ("server", 80, "client", 40_406), "RA", 0).end(1_001_000, Ending::Exit(4));
    let story = claims(&run);
    assert_eq!(story[4], "client | connect to server:80#2 | nanosleep 1 s");
    assert_eq!(story[6], "server -> client | RST from server:80#2");
}

#[test]
fn two_attempts_within_one_stamp_stand_one_after_the_other() {
    let mut run = Fixture::new("tool");
    for port in [40_404, 40_406] {
        run.socket(5, 3).connect((5, 5), 3, ("server", 80), error("ECONNREFUSED"));
        run.segment(5, ("client", port, "server", 80), "S", 0).but(|f| f.arrived_ns = f.sent_ns);
        run.segment(5, ("server", 80, "client", port), "RA", 0).but(|f| f.arrived_ns = f.sent_ns);
        run.call((5, 5), "close", vec![Arg::Fd(3)], value(0));
    }
    run.end(5, Ending::Exit(1));
    let story = claims(&run);
    assert!(story[..4].iter().all(|claim| !claim.contains("#2")), "{story:#?}");
    assert!(story[4..8].iter().all(|claim| claim.contains("#2")), "{story:#?}");
    assert_eq!(story[8], "client | exit 1");
}

#[test]
fn asking_a_local_name_service_is_how_a_program_is_built_and_no_claim() {
    let mut run = Fixture::new("nc server 80");
    let connect = |path: &str| vec![Arg::Fd(3), Arg::Address(SocketAddress::Unix(path.into())), Arg::Int(110)];
    run.call((10, 20), "connect", connect("/var/run/nscd/socket"), error("ENOENT"));
    run.call((30, 40), "connect", connect("/run/mysqld/mysqld.sock"), error("ENOENT")).end(50, Ending::Exit(1));
    let expected = ["client | connect to /run/mysqld/mysqld.sock failed: ENOENT", "client | exit 1"];
    assert_eq!(claims(&run), expected);
}

#[test]
fn a_datagram_socket_that_connects_asks_nobody_anything() {
    let mut run = Fixture::new("tool");
    run.call((0, 1), "socket", vec![symbol("AF_INET"), symbol("SOCK_DGRAM|SOCK_CLOEXEC")], value(3));
    run.connect((2, 3), 3, ("server", 80), value(0)).end(9, Ending::Exit(0));
    assert_eq!(claims(&run), ["client | exit 0"]);
}

#[test]
fn another_process_is_named_and_so_is_who_killed_it() {
    let mut run = Fixture::new("timeout 2 curl http://server/");
    let argv = vec!["/usr/bin/curl".to_owned(), "http://server/".into()];
    run.evidence.processes.push(Process {
        program: None,
        pid: 8,
        tid: 8,
        parent_tid: fixture::PID,
        argv,
        start_ns: 100,
        end_ns: Some(2_001_000_000),
        exit_code: None,
        killed_by: Some("SIGTERM".into()),
    });
    run.call_of(8, (200, 300), "connect", vec![Arg::Fd(5), place("server", 80)], error("EINPROGRESS"));
    run.evidence.signals.push(Signal {
        t_ns: 2_000_500_000,
        pid: 8,
        tid: 8,
        name: "SIGTERM".into(),
        code: "SI_USER".into(),
        sender_pid: Some(fixture::PID),
        errno: None,
    });
    run.signal(2_001_500, "SIGCHLD", "CLD_KILLED").end(2_002_000, Ending::Exit(124));
    let expected = [
        "client | curl: connect to server:80 -> EINPROGRESS",
        "client | curl: SIGTERM from timeout",
        "client | exit 124",
    ];
    assert_eq!(claims(&run), expected);
}

#[test]
fn an_epoll_set_counts_as_waiting_for_what_is_in_it() {
    let mut run = Fixture::new("tool");
    run.socket(0, 5).connect((100, 200), 5, ("server", 80), error("EINPROGRESS"));
    let event = Arg::Struct(vec![("events".into(), symbol("EPOLLOUT")), ("data".into(), Arg::Int(77))]);
    run.call((210, 220), "epoll_ctl", vec![Arg::Fd(4), symbol("EPOLL_CTL_ADD"), Arg::Fd(5), event], value(0));
    run.call((300, 3_003_000), "epoll_pwait", vec![Arg::Fd(4), Arg::Poll(vec![]), Arg::Int(8), ms(3000)], value(0));
    run.end(3_004_000, Ending::Exit(1));
    assert_eq!(claims(&run)[1], "client | gave up on connect to server:80 | epoll_wait 3 s");
}

#[test]
fn a_timerfd_ends_a_wait_since_it_was_armed() {
    let mut run = Fixture::new("tool");
    run.call((0, 5), "timerfd_settime", vec![Arg::Fd(6), Arg::Int(0), timer(2_000_000_000)], value(0));
    let ready = Arg::Poll(vec![PollEntry { fd: 6, events: "POLLIN".into(), revents: "POLLIN".into() }]);
    run.call((100, 2_000_100), "poll", vec![ready, Arg::Int(1), ms(-1)], value(1)).end(2_001_000, Ending::Exit(0));
    assert_eq!(claims(&run), ["client | exit 0 | timerfd 2 s"]);
}

#[test]
fn a_program_that_gives_up_on_a_silent_peer_says_so() {
    let mut run = Fixture::new("nc -w 2 server 80");
    run.socket(0, 3).connect((100, 200), 3, ("server", 80), value(0));
    run.segment(120, ("client", 40_404, "server", 80), "S", 0);
    run.segment(140, ("server", 80, "client", 40_404), "SA", 0);
    run.poll((300, 2_002_300), 3, 2000, "").end(2_003_000, Ending::Exit(0));
    assert_eq!(claims(&run)[4..], ["client | gave up waiting for server:80 | poll 2 s", "client | exit 0"]);
}

#[test]
fn the_ends_that_are_no_exit_are_told_in_words() {
    let told = |how: Ending| {
        let mut run = Fixture::new("tool");
        run.evidence.plan.command.deadline_ns = Some(10_000_000_000);
        claims(run.end(10_000_100, how)).remove(0)
    };
    assert_eq!(told(Ending::Deadline), "client | still running at the deadline of 10 s | deadline 10 s");
    assert_eq!(told(Ending::Signal("SIGALRM".into())), "client | killed by SIGALRM");
    assert_eq!(told(Ending::ExecFailed("ENOENT".into())), "client | program not found");
    assert_eq!(told(Ending::ExecFailed("EACCES".into())), "client | program not started: EACCES");
}

#[test]
fn what_the_kernel_or_a_program_says_cannot_break_a_line() {
    let mut run = Fixture::syn_retries();
    run.evidence.setup[0].refused = "EINVAL\n\x1b[31mred".into();
    assert!(claims(&run)[0].contains("EINVAL\\n\\x1b[31mred"));
}

#[test]
fn hosts_with_several_addresses_keep_them_apart() {
    let mut run = Fixture::new("curl http://server/");
    run.evidence.plan.links[0].ends[1].addresses.push(("fd00::2".parse().unwrap(), 64));
    run.socket(0, 5).connect((100, 200), 5, ("fd00::2", 80), error("EINPROGRESS"));
    run.socket(210, 6).connect((300, 400), 6, ("server", 80), error("EINPROGRESS")).end(900, Ending::Exit(7));
    let story = claims(&run);
    assert_eq!(story[0], "client | connect to server/v6:80 -> EINPROGRESS");
    assert_eq!(story[1], "client | connect to server/v4:80 -> EINPROGRESS");
}

#[test]
fn each_of_two_attempts_that_ran_side_by_side_is_given_up_by_itself() {
    let mut run = Fixture::new("curl http://server/");
    run.socket(0, 5).connect((100, 200), 5, ("server", 80), error("EINPROGRESS"));
    run.poll((300, 1_000_500), 5, 1000, "");
    run.socket(1_000_600, 6).connect((1_000_700, 1_000_800), 6, ("10.9.0.3", 80), error("EINPROGRESS"));
    run.close(1_000_900, 5).poll((1_001_000, 2_001_500), 6, 1000, "").end(2_002_000, Ending::Exit(28));
    let expected = [
        "client | connect to server:80 -> EINPROGRESS",
        "client | gave up on connect to server:80 | poll 1 s",
        "client | connect to 10.9.0.3:80 -> EINPROGRESS",
        "client | gave up on connect to 10.9.0.3:80 | poll 1 s",
        "client | exit 28",
    ];
    assert_eq!(claims(&run), expected);
}

#[test]
fn polls_of_a_moment_are_nobodys_wait() {
    let mut run = Fixture::new("tool");
    run.poll((100, 1_200), 9, 1, "").poll((1_300, 3_400), 9, 2, "").end(4_000, Ending::Exit(6));
    assert_eq!(claims(&run), ["client | exit 6"]);
}
