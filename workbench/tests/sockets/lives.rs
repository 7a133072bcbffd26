//! Sockets from their beginning to their end, in virtual time: what the last thing known of them is, when timers are
//! looked for, and how little a run costs in which nothing happens.

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{Evidence, SampleReason, TcpSocket, TcpState, TimerKind};

use crate::support::virtual_engine::{evidence, virtual_trial};
use crate::support::{root, scratch};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("sockets_last_state_is_known_and_counters_are_the_packets_that_were_seen", last_state),
        virtual_trial("sockets_that_leave_time_wait_in_silence_are_missed_when_the_timer_must_have_fired", time_wait),
        virtual_trial("sockets_idle_for_two_hours_cost_few_samples", two_hours),
    ]
}

/// A SYN in an Ethernet frame with IPv4.
fn is_syn(bytes: &[u8]) -> bool {
    bytes.get(12..14) == Some(&[8, 0]) && bytes.get(23) == Some(&6) && bytes.get(47).is_some_and(|f| f & 0x12 == 2)
}

fn of_client(evidence: &Evidence) -> impl Iterator<Item = (i64, SampleReason, &[TcpSocket])> {
    let samples = evidence.sockets.iter().filter(|sample| sample.host == "client");
    samples.map(|sample| (sample.t_ns, sample.because, sample.sockets.as_slice()))
}

/// A program of `tests/programs`, on a host without links.
fn alone(program: &str, seconds: u32, deadline: &str) -> Result<Evidence, Failed> {
    let folder = scratch();
    let path = folder.path().join(program);
    std::fs::copy(root().join("workbench/tests/programs").join(program), &path)?;
    let command = format!("/usr/bin/python3 {} {seconds}", path.display());
    evidence(&format!("namespace client\nrun run in=client \"{command}\" deadline=\"{deadline}\"\n"), 0)
}

fn last_state() -> Result<Completion, Failed> {
    let text = r#"
namespace client {
    sysctl "net.ipv4.tcp_syn_retries" 1
    sysctl "net.ipv4.tcp_syn_linear_timeouts" 0 if-present=#true
}
namespace server {
    drop tcp dport=80
}
link client server
run run in=client "/usr/bin/python3 -c 'import socket; socket.socket().connect_ex((\"server\", 80))'"
"#;
    let evidence = evidence(text, 0)?;
    let syns: Vec<i64> =
        evidence.packets.iter().filter(|p| p.host == "client" && is_syn(&p.bytes)).map(|p| p.t_ns).collect();
    assert_eq!(syns.len(), 2);
    // The retransmission's instant was sampled: the timer is set anew, and the owner known.
    let at_retransmission = of_client(&evidence).find(|(t_ns, ..)| *t_ns >= syns[1]).expect("a sample");
    assert!(at_retransmission.0 - syns[1] < 1_000_000, "{} ns after it", at_retransmission.0 - syns[1]);
    let socket = &at_retransmission.2[0];
    assert_eq!((socket.state, socket.timer, socket.retransmits), (TcpState::SynSent, TimerKind::On, 1));
    assert_eq!(socket.owner.as_ref().map(|owner| owner.name.as_str()), Some("python3"));
    let destroyed = &evidence.destroyed[0];
    assert_eq!((evidence.destroyed.len(), destroyed.socket.cookie), (1, socket.cookie));
    assert_eq!((destroyed.host.as_str(), destroyed.socket.state), ("client", TcpState::Close));
    let change = |name: &str| evidence.counters["client"].get(name).map_or(0, |change| change.after - change.before);
    assert_eq!(change("TcpExt.TCPSynRetrans"), syns.len() as i64 - 1);
    assert_eq!(change("Tcp.RetransSegs"), syns.len() as i64 - 1);
    // Also the timeout that gave up.
    assert_eq!(change("TcpExt.TCPTimeouts"), syns.len() as i64);
    assert_eq!(change("TcpExt.TCPAbortOnTimeout"), 1);
    Ok(Completion::Completed)
}

fn time_wait() -> Result<Completion, Failed> {
    let evidence = alone("time_wait.py", 70, "2min")?;
    let is_waiting = |sockets: &[TcpSocket]| sockets.iter().any(|socket| socket.state == TcpState::TimeWait);
    let last = of_client(&evidence).filter(|(.., sockets)| is_waiting(sockets)).last().expect("TIME_WAIT");
    assert!(last.0 < 61_000_000_000, "seen at {} ns", last.0);
    let gone = of_client(&evidence).find(|(t_ns, ..)| *t_ns > last.0).expect("a sample after it");
    assert_eq!(gone.1, SampleReason::Due);
    assert!((60_000_000_000..63_000_000_000).contains(&gone.0), "gone at {} ns", gone.0);
    Ok(Completion::Completed)
}

fn two_hours() -> Result<Completion, Failed> {
    let evidence = alone("idle.py", 7500, "130min")?;
    let bytes = serde_json::to_vec(&evidence)?.len();
    println!("two idle hours: {} samples, {bytes} bytes of evidence", evidence.sockets.len());
    assert!(evidence.end.t_ns > 7_500_000_000_000, "{:?}", evidence.end);
    assert!(bytes < 5_000_000, "{bytes}");
    assert!(evidence.sockets.len() < 400, "{}", evidence.sockets.len());
    let probes = evidence.packets.iter().filter(|packet| packet.t_ns > 7_000_000_000_000).count();
    assert!(probes > 0, "a keepalive probe after two hours");
    let seen_late = of_client(&evidence).any(|(t_ns, because, _)| {
        t_ns > 7_100_000_000_000 && matches!(because, SampleReason::Packet | SampleReason::Due)
    });
    assert!(seen_late, "the probe's instant is sampled");
    // What the connection did in all is known when it goes.
    let sent: Vec<u64> = evidence.destroyed.iter().filter_map(|d| d.socket.info).map(|info| info.bytes_sent).collect();
    assert!(sent.contains(&5), "{sent:?}");
    Ok(Completion::Completed)
}
