//! The instances of a scenario: one list of nodes for each combination of its sweeps' values, in which a host or a link that
//! is declared in several places is one.

use std::collections::BTreeSet;

use kdl::{KdlDocument, KdlNode};

use super::placeholder::{Binding, filled};
use super::source::SourceFile;
use super::sweep::{Item, Sweep};

/// The nodes that hold for one combination.
pub(super) struct Instance {
    /// The values, the outermost sweep's first; none outside all sweeps.
    pub(super) values: Vec<Binding>,
    /// Nodes without `use` and `sweep`.
    pub(super) document: KdlDocument,
}

/// A node and how many sweeps it stands in.
struct Placed {
    node: KdlNode,
    depth: usize,
}

/// Every combination: sweeps inside each other multiply, sweeps beside each other follow one another, and what stands outside
/// belongs to all. A run outside is not repeated: it has an instance without any of the bodies.
pub(super) fn instances(source: &SourceFile, items: &[Item]) -> Vec<Instance> {
    let found = expand(items, &[]);
    found
        .into_iter()
        .map(|(values, placed)| {
            let mut document = KdlDocument::new();
            *document.nodes_mut() = merged(source, placed);
            Instance { values, document }
        })
        .collect()
}

fn expand(items: &[Item], values: &[Binding]) -> Vec<(Vec<Binding>, Vec<Placed>)> {
    let has_runs = items.iter().any(|item| matches!(item, Item::Node(node) if is_run(node)));
    let sweeps = || items.iter().enumerate().filter_map(|(at, item)| sweep_of(item).map(|sweep| (at, sweep)));
    let mut found = Vec::new();
    if has_runs || sweeps().next().is_none() {
        found.push((values.to_vec(), around(items, values, None)));
    }
    for (at, sweep) in sweeps() {
        for binding in &sweep.bindings {
            let inner_values: Vec<Binding> = values.iter().chain([binding]).cloned().collect();
            for (all, inner) in expand(&sweep.items, &inner_values) {
                found.push((all, around(items, values, Some((at, inner)))));
            }
        }
    }
    found
}

/// The nodes of one level with those of the chosen sweep in its place.
fn around(items: &[Item], values: &[Binding], chosen: Option<(usize, Vec<Placed>)>) -> Vec<Placed> {
    let is_inside = chosen.is_some();
    let (at, mut inner) = chosen.map_or((usize::MAX, Vec::new()), |(at, inner)| (at, inner));
    let mut nodes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Node(node) if is_run(node) && is_inside => {}
            Item::Node(node) => nodes.push(Placed { node: filled(node, values), depth: values.len() }),
            Item::Sweep(_) if index == at => nodes.append(&mut inner),
            Item::Sweep(_) => {}
        }
    }
    nodes
}

fn sweep_of(item: &Item) -> Option<&Sweep> {
    match item {
        Item::Sweep(sweep) => Some(sweep),
        Item::Node(_) => None,
    }
}

fn is_run(node: &KdlNode) -> bool {
    node.name().value() == "run"
}

/// Makes one of a host, or a link, that a used file, the scenario and a sweep each say something about. Two in one place stay
/// two, and are told as such when names are checked.
fn merged(source: &SourceFile, placed: Vec<Placed>) -> Vec<KdlNode> {
    let mut nodes: Vec<(KdlNode, BTreeSet<(usize, usize)>)> = Vec::new();
    for Placed { node, depth } in placed {
        let place = (source.part_at(node.name().span().offset()).0, depth);
        let key = key(&node);
        let first = nodes
            .iter_mut()
            .find(|(other, places)| key.is_some() && self::key(other) == key && !places.contains(&place));
        match first {
            Some((first, places)) => {
                places.insert(place);
                extend(first, node);
            }
            None => nodes.push((node, BTreeSet::from([place]))),
        }
    }
    nodes.into_iter().map(|(node, _)| node).collect()
}

/// What a node is about, if others may add to it: its kind, the arguments that name it, and its own name.
fn key(node: &KdlNode) -> Option<Vec<String>> {
    let kind = node.name().value();
    let names = naming(kind)?;
    let arguments = node.entries().iter().filter(|entry| entry.name().is_none());
    let arguments: Vec<&str> = arguments.take(names).filter_map(|entry| entry.value().as_string()).collect();
    if arguments.len() < names {
        return None;
    }
    let own = node.get("name").and_then(|value| value.as_string()).unwrap_or("");
    Some([kind].into_iter().chain(arguments).chain([own]).map(str::to_owned).collect())
}

fn naming(kind: &str) -> Option<usize> {
    match kind {
        "namespace" | "router" => Some(1),
        "link" => Some(2),
        _ => None,
    }
}

/// Adds to a node what another says about the same.
fn extend(first: &mut KdlNode, more: KdlNode) {
    let mut naming = naming(first.name().value()).unwrap_or(0);
    for entry in more.entries() {
        match entry.name() {
            Some(name) if name.value() == "name" => {}
            None if naming > 0 => naming -= 1,
            _ => first.push(entry.clone()),
        }
    }
    if let Some(children) = more.children() {
        first.ensure_children().nodes_mut().extend(children.nodes().iter().cloned());
    }
}
