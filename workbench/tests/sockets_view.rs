//! What is printed of recorded sockets against ss(8), netstat(8) and the kernel's own `/proc/net/tcp`, which a command
//! ran in the same network namespace at the same moment.
//!
//! In virtual time that is letter by letter: between the recorder's look and theirs no jiffy passes. Other versions of
//! ss print more; then what we print must be among what they print, in the same order. On the host time goes on between
//! the looks, so what only tells time is held against how long it was.

use std::fs;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{Evidence, Process, SocketSample, TcpState, TimerKind};
use workbench::report::sockets::{netstat, proc_net_tcp, proc_net_tcp6, ss};

use crate::support::virtual_engine::{read, virtual_engine, virtual_trial};
use crate::support::{no_labs, root, scenario, scratch, texts, workbench};
use crate::traced::is_installed;

/// Moments, in seconds: soon, in the midst of retransmissions and probes, and when most have ended.
const MOMENTS: &str = "0.02 0.5 1 2.5 4 7 20 100";

/// The version of ss whose format this is.
const VERSION: &str = "iproute2-6.1.";

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial(
            "sockets_view_is_in_virtual_time_on_every_kernel_letter_by_letter_what_ss_and_netstat_print",
            exact,
        ),
        Trial::ignorable_test("sockets_view_is_on_the_host_what_ss_and_netstat_print_but_for_the_time", on_the_host),
    ]
}

/// One moment: when the programs began and ended, and what they printed.
struct Moment<'a> {
    began_ns: i64,
    ended_ns: i64,
    printed: [String; 4],
    sample: &'a SocketSample,
}

impl Moment<'_> {
    /// What we print of the sample, in the same order.
    fn rendered(&self, tick_ns: u64) -> [String; 4] {
        let sockets = &self.sample.sockets;
        [ss(sockets), netstat(sockets, tick_ns), proc_net_tcp(sockets, tick_ns), proc_net_tcp6(sockets, tick_ns)]
    }
}

const VIEWS: [&str; 4] = ["ss", "netstat", "tcp", "tcp6"];

/// Why this cannot be tried here.
fn lacking() -> Option<String> {
    ["ss", "netstat", "python3"].into_iter().find(|tool| !is_installed(tool)).map(|tool| format!("needs {tool}"))
}

/// Runs the program that makes all those sockets, on each kernel that the command names.
fn evidence(mut command: std::process::Command, moments: &str) -> Result<Vec<Evidence>, Failed> {
    let folder = scratch();
    let program = folder.path().join("sockets.py");
    fs::copy(root().join("workbench/tests/programs/sockets.py"), &program)?;
    let text = format!(
        r#"
        namespace client {{
            drop tcp dport=90 flags="psh"
            drop tcp dport=91 flags="fin"
            drop tcp dport=92 flags="ack,!syn"
            drop tcp sport=93 flags="fin"
        }}
        namespace server {{
            drop tcp dport=79
        }}
        link client server ip=both
        run run in=client "python3 {} {moments}" deadline="3min"
        "#,
        program.display()
    );
    let file = scenario(folder.path(), "sockets.kdl", &text);
    let output = command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file).output()?;
    let runs = fs::read_dir(folder.path().join("sockets")).into_iter().flatten().flatten();
    let read: Result<Vec<Evidence>, _> = runs.map(|run| read(&run.path().join("evidence.json"))).collect();
    match read {
        Ok(evidence) if !evidence.is_empty() => Ok(evidence),
        read => Err(format!("{:?}\n{:?}", read.err(), texts(&output)).into()),
    }
}

fn moments(evidence: &Evidence) -> Result<Vec<Moment<'_>>, Failed> {
    let out = String::from_utf8_lossy(&evidence.output.stdout).into_owned();
    let sections: Vec<(&str, &str)> =
        out.split("=== ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    let is = |process: &&Process, name: &str| process.argv.first().is_some_and(|argument| argument == name);
    let begins = evidence.processes.iter().filter(|process| is(process, "ss"));
    let ends: Vec<&Process> = evidence.processes.iter().filter(|process| is(process, "cat")).collect();
    let mut moments = Vec::new();
    for ((began, ended), sections) in begins.zip(ends.chunks(2)).zip(sections.chunks(VIEWS.len())) {
        let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
        if names != VIEWS {
            return Err(format!("{names:?}").into());
        }
        // Its first call makes the recorder look, before it can.
        let looked_ns = began.end_ns.unwrap_or(began.start_ns);
        let before = |sample: &&SocketSample| sample.host == "client" && sample.t_ns <= looked_ns;
        let sample = evidence.sockets.iter().rfind(before).ok_or("nothing was recorded")?;
        moments.push(Moment {
            began_ns: began.start_ns,
            ended_ns: ended.last().and_then(|cat| cat.end_ns).unwrap_or(i64::MAX),
            printed: std::array::from_fn(|at| sections[at].1.to_owned()),
            sample,
        });
    }
    Ok(moments)
}

/// Up to the inode, and the header up to its last word: the columns behind have no name.
fn named_columns(table: &str) -> String {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default().trim_end();
    std::iter::once(header).chain(lines.map(|line| first_fields(line, 10))).map(|line| format!("{line}\n")).collect()
}

/// A line up to the end of its field of this number.
fn first_fields(line: &str, number: usize) -> &str {
    let bytes = line.as_bytes();
    let is_end = |at: &usize| bytes[*at] == b' ' && bytes[*at - 1] != b' ';
    let end = (1..bytes.len()).filter(is_end).nth(number - 1);
    &line[..end.unwrap_or(line.len())]
}

fn exact() -> Result<Completion, Failed> {
    if let Some(why) = lacking() {
        return Ok(Completion::ignored_with(why));
    }
    let version = std::process::Command::new("ss").arg("-V").output()?;
    let is_same_version = texts(&version).0.contains(VERSION);
    let mut command = virtual_engine()?;
    command.args(["--kernel", "all"]);
    for evidence in evidence(command, MOMENTS)? {
        exact_on(&evidence, is_same_version)
            .map_err(|e| format!("on {}: {}", evidence.machine.kernel, e.message().unwrap_or_default()))?;
    }
    Ok(Completion::Completed)
}

fn exact_on(evidence: &Evidence, is_same_version: bool) -> Result<(), Failed> {
    let moments = moments(evidence)?;
    if moments.len() != MOMENTS.split(' ').count() {
        let stderr = String::from_utf8_lossy(&evidence.output.stderr);
        return Err(format!("{} moments, {:?}\n{stderr}", moments.len(), evidence.end).into());
    }
    for moment in &moments {
        let rendered = moment.rendered(evidence.machine.tick_ns);
        for (at, name) in VIEWS.iter().enumerate() {
            let (ours, theirs) = (&rendered[at], &moment.printed[at]);
            let theirs = if at >= 2 { named_columns(theirs) } else { theirs.clone() };
            let is_same = if at == 0 && !is_same_version { is_among(ours, &theirs) } else { *ours == theirs };
            if !is_same {
                return Err(format!("{name} at {} ns\n{}", moment.began_ns, difference(ours, &theirs)).into());
            }
        }
    }
    covers_everything(&moments)
}

/// Between two looks a packet may come or a timer fire, so one of the moments has to agree.
fn on_the_host() -> Result<Completion, Failed> {
    if let Some(why) = no_labs().map(str::to_owned).or_else(lacking) {
        return Ok(Completion::ignored_with(why));
    }
    let mut command = workbench();
    command.arg("run");
    let evidence = evidence(command, "0.55 0.75 1.3 2.3 2.8")?;
    let mut differences = Vec::new();
    let evidence = evidence.first().ok_or("nothing was run")?;
    for moment in moments(evidence)? {
        let tick_ns = evidence.machine.tick_ns;
        let [our_ss, our_netstat, ..] = moment.rendered(tick_ns);
        let (ours, theirs) = (without_time(&our_ss), without_time(&moment.printed[0]));
        let s = |ns: i64| ns as f64 / 1e9;
        // Between both looks; the jiffy that each may be in; and netstat's two decimals.
        let within_s = s(moment.ended_ns - moment.sample.t_ns) + s(2 * tick_ns as i64) + 0.01;
        if !is_among(&ours, &theirs) {
            differences.push(difference(&ours, &theirs));
        } else if !agree_within(&our_netstat, &moment.printed[1], within_s) {
            differences.push(difference(&our_netstat, &moment.printed[1]));
        } else {
            return Ok(Completion::Completed);
        }
    }
    Err(format!("none of {} moments agrees:\n{}", differences.len(), differences.join("\n")).into())
}

/// What ss prints without what changes as time goes by alone.
fn without_time(text: &str) -> String {
    const CLOCKS: [&str; 6] = ["lastsnd:", "lastrcv:", "lastack:", "busy:", "rwnd_limited:", "sndbuf_limited:"];
    let word = |word: &str| match word.strip_prefix("timer:(").and_then(|timer| timer.split_once(',')) {
        Some((kind, rest)) => format!("timer:({kind},{}", rest.split_once(',').map_or("", |(_, count)| count)),
        None => word.to_owned(),
    };
    let is_kept = |word: &&str| !CLOCKS.iter().any(|clock| word.starts_with(clock));
    let line =
        |line: &str| line.split_ascii_whitespace().filter(is_kept).map(word).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

/// netstat's lines are the same, and what its timers still have to go differs by no more than that.
fn agree_within(ours: &str, theirs: &str, within_s: f64) -> bool {
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().map(timer).collect(), theirs.lines().map(timer).collect());
    let agree = |(ours, theirs): (&Option<_>, &Option<_>)| match (ours, theirs) {
        (Some((before, s, after)), Some((their_before, their_s, their_after))) => {
            let differ_s: f64 = s - their_s;
            (before, after) == (their_before, their_after) && (-0.01..=within_s).contains(&differ_s)
        }
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    };
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(agree)
}

/// A line of netstat around the seconds of its timer.
fn timer(line: &str) -> Option<(&str, f64, &str)> {
    let (before, timer) = line.rsplit_once('(')?;
    let (s, after) = timer.split_once('/')?;
    Some((before, s.parse().ok()?, after))
}

/// All our words stand among theirs, in this order.
fn is_among(ours: &str, theirs: &str) -> bool {
    let mut theirs = theirs.split_ascii_whitespace();
    ours.split_ascii_whitespace().all(|word| theirs.any(|other| other == word))
}

fn difference(ours: &str, theirs: &str) -> String {
    let lines = ours.lines().zip(theirs.lines()).filter(|(ours, theirs)| ours != theirs);
    let count = format!("{} lines, {} lines\n", ours.lines().count(), theirs.lines().count());
    count + &lines.map(|(ours, theirs)| format!("- {}\n+ {}\n", ours.trim_end(), theirs.trim_end())).collect::<String>()
}

/// The program brought about what is to be compared.
fn covers_everything(moments: &[Moment<'_>]) -> Result<(), Failed> {
    let sockets: Vec<_> = moments.iter().flat_map(|moment| &moment.sample.sockets).collect();
    let states = [
        TcpState::Established,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::TimeWait,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::Listen,
    ];
    let timers = [TimerKind::Off, TimerKind::On, TimerKind::Keepalive, TimerKind::TimeWait, TimerKind::Probe];
    let states = states.iter().filter(|state| !sockets.iter().any(|socket| socket.state == **state));
    let timers = timers.iter().filter(|timer| !sockets.iter().any(|socket| socket.timer == **timer));
    let lacking: Vec<String> =
        states.map(|state| format!("{state:?}")).chain(timers.map(|timer| format!("{timer:?}"))).collect();
    if lacking.is_empty() { Ok(()) } else { Err(format!("nothing was in {lacking:?}").into()) }
}
