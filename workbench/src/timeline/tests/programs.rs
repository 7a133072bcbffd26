//! Socket programs: every declared call with its result, in its host, in the words of the field.

use crate::evidence::{Arg, CallResult, Ending, Process, TcpSocket, TcpState, TimerKind};
use crate::evidence::{SampleReason, SocketSample, StepRecord, StepResult};
use crate::plan::{Origin, ProgramPlan, StepPlan};
use crate::scenario::{Call, ExpectedResult};
use crate::timeline::fixture::{Fixture, error, ip, place, symbol, timeout, value};
use crate::timeline::{Event, EventKind, build_from};
use crate::verdict::judge_from;

const SERVER: u32 = 5;
const S: i64 = 1_000_000_000;

/// A tool in `client`, and the program `server` in the host of the same name, begun before it.
fn with_server(steps: &[&str]) -> Fixture {
    let mut run = Fixture::new("nc server 80");
    let step = |text: &&str| StepPlan {
        text: (*text).to_owned(),
        call: Call::Reach { name: "any".to_owned() },
        expected: ExpectedResult::Success,
        origin: Origin::default(),
    };
    run.evidence.plan.programs.push(ProgramPlan {
        name: "server".into(),
        host: "server".into(),
        sockets: 0,
        steps: steps.iter().map(step).collect(),
        origin: Origin::default(),
    });
    let process = Process {
        program: Some("server".into()),
        pid: SERVER,
        tid: SERVER,
        parent_tid: 0,
        argv: vec!["server".into()],
        start_ns: -3_000_000,
        end_ns: None,
        exit_code: None,
        killed_by: None,
    };
    run.evidence.processes.insert(0, process);
    run.evidence.plan.hosts[1].rules.clear();
    run.end(S / 1000, Ending::Exit(0));
    run
}

fn listening(run: &mut Fixture) {
    let stream = vec![symbol("AF_INET"), symbol("SOCK_STREAM"), symbol("IPPROTO_TCP")];
    let fd = Arg::Fd(3);
    run.call_of(SERVER, (-2000, -2000), "socket", stream, value(3));
    run.call_of(SERVER, (-1900, -1900), "bind", vec![fd.clone(), place("0.0.0.0", 80)], value(0));
    run.call_of(SERVER, (-1800, -1800), "listen", vec![fd, Arg::Int(8)], value(0));
}

fn claims(run: &Fixture) -> Vec<String> {
    let timeline = build_from(&run.evidence, &run.flights);
    let claims = timeline.events.iter().filter(|event| event.is_claim && event.kind != EventKind::Packet);
    claims.map(|event| format!("{} {} {}", event.t_ns / 1_000_000, event.at, event.text)).collect()
}

#[test]
fn a_programs_calls_stand_in_its_own_host_with_their_results_also_before_zero() {
    let mut run = with_server(&["socket a tcp"]);
    listening(&mut run);
    let stream = vec![symbol("AF_INET"), symbol("SOCK_STREAM"), symbol("IPPROTO_TCP")];
    run.call_of(SERVER, (2000, 2000), "socket", stream, value(4));
    run.call_of(SERVER, (3000, 3000), "bind", vec![Arg::Fd(4), place("0.0.0.0", 80)], error("EADDRINUSE"));
    assert_eq!(
        claims(&run),
        [
            "-1 server bind to :80",
            "-1 server listen, backlog 8",
            "3 server bind to :80 failed: EADDRINUSE",
            "1000 client exit 0",
        ]
    );
}

#[test]
fn of_several_sockets_each_has_the_name_that_the_scenario_gives_it() {
    let mut run = with_server(&["socket listener tcp", "bind listener 80", "accept listener as=conn"]);
    listening(&mut run);
    run.call_of(SERVER, (1000, 5000), "accept4", vec![Arg::Fd(3), place("client", 40_000)], value(4));
    run.call_of(SERVER, (6000, 6000), "shutdown", vec![Arg::Fd(4), symbol("SHUT_WR")], value(0));
    run.call_of(SERVER, (7000, 7000), "close", vec![Arg::Fd(4)], value(0));
    assert_eq!(
        claims(&run)[..5],
        [
            "-1 server bind listener to :80",
            "-1 server listen listener, backlog 8",
            "5 server accept listener -> conn from client",
            "6 server shutdown conn WR",
            "7 server close conn",
        ]
    );
}

#[test]
fn many_sends_are_one_line_and_few_are_not() {
    let sent = |count: i64| {
        let mut run = with_server(&["socket a tcp"]);
        listening(&mut run);
        run.call_of(SERVER, (1000, 5000), "accept4", vec![Arg::Fd(3), place("client", 40_000)], value(4));
        for nth in 0..count {
            run.call_of(SERVER, (6000 + nth, 6000 + nth), "sendto", vec![Arg::Fd(4)], value(1024));
        }
        claims(&run).into_iter().filter(|line| line.contains("send")).collect::<Vec<_>>()
    };
    assert_eq!(sent(2), ["6 server send 1 KiB", "6 server send 1 KiB"]);
    assert_eq!(sent(100), ["6 server send 100 KiB in 100 calls"]);
}

#[test]
fn a_tool_is_judged_by_its_own_calls_and_not_by_those_of_a_program() {
    let mut run = with_server(&["socket a tcp"]);
    listening(&mut run);
    run.call_of(SERVER, (900_000, 900_000), "bind", vec![Arg::Fd(3), place("0.0.0.0", 80)], error("EINVAL"));
    let timeline = build_from(&run.evidence, &run.flights);
    let verdict = judge_from(&run.evidence, &run.flights, &timeline);
    assert_eq!(verdict.ended_by.map(|found| found.who).as_deref(), Some("nc"));
}

#[test]
fn a_step_that_comes_out_otherwise_than_expected_fails_the_run_with_what_came() {
    let mut run = with_server(&["bind again 80"]);
    run.evidence.processes[0].exit_code = Some(1);
    run.evidence.processes[0].end_ns = Some(S / 2);
    let result = Some(StepResult::Failed("EADDRINUSE".into()));
    let step = StepRecord { program: "server".into(), index: 0, began_ns: 0, done_ns: Some(1), result };
    run.evidence.steps.push(step);
    let timeline = build_from(&run.evidence, &run.flights);
    let verdict = judge_from(&run.evidence, &run.flights, &timeline);
    let [finding] = &verdict.findings[..] else { panic!("one finding: {:?}", verdict.findings) };
    assert_eq!((finding.what.as_str(), finding.observed.as_str()), ("program server: bind again 80", "EADDRINUSE"));
    assert!(claims(&run).contains(&"500 server server: exit 1".to_owned()), "{:?}", claims(&run));
}

fn sampled(run: &mut Fixture, t_ns: i64, state: Option<(TcpState, TimerKind, u32)>) {
    let socket = |(state, timer, expires_ms)| {
        let mut socket: TcpSocket = serde_json::from_value(serde_json::json!({
            "local": (ip("server"), 80), "remote": (ip("client"), 40_000), "cookie": 1, "state": "TIME_WAIT",
        }))
        .expect("the fields that are no defaults");
        (socket.state, socket.timer, socket.expires_ms) = (state, timer, expires_ms);
        socket
    };
    let sockets: Vec<TcpSocket> = state.map(socket).into_iter().collect();
    let because = SampleReason::Packet;
    run.evidence.sockets.push(SocketSample { host: "server".into(), t_ns, took_ns: 0, because, sockets });
}

#[test]
fn a_state_that_lasted_is_told_with_its_timer_and_one_that_did_not_is_not() {
    let mut run = with_server(&["socket a tcp"]);
    listening(&mut run);
    run.segment(500, ("client", 40_000, "server", 80), "S", 0);
    run.end(70 * S / 1000, Ending::Exit(0));
    let (off, timewait) = (TimerKind::Off, TimerKind::TimeWait);
    sampled(&mut run, S / 1000, Some((TcpState::Established, off, 0)));
    sampled(&mut run, S, Some((TcpState::FinWait1, TimerKind::On, 204)));
    sampled(&mut run, S + 1, Some((TcpState::TimeWait, timewait, 59_996)));
    sampled(&mut run, 62 * S, None);
    assert_eq!(
        claims(&run)[2..4],
        [
            "1000 server socket :80 from client is in TIME_WAIT, timer timewait 60 s",
            "62000 server socket :80 from client is gone",
        ]
    );
}

/// The command is a program that sets an option on its socket, and one call on it.
fn bounded(
    option: &str,
    value_of: Arg,
    call: &str,
    args: Vec<Arg>,
    took_ms: i64,
    result: &Option<CallResult>,
) -> Event {
    let mut run = with_server(&["socket s tcp"]);
    let stream = vec![symbol("AF_INET"), symbol("SOCK_STREAM"), symbol("IPPROTO_TCP")];
    run.call_of(SERVER, (1000, 1000), "socket", stream, value(3));
    let set = vec![Arg::Fd(3), symbol("SOL_SOCKET"), symbol(option), value_of, Arg::Int(8)];
    run.call_of(SERVER, (1100, 1100), "setsockopt", set, value(0));
    run.call_of(SERVER, (2000, 2000 + took_ms * 1000), call, args, result.clone());
    run.end(4 * S / 1000, Ending::Exit(0));
    let timeline = build_from(&run.evidence, &run.flights);
    let mut events = timeline.events.into_iter().filter(|event| event.is_claim && event.at == "server");
    events.next_back().expect("the call is told")
}

fn linger(is_on: i64, seconds: i64) -> Arg {
    Arg::Struct(vec![("l_onoff".into(), Arg::Int(is_on)), ("l_linger".into(), Arg::Int(seconds))])
}

fn told(event: &Event) -> (&str, Option<(&str, u64)>) {
    let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
    (&event.text, timer.map(|timer| (timer.name.as_str(), timer.armed_ns / 1_000_000_000)))
}

#[test]
fn a_close_that_lingers_has_the_timer_of_so_linger_and_one_that_does_not_has_none() {
    let close = |set: Arg, took_ms| bounded("SO_LINGER", set, "close", vec![Arg::Fd(3)], took_ms, &value(0));
    assert_eq!(told(&close(linger(1, 2), 2004)), ("close", Some(("SO_LINGER", 2))));
    // The last byte was acknowledged before.
    assert_eq!(told(&close(linger(1, 2), 700)), ("close", None));
    assert_eq!(told(&close(linger(0, 2), 0)), ("close", None));
}

#[test]
fn a_send_that_took_a_part_says_of_how_much_and_names_the_timer_that_ended_it() {
    let send = |took_ms, sent: i64| {
        let args = vec![Arg::Fd(3), Arg::Pointer(1), Arg::Int(4096), symbol("0"), Arg::Pointer(0), Arg::Int(0)];
        bounded("SO_SNDTIMEO", timeout(1_000_000_000), "sendto", args, took_ms, &value(sent))
    };
    assert_eq!(told(&send(1004, 1000)), ("send 1000 bytes of 4 KiB", Some(("SO_SNDTIMEO", 1))));
    assert_eq!(told(&send(0, 1000)), ("send 1000 bytes of 4 KiB", None));
    assert_eq!(told(&send(0, 4096)), ("send 4 KiB", None));
}

#[test]
fn a_receive_that_the_kernel_ended_waited_for_the_rto_after_the_last_retransmission() {
    let mut run = with_server(&["socket a tcp"]);
    run.evidence.processes[0].program = None;
    run.evidence.processes[1].program = Some("client".into());
    run.socket(10, 3).connect((20, 600), 3, ("server", 80), value(0));
    run.segment(30, ("client", 40_000, "server", 80), "S", 0);
    run.segment(500, ("server", 80, "client", 40_000), "SA", 0);
    for (nth, us) in [(0, 1_000), (1, 205_000), (2, 613_000)] {
        run.segment(us, ("client", 40_000, "server", 80), "PA", 4).but(|f| f.retransmission = nth).dropped();
    }
    run.call((2_000, 1_445_000), "recvfrom", vec![Arg::Fd(3)], error("ETIMEDOUT")).end(1_446_000, Ending::Exit(0));
    let timeline = build_from(&run.evidence, &run.flights);
    let failed = timeline.events.iter().find(|event| event.text.ends_with("recv failed: ETIMEDOUT"));
    let failed = failed.unwrap_or_else(|| panic!("it is told: {:?}", timeline.events));
    let wait = failed.wait.as_ref().expect("it waited");
    let timer = wait.timer.as_ref().expect("a timer ended it");
    assert_eq!((wait.gap_ns / 1_000_000, timer.name.as_str(), timer.armed_ns / 1_000_000), (832, "RTO", 800));
}

#[test]
fn a_socket_that_its_process_has_is_not_told_to_be_gone() {
    let mut run = with_server(&["socket a tcp"]);
    listening(&mut run);
    run.segment(500, ("client", 40_000, "server", 80), "S", 0);
    run.end(10 * S / 1000, Ending::Exit(0));
    sampled(&mut run, S, Some((TcpState::Established, TimerKind::On, 204)));
    sampled(&mut run, 9 * S, None);
    let told: Vec<String> = claims(&run).into_iter().filter(|claim| claim.contains("socket :80")).collect();
    assert_eq!(told, ["1000 server socket :80 from client is in ESTABLISHED, timer on"]);
}
