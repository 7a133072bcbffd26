//! The atlas: docs/atlas.kdl has its rows, docs/atlas.md is made from it and the snapshots. `UPDATE=1` writes the page.

mod page;
mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::support::root;

const PAGE: &str = "docs/atlas.md";

/// The fewest rows that the source documents have, by part: one that is lost would not be missed otherwise.
const FEWEST: &[(&str, usize)] = &[("A", 21), ("B", 6), ("C", 8), ("D", 11), ("E", 4), ("F", 12)];

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("atlas_every_row_has_a_scenario_and_a_snapshot", nothing_is_missing),
        Trial::test("atlas_the_page_is_what_its_rows_and_the_snapshots_say", page_is_true),
        Trial::test("atlas_every_scenario_belongs_to_a_row", every_scenario_has_a_row),
        Trial::test("atlas_every_scenario_teaches_and_says_how_long_it_takes", every_scenario_teaches),
    ]
}

fn nothing_is_missing() -> Result<(), Failed> {
    let parts = rows::read()?;
    let mut ids = BTreeSet::new();
    for part in &parts {
        let fewest = FEWEST.iter().find(|(letter, _)| *letter == part.letter).map_or(1, |(_, fewest)| *fewest);
        if part.rows.len() < fewest {
            return Err(
                format!("part {} has {} rows, at least {fewest} are known", part.letter, part.rows.len()).into()
            );
        }
        for row in &part.rows {
            if !ids.insert(row.id.clone()) {
                return Err(format!("two rows are called {}", row.id).into());
            }
        }
    }
    if parts.len() < FEWEST.len() {
        return Err(format!("only {} parts", parts.len()).into());
    }
    let missing = page::make(&parts)?.missing;
    println!("{} rows, {} of them empty", ids.len(), missing.len());
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n").into()) }
}

fn page_is_true() -> Result<(), Failed> {
    let made = page::make(&rows::read()?)?.text;
    let file = root().join(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        return Ok(fs::write(file, made)?);
    }
    if fs::read_to_string(file)? == made { Ok(()) } else { Err(format!("{PAGE} is stale: run `just atlas`").into()) }
}

/// Those that show a single feature of the wire and not a row of the atlas.
fn is_of_the_wire(name: &str) -> bool {
    name.starts_with("netem-")
}

fn every_scenario_has_a_row() -> Result<(), Failed> {
    let used = page::make(&rows::read()?)?.used;
    let without: Vec<String> =
        names().into_iter().filter(|name| !used.contains(name) && !is_of_the_wire(name)).collect();
    if without.is_empty() { Ok(()) } else { Err(format!("in no row of {}: {without:?}", rows::FILE).into()) }
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
