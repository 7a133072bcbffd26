//! Nothing leaks, however a run ends: no process, namespace, mount, file or socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use workbench::kernels;

use crate::support::virtual_engine::{virtual_engine, virtual_trial};
use crate::support::{lab_trial, scenario, scratch, workbench};

#[expect(dead_code, reason = "the other tests' helpers are not needed here")]
mod support;

/// One after the other, and in a binary of their own: they look at the whole machine, where other labs come and go.
fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = vec![
        lab_trial("a_workbench_killed_at_100_moments_leaves_nothing_behind", killed_at_random_moments),
        lab_trial("ctrl_c_ends_a_run_at_once_and_leaves_nothing_behind", interrupted),
        virtual_trial("a_workbench_killed_at_100_moments_leaves_no_virtual_machine_behind", machines_killed),
        virtual_trial("ctrl_c_ends_a_virtual_machine_at_once_and_leaves_nothing_behind", machine_interrupted),
        virtual_trial("a_program_never_outlives_its_virtual_machine_whoever_is_killed", escapes),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Waits for a command that would take an hour, in a lab with everything that could be left behind.
const LONG: &str = r#"
about "a long wait, to be interrupted"
namespace client
namespace server { drop tcp dport=80; }
link client server delay="5ms"
run wait in=client "sh -c \"sleep 3607.25 & sleep 3607.25\"" deadline="1h" { stdin "silent"; }
"#;

/// What a machine has that a lab could leave behind, as far as no other program's coming and going shows in it.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    /// Mounts of this namespace: a bind mount would keep a namespace alive.
    mounts: String,
    /// Entries of the folders that labs could write to.
    files: BTreeSet<PathBuf>,
    /// Lines of /proc/net/packet: captures would stand there if they were opened in the wrong place.
    packet_sockets: usize,
}

const FOLDERS: [&str; 4] = ["/run", "/run/netns", "/dev/shm", "/var/tmp"];

fn traces(home: &Path) -> Traces {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let folders = FOLDERS.iter().map(Path::new).chain([home]);
    Traces {
        mounts: fs::read_to_string("/proc/self/mounts").unwrap_or_default(),
        files: folders.flat_map(entries).collect(),
        packet_sockets: fs::read_to_string("/proc/net/packet").unwrap_or_default().lines().count(),
    }
}

/// Processes that can only be a lab's, with all namespaces they are in.
fn processes() -> BTreeMap<String, BTreeSet<String>> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_ours = |command: &str| command.contains("agent --parent") || command.contains("sleep 3607.25");
    entries
        .filter_map(|entry| {
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let name = format!("{} {command}", entry.file_name().to_string_lossy());
            is_ours(&command).then(|| (name, namespaces(&entry.path())))
        })
        .collect()
}

fn namespaces(process: &Path) -> BTreeSet<String> {
    let kinds = ["net", "user", "mnt", "pid", "uts", "ipc"].map(|kind| process.join("ns").join(kind));
    kinds.iter().filter_map(|link| fs::read_link(link).ok()).map(|l| l.display().to_string()).collect()
}

/// Processes of a lab in one of `labs`' namespaces, also one that is exiting and has no command line any more. A zombie
/// is the machine's init's to reap, and a namespace's number may be somebody else's by now: names tell.
fn inhabitants(labs: &BTreeSet<String>) -> Vec<String> {
    const NAMES: [&str; 4] = ["exe", "workbench", "sh", "sleep"];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let inside = entries.filter(|entry| !namespaces(&entry.path()).is_disjoint(labs));
    inside
        .filter_map(|entry| {
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            let (name, state) = (field("Name:"), field("State:"));
            let is_ours = NAMES.contains(&name) && !state.starts_with('Z');
            is_ours.then(|| format!("{} {name}, {state}", entry.file_name().to_string_lossy()))
        })
        .collect()
}

/// Waits until the machine looks as before, at most two seconds; says what is left if it does not.
fn gone_within_two_seconds(before: &Traces, home: &Path, labs: &BTreeSet<String>) -> Result<(), Failed> {
    let since = Instant::now();
    loop {
        let now = traces(home);
        let processes: Vec<String> = processes().into_keys().collect();
        let inhabitants = inhabitants(labs);
        if now == *before && processes.is_empty() && inhabitants.is_empty() {
            return Ok(());
        }
        if since.elapsed() > Duration::from_secs(2) {
            return Err(format!("left behind: {processes:?} {inhabitants:#?} {now:#?}, before: {before:#?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Computes for as long as it is left alone. A virtual machine would wait for an hour in no time.
const BUSY: &str = r#"
about "a long computation, to be interrupted"
namespace client
run compute in=client sh -c "while :; do :; done" deadline="30s"
"#;

/// Processes of virtual machines and of those who watch them, whose memory lies in `folder`. The machine's own processes
/// have no environment that names it; they are known by the machine that they belong to.
fn machines(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_there = |name: &str, path: &Path| fs::read_to_string(path.join(name)).unwrap_or_default().contains(&folder);
    entries
        .map(|entry| entry.path())
        .filter(|path| is_there("environ", path) || is_there("maps", path))
        .filter(|path| *path != Path::new("/proc").join(std::process::id().to_string()))
        .map(|path| format!("{} {}", path.display(), fs::read_to_string(path.join("comm")).unwrap_or_default().trim()))
        .collect()
}

/// Starts the long computation in a virtual machine whose memory lies in `home`.
fn start_machine(file: &Path, home: &Path) -> Result<Child, Failed> {
    let mut command = virtual_engine()?;
    command.arg("--no-snapshot").arg(file).env("TMPDIR", home);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Waits until nothing is left of virtual machines in `home`, at most two seconds.
fn machines_gone(before: &Traces, home: &Path) -> Result<Completion, Failed> {
    let since = Instant::now();
    loop {
        let (left, now) = (machines(home), traces(home));
        if left.is_empty() && now == *before {
            return Ok(Completion::Completed);
        }
        if since.elapsed() > Duration::from_secs(2) {
            return Err(format!("left behind: {left:#?} {now:#?}, before: {before:#?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether this process ignores a signal, and with it all that it starts: a shell's `&` has SIGQUIT ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (signal as i32 - 1)) != 0
}

fn machines_killed() -> Result<Completion, Failed> {
    let (folder, home) = (scratch(), scratch());
    let file = scenario(folder.path(), "busy.kdl", BUSY);
    let before = traces(home.path());
    let mut signals = vec![Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    signals.retain(|signal| !is_ignored(*signal));
    let mut seen = 0;
    for moment in 0..100_u64 {
        let mut child = start_machine(&file, home.path())?;
        // From before the launcher's start to well after the command has started.
        std::thread::sleep(Duration::from_micros(moment * 2_617 % 150_000));
        seen += usize::from(machines(home.path()).iter().any(|process| process.ends_with("linux")));
        kill(Pid::from_raw(i32::try_from(child.id())?), signals[moment as usize % signals.len()])?;
        child.wait()?;
    }
    if seen < 30 {
        return Err(format!("only {seen} machines were seen: the moments prove nothing").into());
    }
    machines_gone(&before, home.path())
}

/// Under ptrace a program that outlives its machine goes on as a process of the host, and what it does it does there. This
/// one tries all the time to make a file that only the host could make.
fn escapes() -> Result<Completion, Failed> {
    let current = kernels::all()?.into_iter().filter(|kernel| kernel.about.fragment == kernels::fragment_hash());
    let names: Vec<String> = current.map(|kernel| kernel.name()).collect();
    if names.is_empty() {
        return Ok(Completion::ignored_with("no kernel of this workbench's own configuration is here".to_owned()));
    }
    for kernel in &names {
        for victim in ["workbench", "launcher", "machine"] {
            escape(kernel, victim)?;
        }
    }
    Ok(Completion::Completed)
}

fn escape(kernel: &str, victim: &str) -> Result<(), Failed> {
    let (folder, home) = (scratch(), scratch());
    let outside = folder.path().join("outside");
    let text = format!(
        "namespace client\nrun x in=client bash -c \"while :; do : >'{}'; done\" deadline=\"30s\"\n",
        outside.display()
    );
    let file = scenario(folder.path(), "escape.kdl", &text);
    let mut command = virtual_engine()?;
    command.args(["--no-snapshot", "--kernel", kernel]).arg(&file).env("TMPDIR", home.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started = Instant::now();
    let machine = loop {
        let linux: Vec<String> =
            machines(home.path()).into_iter().filter(|process| !process.ends_with("exe")).collect();
        let machine = parents(&linux);
        // Nobody else in the machine computes for so long.
        if pids(&linux).into_iter().any(|pid| pid != machine && ticks(pid) > 25) {
            break machine;
        }
        if started.elapsed() > Duration::from_secs(20) {
            child.kill()?;
            return Err(format!("{kernel}: the machine never started").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let launcher = parent(machine).ok_or("the machine has no parent")?;
    match victim {
        "workbench" => kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?,
        "launcher" => kill(Pid::from_raw(launcher), Signal::SIGKILL)?,
        _ => kill(Pid::from_raw(machine), Signal::SIGKILL)?,
    }
    child.wait()?;
    let since = Instant::now();
    while !machines(home.path()).is_empty() {
        if since.elapsed() > Duration::from_secs(2) {
            return Err(format!("{kernel}, {victim} killed: {:?} was left", machines(home.path())).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    match outside.exists() {
        true => Err(format!("{kernel}, {victim} killed: the program went on as a process of the host").into()),
        false => Ok(()),
    }
}

/// Of a machine's processes, the one that is the parent of others.
fn parents(processes: &[String]) -> i32 {
    let pids = pids(processes);
    pids.iter().copied().find(|pid| pids.iter().any(|child| parent(*child) == Some(*pid))).unwrap_or_default()
}

fn pids(processes: &[String]) -> Vec<i32> {
    processes.iter().filter_map(|p| p.split(' ').next()?.strip_prefix("/proc/")?.parse().ok()).collect()
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid, 1)
}

/// Processor time used in user mode, in clock ticks.
fn ticks(pid: i32) -> i32 {
    stat(pid, 11).unwrap_or(0)
}

/// A field of /proc/PID/stat, from 0 for the state on (proc(5)).
fn stat(pid: i32, field: usize) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

fn machine_interrupted() -> Result<Completion, Failed> {
    let (folder, home) = (scratch(), scratch());
    let file = scenario(folder.path(), "busy.kdl", BUSY);
    let before = traces(home.path());
    let mut child = start_machine(&file, home.path())?;
    let started = Instant::now();
    while !machines(home.path()).iter().any(|process| process.ends_with("uml-userspace") || process.ends_with("linux"))
    {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill()?;
            return Err("the machine never started".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let status = child.wait()?;
    // Who is told that the labs are gone can rely on it.
    let left = machines(home.path());
    if status.code() != Some(130) || !left.is_empty() {
        return Err(format!("ended with {status:?} instead of 130, and {left:?} was left").into());
    }
    machines_gone(&before, home.path())
}

/// Starts the long run, with a home and a folder for temporary files that show whether anything was written.
fn start(file: &Path, home: &Path) -> std::io::Result<Child> {
    workbench()
        .args(["run", "--no-snapshot"])
        .arg(file)
        .envs([("HOME", home), ("TMPDIR", home)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn killed_at_random_moments() -> Result<(), Failed> {
    let (folder, home) = (scratch(), scratch());
    let file = scenario(folder.path(), "long.kdl", LONG);
    let before = traces(home.path());
    let own = namespaces(Path::new("/proc/self"));
    let mut labs = BTreeSet::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100 {
        let mut child = start(&file, home.path())?;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // From before the first namespace to well after the command has started.
        std::thread::sleep(Duration::from_micros(random % 120_000));
        labs.extend(processes().into_values().flatten().filter(|namespace| !own.contains(namespace)));
        child.kill()?;
        child.wait()?;
    }
    if labs.len() < 100 {
        return Err(format!("only {} namespaces were seen: the moments prove nothing", labs.len()).into());
    }
    gone_within_two_seconds(&before, home.path(), &labs)
}

fn interrupted() -> Result<(), Failed> {
    let (folder, home) = (scratch(), scratch());
    let file = scenario(folder.path(), "long.kdl", LONG);
    let before = traces(home.path());
    let mut child = start(&file, home.path())?;
    let started = Instant::now();
    while processes().keys().filter(|p| p.contains("sleep 3607.25")).count() < 2 {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill()?;
            return Err("the command never started".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let labs =
        processes().into_values().flatten().filter(|n| !namespaces(Path::new("/proc/self")).contains(n)).collect();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
    let status = child.wait()?;
    if status.code() != Some(130) {
        return Err(format!("ended with {status:?} instead of 130").into());
    }
    gone_within_two_seconds(&before, home.path(), &labs)
}
