//! What a run in virtual time costs: beside the bare machine that it runs in, beside the same command unrecorded, and
//! beside the time that it would have taken to wait.
//!
//! `cargo bench --bench virtual_time [-- ROUNDS]`, on an otherwise idle machine; takes the newest kernel that is there.
//!
//! The first table is one connect that gives up after 134 s (`scenarios/syn/default.kdl`), one run after the
//! other: `boot` is the kernel with a process 1 that switches the machine off, `unrecorded` builds the same network and
//! runs the same curl without recording anything, `workbench` is the whole of `workbench run`. The second one is every
//! scenario that waits between 1 s and 200 s, each once, as many at a time as there are cores, against the sum of their
//! waits; and the median of each alone.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::Pid;
use serde_json::Value;
use workbench::kernels::{self, Kernel};
use workbench::lab::Lab;
use workbench::plan::Plan;
use workbench::scenario::SourceFile;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCENARIO: &str = "scenarios/syn/default.kdl";
const ROUNDS: usize = 10;
/// Wall time of one run of the first table, boot and recording included.
const GOAL_S: f64 = 0.3;
/// How many times faster than waiting.
const GOAL_RATIO: f64 = 100.0;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if std::process::id() == 1 {
        return guest(&words);
    }
    let rounds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(ROUNDS);
    let kernel = kernels::select(None, kernels::host_hz())?.pop().ok_or("no kernel")?;
    println!("Linux {}, {rounds} rounds, one after another\n", kernel.name());
    one_by_one(&kernel, rounds)?;
    println!();
    against_waiting()
}

fn one_by_one(kernel: &Kernel, rounds: usize) -> Outcome<()> {
    let mut walls: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        let measured = [bare(kernel, "boot")?, bare(kernel, "unrecorded")?, workbench(&[SCENARIO])?.0];
        // The first reads everything into the page cache.
        if round > 0 {
            walls.iter_mut().zip(measured).for_each(|(all, wall)| all.push(wall.as_secs_f64()));
        }
    }
    println!("{:<12} {:>9} {:>9} {:>9}", "seconds", "median", "least", "most");
    for (name, all) in ["boot", "unrecorded", "workbench"].into_iter().zip(&mut walls) {
        all.sort_by(f64::total_cmp);
        println!("{name:<12} {:>9.3} {:>9.3} {:>9.3}", median(all), all[0], all[all.len() - 1]);
    }
    let wall_s = median(&walls[2]);
    println!("goal for workbench: at most {GOAL_S} s, {}", if wall_s <= GOAL_S { "met" } else { "missed" });
    Ok(())
}

/// This program as process 1 of a machine, with the command line that the engine uses, on one processor.
fn bare(kernel: &Kernel, what: &str) -> Outcome<Duration> {
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let mut words = vec!["time-travel=inf-cpu".to_owned(), "mem=128M".to_owned(), "rootfstype=hostfs".to_owned()];
    words.extend(
        ["rootflags=/", "ro", "con=null", "con0=null,fd:1", "uml_dir=.", "umid=machine", "quiet"].map(Into::into),
    );
    words.push(format!("init={}", std::env::current_exe()?.display()));
    if kernel.version() >= (6, 16, 0) {
        words.push("seccomp=on".to_owned());
    }
    words.extend(["--".to_owned(), what.to_owned(), format!("{ROOT}/{SCENARIO}")]);
    let own = sched_getaffinity(Pid::from_raw(0))?;
    let first = (0..CpuSet::count()).find(|cpu| own.is_set(*cpu).unwrap_or(false)).ok_or("no processor")?;
    let mut one = CpuSet::new();
    one.set(first)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    let mut machine = Command::new(&kernel.image);
    machine.args(words).env_clear().env("HOME", "/").env("TMPDIR", folder.path()).current_dir(folder.path());
    machine.stdin(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let output = machine.output()?;
    let wall = start.elapsed();
    sched_setaffinity(Pid::from_raw(0), &own)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || said.contains("bench:") {
        return Err(format!("{what}: {:?}\n{said}", output.status).into());
    }
    Ok(wall)
}

/// Inside the machine.
fn guest(words: &[String]) -> Outcome<()> {
    if words.first().is_some_and(|word| word == "unrecorded")
        && let Err(error) = unrecorded(Path::new(&words[1]))
    {
        println!("bench: {error}");
    }
    reboot(RebootMode::RB_POWER_OFF)?;
    Ok(())
}

fn unrecorded(scenario: &Path) -> Outcome<()> {
    let flags = MsFlags::empty();
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?;
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), flags, None::<&str>)?;
    let plan = plan(scenario)?;
    for name in ["hosts", "nsswitch.conf"] {
        let (ours, theirs) = (format!("/tmp/{name}"), format!("/etc/{name}"));
        fs::write(&ours, plan.etc.get(name).map_or("", String::as_str))?;
        mount(Some(ours.as_str()), theirs.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    let lab = Lab::build(&plan)?;
    let netns = lab.netns(&plan.command.host).ok_or("no such host")?.try_clone_to_owned()?;
    let argv = plan.command.argv.clone();
    let status = std::thread::spawn(move || -> std::io::Result<ExitStatus> {
        setns(netns, CloneFlags::CLONE_NEWNET)?;
        Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    });
    let status = status.join().map_err(|_| "the command's thread panicked")??;
    let expected = plan.expect.exit.map(|exit| exit.value);
    std::mem::forget(lab);
    if status.code() == expected { Ok(()) } else { Err(format!("{status:?}, expected {expected:?}").into()) }
}

fn plan(scenario: &Path) -> Outcome<Plan> {
    let scenario = workbench::scenario::parse(&SourceFile::read(scenario)?)?;
    workbench::plan::build(&scenario).into_iter().next().ok_or_else(|| "no run".into())
}

/// `workbench run --engine virtual`, and what it reports.
fn workbench(arguments: &[&str]) -> Outcome<(Duration, Vec<Value>)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workbench"));
    command.args(["run", "--engine", "virtual", "--no-snapshot", "--format", "json"]).args(arguments);
    let start = Instant::now();
    let output = command.current_dir(ROOT).output()?;
    let wall = start.elapsed();
    let text = String::from_utf8(output.stdout)?;
    let reports = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    if reports.is_empty() || reports.iter().any(|report| report["status"] != "pass") {
        return Err(format!("{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((wall, reports))
}

/// A run that waits, and how long.
struct Waiting {
    file: PathBuf,
    run: String,
    waits_s: f64,
}

fn against_waiting() -> Outcome<()> {
    let mut waiting = Vec::new();
    for report in workbench(&["scenarios"])?.1 {
        let waits_s = report["elapsed_s"].as_f64().unwrap_or(0.0);
        if (1.0..=200.0).contains(&waits_s) {
            let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
            waiting.push(Waiting {
                file: format!("scenarios/{}.kdl", text("scenario")).into(),
                run: text("run"),
                waits_s,
            });
        }
    }
    let mut ratios = Vec::new();
    for Waiting { file, run, waits_s } in &waiting {
        let (wall, _) = workbench(&[&file.display().to_string(), "--only", run])?;
        ratios.push(waits_s / wall.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let mut arguments: Vec<String> = waiting.iter().map(|w| w.file.display().to_string()).collect();
    arguments.dedup();
    for run in &waiting {
        arguments.extend(["--only".to_owned(), run.run.clone()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (wall, reports) = workbench(&arguments)?;
    let waited_s: f64 = reports.iter().filter_map(|report| report["elapsed_s"].as_f64()).sum();
    let ratio = waited_s / wall.as_secs_f64();
    println!("{} runs that wait {waited_s:.1} s together took {:.2} s", reports.len(), wall.as_secs_f64());
    println!("waiting / virtual time:       {ratio:.0} (goal: {GOAL_RATIO})");
    println!(
        "median of each run by itself: {:.0}, from {:.0} to {:.0}",
        median(&ratios),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    Ok(())
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}
