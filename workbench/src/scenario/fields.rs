//! Taking a KDL node apart: each argument and each property is asked for once, by name, with a reading; whatever nobody
//! asked for is a problem with the nearest name that somebody did.

use std::collections::VecDeque;

use kdl::{KdlDocument, KdlEntry, KdlNode};
use miette::SourceSpan;

use super::error::{Problem, quoted};
use super::span::Spanned;
use super::suggest::did_you_mean;
use super::value::{Reading, Value};

/// The place of a node's first line: its name, arguments and properties.
pub(super) fn head(node: &KdlNode) -> SourceSpan {
    let start = node.name().span().offset();
    let end = |span: SourceSpan| span.offset() + span.len();
    // Another node may have added to this one; what it says stands elsewhere.
    let is_here = |span: &SourceSpan| (start..end(node.span())).contains(&span.offset());
    let last = node.entries().iter().map(KdlEntry::span).rfind(is_here).unwrap_or(node.name().span());
    (start, end(last) - start).into()
}

/// A node's first line as the scenario writes it, in one line and without comments: `drop tcp dport=80`.
pub(super) fn one_line(node: &KdlNode) -> String {
    let entries = node.entries().iter().map(|entry| {
        let value = Value::new(entry).spelling();
        entry.name().map_or(value.clone(), |name| format!("{}={value}", name.value()))
    });
    std::iter::once(node.name().value().to_owned()).chain(entries).collect::<Vec<_>>().join(" ")
}

/// A node that is being taken apart.
pub(super) struct Fields<'a, 'p> {
    node: &'a KdlNode,
    problems: &'p mut Vec<Problem>,
    arguments: VecDeque<&'a KdlEntry>,
    properties: Vec<&'a KdlEntry>,
    asked: Vec<&'static str>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// Begins with a node; a property that it has twice is a problem.
    pub(super) fn new(node: &'a KdlNode, problems: &'p mut Vec<Problem>) -> Self {
        let mut properties: Vec<&KdlEntry> = Vec::new();
        for entry in node.entries() {
            let Some(name) = entry.name() else { continue };
            let first = properties.iter().find(|other| other.name().map(|n| n.value()) == Some(name.value()));
            match first {
                None => properties.push(entry),
                Some(first) => problems.push(
                    Problem::new(format!("{} is given twice", quoted(name.value())))
                        .at(entry.span())
                        .label("again")
                        .also(first.span(), "first here")
                        .help("keep one of them"),
                ),
            }
        }
        let arguments = node.entries().iter().filter(|entry| entry.name().is_none()).collect();
        Self { node, problems, arguments, properties, asked: Vec::new() }
    }

    /// The node's place.
    pub(super) fn span(&self) -> SourceSpan {
        head(self.node)
    }

    /// The node's name: `drop`.
    pub(super) fn node_name(&self) -> &'a str {
        self.node.name().value()
    }

    /// Adds a problem; without a place of its own it is about the whole node.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem.at(head(self.node)));
    }

    /// The list of problems, for children that are taken apart in turn.
    pub(super) fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// A property that need not be there.
    pub(super) fn property<T>(
        &mut self,
        name: &'static str,
        reading: impl FnOnce(Value<'a>) -> Reading<T>,
    ) -> Option<Spanned<T>> {
        self.asked.push(name);
        let at = self.properties.iter().position(|entry| entry.name().is_some_and(|n| n.value() == name))?;
        let value = Value::new(self.properties.remove(at));
        self.read(value, reading)
    }

    /// A property that has to be there; `remedy` shows how to write it.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        remedy: impl FnOnce() -> String,
        reading: impl FnOnce(Value<'a>) -> Reading<T>,
    ) -> Option<Spanned<T>> {
        if !self.has(name) {
            let message = format!("{} lacks {}", quoted(self.node_name()), quoted(&format!("{name}=")));
            self.problem(Problem::new(message).label("missing here").help(remedy()));
        }
        self.property(name, reading)
    }

    /// Whether a property is there and has not been taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.properties.iter().any(|entry| entry.name().is_some_and(|n| n.value() == name))
    }

    /// Whether the node says anything under this name, right or wrong.
    pub(super) fn says(&self, name: &str) -> bool {
        let has_property = self.node.entries().iter().any(|entry| entry.name().is_some_and(|n| n.value() == name));
        has_property || self.children().iter().any(|child| child.name().value() == name)
    }

    /// The next argument, which need not be there.
    pub(super) fn argument<T>(&mut self, reading: impl FnOnce(Value<'a>) -> Reading<T>) -> Option<Spanned<T>> {
        let value = Value::new(self.arguments.pop_front()?);
        self.read(value, reading)
    }

    /// The next argument, which has to be there. `what` completes "lacks …"; `remedy` shows how to write it.
    pub(super) fn required_argument<T>(
        &mut self,
        what: &str,
        remedy: &str,
        reading: impl FnOnce(Value<'a>) -> Reading<T>,
    ) -> Option<Spanned<T>> {
        if self.arguments.is_empty() {
            let message = format!("{} lacks {what}", quoted(self.node_name()));
            self.problem(Problem::new(message).label("missing here").help(remedy));
        }
        self.argument(reading)
    }

    /// The arguments that nobody has asked for yet.
    pub(super) fn node_arguments(&self) -> &VecDeque<&'a KdlEntry> {
        &self.arguments
    }

    /// Takes the arguments that are left.
    pub(super) fn rest(&mut self) -> Vec<Value<'a>> {
        std::mem::take(&mut self.arguments).into_iter().map(Value::new).collect()
    }

    /// The first argument as the node writes it, if that is a text; it may have been taken.
    pub(super) fn first_text(&self) -> Option<&'a str> {
        self.node.entries().iter().find(|entry| entry.name().is_none()).and_then(|entry| entry.value().as_string())
    }

    /// Takes a bare word such as `down` from the arguments.
    pub(super) fn flag(&mut self, word: &str) -> Option<SourceSpan> {
        let at = self.arguments.iter().position(|entry| entry.value().as_string() == Some(word))?;
        self.arguments.remove(at).map(KdlEntry::span)
    }

    /// Reads a value and gives a problem with it its place.
    pub(super) fn read<T>(
        &mut self,
        value: Value<'a>,
        reading: impl FnOnce(Value<'a>) -> Reading<T>,
    ) -> Option<Spanned<T>> {
        match reading(value) {
            Ok(read) => Some(Spanned::new(read, value.span())),
            Err(problem) => {
                self.problems.push(problem.at(value.span()));
                None
            }
        }
    }

    /// The child nodes.
    pub(super) fn children(&self) -> &'a [KdlNode] {
        self.node.children().map_or(&[], KdlDocument::nodes)
    }

    /// Ends with a node that has no children.
    pub(super) fn finish_leaf(mut self) {
        if let Some(child) = self.children().first() {
            let message = format!("{} has no block", quoted(self.node_name()));
            self.problems.push(Problem::new(message).at(head(child)).label("not here").help("remove it"));
        }
        self.report_leftovers();
    }

    /// Ends with a node whose children were looked after.
    pub(super) fn finish(mut self) {
        self.report_leftovers();
    }

    fn report_leftovers(&mut self) {
        let node = quoted(self.node_name());
        for entry in std::mem::take(&mut self.properties) {
            let Some(name) = entry.name() else { continue };
            let problem = Problem::new(format!("{node} has no property {}", quoted(name.value())));
            let problem = problem.at(name.span()).label("not known here");
            self.problems.push(problem.help_if(did_you_mean(name.value(), &self.asked)));
        }
        for value in self.rest() {
            let problem = Problem::new(format!("{node} has no use for {}", quoted(&value.spelling())));
            self.problems.push(problem.at(value.span()).label("one too many"));
        }
    }
}

const HOSTS: &str = "a `namespace` or a `router`";

const FILE: &str = "the file itself, beside its hosts";

/// Where faults with a cause stand.
const FAULTS: &str = "a `namespace`, a `router` or a `link`";

/// Where nodes stand that somebody may look for elsewhere.
const PLACES: &[(&str, &str)] = &[
    ("absent", "a `link`"),
    ("after", FAULTS),
    ("answer", "a `dns`"),
    ("at", FAULTS),
    ("backlog", HOSTS),
    ("close", HOSTS),
    ("cut", "a `link`"),
    ("daemon", HOSTS),
    ("differs", "a `run`"),
    ("dns", HOSTS),
    ("drip", HOSTS),
    ("drop", "a `namespace`, a `router` or a `link`"),
    ("echo", HOSTS),
    ("env", "a `run` or a `daemon`"),
    ("expect", "a `run`"),
    ("half-close", HOSTS),
    ("hoard", HOSTS),
    ("http", HOSTS),
    ("file", "a `run` or a `daemon`"),
    ("folder", "a `run` or a `daemon`"),
    ("name", FILE),
    ("neighbour", HOSTS),
    ("netem", "a `link`"),
    ("prepare", "a `daemon`"),
    ("ready", "a `daemon`"),
    ("refuse", HOSTS),
    ("reject", HOSTS),
    ("reset", HOSTS),
    ("resolver", FILE),
    ("route", HOSTS),
    ("silent", HOSTS),
    ("stall", HOSTS),
    ("stdin", "a `run`"),
    ("sweep", "the scenario's own file, at its top or inside another `sweep`"),
    ("sysctl", HOSTS),
    ("when", FAULTS),
    ("use", "a file at its top, outside of all blocks"),
];

/// The problem of a node that is not known where it stands.
pub(super) fn unknown_node(node: &KdlNode, place: &str, known: &[&str]) -> Problem {
    let name = node.name().value();
    let elsewhere = PLACES.iter().find(|(node, _)| *node == name).map(|(_, place)| *place);
    let help = elsewhere.map(|place| format!("{} stands in {place}", quoted(name)));
    Problem::new(format!("no node {} in {place}", quoted(name)))
        .at(node.name().span())
        .label("not known here")
        .help_if(help.or_else(|| did_you_mean(name, known)))
}
