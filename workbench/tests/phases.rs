//! The phase of the timer wheel: what `--phases` finds, what a snapshot makes of it, and that a host run and a virtual
//! one of the same phase are the same run.

use std::fs;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::virtual_engine::virtual_engine;
use crate::support::{no_labs, scenario, scratch, texts, workbench};

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
    let events = report["phases"]["events"].as_array().ok_or("no events")?;
    // RTO after 1 s, the end after 3 s: never early by more than a jiffy, late by at most a step of each timer.
    for (timer, armed_s) in [("RTO", 1.0), ("SYN retries", 3.0)] {
        let event = events.iter().find(|event| event["timer"]["name"] == timer).ok_or(timer)?;
        let end = |name: &str| event[name].as_f64().ok_or_else(|| format!("{timer} has no {name}"));
        let (low_s, high_s) = (end("gap_min_s")?, end("gap_max_s")?);
        assert!(armed_s - tick_s <= low_s && high_s <= armed_s * 71.0 / 63.0 + tick_s, "{low_s}..{high_s}");
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

    /// How much later this one's retransmissions and its end are; `None` if not the same was sent.
    fn later_ns(&self, other: &Self) -> Option<(Vec<i64>, i64)> {
        let pairs = self.after_ns.iter().zip(&other.after_ns);
        let mut later: Vec<i64> = pairs.map(|(a, b)| a - b).collect();
        let end_ns = later.pop()?;
        (self.after_ns.len() == other.after_ns.len()).then_some((later, end_ns))
    }
}

/// What comparing host runs with virtual ones came to.
#[derive(Debug, Default)]
struct Agreement {
    apart_ns: Vec<i64>,
    /// Runs in which not the same packets were sent: a kernel under load skips a SYN now and then.
    other_packets: usize,
    /// Runs whose program learnt of the end too late, all packets in time: it had no processor.
    late: usize,
    too_far: Vec<String>,
}

/// Makes `count` host runs, each beside a virtual one whose SYN leaves at the same place in the wheel's cycle. Returns
/// how many have to be made again.
fn beside(agreement: &mut Agreement, scenario: &str, sample: &Value, count: usize) -> Result<usize, Failed> {
    let of = |report: &Value| Connect::of(report).ok_or_else(|| format!("no connect in {report}"));
    let (name, hz) = (sample["run"].as_str().ok_or("no name")?, sample["hz"].as_u64().ok_or("no hz")?);
    let cycle_ns = (CYCLE_JIFFIES * 1_000_000_000 / hz) as i64;
    let sample = of(sample)?;
    let mut command = workbench();
    command.args(["run", scenario, "--only", name, "--no-snapshot", "--jobs", "9", "--repeat", &count.to_string()]);
    let mut again = 0;
    for report in reports(&mut command)? {
        let real = of(&report)?;
        let phase = format!("{}ns", (real.phase_ns - sample.syn_ns).rem_euclid(cycle_ns));
        let mut virtual_run = virtual_engine()?;
        let matched = of(&first(virtual_run.args([scenario, "--only", name, "--no-snapshot", "--phase", &phase]))?)?;
        let words = || format!("{name} at {phase}: {:?} and {:?}", real.after_ns, matched.after_ns);
        match real.later_ns(&matched) {
            None => agreement.other_packets += 1,
            Some((packets, _)) if packets.iter().any(|ns| ns.abs() > APART_NS) => agreement.too_far.push(words()),
            Some((_, end_ns)) if end_ns < -APART_NS => agreement.too_far.push(words()),
            Some((_, end_ns)) if end_ns > APART_NS => {
                println!("late: {}", words());
                agreement.late += 1;
                again += 1;
            }
            Some((packets, end_ns)) => {
                agreement.apart_ns.push(packets.iter().chain([&end_ns]).map(|ns| ns.abs()).max().unwrap_or(0));
            }
        }
    }
    Ok(again)
}

/// A SYN of a virtual run that leaves at the same place in the wheel's cycle is sent again and given up after the same
/// time. A program that had no processor when the kernel woke it learns late of the end: such a run is made again, at
/// most twice, and counted. One that is early, or whose packets are late, is a difference.
fn host_and_virtual() -> Result<Completion, Failed> {
    let skip = |why: &str| Ok(Completion::ignored_with(why.to_owned()));
    if let Some(why) = no_labs() {
        return skip(why);
    }
    let mut virtual_run = match virtual_engine() {
        Ok(command) => command,
        Err(why) => return skip(&why),
    };
    let scenario = "scenarios/syn-retries-0.kdl";
    let host = first(workbench().args(["run", scenario, "--only", "nc", "--no-snapshot"]))?;
    let samples = reports(virtual_run.args([scenario, "--no-snapshot"]))?;
    if host["phase_s"].is_null() {
        return skip("this machine's jiffies clock could not be read");
    }
    if samples[0]["hz"] != host["hz"] {
        return skip(&format!(
            "this machine has HZ={}, the virtual engine's kernel HZ={}",
            host["hz"], samples[0]["hz"]
        ));
    }
    let mut agreement = Agreement::default();
    for sample in &samples {
        let mut wanted = REPEATS;
        for _ in 0..3 {
            if wanted > 0 {
                wanted = beside(&mut agreement, scenario, sample, wanted)?;
            }
        }
    }
    let Agreement { apart_ns, other_packets, late, too_far } = agreement;
    let most_ns = *apart_ns.iter().max().ok_or("no host run could be compared")?;
    let mean_ns = apart_ns.iter().sum::<i64>() / apart_ns.len() as i64;
    println!(
        "{} host runs at their own phase: at most {:.3} ms apart, {:.3} ms in the mean; {other_packets} more with other \
         packets, {late} more whose program woke late",
        apart_ns.len(),
        most_ns as f64 / 1e6,
        mean_ns as f64 / 1e6
    );
    if !too_far.is_empty() {
        return Err(too_far.join("\n").into());
    }
    if apart_ns.len() < 2 * REPEATS {
        return skip("this machine is too busy: too few runs can be compared");
    }
    Ok(Completion::Completed)
}
