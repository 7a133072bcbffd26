//! docs/atlas.md: for each part a table to find a row by, and a short section for each row; what is so now is taken from
//! the snapshots. Cells of a table stay short, because long ones cannot be read in a terminal.

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

Every behaviour that the source documents show: what they saw on their systems, and what today's tools and kernels do. A row
names its scenarios and the snapshots that each run is held against; how a run ended, after how long, by which timer,
with which tool and on which kernel is taken from those snapshots. What has changed since is said in a sentence.
";

/// A table's cell is shortened to so many causes.
const CAUSES_IN_A_CELL: usize = 2;

/// So many snapshots of a scenario are linked to in a cell; the row's section has them all.
const SNAPSHOTS_IN_A_CELL: usize = 4;

/// Programs that a run may need and is not about.
const HELPERS: &[&str] = &["sh", "bash", "sleep", "head"];

/// The page, and what is missing for it to be whole.
pub struct Page {
    pub text: String,
    pub missing: Vec<String>,
    /// Runs that a row refers to: `tools/wget-read / once`.
    pub used: BTreeSet<String>,
}

/// What the snapshots of one row say.
#[derive(Default)]
struct Now {
    /// A line for each snapshot.
    lines: Vec<String>,
    /// What ended them, without repetitions.
    causes: Vec<String>,
    /// For the table: scenarios with their snapshots.
    links: Vec<String>,
}

/// Makes the page.
pub fn make(parts: &[Part]) -> Result<Page, Failed> {
    let mut page = Page { text: HEAD.to_owned(), missing: Vec::new(), used: BTreeSet::new() };
    for part in parts {
        let _ = writeln!(page.text, "\n## {}. {}", part.letter, part.title);
        if let Some(document) = &part.document {
            let system = part.system.as_ref().map_or(String::new(), |system| format!(" ({system})"));
            let _ = writeln!(page.text, "\nFrom the document `{document}`{system}.");
        }
        let mut sections = String::new();
        page.text.push_str("\n| case | then | now ended by | scenario: snapshots |\n|---|---|---|---|\n");
        for row in &part.rows {
            let now = now(row, &mut page)?;
            let (case, then) = (cell(&row.case), cell(row.then.as_deref().unwrap_or("–")));
            let (causes, links) = (cell(&summary(&now.causes)), now.links.join("; "));
            let _ = writeln!(page.text, "| [{case}](#{}) | {then} | {causes} | {links} |", row.id);
            section(&mut sections, part, row, &now);
        }
        page.text.push_str(&sections);
    }
    Ok(page)
}

/// Its heading is the row's id, so that a link to it outlives a change of words.
fn section(out: &mut String, part: &Part, row: &Row, now: &Now) {
    let _ = writeln!(out, "\n### {}\n\n{}\n", row.id, text(&row.case));
    let _ = writeln!(out, "- **Case:** {}", text(&row.command));
    if let Some(then) = &row.then {
        let system = part.system.as_deref().unwrap_or("the document");
        let _ = writeln!(out, "- **Then** ({}): {}", text(system), text(then));
    }
    match now.lines.is_empty() {
        true => out.push_str("- **Now:** nothing shows it yet\n"),
        false => out.push_str("- **Now:**\n"),
    }
    for line in &now.lines {
        let _ = writeln!(out, "  - {line}");
    }
    if let Some(difference) = &row.difference {
        let _ = writeln!(out, "- **What changed:** {}", text(difference));
    }
}

fn summary(causes: &[String]) -> String {
    let mut summary = causes.iter().take(CAUSES_IN_A_CELL).cloned().collect::<Vec<_>>().join("; ");
    if causes.len() > CAUSES_IN_A_CELL {
        summary.push_str("; …");
    }
    summary
}

/// As it stands in Markdown: nothing in it is markup.
fn text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\`*<[]|".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The same in one cell of a table.
fn cell(text: &str) -> String {
    self::text(text).replace('\n', " ")
}

fn now(row: &Row, page: &mut Page) -> Result<Now, Failed> {
    let mut now = Now::default();
    for shown in &row.shown {
        match shown {
            Shown::Test(name) => {
                now.lines.push(format!("held by the test `{name}`"));
                now.links.push(format!("test `{name}`"));
            }
            Shown::Scenario { name, run } => scenario(row, name, run.as_deref(), page, &mut now)?,
        }
    }
    if row.shown.is_empty() {
        page.missing.push(format!("{}: it names no scenario", row.id));
    }
    Ok(now)
}

fn scenario(row: &Row, name: &str, run: Option<&str>, page: &mut Page, now: &mut Now) -> Result<(), Failed> {
    let file = root().join(format!("scenarios/{name}.kdl"));
    if !file.is_file() {
        page.missing.push(format!("{}: there is no scenario {name}", row.id));
        return Ok(());
    }
    let store = Store::for_scenario(&file)?;
    let plans = workbench::plan::build(&parse(&SourceFile::read(&file)?)?);
    let is_meant = |called: &str, template: Option<&str>| run.is_none_or(|run| run == called || Some(run) == template);
    let (mut runs, mut snapshots) = (0, Vec::new());
    for plan in plans.iter().filter(|plan| is_meant(&plan.run, plan.template.as_deref())) {
        runs += 1;
        page.used.insert(format!("{name} / {}", plan.run));
        for snapshot_name in plan.snapshot_names() {
            let Some(snapshot) = store.load(&snapshot_name)? else {
                page.missing.push(format!("{}: {name} / {snapshot_name} has no snapshot", row.id));
                continue;
            };
            let links = format!(
                "[{name}](../scenarios/{name}.kdl), [{snapshot_name}](../snapshots/{name}/{snapshot_name}.snap)"
            );
            now.lines.push(format!("{links}: {}", text(&told(&snapshot))));
            snapshots.push(format!("[{snapshot_name}](../snapshots/{name}/{snapshot_name}.snap)"));
            let cause =
                snapshot.claims.ended_by.as_ref().map_or("nothing that is known".to_owned(), ToString::to_string);
            if !now.causes.contains(&cause) {
                now.causes.push(cause);
            }
        }
    }
    let more = if snapshots.len() > SNAPSHOTS_IN_A_CELL { ", …" } else { "" };
    snapshots.truncate(SNAPSHOTS_IN_A_CELL);
    now.links.push(format!("[{name}](../scenarios/{name}.kdl): {}{more}", snapshots.join(", ")));
    if runs == 0 {
        page.missing.push(format!("{}: {name} has no run {}", row.id, run.unwrap_or("at all")));
    }
    Ok(())
}

/// How a run ended, after how long and by what, and on what that was recorded.
fn told(snapshot: &Snapshot) -> String {
    let (summary, recording) = (&snapshot.claims.summary, &snapshot.recording);
    let how = match &summary.how {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(name) => name.clone(),
        Ending::Deadline => "still running".to_owned(),
        Ending::ExecFailed(errno) => format!("not executed: {errno}"),
    };
    let seconds = summary.after_ns as f64 / 1e9;
    let cause = snapshot.claims.ended_by.as_ref().map_or(String::new(), |cause| format!(", ended by {cause}"));
    let program = summary.command.split_whitespace().next().unwrap_or_default();
    let is_shown = |name: &str| name == program || HELPERS.contains(&program);
    let tools = recording.tools.iter().filter(|(name, _)| is_shown(name) && !HELPERS.contains(&name.as_str()));
    let mut on: Vec<String> = tools.map(|(name, version)| short(name, version)).collect();
    on.push(format!("Linux {}", recording.kernel.split('-').next().unwrap_or_default()));
    format!("{how} after {seconds:.3} s{cause} ({})", on.join(", "))
}

/// A tool's name and the number of its version, out of whatever it prints.
fn short(name: &str, version: &str) -> String {
    let is_number = |word: &&str| word.contains('.') && word.chars().any(|c| c.is_ascii_digit()) && !word.contains('/');
    // `Ver 15.1 Distrib 10.11.14-MariaDB`: the first is that of its options.
    let words = version.rsplit("Distrib ").next().unwrap_or(version).split_whitespace();
    match words.map(|word| word.trim_matches(['(', ')', '[', ']', ',', ';'])).find(is_number) {
        Some(number) if name.starts_with("nc.") || version.starts_with('[') => format!("{name} {number}"),
        Some(number) => format!("{name} {}", number.trim_start_matches('v')),
        None => name.to_owned(),
    }
}
