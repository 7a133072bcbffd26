//! Several kernels in one command: `compare` side by side, and `run` with a line, a snapshot and artifacts for each.

use std::collections::BTreeSet;
use std::process::Output;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::kernels;

use crate::support::virtual_engine::virtual_engine;
use crate::support::{scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        several("compare_shows_what_a_kernel_does_otherwise_and_that_nobody_says_so", differs),
        several("compare_agrees_where_all_kernels_do_and_needs_no_snapshot", agrees),
        several("compare_gives_programs_an_object_for_each_run", json),
        several("several_kernels_in_one_run_have_lines_and_artifacts_of_their_own", lines_and_artifacts),
        several("what_one_kernel_does_is_not_replaced_by_another_in_the_same_command", accepted_once),
        Trial::ignorable_test("compare_with_one_kernel_has_nothing_to_compare", || match virtual_engine() {
            Err(why) => Ok(Completion::ignored_with(why)),
            Ok(_) => one_kernel().map(|()| Completion::Completed),
        }),
    ]
}

/// A trial that needs two kernels: skipped, with the reason, where there are fewer.
fn several(name: &'static str, body: fn(&[String]) -> Result<(), Failed>) -> Trial {
    Trial::ignorable_test(name, move || {
        let kernels = match kernels::select(Some("all"), kernels::host_hz()) {
            Ok(kernels) => kernels,
            Err(why) => return Ok(Completion::ignored_with(why.to_string())),
        };
        let releases: Vec<String> = kernels.into_iter().map(|kernel| kernel.about.release).collect();
        match &releases[..] {
            [] | [_] => Ok(Completion::ignored_with(format!("needs two kernels, and there is {}", releases.join(" ")))),
            several => body(several).map(|()| Completion::Completed),
        }
    })
}

/// Ends with another code on the first kernel than on all others: whatever kernels there are, they differ.
fn telling(releases: &[String]) -> String {
    let first = &releases[0];
    format!("namespace client\nrun sh in=client sh -c \"case $(uname -r) in {first}) exit 3;; esac; exit 4\"\n")
}

fn compare(text: &str, options: &[&str]) -> Result<Output, Failed> {
    let folder = scratch();
    let snapshots = folder.path().join("snapshots");
    std::fs::create_dir(&snapshots)?;
    let file = scenario(folder.path(), "tiny.kdl", text);
    let output = workbench().arg("compare").args(options).arg(&file).output()?;
    assert_eq!(std::fs::read_dir(snapshots)?.count(), 0, "compare writes no snapshots");
    Ok(output)
}

fn differs(releases: &[String]) -> Result<(), Failed> {
    let output = compare(&telling(releases), &[])?;
    let (out, err) = texts(&output);
    let headline = format!("tiny / sh: {} does otherwise than {}", releases[1], releases[0]);
    for expected in ["exit 3, ", "exit 4, ", &headline, "unmarked: ", "- exit 3 after", "+ exit 4 after"] {
        assert!(out.contains(expected), "{expected}:\n{out}{err}");
    }
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    // Marked at the second kernel's own version, the difference is accounted for.
    let version: Vec<&str> = releases[1].split('.').take(3).collect();
    let mark = format!("{{\n    differs since=\"{}\" \"the test says so\"\n}}\n", version.join("."));
    let text = telling(releases).trim_end().to_owned() + " " + &mark;
    let output = compare(&text, &[])?;
    let (out, err) = texts(&output);
    assert!(out.contains(": the test says so\n"), "{out}{err}");
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    Ok(())
}

fn agrees(releases: &[String]) -> Result<(), Failed> {
    let output = compare("namespace client\nrun sleep in=client \"sleep 3\"\n", &[])?;
    let (out, err) = texts(&output);
    let row = out.lines().find(|line| line.contains("exit 0, 3.00")).ok_or_else(|| format!("{out}{err}"))?;
    assert_eq!(row.matches(" =").count(), releases.len() - 1, "{out}");
    assert!(out.ends_with("\n1 compared: 0 differ by kernel\n"), "{out}");
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    Ok(())
}

fn json(releases: &[String]) -> Result<(), Failed> {
    let (newest, oldest) = (&releases[releases.len() - 1], &releases[0]);
    // Asked for in any order, they stand in that of their versions.
    let output = compare(&telling(releases), &["--format", "json", "--kernel", &format!("{newest},{oldest}")])?;
    let (out, err) = texts(&output);
    let report: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}{err}"))?;
    let kernels: Vec<&Value> = report["kernels"].as_array().ok_or("no kernels")?.iter().map(|k| &k["kernel"]).collect();
    assert_eq!(kernels, [oldest, newest]);
    assert_eq!([&report["kernels"][0]["exit_code"], &report["kernels"][1]["exit_code"]], [3, 4]);
    assert_eq!(report["differences"][0]["marks"], Value::Array(vec![]));
    assert_eq!(output.status.code(), Some(1), "{err}");
    Ok(())
}

fn lines_and_artifacts(releases: &[String]) -> Result<(), Failed> {
    let folder = scratch();
    let file =
        scenario(folder.path(), "tiny.kdl", "namespace client\nrun a in=client \"true\"\nrun b in=client \"true\"\n");
    scenario(folder.path(), "other.kdl", "namespace client\nrun c in=client \"true\"\n");
    let kept = folder.path().join("kept");
    let mut command = virtual_engine()?;
    command.args(["--kernel", "all", "--no-snapshot", "--artifacts"]).arg(&kept).arg(folder.path());
    let (out, err) = texts(&command.output()?);
    for release in releases {
        assert!(out.lines().any(|line| line.contains(release) && line.contains("tiny / a: exit 0")), "{out}{err}");
        assert!(kept.join(format!("tiny/a@{release}/evidence.json")).is_file(), "{out}{err}");
    }
    let lines: Vec<&str> = out.lines().filter(|line| line.contains(" / ")).collect();
    assert_eq!(lines.len(), 3 * releases.len(), "{out}");
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "{out}");
    // One kernel needs no name.
    let mut command = virtual_engine()?;
    command.args(["--no-snapshot", "--artifacts"]).arg(&kept).arg(&file).output()?;
    assert!(kept.join("tiny/a/evidence.json").is_file());
    Ok(())
}

fn accepted_once(releases: &[String]) -> Result<(), Failed> {
    let folder = scratch();
    std::fs::create_dir(folder.path().join("snapshots"))?;
    let file = scenario(folder.path(), "tiny.kdl", &telling(releases));
    let run = |options: &[&str]| -> Result<(Option<i32>, String), Failed> {
        let output = virtual_engine()?.args(["--kernel", "all"]).args(options).arg(&file).output()?;
        let (out, err) = texts(&output);
        Ok((output.status.code(), out + &err))
    };
    let accepted = folder.path().join("snapshots/tiny/sh.snap");
    let pending = accepted.with_extension("snap.new");
    let (code, out) = run(&["--accept"])?;
    assert!(out.contains(&format!("not accepted: {} did otherwise", releases[0])), "{out}");
    assert!(std::fs::read_to_string(&accepted)?.contains("exit 3 after"), "{out}");
    assert_eq!(code, Some(1), "{out}");
    let (code, out) = run(&[])?;
    assert!(std::fs::read_to_string(&pending)?.contains("exit 4 after"), "{out}");
    assert_eq!(code, Some(1), "{out}");
    // The other way round: what waits to be reviewed outlives a kernel that agrees.
    std::fs::rename(&pending, &accepted)?;
    let (_, out) = run(&[])?;
    assert!(std::fs::read_to_string(&pending)?.contains("exit 3 after"), "{out}");
    Ok(())
}

fn one_kernel() -> Result<(), Failed> {
    let newest = kernels::select(None, kernels::host_hz())?.remove(0).about.release;
    let output = compare("namespace client\nrun a in=client \"true\"\n", &["--kernel", &newest])?;
    let (out, err) = texts(&output);
    assert!(err.contains("nothing to compare with one kernel; `workbench kernel build"), "{out}{err}");
    assert_eq!(output.status.code(), Some(3), "{out}{err}");
    Ok(())
}
