//! `{NAME}` in a value: where it stands, and the value with what a sweep puts there.

use std::ops::Range;

use kdl::{KdlEntry, KdlNode, KdlValue};
use miette::SourceSpan;

use super::span::Spanned;
use super::value::Value;

/// A variable of a sweep with one of its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binding {
    pub(super) name: Spanned<String>,
    pub(super) value: KdlValue,
    /// The value as it stands inside a text.
    pub(super) text: String,
}

/// Each `{name}` of a text. Behind a `%` or a `$` the braces belong to a tool: `%{time_total}` of curl, `${HOME}` of a shell.
pub(super) fn placeholders(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('{') {
        let name = text[start + 1..].split('}').next().unwrap_or("");
        let end = start + 1 + name.len();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if is_name && text[end..].starts_with('}') && !text[..start].ends_with(['%', '$']) {
            found.push((start..end + 1, name));
        }
    }
    found
}

/// A value as it stands inside a text.
pub(super) fn text_of(value: &KdlValue) -> String {
    match value {
        KdlValue::String(text) => text.clone(),
        KdlValue::Integer(number) => number.to_string(),
        KdlValue::Float(number) => number.to_string(),
        KdlValue::Bool(value) => value.to_string(),
        KdlValue::Null => String::new(),
    }
}

/// A node with the values of all `bindings` put in, in its arguments, properties and children; places stay as they are.
pub(super) fn filled(node: &KdlNode, bindings: &[Binding]) -> KdlNode {
    let mut node = node.clone();
    if bindings.is_empty() {
        return node;
    }
    let is_run = node.name().value() == "run";
    let mut is_name = is_run;
    for entry in node.entries_mut() {
        let is_argument = entry.name().is_none();
        if is_name && is_argument {
            is_name = false;
            name_run(entry, bindings);
        } else {
            fill(entry, bindings);
        }
    }
    if let Some(children) = node.children_mut() {
        for child in children.nodes_mut() {
            *child = filled(child, bindings);
        }
    }
    node
}

fn fill(entry: &mut KdlEntry, bindings: &[Binding]) {
    let KdlValue::String(text) = entry.value() else { return };
    let found = placeholders(text);
    let value = match &found[..] {
        [(range, name)] if range.len() == text.len() => {
            bindings.iter().find(|binding| binding.name.value == *name).map(|binding| binding.value.clone())
        }
        _ => put_in(text, bindings, |text| text.to_owned()).map(KdlValue::String),
    };
    if let Some(value) = value {
        replace(entry, value);
    }
}

/// A run's name has all the variables it stands under: those that it does not name are appended.
fn name_run(entry: &mut KdlEntry, bindings: &[Binding]) {
    let KdlValue::String(text) = entry.value() else { return };
    let named: Vec<&str> = placeholders(text).into_iter().map(|(_, name)| name).collect();
    let mut name = put_in(text, bindings, fit).unwrap_or_else(|| text.clone());
    for binding in bindings.iter().filter(|binding| !named.contains(&binding.name.value.as_str())) {
        name += &format!("-{}-{}", binding.name.value, fit(&binding.text));
    }
    replace(entry, KdlValue::String(name));
}

/// The text with the values put in; `None` if it names none of them.
fn put_in(text: &str, bindings: &[Binding], spell: impl Fn(&str) -> String) -> Option<String> {
    let mut filled = String::new();
    let mut done = 0;
    for (range, name) in placeholders(text) {
        if let Some(binding) = bindings.iter().find(|binding| binding.name.value == name) {
            filled += &text[done..range.start];
            filled += &spell(&binding.text);
            done = range.end;
        }
    }
    (done > 0).then(|| filled + &text[done..])
}

/// A value as a part of a name that can be a file's.
fn fit(text: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(fine).collect();
    name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Another value in an entry's place, which is from now on that of the value alone.
fn replace(entry: &mut KdlEntry, value: KdlValue) {
    let span: SourceSpan = Value::new(entry).span();
    let mut format = entry.format().cloned().unwrap_or_default();
    format.value_repr = match &value {
        KdlValue::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    };
    entry.set_value(value);
    entry.set_format(format);
    entry.set_span(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings() -> Vec<Binding> {
        let binding = |name: &str, value: KdlValue| Binding {
            name: Spanned::new(name.to_owned(), (0, 0).into()),
            text: text_of(&value),
            value,
        };
        vec![binding("n", KdlValue::Integer(4)), binding("size", KdlValue::String("64 KiB".into()))]
    }

    fn filled_text(text: &str) -> String {
        let document = kdl::KdlDocument::parse_v2(text).expect("KDL");
        filled(&document.nodes()[0], &bindings()).to_string().trim().to_owned()
    }

    #[test]
    fn a_value_that_is_only_a_variable_has_its_type_and_one_inside_a_text_is_text() {
        let document = kdl::KdlDocument::parse_v2("sysctl \"{n}\" x=\"{n}s\" { a \"{size}\"; }").expect("KDL");
        let node = filled(&document.nodes()[0], &bindings());
        assert_eq!(node.entries()[0].value(), &KdlValue::Integer(4));
        assert_eq!(node.entries()[1].value(), &KdlValue::String("4s".into()));
        let child = &node.children().expect("a block").nodes()[0];
        assert_eq!(child.entries()[0].value(), &KdlValue::String("64 KiB".into()));
    }

    #[test]
    fn braces_that_belong_to_a_tool_stay() {
        assert_eq!(filled_text("a \"%{n} ${n} {other} {a,b} {} {n\""), "a \"%{n} ${n} {other} {a,b} {} {n\"");
        assert_eq!(filled_text("a \"{n}{n}\""), "a \"44\"");
    }

    #[test]
    fn a_runs_name_gets_what_it_does_not_say() {
        assert_eq!(filled_text("run curl in=client \"true\""), "run \"curl-n-4-size-64-kib\" in=client \"true\"");
        assert_eq!(filled_text("run \"{size}\" in=client"), "run \"64-kib-n-4\" in=client");
    }

    #[test]
    fn a_filled_in_value_stays_at_its_place() {
        let document = kdl::KdlDocument::parse_v2("a x=\"{n}\" \"{size}\"").expect("KDL");
        let node = filled(&document.nodes()[0], &bindings());
        let spans: Vec<_> = node.entries().iter().map(|entry| Value::new(entry).span()).collect();
        assert_eq!(spans, [(4, 5).into(), (10, 8).into()]);
    }
}
