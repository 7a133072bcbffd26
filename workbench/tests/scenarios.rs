//! The repository's own scenarios against their snapshots: a trial for each in virtual time, and for each quick one on
//! this machine's kernel, through the binary, as CI runs them. A run that cannot be done, or whose machine stalled, is no pass: it
//! is counted as skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::scenario::SourceFile;
use workbench::snapshot::{Store, unreferenced};

use crate::support::deadlines::contradiction;
use crate::support::virtual_engine::{virtual_engine, virtual_trial};
use crate::support::{no_labs, root, texts, workbench};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("every_snapshot_belongs_to_a_run_of_a_scenario", no_orphans),
        Trial::test("a_snapshot_of_a_range_of_kernels_is_of_one_and_says_which_and_why", ranges_are_told),
    ];
    trials.push(virtual_trial("scenario_timeline_and_verdict_name_the_same_deadline", same_deadlines));
    for file in scenarios() {
        let below = file.strip_prefix(root().join("scenarios")).unwrap_or(&file).with_extension("");
        let name = below.to_string_lossy().replace('/', "::");
        let also = file.clone();
        trials.push(Trial::ignorable_test(format!("scenario_{name}_agrees_in_virtual_time"), move || {
            virtual_engine().map_or_else(|why| Ok(Completion::ignored_with(why)), |run| agrees(run, &also))
        }));
        if is_quick(&file) {
            trials.push(Trial::ignorable_test(format!("scenario_{name}_agrees_with_its_snapshots"), move || {
                agrees_here(&file)
            }));
        }
    }
    trials
}

/// Whether a scenario has the tag `quick`. One that cannot be read fails a trial of its own.
fn is_quick(file: &Path) -> bool {
    let Ok(source) = SourceFile::read(file) else { return false };
    workbench::scenario::parse(&source)
        .is_ok_and(|all| all.iter().flat_map(|scenario| &scenario.tags).any(|tag| tag.value == "quick"))
}

/// The scenarios in the folder and below it, without the parts that they use.
fn scenarios() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("scenarios")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true if path.ends_with("common") => {}
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "kdl") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files
}

/// In every run of every scenario.
fn same_deadlines() -> Result<Completion, Failed> {
    let run = virtual_engine()?.args(["--format", "json", "--no-snapshot"]).arg(root().join("scenarios")).output()?;
    let (out, err) = texts(&run);
    let reports: Vec<Value> = out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    if reports.len() < scenarios().len() {
        return Err(format!("{} reports: {err}", reports.len()).into());
    }
    let contradictions: Vec<String> = reports.iter().filter_map(contradiction).collect();
    if contradictions.is_empty() { Ok(Completion::Completed) } else { Err(contradictions.join("\n").into()) }
}

fn agrees_here(file: &Path) -> Result<Completion, Failed> {
    match no_labs() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => {
            let mut run = workbench();
            run.arg("run");
            agrees(run, file)
        }
    }
}

/// `run` is `workbench run` with the engine's options.
fn agrees(mut run: Command, file: &Path) -> Result<Completion, Failed> {
    let output = run.args(["--format", "json"]).arg(file).env("CI", "true").output()?;
    let (out, err) = texts(&output);
    let mut not_run = Vec::new();
    for line in out.lines() {
        let report: Value = serde_json::from_str(line)?;
        match report["status"].as_str() {
            Some("pass") => {}
            Some("skipped" | "inconclusive") => not_run.push(format!("{}: {}", report["run"], report["reason"])),
            status => {
                let (run, reason) = (&report["run"], &report["reason"]);
                return Err(format!("{run}: {}: {reason} {}\n{err}", status.unwrap_or("?"), report["findings"]).into());
            }
        }
    }
    if out.is_empty() {
        return Err(format!("no run: {err}").into());
    }
    Ok(if not_run.is_empty() { Completion::Completed } else { Completion::ignored_with(not_run.join("; ")) })
}

/// A snapshot that no run is held against proves nothing and misleads its reader.
fn no_orphans() -> Result<(), Failed> {
    let mut known = BTreeSet::new();
    for file in scenarios() {
        let store = Store::for_scenario(&file)?;
        let scenario = workbench::scenario::parse(&SourceFile::read(&file)?)?;
        let plans = workbench::plan::build(&scenario);
        known.extend(plans.iter().flat_map(|plan| plan.snapshot_names()).map(|name| store.path(&name)));
    }
    let orphans = unreferenced(&root().join("snapshots"), &known)?;
    if orphans.is_empty() { Ok(()) } else { Err(format!("these belong to no run: {orphans:?}").into()) }
}

/// The file of a range of kernels was recorded on one of them, and its header has the range and the scenario's reason.
fn ranges_are_told() -> Result<(), Failed> {
    let mut ranges = 0;
    for file in scenarios() {
        let store = Store::for_scenario(&file)?;
        let scenario = workbench::scenario::parse(&SourceFile::read(&file)?)?;
        for plan in workbench::plan::build(&scenario).into_iter().filter(|plan| !plan.differs.is_empty()) {
            for name in plan.snapshot_names() {
                let Some(snapshot) = store.load(&name)? else {
                    return Err(format!("there is no {}", store.path(&name).display()).into());
                };
                let recording = &snapshot.recording;
                let range = plan.range_of(&recording.kernel);
                let versions = [range.since, range.before].map(|differs| differs.map(|differs| differs.since.clone()));
                let why = range.since.or(range.before).map(|differs| differs.why.clone());
                let told = recording.holds.clone().map(|holds| ([holds.since, holds.before], Some(holds.why)));
                if plan.snapshot_name(&recording.kernel) != name || told != Some((versions, why)) {
                    return Err(format!("{}: {recording:?}", store.path(&name).display()).into());
                }
                ranges += 1;
            }
        }
    }
    if ranges >= 4 { Ok(()) } else { Err(format!("only {ranges} snapshots of ranges are found").into()) }
}
