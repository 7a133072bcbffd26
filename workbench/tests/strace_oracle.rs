//! Our tracer against strace(1): real tools in the same situations, once under each, must make the same calls.
//!
//! Compared thread by thread, letter by letter: same calls, same order, same arguments, same results. What differs from
//! run to run by nature is replaced on both sides: addresses in memory, ephemeral ports, process ids, what was left of a
//! wait. Repeated equal waits count as one. From strace's side goes what our filter leaves out on purpose: calls on
//! descriptors that are no sockets, as strace's own `-y` names them.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Trial};
use workbench::evidence::Ending;
use workbench::record::syscalls::traced_names;
use workbench::report::strace::{render, render_signal};

use crate::normal::{Side, Waits, normal};
use crate::traced::{Trace, compiled, environment, in_lab, ip, is_installed, trace};

/// Where the silent peer listens, which is the machine's address on `lo`.
const SILENT_PORT: u16 = 8080;
/// An address behind a cable that ends nowhere.
const BLACK_HOLE: &str = "10.9.0.2";

/// All trials of this file.
pub fn trials() -> Vec<Trial> {
    let curl = ["curl", "-sS", "-m", "1"];
    let wget = ["wget", "-q", "-O", "-", "-t", "1", "-T", "1"];
    let situations = [
        ("refused", "http://127.0.0.1:9/", ["127.0.0.1", "9"]),
        ("black_hole", "http://10.9.0.2/", [BLACK_HOLE, "80"]),
        ("silent_peer", "http://127.0.0.1:8080/", ["127.0.0.1", "8080"]),
    ];
    let mut trials = Vec::new();
    for (situation, url, host_and_port) in situations {
        let tools: [(&str, Vec<&'static str>); 4] = [
            ("curl", [&curl[..], &[url]].concat()),
            ("wget", [&wget[..], &[url]].concat()),
            ("nc_openbsd", [&["nc.openbsd", "-w", "1"][..], &host_and_port].concat()),
            ("nc_traditional", [&["nc.traditional", "-n", "-w", "1"][..], &host_and_port].concat()),
        ];
        for (tool, argv) in tools {
            let name = format!("strace_oracle::{tool}_{situation}");
            trials.push(Trial::ignorable_test(name, move || compare(argv)));
        }
    }
    trials.push(Trial::ignorable_test("strace_oracle::a_shell_and_its_children", || {
        compare(vec!["sh", "-c", "nc.openbsd -w 1 10.9.0.2 80; nc.traditional -n -w 1 127.0.0.1 9; exit 3"])
    }));
    trials.push(Trial::ignorable_test("strace_oracle::every_recorded_call", || match compiled("calls.c")? {
        Some(program) => compare(vec![program]),
        None => Ok(Completion::ignored_with("needs gcc")),
    }));
    trials
}

fn compare(argv: Vec<&'static str>) -> Result<Completion, libtest_mimic::Failed> {
    for needed in ["strace", argv[0]] {
        if !is_installed(needed) {
            return Ok(Completion::ignored_with(format!("needs {needed}")));
        }
    }
    let waits = if argv[0] == "curl" { Waits::UntilDeadline } else { Waits::Fixed };
    in_lab(move || {
        build()?;
        let silent = TcpListener::bind(("127.0.0.1", SILENT_PORT)).map_err(|e| e.to_string())?;
        let ours = by_thread(waits, &trace(&argv)?);
        let theirs = strace(waits, &argv)?;
        drop(silent);
        same(&ours, &theirs)
    })
}

/// A veth pair whose other end has no address: what is sent there is dropped without an answer.
fn build() -> Result<(), String> {
    ip("link add wb0 type veth peer name wb1")?;
    ip("addr add 10.9.0.1/24 dev wb0")?;
    ip("link set wb0 up")?;
    ip("link set wb1 up")?;
    ip(&format!("neigh add {BLACK_HOLE} lladdr 02:00:00:00:00:02 nud permanent dev wb0"))
}

/// Normalised lines of each thread, the threads in the order of their first call.
type Threads = Vec<Vec<String>>;

fn by_thread(waits: Waits, trace: &Trace) -> Threads {
    let calls = trace.calls.iter().map(|call| (call.entry_ns, call.tid, render(call)));
    let signals = trace.signals.iter().map(|signal| (signal.t_ns, signal.tid, render_signal(signal)));
    let mut lines: Vec<(i64, u32, String)> = calls.chain(signals).collect();
    lines.sort();
    let threads = group(lines.into_iter().map(|(_, tid, line)| (tid, normal(Side::Ours, waits, &line))));
    match &trace.ending {
        Some(Ending::ExecFailed(_)) | None => Vec::new(),
        _ => threads,
    }
}

fn group(lines: impl Iterator<Item = (u32, Option<String>)>) -> Threads {
    let mut order = Vec::new();
    let mut threads: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (tid, line) in lines {
        let Some(line) = line else { continue };
        if !threads.contains_key(&tid) {
            order.push(tid);
        }
        threads.entry(tid).or_default().push(line);
    }
    order.into_iter().filter_map(|tid| threads.remove(&tid)).map(without_repeats).collect()
}

/// Takes out waits, and groups of up to three waits, that only repeat what stands before them.
fn without_repeats(lines: Vec<String>) -> Vec<String> {
    let is_wait = |line: &String| ["poll(", "select(", "epoll_wait("].iter().any(|name| line.starts_with(name));
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        kept.push(line);
        for size in 1..=3 {
            let Some(start) = kept.len().checked_sub(2 * size) else {
                break;
            };
            let (before, after) = kept[start..].split_at(size);
            if before == after && after.iter().all(is_wait) {
                kept.truncate(start + size);
                break;
            }
        }
    }
    kept
}

fn strace(waits: Waits, argv: &[&str]) -> Result<Threads, String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let output = directory.path().join("strace");
    // strace need not know a call that is newer than it.
    let names: Vec<String> = traced_names().map(|name| format!("?{name}")).collect();
    let status = Command::new("strace")
        .args(["-f", "-ttt", "-y", "--seccomp-bpf", "-e", &format!("trace={}", names.join(",")), "-o"])
        .arg(&output)
        .args(argv)
        .env_clear()
        .envs(environment())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| format!("strace: {e}"))?;
    let text = fs::read_to_string(&output).map_err(|e| format!("strace ended with {status}: {e}"))?;
    let mut unfinished: BTreeMap<u32, String> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(2, ' ');
        let tid: u32 = parts.next().unwrap_or_default().parse().map_err(|_| format!("no thread id: {line}"))?;
        let rest = parts.next().unwrap_or_default().trim_start();
        let rest = rest.split_once(' ').map_or("", |(_stamp, rest)| rest);
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(tid, begun.to_owned());
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|resumed| resumed.split_once(" resumed>")) {
            let begun = unfinished.remove(&tid).unwrap_or_default();
            lines.push((tid, normal(Side::Strace, waits, &(begun + end))));
        } else if !rest.starts_with("+++") {
            lines.push((tid, normal(Side::Strace, waits, rest)));
        }
    }
    Ok(group(lines.into_iter()))
}

fn same(ours: &Threads, theirs: &Threads) -> Result<(), String> {
    if ours == theirs && !ours.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for i in 0..ours.len().max(theirs.len()) {
        let none = Vec::new();
        let (ours, theirs) = (ours.get(i).unwrap_or(&none), theirs.get(i).unwrap_or(&none));
        text += &format!("thread {i}\n");
        for change in
            similar::TextDiff::from_lines(&(theirs.join("\n") + "\n"), &(ours.join("\n") + "\n")).iter_all_changes()
        {
            text += &format!("{}{change}", change.tag());
        }
    }
    Err(format!("- is strace's, + is ours\n{text}"))
}
