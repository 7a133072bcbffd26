//! The repository's own scenarios against their snapshots: a trial for each quick one, through the binary, as CI runs
//! them. A run that this machine cannot do, or whose machine stalled, is no pass: it is counted as skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::scenario::SourceFile;
use workbench::snapshot::{Store, unreferenced};

use crate::support::{no_labs, root, texts, workbench};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("every_snapshot_belongs_to_a_run_of_a_scenario", no_orphans),
        Trial::test("a_snapshot_of_a_range_of_kernels_is_of_one_and_says_which_and_why", ranges_are_told),
    ];
    for file in scenarios() {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if fs::read_to_string(&file).is_ok_and(|text| text.contains("tag \"quick\"")) {
            trials.push(Trial::ignorable_test(format!("scenario_{name}_agrees_with_its_snapshots"), move || {
                agrees(&file)
            }));
        }
    }
    trials
}

fn scenarios() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("scenarios")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "kdl")).collect();
    files.sort();
    files
}

fn agrees(file: &Path) -> Result<Completion, Failed> {
    if let Some(why) = no_labs() {
        return Ok(Completion::ignored_with(why));
    }
    let output = workbench().args(["run", "--format", "json"]).arg(file).env("CI", "true").output()?;
    let (out, err) = texts(&output);
    let mut not_run = Vec::new();
    for line in out.lines() {
        let report: Value = serde_json::from_str(line)?;
        match report["status"].as_str() {
            Some("pass") => {}
            Some("skipped" | "inconclusive") => not_run.push(format!("{}: {}", report["run"], report["reason"])),
            status => return Err(format!("{status:?}: {line}\n{err}").into()),
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
