//! The rows of the atlas as docs/atlas.kdl has them. Reads the file; looks at no scenario and no snapshot.

use std::fs;

use kdl::{KdlDocument, KdlNode};
use libtest_mimic::Failed;

use crate::support::root;

/// The file with the rows.
pub const FILE: &str = "docs/atlas.kdl";

/// Rows that come from one document.
pub struct Part {
    pub letter: String,
    pub title: String,
    /// The document's title, where there is one.
    pub document: Option<String>,
    /// The system that it was written on.
    pub system: Option<String>,
    pub rows: Vec<Row>,
}

/// One behaviour.
pub struct Row {
    pub id: String,
    pub case: String,
    /// What is typed, or what brings it about.
    pub command: String,
    /// What the document saw.
    pub then: Option<String>,
    /// What is otherwise now, in a sentence.
    pub difference: Option<String>,
    pub shown: Vec<Shown>,
}

/// What shows a row.
pub enum Shown {
    /// A scenario below scenarios/, without `.kdl`; all its runs, or that of one name, or all that a sweep makes of it.
    Scenario { name: String, run: Option<String> },
    /// A test, for what no kernel produces.
    Test(String),
}

/// All parts, in order.
pub fn read() -> Result<Vec<Part>, Failed> {
    let text = fs::read_to_string(root().join(FILE))?;
    let document = KdlDocument::parse_v2(&text)?;
    document.nodes().iter().map(part).collect()
}

fn part(node: &KdlNode) -> Result<Part, Failed> {
    if node.name().value() != "part" {
        return Err(format!("{FILE}: expected `part`, found `{}`", node.name().value()).into());
    }
    let mut part =
        Part { letter: argument(node, 0)?, title: argument(node, 1)?, document: None, system: None, rows: Vec::new() };
    for child in children(node) {
        match child.name().value() {
            "document" => {
                part.document = Some(argument(child, 0)?);
                part.system = property(child, "system");
            }
            "row" => part.rows.push(row(child)?),
            other => return Err(format!("{FILE}: no node `{other}` in the part {}", part.letter).into()),
        }
    }
    Ok(part)
}

fn row(node: &KdlNode) -> Result<Row, Failed> {
    let (id, case) = (argument(node, 0)?, argument(node, 1)?);
    let mut row = Row { id, case, command: String::new(), then: None, difference: None, shown: Vec::new() };
    for child in children(node) {
        let text = argument(child, 0)?;
        match child.name().value() {
            "command" => row.command = text,
            "then" => row.then = Some(text),
            "difference" => row.difference = Some(text),
            "scenario" => row.shown.push(Shown::Scenario { name: text, run: property(child, "run") }),
            "test" => row.shown.push(Shown::Test(text)),
            other => return Err(format!("{FILE}: no node `{other}` in the row {}", row.id).into()),
        }
    }
    match row.command.is_empty() {
        true => Err(format!("{FILE}: the row {} lacks `command`", row.id).into()),
        false => Ok(row),
    }
}

fn children(node: &KdlNode) -> &[KdlNode] {
    node.children().map_or(&[][..], |children| children.nodes())
}

fn argument(node: &KdlNode, index: usize) -> Result<String, Failed> {
    let entry = node.entries().iter().filter(|entry| entry.name().is_none()).nth(index);
    let text = entry.and_then(|entry| entry.value().as_string());
    text.map(str::to_owned).ok_or_else(|| format!("{FILE}: `{}` lacks a text", node.name().value()).into())
}

fn property(node: &KdlNode, name: &str) -> Option<String> {
    node.get(name).and_then(|value| value.as_string()).map(str::to_owned)
}
