//! What the tracer costs a program that does nothing but system calls, measured side by side.
//!
//! `cargo bench --bench tracer [-- RUNS [STRACE_RUNS]]`, on an otherwise idle machine, as root or as an ordinary user who may make
//! user namespaces. Two programs read 500,000 bytes, one a call: `dd` on descriptors 0 and 1, which the filter lets pass,
//! and `perl` on descriptor 3, where each read stops to have its descriptor looked at. Each runs with nothing, under a
//! filter of the same shape that never stops, under the tracer, and under `strace --seccomp-bpf` with the same calls.
//! Rounds are interleaved, so that a machine that slows down slows all four; medians are printed with their ratios.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use workbench::record::syscalls::{TracedCommand, Tracer, filter, traced_names};
use workbench::sys::seccomp;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Runs a program to its end.
type Way = fn(&[String]) -> Outcome<()>;

/// First argument of a run of this program that puts itself under a filter and becomes the rest of its arguments.
const FILTERED: &str = "--become-filtered";
const BYTES: usize = 500_000;
const RUNS: usize = 15;
/// Runs under strace, which takes half a minute for each.
const STRACE_RUNS: usize = 3;
const PATH: &str = "/usr/bin:/bin";

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    match args.next() {
        Some(first) if first == FILTERED => Err(become_filtered(&args.collect::<Vec<_>>())),
        runs => {
            let runs = runs.map_or(Ok(RUNS), |runs| runs.parse())?;
            measure(runs, args.next().map_or(Ok(STRACE_RUNS), |runs| runs.parse())?)
        }
    }
}

fn measure(runs: usize, strace_runs: usize) -> Outcome<()> {
    enter_namespaces()?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), vec![0; BYTES])?;
    let input = file.path().to_string_lossy().into_owned();
    let dd = ["dd", &format!("if={input}"), "of=/dev/null", "bs=1", &format!("count={BYTES}")].map(str::to_owned);
    let script = format!("open F, '<', $ARGV[0]; sysread F, $b, 1 for 1..{BYTES}");
    let perl = ["perl", "-e", &script, &input].map(str::to_owned);
    compare("dd: descriptors 0 and 1", &dd, runs, strace_runs)?;
    compare("perl: descriptor 3, a file", &perl, runs, strace_runs)
}

/// Entering a network namespace, as the tracer's command does, needs a user namespace that has one.
fn enter_namespaces() -> Outcome<()> {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    Ok(())
}

fn compare(title: &str, argv: &[String], runs: usize, strace_runs: usize) -> Outcome<()> {
    const WAYS: [(&str, Way); 4] =
        [("nothing", plain), ("filter, no tracer", filtered), ("tracer", traced), ("strace --seccomp-bpf -f", straced)];
    let mut samples = WAYS.map(|_| Vec::with_capacity(runs));
    for round in 0..=runs {
        for ((name, run), samples) in WAYS.iter().zip(&mut samples) {
            if name.starts_with("strace") && !(1..=strace_runs).contains(&round) {
                continue;
            }
            let start = Instant::now();
            run(argv)?;
            // Round 0 only warms the caches.
            if round > 0 {
                samples.push(start.elapsed());
            }
        }
    }
    let medians = samples.map(median);
    println!("{title}, medians of {runs}");
    for ((name, _), median) in WAYS.iter().zip(&medians).filter(|(_, median)| !median.is_zero()) {
        let ratio = |base: Duration| median.as_secs_f64() / base.as_secs_f64();
        let (nothing, filter) = (ratio(medians[0]), ratio(medians[1]));
        println!(
            "  {name:24} {:8.1} ms   {nothing:6.3} of nothing   {filter:6.3} of the filter",
            median.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn plain(argv: &[String]) -> Outcome<()> {
    succeed(quiet(&argv[0]).args(&argv[1..]))
}

fn filtered(argv: &[String]) -> Outcome<()> {
    succeed(quiet(&std::env::current_exe()?.to_string_lossy()).arg(FILTERED).args(argv))
}

fn become_filtered(argv: &[String]) -> Box<dyn Error> {
    match seccomp::install(&filter::program(libc::SECCOMP_RET_ALLOW)) {
        Ok(()) => Command::new(&argv[0]).args(&argv[1..]).exec().into(),
        Err(e) => e.into(),
    }
}

fn straced(argv: &[String]) -> Outcome<()> {
    let names = traced_names().collect::<Vec<_>>().join(",");
    let trace = format!("trace={names}");
    succeed(quiet("strace").args(["--seccomp-bpf", "-f", "-ttt", "-o", "/dev/null", "-e", &trace]).args(argv))
}

fn traced(argv: &[String]) -> Outcome<()> {
    let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let mut tracer = Tracer::spawn(TracedCommand {
        argv: argv.to_vec(),
        env: vec![("PATH".to_owned(), PATH.to_owned())],
        cwd: PathBuf::from("/"),
        netns: File::open("/proc/self/ns/net")?.into(),
        hostname: "client".to_owned(),
        stdin: null()?,
        stdout: null()?,
        stderr: null()?,
    })?;
    tracer.release()?;
    while !tracer.is_finished() {
        poll(&mut [PollFd::new(tracer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        tracer.receive()?;
    }
    Ok(())
}
