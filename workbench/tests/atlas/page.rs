//! docs/atlas.md: a table for each part, a line for each row, what is so now taken from the snapshots.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use libtest_mimic::Failed;
use workbench::evidence::Ending;
use workbench::scenario::{SourceFile, parse};
use workbench::snapshot::{Snapshot, Store};

use super::rows::{Part, Row, Shown};
use crate::support::root;

const HEAD: &str = "\
<!-- Made by `just atlas` from docs/atlas.kdl and the snapshots; do not edit. -->

# The atlas

Every behaviour that the source documents show, what they saw on their systems, and what today's tools and kernels do. Each
line links to the scenario that brings it about and to the snapshot that a run is held against. Figures are from those
snapshots; so are the versions.
";

/// The page, and what is missing for it to be whole.
pub struct Page {
    pub text: String,
    pub missing: Vec<String>,
    /// Scenarios that a row refers to.
    pub used: BTreeSet<String>,
}

/// Makes the page.
pub fn make(parts: &[Part]) -> Result<Page, Failed> {
    let mut page = Page { text: HEAD.to_owned(), missing: Vec::new(), used: BTreeSet::new() };
    for part in parts {
        let _ = write!(page.text, "\n## {}. {}\n", part.letter, part.title);
        if let Some(document) = &part.document {
            let system = part.system.as_ref().map_or(String::new(), |system| format!(", {system}"));
            let _ = write!(page.text, "\nThen: 「{document}」{system}.\n");
        }
        page.text.push_str("\n| case | then | now | scenario, snapshot |\n|---|---|---|---|\n");
        for row in &part.rows {
            let line = line(row, &mut page)?;
            page.text.push_str(&line);
        }
    }
    Ok(page)
}

fn line(row: &Row, page: &mut Page) -> Result<String, Failed> {
    let (mut now, mut links) = (Vec::new(), Vec::new());
    for shown in &row.shown {
        match shown {
            Shown::Test(name) => links.push(format!("test `{name}`")),
            Shown::Scenario { name, run } => scenario(row, name, run.as_deref(), page, &mut now, &mut links)?,
        }
    }
    if links.is_empty() {
        page.missing.push(format!("{}: nothing shows it", row.id));
    }
    now.extend(row.difference.clone());
    let command = row.command.as_ref().map_or(String::new(), |command| format!("<br>`{command}`"));
    let then = row.then.as_deref().unwrap_or("–");
    let cells = [format!("{}{command}", row.case), then.to_owned(), now.join("<br>"), links.join("<br>")];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    Ok(format!("| {} |\n", cells.join(" | ")))
}

fn scenario(
    row: &Row,
    name: &str,
    run: Option<&str>,
    page: &mut Page,
    now: &mut Vec<String>,
    links: &mut Vec<String>,
) -> Result<(), Failed> {
    page.used.insert(name.to_owned());
    let file = root().join(format!("scenarios/{name}.kdl"));
    if !file.is_file() {
        page.missing.push(format!("{}: no scenario {name}", row.id));
        return Ok(());
    }
    let scenarios = parse(&SourceFile::read(&file)?)?;
    let store = Store::for_scenario(&file)?;
    let plans = workbench::plan::build(&scenarios);
    let wanted = plans.iter().filter(|plan| run.is_none_or(|run| plan.run == run));
    let mut snapshots = Vec::new();
    for snapshot_name in wanted.flat_map(|plan| plan.snapshot_names()) {
        match store.load(&snapshot_name)? {
            Some(snapshot) => {
                now.push(format!("**{snapshot_name}**: {}", told(&snapshot)));
                snapshots.push(format!("[{snapshot_name}](../snapshots/{name}/{snapshot_name}.snap)"));
            }
            None => page.missing.push(format!("{}: no snapshot of {snapshot_name} in {name}", row.id)),
        }
    }
    if snapshots.is_empty() {
        page.missing.push(format!("{}: no run in {name}", row.id));
    }
    links.push(format!("[{name}](../scenarios/{name}.kdl): {}", snapshots.join(", ")));
    Ok(())
}

/// How a run ended, after how long and by what, on what it was seen.
fn told(snapshot: &Snapshot) -> String {
    let summary = &snapshot.claims.summary;
    let how = match &summary.how {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(name) => name.clone(),
        Ending::Deadline => "nothing yet".to_owned(),
        Ending::ExecFailed(errno) => format!("not executed: {errno}"),
    };
    let seconds = summary.after_ns as f64 / 1e9;
    let cause = snapshot.claims.ended_by.as_ref().map_or(String::new(), |cause| format!("; {cause}"));
    let tool = summary.command.split_whitespace().next().unwrap_or_default();
    let version = snapshot.recording.tools.get(tool).map_or(String::new(), |text| format!("{}, ", short(text)));
    let kernel = snapshot.recording.kernel.split('-').next().unwrap_or_default();
    format!("{how} after {seconds:.3} s{cause} ({version}Linux {kernel})")
}

/// The name and the number of a version's first line.
fn short(version: &str) -> String {
    let words: Vec<&str> = version.split_whitespace().collect();
    let number = words.iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    let number = number.map_or("", |number| number.trim_end_matches([',', ';']));
    format!("{} {number}", words.first().copied().unwrap_or_default()).trim_end().to_owned()
}
