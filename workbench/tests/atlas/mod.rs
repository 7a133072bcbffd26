//! The atlas: docs/atlas.kdl has its rows, docs/atlas.md is made from it and the snapshots. `UPDATE=1` writes the page.

mod page;
mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::support::root;

const PAGE: &str = "docs/atlas.md";

/// The rows that there have to be: one that is lost would not be missed otherwise.
const ROWS: &[&str] = &[
    "wget-dns",
    "wget-connect",
    "wget-read",
    "wget-timeout",
    "curl-connect",
    "curl-max-time",
    "nc-default",
    "nc-connect",
    "nc-idle",
    "mysql-default",
    "mysql-connect",
    "mysql-silent",
    "mysql-silent-timeout",
    "mysql-rcvtimeo",
    "mysql-refused",
    "mysql-socket",
    "mysql-works",
    "rsync-timeout",
    "rsync-works",
    "rsync-connect",
    "syn-default",
    "syn-retries-0",
    "syn-retries",
    "syn-shorter",
    "syn-longer",
    "syn-loopback",
    "syn-no-such-host",
    "timer-off",
    "timer-on-syn",
    "timer-on-data",
    "timer-keepalive",
    "timer-timewait",
    "timer-probe",
    "timer-unknown",
    "timewait-leaving",
    "three-views",
    "reuseaddr-without",
    "reuseaddr-both",
    "reuseaddr-first",
    "reuseaddr-second",
    "reuseaddr-picture",
    "reuseport",
    "nodelay",
    "cork",
    "sndbuf",
    "sndtimeo",
    "rcvtimeo",
    "keepalive",
    "linger",
    "shut-rd",
    "shut-wr",
    "shut-rdwr",
    "shut-duplicate",
    "shut-epipe",
    "retries2",
    "user-timeout",
    "fin-timeout",
    "orphan-retries",
    "synack-retries",
    "happy-eyeballs",
    "path-mtu",
    "path-mtu-black-hole",
    "icmp",
    "neighbour",
    "two-addresses",
    "two-resolvers",
    "never",
    "refused",
    "link-down",
    "routes",
];

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("atlas_every_row_has_a_scenario_and_a_snapshot", nothing_is_missing),
        Trial::test("atlas_the_page_is_what_its_rows_and_the_snapshots_say", page_is_true),
        Trial::test("atlas_every_run_of_a_scenario_belongs_to_a_row", every_scenario_has_a_row),
        Trial::test("atlas_every_test_that_a_row_names_is_there", tests_exist),
        Trial::test("atlas_every_scenario_teaches_and_says_how_long_it_takes", every_scenario_teaches),
    ]
}

/// With this set, rows may be empty: for the time in which scenarios are being written.
const MAY_BE_EMPTY: &str = "ATLAS_MAY_BE_EMPTY";

fn nothing_is_missing() -> Result<(), Failed> {
    let parts = rows::read()?;
    let mut ids = BTreeSet::new();
    let mut missing = Vec::new();
    for row in parts.iter().flat_map(|part| &part.rows) {
        if !ids.insert(row.id.as_str()) {
            missing.push(format!("{}: two rows are called so", row.id));
        }
    }
    missing.extend(ROWS.iter().filter(|id| !ids.contains(*id)).map(|id| format!("{id}: the row is gone")));
    let empty = page::make(&parts)?.missing;
    println!("{} rows; empty: {}", ids.len(), empty.len());
    if std::env::var_os(MAY_BE_EMPTY).is_none() {
        missing.extend(empty);
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n").into()) }
}

/// A row that no scenario can show names a test; there has to be one.
fn tests_exist() -> Result<(), Failed> {
    let mut source = String::new();
    let mut folders = vec![root().join("workbench")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    source.push_str(&fs::read_to_string(path)?);
                }
                false => {}
            }
        }
    }
    for row in rows::read()?.iter().flat_map(|part| &part.rows) {
        for shown in &row.shown {
            if let rows::Shown::Test(name) = shown
                && !source.contains(&format!("fn {name}()"))
                && !source.contains(&format!("\"{name}\""))
            {
                return Err(format!("{}: there is no test {name}", row.id).into());
            }
        }
    }
    Ok(())
}

fn page_is_true() -> Result<(), Failed> {
    let made = page::make(&rows::read()?)?.text;
    let file = root().join(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        return Ok(fs::write(file, made)?);
    }
    if fs::read_to_string(file)? == made { Ok(()) } else { Err(format!("{PAGE} is stale: run `just atlas`").into()) }
}

fn every_scenario_has_a_row() -> Result<(), Failed> {
    let used = page::make(&rows::read()?)?.used;
    let mut without = Vec::new();
    for name in names() {
        let file = root().join(format!("scenarios/{name}.kdl"));
        let scenarios = workbench::scenario::parse(&workbench::scenario::SourceFile::read(&file)?)?;
        let runs = workbench::plan::build(&scenarios).into_iter().map(|plan| format!("{name} / {}", plan.run));
        without.extend(runs.filter(|run| !used.contains(run)));
    }
    if without.is_empty() {
        Ok(())
    } else {
        Err(format!("in no row of {}:\n{}", rows::FILE, without.join("\n")).into())
    }
}

fn every_scenario_teaches() -> Result<(), Failed> {
    let mut complaints = Vec::new();
    for name in names() {
        let file = root().join(format!("scenarios/{name}.kdl"));
        let scenarios = workbench::scenario::parse(&workbench::scenario::SourceFile::read(&file)?)?;
        let Some(scenario) = scenarios.first() else { continue };
        let about = scenario.about.as_ref().map_or("", |about| about.value.as_str());
        if about.matches(['.', '?']).count() < 2 {
            complaints.push(format!("{name}: an `about` teaches in two or three sentences"));
        }
        if scenario.documented.is_empty() {
            complaints.push(format!("{name}: no `source`"));
        }
        if scenario.tags.iter().filter(|tag| ["quick", "slow"].contains(&tag.value.as_str())).count() != 1 {
            complaints.push(format!("{name}: either `tag quick` or `tag slow`"));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// Every scenario's path below scenarios/, without `.kdl`. What they use is in folders called `common`.
fn names() -> Vec<String> {
    let mut found = Vec::new();
    let base = root().join("scenarios");
    let mut open: Vec<PathBuf> = vec![base.clone()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() && path.file_name().is_some_and(|name| name != "common") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "kdl") {
                found.push(name_below(&base, &path));
            }
        }
    }
    found.sort();
    found
}

fn name_below(base: &Path, path: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).with_extension("").display().to_string()
}
