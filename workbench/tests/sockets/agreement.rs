//! The samples say what `ss -tanoi` says in the same namespace: in virtual time exactly, because the clock stands still
//! between the two (but for a jiffy that ends just there); on the host within the bracket of the two reads and a jiffy.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{EngineKind, Evidence, SocketSample, TcpSocket};

use super::listing::{Listed, addresses, listings, state, timer};
use crate::support::virtual_engine::{read, virtual_engine, virtual_trial};
use crate::support::{no_labs, root, scenario, scratch, texts, workbench};

/// In what is printed per run there is room for as many listings.
const ROUNDS: u32 = 25;

/// How many running timers have to be compared in all.
const TIMERS: usize = 200;

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("sockets_agree_exactly_with_ss_in_virtual_time_on_200_timers_of_every_kind", || agree(true)),
        Trial::ignorable_test("sockets_agree_with_ss_on_the_host_to_a_jiffy_on_200_timers_of_every_kind", || {
            no_labs().map_or_else(|| agree(false), |why| Ok(Completion::ignored_with(why)))
        }),
    ]
}

fn agree(is_virtual: bool) -> Result<Completion, Failed> {
    for tool in ["/usr/bin/ss", "/usr/bin/python3"] {
        if !Path::new(tool).exists() {
            return Ok(Completion::ignored_with(format!("{tool} is not there")));
        }
    }
    let evidence = run(is_virtual)?;
    assert_eq!(evidence.machine.engine, if is_virtual { EngineKind::Virtual } else { EngineKind::Host });
    let listings = listings(&String::from_utf8_lossy(&evidence.output.stdout));
    let reads = reads_of_ss(&evidence);
    assert_eq!((listings.len(), reads.len()), (ROUNDS as usize, ROUNDS as usize));
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    let mut changed = 0;
    for (listing, read) in listings.iter().zip(&reads) {
        for (key, listed) in listing {
            match compare(&evidence, key, listed, read) {
                Ok(()) => *compared.entry(listed.timer.as_ref().map_or("off", |(kind, ..)| kind)).or_default() += 1,
                Err(Difference::ChangedMeanwhile) if !is_virtual => changed += 1,
                Err(why) => return Err(format!("ss at {read:?}: {key:?} {listed:?}\n{why:#?}").into()),
            }
        }
    }
    println!("{}: compared {compared:?}, changed between two samples {changed}", evidence.machine.engine);
    assert!(changed <= ROUNDS / 10, "{changed} could not be compared");
    let kinds: Vec<&str> = compared.keys().copied().collect();
    assert_eq!(kinds, ["keepalive", "off", "on", "persist", "timewait"]);
    let running: usize = compared.iter().filter(|(kind, _)| **kind != "off").map(|(_, count)| count).sum();
    assert!(running >= TIMERS && compared.values().all(|count| *count >= 20), "{compared:?}");
    Ok(Completion::Completed)
}

fn run(is_virtual: bool) -> Result<Evidence, Failed> {
    let folder = scratch();
    let program = folder.path().join("timers.py");
    std::fs::copy(root().join("workbench/tests/programs/timers.py"), &program)?;
    let text = format!(
        "namespace client\nnamespace server {{\n    drop tcp dport=80\n}}\nlink client server ip=both\n\
         run run in=client \"/usr/bin/python3 {} server {ROUNDS} 0.47\" deadline=\"60s\"\n",
        program.display()
    );
    let file = scenario(folder.path(), "timers.kdl", &text);
    let mut command = if is_virtual { virtual_engine()? } else { workbench() };
    if !is_virtual {
        command.arg("run");
    }
    let output = command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file).output()?;
    let path = folder.path().join("timers/run/evidence.json");
    read(&path).map_err(|error| format!("{error}\n{}", texts(&output).1).into())
}

/// When each `ss` asked the kernel, and had its answer: its first `sendmsg` and its last `recvmsg`.
fn reads_of_ss(evidence: &Evidence) -> Vec<(i64, i64)> {
    let processes = evidence.processes.iter().filter(|process| process.argv.first().is_some_and(|name| name == "ss"));
    processes
        .map(|process| {
            let calls = || evidence.calls.iter().filter(|call| call.pid == process.pid);
            let asked = calls().filter(|call| call.name == "sendmsg").map(|call| call.entry_ns).min();
            let answered = calls().filter(|call| call.name == "recvmsg").filter_map(|call| call.exit_ns).max();
            (asked.expect("ss asks"), answered.expect("ss is answered"))
        })
        .collect()
}

/// Why a listed socket is not the sampled one.
#[derive(Debug)]
enum Difference {
    /// It was another thing in the sample after than in the sample before, and may have been a third between.
    ChangedMeanwhile,
    /// What each sample says.
    Differs(#[expect(dead_code, reason = "printed")] Vec<String>),
}

/// One socket of one listing, against the sample before the read and the one after: what it shows can have changed
/// between one of them and the read, but not both.
fn compare(evidence: &Evidence, key: &(String, String), listed: &Listed, read: &(i64, i64)) -> Result<(), Difference> {
    let samples = || evidence.sockets.iter().filter(|sample| sample.host == "client");
    // In virtual time the clock does not quite stand still: each reading of it takes some nanoseconds.
    let is_near = |sample: &&SocketSample| {
        evidence.machine.engine == EngineKind::Host || (sample.t_ns - read.0).abs() < 1_000_000
    };
    let before = samples().rfind(|sample| sample.t_ns <= read.0).filter(is_near);
    let after = samples().find(|sample| sample.t_ns > read.0).filter(is_near);
    let mut differences = Vec::new();
    for sample in [before, after].into_iter().flatten() {
        match sample.sockets.iter().find(|socket| addresses(socket) == *key) {
            Some(socket) => match differs(evidence, sample, socket, listed, read) {
                None => return Ok(()),
                Some(why) => differences.push(format!("at {} ns: {why}", sample.t_ns)),
            },
            None => differences.push(format!("at {} ns: no such socket", sample.t_ns)),
        }
    }
    let segments = |sample: &SocketSample| {
        let info = sample.sockets.iter().find(|socket| addresses(socket) == *key)?.info?;
        Some((info.segs_in, info.segs_out))
    };
    let has_changed = before.zip(after).is_some_and(|(before, after)| segments(before) != segments(after));
    Err(if has_changed { Difference::ChangedMeanwhile } else { Difference::Differs(differences) })
}

fn differs(
    evidence: &Evidence,
    sample: &SocketSample,
    socket: &TcpSocket,
    listed: &Listed,
    read: &(i64, i64),
) -> Option<String> {
    let expected = (state(socket.state), (socket.recv_queue, socket.send_queue), timer(socket.timer));
    let seen = (listed.state.as_str(), listed.queues, listed.timer.as_ref().map(|(kind, ..)| kind.as_str()));
    if expected != seen {
        return Some(format!("{expected:?}, ss {seen:?}"));
    }
    if let Some((_, expires_ms, count)) = &listed.timer {
        let is_host = evidence.machine.engine == EngineKind::Host;
        let agrees = match is_host {
            true => is_one_deadline(evidence, sample, socket.expires_ms, read, expires_ms),
            false => is_exact(evidence, sample, socket.expires_ms, read, expires_ms),
        };
        if !agrees || *count != socket.retransmits {
            return Some(format!("expires in {} ms, {} sent", socket.expires_ms, socket.retransmits));
        }
    }
    let info = socket.info.unwrap_or_default();
    // `ss` leaves out what is 0, and the RTO of 3 s that nothing has changed.
    let numbers = [("backoff", u64::from(info.backoff)), ("rto", u64::from(info.rto) / 1000)];
    let wrong = numbers.into_iter().find(|(name, number)| {
        listed.info.get(*name).is_some_and(|text| text.parse::<f64>().map(|n| n as u64) != Ok(*number))
    });
    wrong.map(|(name, number)| format!("{name} {number}, ss {:?}", listed.info.get(name)))
}

/// Whether both say the same. Each reading of the clock takes some nanoseconds in virtual time too: where a jiffy ended
/// between the sample and the read, `ss` says a jiffy less, and nothing else.
fn is_exact(
    evidence: &Evidence,
    sample: &SocketSample,
    expires_ms: u32,
    read: &(i64, i64),
    listed_ms: &RangeInclusive<i64>,
) -> bool {
    let phase = evidence.machine.phase.expect("a virtual machine knows its jiffies");
    let tick_ns = evidence.machine.tick_ns as i64;
    let jiffy = |t_ns: i64| (t_ns + phase.since_tick_ns as i64).div_euclid(tick_ns);
    let least = jiffy(read.0) - jiffy(sample.t_ns + sample.took_ns as i64);
    let most = jiffy(read.1) - jiffy(sample.t_ns);
    let left_ms = |jiffies: i64| (i64::from(expires_ms) - jiffies * tick_ns / 1_000_000).max(0);
    (least..=most).any(|jiffies| listed_ms.contains(&left_ms(jiffies)))
}

/// Whether both can mean one deadline. Each lies between its question and its answer; both are told in jiffies, so that
/// they may differ by one. What is told as 0 may be past already.
fn is_one_deadline(
    evidence: &Evidence,
    sample: &SocketSample,
    expires_ms: u32,
    read: &(i64, i64),
    listed_ms: &RangeInclusive<i64>,
) -> bool {
    let ns = |ms: i64| ms * 1_000_000;
    let past = |is_past: bool, ns: i64| if is_past { i64::MIN / 2 } else { ns };
    let told_ms = i64::from(expires_ms);
    let sampled = (past(told_ms == 0, sample.t_ns + ns(told_ms)), sample.t_ns + sample.took_ns as i64 + ns(told_ms));
    let (least_ms, most_ms) = (*listed_ms.start(), *listed_ms.end());
    let listed = (past(least_ms == 0, read.0 + ns(least_ms)), read.1 + ns(most_ms));
    let jiffy_ns = evidence.machine.tick_ns as i64;
    sampled.0 <= listed.1 + jiffy_ns && listed.0 <= sampled.1 + jiffy_ns
}
