//! The phase of the timer wheel: what `--phases` finds, what a snapshot makes of it, and that a host run and a virtual
//! one of the same phase are the same run.

use std::fs;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{no_labs, scenario, scratch, texts, virtual_engine, workbench};

/// Jiffies after which all steps of the wheel begin together again, as `--phase` counts them.
const CYCLE_JIFFIES: u64 = 8u64.pow(5);

/// How far a host run and a virtual one of its phase may be apart.
const APART_NS: i64 = 10_000_000;

/// Of each of the three runs of the scenario.
const REPEATS: usize = 17;

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("phases_give_the_range_that_the_timer_wheel_has", ranges),
        virtual_trial("phases_that_tell_different_stories_fail_with_both", strays),
        virtual_trial("phases_are_kept_in_a_snapshot_that_holds_for_every_phase", kept),
        Trial::ignorable_test("host_runs_agree_with_virtual_ones_at_their_own_phase_to_10_ms", host_and_virtual),
    ]
}

/// A trial that needs the virtual engine: skipped, with the reason, where there is none.
fn virtual_trial(name: &'static str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::ignorable_test(name, move || match virtual_engine() {
        Err(why) => Ok(Completion::ignored_with(why)),
        Ok(_) => body().map(|()| Completion::Completed),
    })
}

/// The reports that a command prints, one for each run.
fn reports(command: &mut Command) -> Result<Vec<Value>, Failed> {
    let output = command.args(["--format", "json"]).output()?;
    let (out, err) = texts(&output);
    let reports: Result<Vec<Value>, _> = out.lines().map(serde_json::from_str).collect();
    let reports = reports?;
    if reports.is_empty() { Err(format!("no run: {err}").into()) } else { Ok(reports) }
}

fn first(command: &mut Command) -> Result<Value, Failed> {
    Ok(reports(command)?.swap_remove(0))
}

fn ranges() -> Result<(), Failed> {
    let mut command = virtual_engine()?;
    command.args(["scenarios/syn-retries-0.kdl", "--only", "nc", "--phases", "8", "--no-snapshot"]);
    let report = first(&mut command)?;
    assert_eq!((&report["status"], &report["phases"]["count"]), (&"pass".into(), &8.into()), "{report}");
    assert_eq!((&report["seed"], &report["time_travel"]), (&0.into(), &"inf-cpu".into()));
    let tick_s = 1.0 / report["hz"].as_f64().ok_or("no hz")?;
    let step_s = report["phases"]["step_s"].as_f64().ok_or("no step")?;
    let events = report["phases"]["events"].as_array().ok_or("no events")?;
    // RTO after 1 s, the end after 3 s: never early by more than a jiffy, late by at most a step.
    for (timer, armed_s) in [("RTO", 1.0), ("SYN retries", 3.0)] {
        let event = events.iter().find(|event| event["timer"]["name"] == timer).ok_or(timer)?;
        let end = |name: &str| event[name].as_f64().ok_or_else(|| format!("{timer} has no {name}"));
        let (low_s, high_s) = (end("gap_min_s")?, end("gap_max_s")?);
        assert!(armed_s - tick_s <= low_s && high_s <= armed_s + step_s + tick_s, "{low_s}..{high_s}");
        assert!(high_s - low_s > tick_s, "{timer} is always {low_s}");
        // What 64 phases of Linux 5.10 to 7.2 gave at this HZ, and a jiffy either way.
        if report["hz"] == 250 && timer == "SYN retries" {
            assert!(3.013 <= low_s && high_s <= 3.052, "{low_s}..{high_s}");
        }
    }
    Ok(())
}

/// A scratch folder whose scenarios have their snapshots in it.
fn folder() -> Result<TempDir, Failed> {
    let folder = scratch();
    fs::create_dir(folder.path().join("snapshots"))?;
    Ok(folder)
}

/// The kernel gives up sooner or later, by its phase; curl in the middle between, whatever the phase.
fn strays() -> Result<(), Failed> {
    let folder = folder()?;
    let text = fs::read_to_string(crate::support::root().join("scenarios/syn-retries-0.kdl"))?;
    let mut command = virtual_engine()?;
    command.args(["scenarios/syn-retries-0.kdl", "--only", "curl", "--phases", "8", "--no-snapshot"]);
    let report = first(&mut command)?;
    let events = report["phases"]["events"].as_array().ok_or("no events")?;
    let end = events.iter().find(|event| event["timer"]["name"] == "SYN retries").ok_or("no end")?;
    let middle_s = (end["gap_min_s"].as_f64().ok_or("no gap")? + end["gap_max_s"].as_f64().ok_or("no gap")?) / 2.0;
    let text = text.replace("999 http", &format!("{middle_s:.3} http"));
    let file = scenario(folder.path(), "race.kdl", &text);
    let mut command = virtual_engine()?;
    command.arg(&file).args(["--only", "curl", "--phases", "8", "--accept"]);
    let report = first(&mut command)?;
    assert_eq!(report["status"], "fail", "{report}");
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(" of 8 phases, ") && reason.contains(" s into the step, it goes otherwise"), "{reason}");
    assert_eq!(report["phases"]["strays"].as_array().map(Vec::len), Some(1), "{report}");
    assert!(!folder.path().join("snapshots/race").exists(), "two stories were accepted as one");
    let mut command = virtual_engine()?;
    let output = command.arg(&file).args(["--only", "curl", "--phases", "8", "--no-snapshot"]).output()?;
    let (out, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("connect to server:80 failed: ETIMEDOUT"), "{out}");
    Ok(())
}

fn kept() -> Result<(), Failed> {
    let folder = folder()?;
    let text = fs::read_to_string(crate::support::root().join("scenarios/syn-retries-0.kdl"))?;
    let file = scenario(folder.path(), "syn.kdl", &text);
    let run = |arguments: &[&str]| -> Result<Value, Failed> {
        let mut command = virtual_engine()?;
        first(command.arg(&file).args(["--only", "nc"]).args(arguments))
    };
    run(&["--accept"])?;
    let snapshot = folder.path().join("snapshots/syn/nc.snap");
    assert!(!fs::read_to_string(&snapshot)?.contains(" over "));
    // It agrees, and the ranges are new.
    assert_eq!(run(&["--phases", "8", "--accept"])?["snapshot"], "match");
    let ranged = fs::read_to_string(&snapshot)?;
    assert!(ranged.contains("\n  phases: 8\n") && ranged.contains(" s over 8 phases\n"), "{ranged}");
    for phase in ["0s", "17ms", "31ms", "1.5s"] {
        assert_eq!(run(&["--phase", phase])?["status"], "pass", "at {phase}");
    }
    assert_eq!(fs::read_to_string(&snapshot)?, ranged);
    let narrow = ranged.lines().map(|line| match line.split_once(", timer wheel, ") {
        Some((before, _)) => format!("{before}, timer wheel, 2.000 to 2.001 s over 8 phases"),
        None => line.to_owned(),
    });
    fs::write(&snapshot, narrow.collect::<Vec<_>>().join("\n"))?;
    assert_eq!(run(&[])?["snapshot"], "differs");
    Ok(())
}

/// What a run of a SYN that nobody answers comes to, in nanoseconds after the SYN.
#[derive(Debug, Clone, PartialEq)]
struct Connect {
    /// Where in the wheel's cycle the SYN left.
    phase_ns: i64,
    /// When it left, since the command was let go.
    syn_ns: i64,
    /// Its retransmissions, and the connect's failure.
    after_ns: Vec<i64>,
}

impl Connect {
    fn of(report: &Value) -> Option<Self> {
        let ns = |value: &Value| value.as_f64().map(|s| (s * 1e9).round() as i64);
        let is_its = |event: &&Value| {
            let text = event["text"].as_str().unwrap_or_default();
            text.starts_with("SYN to ") || text.ends_with(" failed: ETIMEDOUT")
        };
        let claims = report["events"].as_array()?.iter().filter(|event| event["claim"] == true);
        let times: Vec<i64> = claims.filter(is_its).map(|event| ns(&event["t_s"])).collect::<Option<_>>()?;
        let (syn_ns, rest) = times.split_first()?;
        let after_ns = rest.iter().map(|t_ns| t_ns - syn_ns).collect();
        Some(Self { phase_ns: ns(&report["phase_s"])? + syn_ns, syn_ns: *syn_ns, after_ns })
    }

    /// How far two are apart at most; `None` if not the same was sent.
    fn apart_ns(&self, other: &Self) -> Option<i64> {
        let pairs = self.after_ns.iter().zip(&other.after_ns);
        (self.after_ns.len() == other.after_ns.len()).then(|| pairs.map(|(a, b)| (a - b).abs()).max().unwrap_or(0))
    }
}

/// A SYN of a virtual run that leaves at the same place in the wheel's cycle, or within a microsecond of it, takes the
/// same time to be given up.
fn host_and_virtual() -> Result<Completion, Failed> {
    let skip = |why: &str| Ok(Completion::ignored_with(why.to_owned()));
    if let Some(why) = no_labs() {
        return skip(why);
    }
    if let Err(why) = virtual_engine() {
        return skip(&why);
    }
    let scenario = "scenarios/syn-retries-0.kdl";
    let repeat = REPEATS.to_string();
    let mut command = workbench();
    command.args(["run", scenario, "--no-snapshot", "--repeat", &repeat, "--jobs", "9"]);
    let host = reports(&mut command)?;
    if host[0]["phase_s"].is_null() {
        return skip("this machine's jiffies clock could not be read");
    }
    let mut virtual_run = virtual_engine()?;
    let samples = reports(virtual_run.args([scenario, "--no-snapshot"]))?;
    let hz = host[0]["hz"].as_u64().ok_or("no hz")?;
    if samples[0]["hz"] != hz {
        return skip(&format!("this machine has HZ={hz}, the kernel of the virtual engine HZ={}", samples[0]["hz"]));
    }
    let cycle_ns = (CYCLE_JIFFIES * 1_000_000_000 / hz) as i64;
    let (mut apart, mut other_packets, mut stalled) = (Vec::new(), 0, 0);
    for report in &host {
        let name = report["run"].as_str().ok_or("a run without a name")?;
        let of = |report: &Value| Connect::of(report).ok_or_else(|| format!("no connect in {report}"));
        let sample = of(samples.iter().find(|sample| sample["run"] == name).ok_or("no such virtual run")?)?;
        if report["status"] == "inconclusive" {
            stalled += 1;
            continue;
        }
        let real = of(report)?;
        let phase = format!("{}ns", (real.phase_ns - sample.syn_ns).rem_euclid(cycle_ns));
        let mut virtual_run = virtual_engine()?;
        let matched = of(&first(virtual_run.args([scenario, "--only", name, "--no-snapshot", "--phase", &phase]))?)?;
        match real.apart_ns(&matched) {
            Some(ns) => apart.push((ns, format!("{name} at {phase}: {:?} and {:?}", real.after_ns, matched.after_ns))),
            None => other_packets += 1,
        }
    }
    let most = apart.iter().max().ok_or("no host run to compare")?;
    let mean_ns = apart.iter().map(|(ns, _)| ns).sum::<i64>() / apart.len() as i64;
    println!(
        "{} host runs at their own phase: at most {:.3} ms apart, {:.3} ms in the mean; {other_packets} with other \
         packets, {stalled} on a machine that stood still",
        apart.len(),
        most.0 as f64 / 1e6,
        mean_ns as f64 / 1e6
    );
    let too_far: Vec<&str> = apart.iter().filter(|(ns, _)| *ns > APART_NS).map(|(_, words)| words.as_str()).collect();
    if too_far.is_empty() { Ok(Completion::Completed) } else { Err(too_far.join("\n").into()) }
}
