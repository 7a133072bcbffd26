//! `sweep NAME VALUE… { … }`: what a file declares, and everything that is wrong with it, told once and before the values are
//! put in. The combinations are made in `combine`.

use kdl::{KdlNode, KdlValue};
use miette::SourceSpan;

use super::error::{Problem, is_direction_mark, quoted};
use super::fields::{Fields, head};
use super::placeholder::{Binding, placeholders, text_of};
use super::span::Spanned;
use super::suggest::nearest;
use super::value::{Reading, Value};

const REMEDY: &str = "sweep retries 1 2 3 { … }";

/// One scenario is repeated so often at most.
pub(super) const COMBINATIONS_LIMIT: usize = 1_000;

/// What stands at the top of a file or in a sweep.
pub(super) enum Item {
    Node(Box<KdlNode>),
    Sweep(Sweep),
}

/// One sweep with its values and its body.
pub(super) struct Sweep {
    /// Its variable with each of its values.
    pub(super) bindings: Vec<Binding>,
    pub(super) items: Vec<Item>,
}

/// The nodes with their sweeps taken apart.
pub(super) fn items(nodes: &[KdlNode], problems: &mut Vec<Problem>) -> Vec<Item> {
    let items = read(nodes, &mut Vec::new(), problems);
    let count = combinations(&items);
    let mut sweeps = nodes.iter().filter(|node| node.name().value() == "sweep");
    if let Some(first) = sweeps.next().filter(|_| count > COMBINATIONS_LIMIT) {
        let message = format!("the sweeps have {count} combinations, at most {COMBINATIONS_LIMIT} are run");
        let problem = Problem::new(message).at(head(first)).label("multiplied with those inside it");
        problems.push(problem.help("sweep over fewer values, or put sweeps beside each other instead of inside"));
    }
    problems.extend(nodes.iter().filter(|node| node.name().value() != "sweep").flat_map(|node| stray(node, nodes)));
    items
}

/// How many instances there are of the scenario; not more than fits.
fn combinations(items: &[Item]) -> usize {
    let each = items.iter().map(|item| match item {
        Item::Node(_) => 0,
        Item::Sweep(sweep) => sweep.bindings.len().saturating_mul(combinations(&sweep.items)),
    });
    each.fold(0, usize::saturating_add).max(1)
}

fn read(nodes: &[KdlNode], outer: &mut Vec<Spanned<String>>, problems: &mut Vec<Problem>) -> Vec<Item> {
    let mut items = Vec::new();
    for node in nodes {
        match node.name().value() {
            "sweep" => items.extend(sweep(node, outer, problems).map(Item::Sweep)),
            _ => items.push(Item::Node(Box::new(node.clone()))),
        }
    }
    items
}

fn sweep(node: &KdlNode, outer: &mut Vec<Spanned<String>>, problems: &mut Vec<Problem>) -> Option<Sweep> {
    let mut fields = Fields::new(node, problems);
    let name = fields.required_argument("a name", REMEDY, |value| value.name("-_", 32));
    let given = fields.rest();
    let values: Vec<Spanned<KdlValue>> = given.iter().filter_map(|value| fields.read(*value, swept)).collect();
    if let (Some(name), true) = (&name, given.len() < 2) {
        let problem = match given.is_empty() {
            true => Problem::new(format!("the sweep over {} has no values", quoted(&name.value))).label("missing here"),
            false => Problem::new("a sweep over one value repeats nothing").at(given[0].span()).label("the only one"),
        };
        fields.problem(problem.help(format!("give it several, as in {REMEDY}, or write the value where it belongs")));
    }
    same_value(&values, &mut fields);
    let children = fields.children();
    fields.finish();
    let name = name?;
    if let Some(first) = outer.iter().find(|other| other.value == name.value) {
        let problem = Problem::new(format!("{} is swept already", quoted(&name.value))).at(name.span).label("inside");
        problems.push(problem.also(first.span, "of this sweep").help("call one of them otherwise"));
    }
    outer.push(name.clone());
    body(node, children, outer, problems);
    let items = read(children, outer, problems);
    outer.pop();
    let binding = |Spanned { value, .. }: Spanned<KdlValue>| {
        let text = text_of(&value);
        Binding { name: name.clone(), value, text }
    };
    Some(Sweep { bindings: values.into_iter().map(binding).collect(), items })
}

/// A text, a number, `#true` or `#false`.
fn swept(value: Value<'_>) -> Reading<KdlValue> {
    let found = value.raw();
    match found {
        KdlValue::String(_) => {
            let text = value.text()?;
            if text.contains(|c: char| c.is_control() || is_direction_mark(c)) {
                return Err(Problem::new("control characters in a value of a sweep").help("it is a part of names"));
            }
            if let Some((_, name)) = placeholders(text).first() {
                let message = format!("{} stands in a value of a sweep", quoted(&format!("{{{name}}}")));
                return Err(
                    Problem::new(message).help("values are written out; put two sweeps inside each other instead")
                );
            }
        }
        KdlValue::Null => return Err(value.expected("a value").help("a text, a number, #true or #false")),
        KdlValue::Integer(_) | KdlValue::Float(_) | KdlValue::Bool(_) => {}
    }
    Ok(found.clone())
}

fn same_value(values: &[Spanned<KdlValue>], fields: &mut Fields<'_, '_>) {
    for (index, value) in values.iter().enumerate() {
        let text = text_of(&value.value);
        if let Some(first) = values[..index].iter().find(|first| text_of(&first.value) == text) {
            let problem = Problem::new(format!("the value {} stands twice", quoted(&text))).at(value.span);
            fields.problem(problem.label("again").also(first.span, "first here").help("remove one of them"));
        }
    }
}

/// What is wrong with a body as a whole, and with what its values refer to.
fn body(node: &KdlNode, children: &[KdlNode], names: &[Spanned<String>], problems: &mut Vec<Problem>) {
    let Some(own) = names.last() else { return };
    let name = &own.value;
    if children.is_empty() {
        let problem = Problem::new(format!("the sweep over {} has no body", quoted(name))).at(head(node));
        problems
            .push(problem.label("nothing to repeat").help(format!("what is repeated stands in its block: {REMEDY}")));
        return;
    }
    if !has_run(children) {
        let problem = Problem::new(format!("no `run` in the sweep over {}", quoted(name))).at(head(node));
        let help =
            "a run is repeated for each value of the sweeps that it stands in; put it inside, beside what varies";
        problems.push(problem.label("nothing is run for its values").help(help));
    }
    for used in children.iter().filter(|child| child.name().value() == "use") {
        let problem = Problem::new("`use` stands in a sweep").at(head(used)).label("not here");
        problems.push(problem.help("put it at the top of the file: what stands outside belongs to every value"));
    }
    let mut is_used = false;
    for child in children {
        refers(child, &mut |text, span| {
            is_used |= placeholders(text).iter().any(|(_, found)| found == name);
            // Names of outer sweeps are looked at by the innermost sweep that a value stands in.
            problems.extend(misspelt(text, span, names));
        });
        unquoted(child, names, problems);
    }
    is_used |= children.iter().any(|child| child.name().value() == "sweep" && mentions(child, name));
    if !is_used {
        let problem = Problem::new(format!("nothing in the sweep uses {}", quoted(name))).at(own.span);
        let help = format!("its values go where a value of the body says \"{{{name}}}\"");
        problems.push(problem.label("all its repeats would be the same").help(help));
    }
}

fn has_run(nodes: &[KdlNode]) -> bool {
    nodes.iter().any(|node| match node.name().value() {
        "run" => true,
        "sweep" => node.children().is_some_and(|children| has_run(children.nodes())),
        _ => false,
    })
}

/// Each text of a node and of what is inside, but not of a sweep.
fn refers(node: &KdlNode, found: &mut impl FnMut(&str, SourceSpan)) {
    if node.name().value() == "sweep" {
        return;
    }
    for entry in node.entries() {
        if let KdlValue::String(text) = entry.value() {
            found(text, Value::new(entry).span());
        }
    }
    node.children().into_iter().flat_map(|children| children.nodes()).for_each(|child| refers(child, found));
}

/// Whether a value in a node or below it names a variable.
fn mentions(node: &KdlNode, name: &str) -> bool {
    let here = node.entries().iter().filter_map(|entry| entry.value().as_string());
    let mut here = here.flat_map(placeholders);
    let mut below = node.children().into_iter().flat_map(|children| children.nodes());
    here.any(|(_, found)| found == name) || below.any(|child| mentions(child, name))
}

/// `{retrys}` where `retries` is swept. What is near no name is left to the tool that it is for.
fn misspelt(text: &str, span: SourceSpan, names: &[Spanned<String>]) -> Option<Problem> {
    let known = |name: &str| names.iter().any(|known| known.value == name);
    let (_, name) = placeholders(text).into_iter().find(|(_, name)| !known(name))?;
    let near = nearest(name, names.iter().map(|known| known.value.as_str()))?;
    let declared = names.iter().find(|known| known.value == near)?;
    let problem = Problem::new(format!("no sweep is over {}", quoted(name))).at(span).label("stays as it is");
    Some(problem.also(declared.span, "swept here").help(format!("did you mean \"{{{near}}}\"?")))
}

/// `{retries}` without quotes, which KDL takes for a block.
fn unquoted(node: &KdlNode, names: &[Spanned<String>], problems: &mut Vec<Problem>) {
    let Some(children) = node.children() else { return };
    if let [only] = children.nodes()
        && only.entries().is_empty()
        && only.children().is_none()
        && names.iter().any(|known| known.value == only.name().value())
    {
        let name = only.name().value();
        let problem = Problem::new(format!("{{{name}}} without quotes is a block")).at(only.name().span());
        problems.push(problem.label("not a value").help(format!("write it in quotes: \"{{{name}}}\"")));
    }
    if node.name().value() != "sweep" {
        children.nodes().iter().for_each(|child| unquoted(child, names, problems));
    }
}

/// A variable of a sweep outside of it, where nothing is put in.
fn stray(node: &KdlNode, top: &[KdlNode]) -> Vec<Problem> {
    let mut declared = Vec::new();
    declarations(top, &mut declared);
    let mut problems = Vec::new();
    refers(node, &mut |text, span| {
        for (_, name) in placeholders(text) {
            if let Some((_, at)) = declared.iter().find(|(known, _)| known == name) {
                let what = format!("{{{name}}}");
                let problem = Problem::new(format!("{} stands outside the sweep", quoted(&what))).at(span);
                let problem = problem.label("nothing is put in here").also(*at, "swept here");
                problems.push(problem.help("move the node into the sweep's block"));
            }
        }
    });
    problems
}

fn declarations(nodes: &[KdlNode], declared: &mut Vec<(String, SourceSpan)>) {
    for node in nodes.iter().filter(|node| node.name().value() == "sweep") {
        let name = node.entries().first().filter(|entry| entry.name().is_none());
        declared.extend(name.and_then(|name| Some((name.value().as_string()?.to_owned(), name.span()))));
        declarations(node.children().map_or(&[], |children| children.nodes()), declared);
    }
}
