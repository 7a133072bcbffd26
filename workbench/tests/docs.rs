//! The documentation, read as its readers read it: links lead somewhere, commands are understood, help fits a terminal.
//!
//! Whether a command prints what stands below it is not asked here: most of it depends on the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use clap::{CommandFactory, Parser};
use libtest_mimic::{Failed, Trial};
use workbench::cli::Cli;

use crate::support::root;

/// What most terminals have, and what clap wraps help to where there is none.
const WIDTH: usize = 80;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("docs_links_lead_somewhere", || verdict(&broken_links())),
        Trial::test("docs_every_page_can_be_reached_from_the_readme", || verdict(&unreachable_pages())),
        Trial::test("docs_every_command_is_understood", || verdict(&misunderstood(&commands_of_pages()))),
        Trial::test("docs_every_example_of_help_is_understood_and_fits_80_columns", || {
            let (examples, too_wide) = examples_of_help(&Cli::command());
            verdict(&[misunderstood(&examples), too_wide].concat())
        }),
    ]
}

fn verdict(complaints: &[String]) -> Result<(), Failed> {
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// The pages by path below the root, with their text.
fn pages() -> BTreeMap<String, String> {
    let docs = fs::read_dir(root().join("docs")).expect("docs/ is there").flatten();
    let pages = docs.map(|entry| format!("docs/{}", entry.file_name().to_string_lossy()));
    let paths = ["README.md", "CHANGELOG.md"].map(str::to_owned).into_iter().chain(pages);
    let markdown = paths.filter(|path| path.ends_with(".md"));
    markdown.map(|path| (path.clone(), fs::read_to_string(root().join(path)).expect("a text"))).collect()
}

/// The lines of a page outside of its fenced blocks, or those within.
fn lines(text: &str, fenced: bool) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        inside ^= is_fence;
        !is_fence && inside == fenced
    })
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<&str> {
    let targets = |line| str::split(line, "](").skip(1).filter_map(|rest| rest.split(')').next());
    lines(text, false).flat_map(targets).collect()
}

/// The anchors that a page's headings have on GitHub and GitLab: in small letters, without punctuation, with hyphens.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = lines(text, false).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Where a relative link leads: a path below the root, and an anchor there.
fn target(page: &str, link: &str) -> (String, Option<String>) {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor.to_owned())));
    let mut parts: Vec<&str> = page.split('/').collect();
    if !path.is_empty() {
        parts.pop();
    }
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    (parts.join("/"), anchor)
}

fn is_relative(link: &str) -> bool {
    !link.contains("://")
}

fn broken_links() -> Vec<String> {
    let pages = pages();
    let mut complaints = Vec::new();
    for (page, text) in &pages {
        for link in links(text).into_iter().filter(|link| is_relative(link)) {
            let (path, anchor) = target(page, link);
            if !root().join(&path).exists() {
                complaints.push(format!("{page}: there is no {path} ({link})"));
            }
            if let Some(anchor) = anchor
                && !pages.get(&path).is_some_and(|text| anchors(text).contains(&anchor))
            {
                complaints.push(format!("{page}: {path} has no heading #{anchor}"));
            }
        }
    }
    complaints
}

fn unreachable_pages() -> Vec<String> {
    let pages = pages();
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(page) = open.pop() {
        let text = pages.get(&page).map_or("", String::as_str);
        let next: Vec<String> = links(text).into_iter().map(|link| target(&page, link).0).collect();
        open.extend(next.into_iter().filter(|path| reached.insert(path.clone())));
    }
    pages.into_keys().filter(|page| !reached.contains(page)).map(|page| format!("no link leads to {page}")).collect()
}

/// The lines of a text that call the workbench, each with the place where it stands.
fn commands<'a>(place: &str, lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let command = |line: &'a str| line.trim_start().trim_start_matches("$ ").strip_prefix("workbench ");
    // What stands behind two spaces or a `#` says what the command does.
    let bare = |rest: &'a str| rest.split("  ").next().and_then(|rest| rest.split(" #").next()).unwrap_or_default();
    lines.filter_map(command).map(|rest| (place.to_owned(), format!("workbench {}", bare(rest)))).collect()
}

/// What stands in fenced and in indented blocks of the pages.
fn commands_of_pages() -> Vec<(String, String)> {
    let of_page = |(page, text): (String, String)| {
        let indented = lines(&text, false).filter(|line| line.starts_with("    "));
        commands(&page, indented.chain(lines(&text, true)))
    };
    // ARCHITECTURE.md draws trees of processes.
    let told = pages().into_iter().filter(|(page, _)| page != "docs/ARCHITECTURE.md");
    let found: Vec<(String, String)> = told.flat_map(of_page).collect();
    assert!(found.len() > 10, "the commands are not found any more: {found:?}");
    found
}

fn misunderstood(commands: &[(String, String)]) -> Vec<String> {
    let error = |(place, command): &(String, String)| {
        let error = Cli::try_parse_from(command.split_whitespace()).err()?;
        Some(format!("{place}: `{command}`: {error}"))
    };
    commands.iter().filter_map(error).collect()
}

/// The examples that stand below a command's help and that of the commands below it; and the lines that are too wide.
fn examples_of_help(command: &clap::Command) -> (Vec<(String, String)>, Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let place = format!("{} --help", command.get_name());
    let mut examples = commands(&place, help.lines());
    let is_wide = |line: &&str| line.chars().count() > WIDTH;
    let mut too_wide: Vec<String> =
        help.lines().filter(is_wide).map(|line| format!("{place}: wider than {WIDTH} columns: {line}")).collect();
    for below in command.get_subcommands() {
        let (more, wider) = examples_of_help(below);
        examples.extend(more);
        too_wide.extend(wider);
    }
    (examples, too_wide)
}
