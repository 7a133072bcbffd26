//! Nothing leaks, however a run ends: no process, namespace, mount, file or socket.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::support::{lab_trial, scenario, scratch, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        lab_trial("a_workbench_killed_at_100_moments_leaves_nothing_behind", killed_at_random_moments),
        lab_trial("ctrl_c_ends_a_run_at_once_and_leaves_nothing_behind", interrupted),
    ]
}

/// Waits for a command that would take an hour, in a lab with everything that could be left behind.
const LONG: &str = r#"
about "a long wait, to be interrupted"
namespace client
namespace server { drop tcp dport=80; }
link client server delay="5ms"
run wait in=client "sh -c \"sleep 3600 & sleep 3600\"" deadline="1h" { stdin "silent"; }
"#;

/// What a machine has that a lab could leave behind.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    /// Processes with one of our names, or in a namespace that is not ours.
    processes: BTreeSet<String>,
    /// Namespaces that processes are in.
    namespaces: BTreeSet<String>,
    /// Mounts of this namespace.
    mounts: String,
    /// Entries of the folders that labs could write to.
    files: BTreeSet<String>,
    /// Sockets: /proc/net/packet, unix and netlink by count of lines.
    packet_sockets: usize,
}

fn traces() -> Traces {
    let mut processes = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains("agent --parent") || command.contains("sleep 3600") {
            processes.insert(format!("{name} {command}"));
        }
        for kind in ["net", "user", "mnt", "pid", "uts", "ipc"] {
            if let Ok(meta) = fs::metadata(entry.path().join("ns").join(kind)) {
                namespaces.insert(format!("{kind}:{}", meta.ino()));
            }
        }
    }
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.path().display().to_string()).filter(|p| !p.contains("cargo")).collect()
    };
    let files = ["/tmp", "/var/tmp", "/run", "/run/netns", "/dev/shm"].iter().flat_map(|f| names(f)).collect();
    let packet_sockets = fs::read_to_string("/proc/net/packet").unwrap_or_default().lines().count();
    Traces {
        processes,
        namespaces,
        mounts: fs::read_to_string("/proc/self/mounts").unwrap_or_default(),
        files,
        packet_sockets,
    }
}

/// Waits until the machine looks as before, at most two seconds; says what is left if it does not.
fn gone_within_two_seconds(before: &Traces) -> Result<(), Failed> {
    let since = Instant::now();
    loop {
        let now = traces();
        let left: Vec<_> = now.processes.difference(&before.processes).collect();
        let namespaces: Vec<_> = now.namespaces.difference(&before.namespaces).collect();
        let files: Vec<_> = now.files.difference(&before.files).collect();
        let is_same = left.is_empty() && namespaces.is_empty() && files.is_empty() && now.mounts == before.mounts;
        if is_same && now.packet_sockets == before.packet_sockets {
            return Ok(());
        }
        if since.elapsed() > Duration::from_secs(2) {
            return Err(format!("left behind: {left:?} {namespaces:?} {files:?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn killed_at_random_moments() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "long.kdl", LONG);
    let before = traces();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100 {
        let mut child = workbench()
            .args(["run", "--no-snapshot"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // From before the first namespace to well after the command has started.
        std::thread::sleep(Duration::from_micros(random % 120_000));
        child.kill()?;
        child.wait()?;
    }
    gone_within_two_seconds(&before)
}

fn interrupted() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "long.kdl", LONG);
    let before = traces();
    let child = workbench().args(["run", "--no-snapshot"]).arg(&file).stdout(Stdio::null()).spawn()?;
    let started = Instant::now();
    while traces().processes.iter().filter(|p| p.contains("sleep 3600")).count() < 2 {
        if started.elapsed() > Duration::from_secs(20) {
            return Err("the command never started".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
    let status = child.wait_with_output()?.status;
    if status.code() != Some(130) {
        return Err(format!("ended with {status:?} (signal {:?}) instead of 130", status.signal()).into());
    }
    gone_within_two_seconds(&before)
}
