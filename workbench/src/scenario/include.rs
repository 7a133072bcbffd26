//! The nodes of a scenario's file with those of the files it uses in the places of its `use`, every span moved to where its
//! file lies among the scenario's offsets. Reads nothing: that was done in `used`.

use std::collections::BTreeSet;

use kdl::{KdlDocument, KdlNode};
use miette::SourceSpan;

use super::error::{Problem, quoted};
use super::fields::{Fields, head};
use super::source::SourceFile;
use super::syntax;
use super::used::name_of;

/// What only the scenario's own file may say, and why a part of it may not.
const NOT_IN_A_PART: &[(&str, &str)] = &[
    ("about", "the scenario says what it asks; a part says in a comment what it is for"),
    ("run", "runs stand in the scenario, so that its name and theirs make their snapshots' names"),
    ("source", "the scenario says where its behaviour is documented"),
    ("sweep", "sweeps stand in the scenario, with its runs"),
    ("tag", "the scenario says how it is sorted"),
];

/// The nodes, or what is wrong with the syntax of the files.
pub(super) fn nodes(source: &SourceFile, problems: &mut Vec<Problem>) -> Result<Vec<KdlNode>, Vec<Problem>> {
    let mut wrong = Vec::new();
    let mut parts = Vec::new();
    for (base, name, text) in source.parts() {
        match syntax::parse(text) {
            Ok(document) => parts.push(Part { name, base, nodes: moved(document, base) }),
            Err(found) => wrong.extend(found.into_iter().map(|problem| problem.shifted(base))),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    problems.extend(source.refused.iter().cloned());
    let mut include = Include { source, parts: &parts, seen: BTreeSet::new(), problems, nodes: Vec::new() };
    if let Some(own) = parts.first() {
        include.part(own);
    }
    Ok(include.nodes)
}

/// One file.
struct Part<'a> {
    name: &'a str,
    base: usize,
    nodes: Vec<KdlNode>,
}

struct Include<'a, 'p> {
    source: &'a SourceFile,
    parts: &'a [Part<'a>],
    /// Files that stand somewhere already: each stands once, where it was used first.
    seen: BTreeSet<&'a str>,
    problems: &'p mut Vec<Problem>,
    nodes: Vec<KdlNode>,
}

impl<'a> Include<'a, '_> {
    fn part(&mut self, part: &'a Part<'a>) {
        self.seen.insert(part.name);
        let mut here: Vec<(String, SourceSpan)> = Vec::new();
        for node in &part.nodes {
            let name = node.name().value();
            let refusal = NOT_IN_A_PART.iter().find(|(node, _)| *node == name).filter(|_| part.base > 0);
            if let Some((_, why)) = refusal {
                let problem = Problem::new(format!("no {} in a file that is used", quoted(name))).at(head(node));
                self.problems.push(problem.label("not in a part").help(*why));
            } else if name == "use" {
                self.include(part, node, &mut here);
            } else {
                self.nodes.push(node.clone());
            }
        }
    }

    fn include(&mut self, part: &'a Part<'a>, node: &KdlNode, here: &mut Vec<(String, SourceSpan)>) {
        const REMEDY: &str = "use \"common/two-hosts.kdl\"";
        let mut fields = Fields::new(node, self.problems);
        let path = fields.required_argument("a file", REMEDY, |value| value.text().map(str::to_owned));
        let span = path.as_ref().map_or(fields.span(), |path| path.span);
        fields.finish_leaf();
        let Some(path) = path else { return };
        let name = name_of(part.name, &path.value);
        if let Some((_, first)) = here.iter().find(|(other, _)| *other == name) {
            let problem = Problem::new(format!("{} is used twice", quoted(&path.value))).at(span).label("again");
            self.problems.push(problem.also(*first, "first here").help("remove one; its nodes stand here already"));
            return;
        }
        here.push((name.clone(), span));
        let parts = self.parts;
        match parts.iter().skip(1).find(|part| part.name == name) {
            Some(used) if self.seen.contains(used.name) => {}
            Some(used) => self.part(used),
            None if self.source.refused.iter().any(|problem| problem.span() == Some(span)) => {}
            None => {
                let problem = Problem::new(format!("{} was not read", quoted(&path.value))).at(span);
                self.problems.push(problem.help("a text that stands in no file can use none"));
            }
        }
    }
}

/// The nodes of a document with every span further on by `by`.
fn moved(document: KdlDocument, by: usize) -> Vec<KdlNode> {
    let mut nodes = document.nodes().to_vec();
    if by > 0 {
        nodes.iter_mut().for_each(|node| move_node(node, by));
    }
    nodes
}

fn move_node(node: &mut KdlNode, by: usize) {
    let further = |span: SourceSpan| SourceSpan::from((span.offset() + by, span.len()));
    node.set_span(further(node.span()));
    let name = further(node.name().span());
    node.name_mut().set_span(name);
    for entry in node.entries_mut() {
        entry.set_span(further(entry.span()));
        if let Some(name) = entry.name_mut() {
            name.set_span(further(name.span()));
        }
    }
    if let Some(children) = node.children_mut() {
        children.set_span(further(children.span()));
        children.nodes_mut().iter_mut().for_each(|node| move_node(node, by));
    }
}
