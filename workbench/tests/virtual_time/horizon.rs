//! "Never" is an outcome: with nothing left that could end a wait, days go by in seconds.

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::evidence::Ending;

use crate::support::texts;
use crate::support::virtual_engine::{evidence, virtual_engine, virtual_trial};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("virtual_a_program_that_waits_for_ever_never_ends_within_30_days", thirty_days),
        virtual_trial("virtual_a_deadline_that_a_scenario_gives_is_kept_and_another_is_not", deadlines),
    ]
}

const DAY_S: f64 = 86_400.0;

fn thirty_days() -> Result<Completion, Failed> {
    let mut command = virtual_engine()?;
    command.args([
        "--horizon",
        "30d",
        "--format",
        "json",
        "scenarios/beyond/never.kdl",
        "scenarios/tools/mysql-year.kdl",
    ]);
    let output = command.env("CI", "true").output()?;
    let (out, err) = texts(&output);
    let (mut runs, mut skipped) = (0, Vec::new());
    for line in out.lines() {
        let report: Value = serde_json::from_str(line)?;
        if report["status"] == "skipped" {
            skipped.push(report["reason"].to_string());
            continue;
        }
        assert_eq!(report["status"], "pass", "{line}");
        let end = report["events"].as_array().and_then(|events| events.iter().find(|e| e["kind"] == "end"));
        let end = end.ok_or("no end")?;
        assert_eq!(end["text"], "never, within the horizon of 30 d");
        // The agent's own timer has the slack of ppoll, 100 ms.
        let elapsed_s = report["elapsed_s"].as_f64().ok_or("no end")?;
        assert!((0.0..0.2).contains(&(elapsed_s - 30.0 * DAY_S)), "{elapsed_s}");
        runs += 1;
    }
    match skipped.is_empty() {
        _ if runs == 0 => Err(format!("nothing ran: {out}{err}").into()),
        true => Ok(Completion::Completed),
        false => Ok(Completion::ignored_with(skipped.join("; "))),
    }
}

fn deadlines() -> Result<Completion, Failed> {
    let run = |deadline: &str| format!("namespace client\nrun run in=client \"sleep infinity\" {deadline}");
    for (text, expected_s) in [(run(r#"deadline="30s""#), 30.0), (run(""), DAY_S), (run("deadline=never"), DAY_S)] {
        let seen = evidence(&text, 0)?;
        assert_eq!(seen.end.how, Ending::Deadline);
        let late_s = seen.end.t_ns as f64 / 1e9 - expected_s;
        assert!((0.0..0.2).contains(&late_s), "{text}: {late_s} s after it");
    }
    Ok(Completion::Completed)
}
