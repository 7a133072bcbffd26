//! The binary as a person or a CI job uses it: exit codes, what is printed, what is written.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{lab_trial, scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a_wrong_scenario_exits_2_with_its_place_and_builds_nothing", wrong_scenario),
        Trial::test("every_scenario_of_the_repository_is_valid_and_formatted", repository_is_valid),
        Trial::test("completions_and_man_pages_come_from_the_same_definitions", completions_and_man),
        lab_trial("a_missing_snapshot_exits_1_with_ci_set_and_nothing_is_written", missing_snapshot_in_ci),
        lab_trial("a_run_that_agrees_leaves_its_snapshot_byte_for_byte_as_it_was", agreeing_run),
        lab_trial("one_more_syn_exits_1_and_the_diff_names_it", changed_world),
        lab_trial("kept_evidence_gives_the_same_timeline_again", judged_again),
        lab_trial("a_sysctl_the_kernel_refuses_is_reported_with_its_line_and_its_words", refused_sysctl),
        lab_trial("a_failed_expectation_exits_1_and_says_what_was_seen", failed_expectation),
        lab_trial("what_a_command_prints_cannot_steer_the_terminal", hostile_output),
        lab_trial("standard_input_is_what_the_scenario_says", standard_input),
        lab_trial("a_missing_program_exits_3_and_says_what_to_do", missing_program),
        lab_trial("the_lab_hides_the_machine", hidden_machine),
        lab_trial("a_command_cannot_write_to_the_machine", unwritable_machine),
        lab_trial("a_run_whose_tool_is_not_there_is_skipped_and_denied_skips_exit_3", missing_tool),
        lab_trial("a_run_that_cannot_be_believed_is_no_pass", unbelievable_output),
        Trial::test("a_reader_that_goes_away_ends_the_program_quietly", broken_pipe),
        Trial::test("evidence_of_another_format_is_refused", foreign_evidence),
    ]
}

fn expect(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

/// Two hosts and a run of `command`.
fn two_hosts(command: &str, more: &str) -> String {
    format!("namespace client\nnamespace server\nlink client server\nrun it in=client {command:?} {{ {more} }}\n")
}

/// One SYN retry at the least, as `syn-retries-0`, with so many retries.
fn retries(n: u32) -> String {
    format!(
        "namespace client {{\n sysctl \"net.ipv4.tcp_syn_retries\" {n}\n \
         sysctl \"net.ipv4.tcp_syn_linear_timeouts\" 0 if-present=#true\n}}\n\
         namespace server {{ drop tcp dport=80; }}\nlink client server\n\
         run curl in=client \"curl --connect-timeout 999 http://server/\"\n"
    )
}

fn wrong_scenario() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "bad.kdl", "namespace client\nlink client servr\nrun x in=clint \"true\"\n");
    let output = workbench().arg("run").arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(2), format!("{:?}: {out}{err}", output.status))?;
    expect(err.contains("servr") && err.contains("clint") && err.contains("did you mean"), err)
}

fn repository_is_valid() -> Result<(), Failed> {
    let output = workbench().args(["check", "scenarios", "workbench/benches"]).output()?;
    expect(output.status.success(), texts(&output).1)?;
    let output = workbench().args(["fmt", "--check", "scenarios", "workbench/benches"]).output()?;
    expect(output.status.success(), texts(&output).0)
}

fn completions_and_man() -> Result<(), Failed> {
    for shell in ["bash", "zsh", "fish"] {
        let output = workbench().args(["completions", shell]).output()?;
        expect(texts(&output).0.contains("deny-skips"), format!("{shell} completions know deny-skips"))?;
    }
    let folder = scratch();
    let output = workbench().arg("man").arg(folder.path()).output()?;
    expect(output.status.success(), texts(&output).1)?;
    let page = fs::read_to_string(folder.path().join("workbench-run.1"))?;
    expect(page.contains("deny\\-skips"), "workbench-run.1 knows --deny-skips")
}

fn missing_snapshot_in_ci() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "quick.kdl", &two_hosts("true", ""));
    let output = workbench().arg("run").arg(&file).env("CI", "true").output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(1), format!("{:?}: {out}{err}", output.status))?;
    expect(!folder.path().join("snapshots").exists(), "nothing was written")
}

fn agreeing_run() -> Result<(), Failed> {
    let folder = scratch();
    fs::create_dir(folder.path().join("snapshots"))?;
    let file = scenario(folder.path(), "refused.kdl", &two_hosts("curl http://server/", ""));
    let accepted = workbench().arg("run").arg("--accept").arg(&file).output()?;
    expect(accepted.status.success(), texts(&accepted).0 + &texts(&accepted).1)?;
    let snapshot = folder.path().join("snapshots/refused/it.snap");
    let before = (fs::read(&snapshot)?, fs::metadata(&snapshot)?.modified()?);
    let again = workbench().arg("run").arg(&file).output()?;
    expect(again.status.success(), texts(&again).0)?;
    expect(before == (fs::read(&snapshot)?, fs::metadata(&snapshot)?.modified()?), "the snapshot is untouched")?;
    let names: Vec<_> =
        fs::read_dir(folder.path().join("snapshots/refused"))?.flatten().map(|e| e.file_name()).collect();
    expect(names.len() == 1, format!("nothing else was written: {names:?}"))
}

fn changed_world() -> Result<(), Failed> {
    let folder = scratch();
    fs::create_dir(folder.path().join("snapshots"))?;
    let file = scenario(folder.path(), "retries.kdl", &retries(1));
    let accepted = workbench().arg("run").arg("--accept").arg(&file).output()?;
    expect(accepted.status.success(), texts(&accepted).0 + &texts(&accepted).1)?;
    scenario(folder.path(), "retries.kdl", &retries(2));
    let output = workbench().arg("run").arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(1), format!("{:?}: {out}{err}", output.status))?;
    expect(out.contains("retransmission 2"), format!("the diff names the third SYN: {out}"))?;
    expect(folder.path().join("snapshots/retries/curl.snap.new").exists(), "a pending snapshot was written")
}

fn judged_again() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "refused.kdl", &two_hosts("curl http://server/", ""));
    let kept = folder.path().join("kept");
    let output = workbench().args(["run", "--no-snapshot", "--artifacts"]).arg(&kept).arg(&file).output()?;
    expect(output.status.success(), texts(&output).0 + &texts(&output).1)?;
    let judged = workbench().arg("judge").arg(kept.join("refused/it/evidence.json")).output()?;
    expect(judged.status.success(), texts(&judged).1)?;
    let timeline = fs::read_to_string(kept.join("refused/it/timeline.txt"))?;
    expect(texts(&judged).0 == timeline, format!("{}\nagainst\n{timeline}", texts(&judged).0))
}

fn refused_sysctl() -> Result<(), Failed> {
    let folder = scratch();
    let text = "namespace client {\n    sysctl \"net.ipv4.tcp_syn_retries\" 0\n}\nnamespace server\n\
                link client server\nrun it in=client \"true\"\n";
    let file = scenario(folder.path(), "refused.kdl", text);
    let output = workbench().args(["run", "--no-snapshot"]).arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(2), format!("{:?}: {out}{err}", output.status))?;
    let said = out + &err;
    expect(said.contains("EINVAL") && said.contains(":2:") && said.contains("tcp_syn_retries"), said)
}

fn failed_expectation() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "x.kdl", &two_hosts("sh -c \"exit 7\"", "expect exit=3"));
    let output = workbench().args(["run", "--no-snapshot"]).arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(1), format!("{:?}: {out}{err}", output.status))?;
    expect(out.contains('3') && out.contains('7'), out)
}

fn hostile_output() -> Result<(), Failed> {
    let folder = scratch();
    let text = two_hosts(r"printf '\033]0;owned\007\033[2J'", r#"expect stdout="nothing of it""#);
    let file = scenario(folder.path(), "x.kdl", &text);
    for format in ["text", "json"] {
        let output = workbench().args(["run", "--no-snapshot", "-v", "--format", format]).arg(&file).output()?;
        let (out, err) = texts(&output);
        expect(output.status.code() == Some(1), format!("{:?}: {out}{err}", output.status))?;
        expect(!out.contains('\u{1b}') && !err.contains('\u{1b}'), format!("an escape got through: {out:?}"))?;
    }
    Ok(())
}

fn standard_input() -> Result<(), Failed> {
    let cases = [("stdin \"empty\"", "cat; echo end", "end"), ("stdin text=\"told\"", "cat; echo end", "toldend")];
    for (stdin, script, wanted) in cases {
        let folder = scratch();
        let text = two_hosts(&format!("sh -c '{script}'"), &format!("{stdin}; expect stdout={wanted:?}"));
        let file = scenario(folder.path(), "x.kdl", &text);
        let output = workbench().args(["run", "--no-snapshot"]).arg(&file).output()?;
        expect(output.status.success(), format!("{stdin}: {}{}", texts(&output).0, texts(&output).1))?;
    }
    let folder = scratch();
    let text = "namespace client\nrun it in=client \"cat\" deadline=\"300ms\" { stdin \"silent\"; }\n";
    let file = scenario(folder.path(), "x.kdl", text);
    let output = workbench().args(["run", "--no-snapshot", "--format", "json"]).arg(&file).output()?;
    let report: Value = serde_json::from_str(texts(&output).0.trim())?;
    let last = report["events"].as_array().and_then(|events| events.last()).map(|event| event["text"].to_string());
    let is_running = last.is_some_and(|text| text.contains("still running at the deadline"));
    expect(report["status"] == "pass" && is_running, format!("still running at its deadline: {report}"))
}

fn missing_program() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "x.kdl", &two_hosts("no-such-program", ""));
    let output = workbench().args(["run", "--no-snapshot"]).arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(3), format!("{:?}: {out}{err}", output.status))?;
    expect((out.clone() + &err).contains("no-such-program"), out + &err)
}

fn hidden_machine() -> Result<(), Failed> {
    let script =
        "ls /run /tmp /var/tmp /dev/shm $HOME | grep -v -e : -e home; ls /etc; env; id -u; cat /proc/self/uid_map";
    let folder = scratch();
    let text = format!("namespace client\nrun it in=client \"sh\" \"-c\" {script:?}\n");
    let file = scenario(folder.path(), "x.kdl", &text);
    let kept = folder.path().join("kept");
    let output = workbench()
        .args(["run", "--no-snapshot", "--artifacts"])
        .arg(&kept)
        .arg(&file)
        .env("http_proxy", "http://proxy.invalid/")
        .output()?;
    expect(output.status.success(), texts(&output).0 + &texts(&output).1)?;
    let seen = fs::read_to_string(kept.join("x/it/stdout"))?;
    expect(!seen.contains("proxy") && seen.contains("LANG=C.UTF-8"), format!("a clean environment: {seen}"))?;
    expect(!seen.lines().any(|l| l == "wgetrc" || l == "shadow" || l == "ssh"), format!("a private /etc: {seen}"))?;
    expect(seen.lines().any(|l| l.split_whitespace().last() == Some("1") && l.trim().starts_with('0')), seen)
}

fn unwritable_machine() -> Result<(), Failed> {
    let folder = scratch();
    let place = folder.path().join("written").display().to_string();
    let script = format!(
        "touch /usr/written {place}; echo 60 > /proc/sys/vm/swappiness; echo 0 > /proc/sysrq-trigger; \
         echo written > /dev/kmsg; mkdir /sys/fs/cgroup/written; ls /sys /root; echo done > /dev/null; echo survived"
    );
    let text =
        format!("namespace client\nrun it in=client \"sh\" \"-c\" {script:?} {{ expect stdout=\"survived\"; }}\n");
    let file = scenario(folder.path(), "x.kdl", &text);
    let output = workbench().args(["run", "--no-snapshot", "-v"]).arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.success(), format!("{out}{err}"))?;
    expect(!Path::new(&place).exists() && !Path::new("/usr/written").exists(), "nothing was written")?;
    let refused = out.matches("Read-only file system").count();
    // A kernel without the magic key has no sysrq-trigger to refuse.
    expect(refused >= 3, format!("two files and swappiness are refused: {out}"))
}

fn missing_tool() -> Result<(), Failed> {
    let folder = scratch();
    let text = format!("requires tool=\"no-such-tool\"\n{}", two_hosts("true", ""));
    let file = scenario(folder.path(), "x.kdl", &text);
    let output = workbench().args(["run", "--no-snapshot", "--deny-skips", "--format", "json"]).arg(&file).output()?;
    let report: Value = serde_json::from_str(texts(&output).0.trim())?;
    expect(report["status"] == "skipped" && output.status.code() == Some(3), format!("{report}"))?;
    expect(report["reason"].as_str().is_some_and(|why| why.contains("no-such-tool")), format!("{report}"))
}

fn unbelievable_output() -> Result<(), Failed> {
    let folder = scratch();
    let text = two_hosts("sh -c 'head -c 1000000 /dev/zero; echo the end'", "expect stdout=\"the end\"");
    let file = scenario(folder.path(), "x.kdl", &text);
    let output = workbench().args(["run", "--accept", "--format", "json"]).arg(&file).output()?;
    let report: Value = serde_json::from_str(texts(&output).0.trim())?;
    expect(report["status"] == "inconclusive" && output.status.code() == Some(4), format!("{report}"))?;
    let told = texts(&workbench().args(["run", "--no-snapshot"]).arg(&file).output()?).0;
    expect(told.matches("inconclusive").count() == 1, format!("the reason is told once: {told}"))?;
    expect(!folder.path().join("snapshots").exists(), "and no snapshot was accepted")
}

fn broken_pipe() -> Result<(), Failed> {
    let mut child = workbench().args(["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    expect(texts(&output).1.is_empty(), texts(&output).1)
}

fn foreign_evidence() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "evidence.json", "{\"format_version\": 99}");
    let output = workbench().arg("judge").arg(&file).output()?;
    let err = texts(&output).1;
    expect(output.status.code() == Some(2) && err.contains("99"), err)
}
