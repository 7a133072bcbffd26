//! Whether the tokens of a text can be the nodes of a KDL document: braces in pairs, nodes with names, properties with
//! values.
//!
//! The `kdl` crate finds all this too, but it recurses at each such mistake and ends in a stack overflow when there are
//! many, and its messages are about its grammar.

use super::error::Problem;
use super::tokens::{Kind, Token};

/// What is wrong with the order of the tokens.
pub(super) fn problems(tokens: &[Token<'_>], nesting_limit: usize) -> Vec<Problem> {
    let mut problems = braces(tokens, nesting_limit);
    problems.extend(nodes(tokens));
    problems
}

/// Braces without a partner, and nesting that no scenario needs.
fn braces(tokens: &[Token<'_>], nesting_limit: usize) -> Vec<Problem> {
    let mut open: Vec<&Token<'_>> = Vec::new();
    let mut problems = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open if open.len() == nesting_limit => {
                return vec![
                    Problem::new(format!("nested deeper than {nesting_limit} levels"))
                        .at(token.span())
                        .label(format!("level {}", nesting_limit + 1))
                        .help("a scenario needs two: a `run` in the file, an `expect` in the `run`"),
                ];
            }
            Kind::Open => open.push(token),
            Kind::Close if open.pop().is_none() => {
                let problem = Problem::new("this `}` closes nothing").at(token.span());
                problems.push(problem.help("remove it, or look above for a `{` that is missing"));
            }
            _ => {}
        }
    }
    problems.extend(open.iter().map(|token| {
        let problem = Problem::new("this `{` is never closed").at(token.span()).label("opened here");
        problem.help("a `}` is missing, here or further down")
    }));
    problems
}

/// Where in a node the next token stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A node's name is due, or nothing more.
    Start,
    /// Behind a node's name.
    AfterName,
    /// Behind an argument or a property.
    AfterValue,
    /// Behind the `}` of a node's children.
    AfterChildren,
    /// Behind the `}` of a block that a `/-` comments out.
    AfterCommentedOut,
}

/// Nodes that do not begin or end as nodes do, properties without a name or a value.
fn nodes(tokens: &[Token<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let visible = visible(tokens, &mut problems);
    let mut place = Place::Start;
    // Where each open block leaves its node: a commented-out one may be followed by the real one.
    let mut behind = Vec::new();
    for (i, token) in visible.iter().enumerate() {
        let is_commented_out = i > 0 && visible[i - 1].kind == Kind::SlashDash;
        match token.kind {
            Kind::Open => behind.push(if is_commented_out { Place::AfterCommentedOut } else { Place::AfterChildren }),
            Kind::Close => place = behind.pop().unwrap_or(Place::Start),
            _ => {}
        }
        let (next_place, problem) = step(place, token, visible.get(i + 1).copied());
        problems.extend(problem.map(|problem| problem.at(token.span())));
        place = next_place;
    }
    problems
}

/// The tokens that make nodes: no spaces, no comments, and no line break that a `\` takes away.
fn visible<'a, 't>(tokens: &'a [Token<'t>], problems: &mut Vec<Problem>) -> Vec<&'a Token<'t>> {
    let mut visible = Vec::new();
    let mut continued: Option<&Token<'_>> = None;
    for token in tokens {
        match (token.kind, continued) {
            (Kind::Space | Kind::BlockComment | Kind::LineComment, _) => {}
            (Kind::Backslash, None) => continued = Some(token),
            (Kind::Newline, Some(_)) => continued = None,
            (_, None) => visible.push(token),
            (_, Some(backslash)) => {
                let problem = Problem::new("a `\\` outside a string continues the line").at(backslash.span());
                problems.push(problem.help("nothing but a comment may follow it, or put the value in quotes"));
                continued = None;
            }
        }
    }
    visible
}

fn step(place: Place, token: &Token<'_>, next: Option<&Token<'_>>) -> (Place, Option<Problem>) {
    // A stray mark is told by itself.
    let next_is_value = next.is_some_and(|next| next.is_value() || next.kind == Kind::Stray);
    match (token.kind, place) {
        (Kind::Word | Kind::String, Place::Start) => (Place::AfterName, None),
        (Kind::Word | Kind::String, Place::AfterChildren | Place::AfterCommentedOut) => (
            Place::AfterName,
            Some(Problem::new("a new node on the line of a `}`").help("begin it on a line of its own, or after a `;`")),
        ),
        (Kind::Word | Kind::String, _) => (Place::AfterValue, None),
        (Kind::Equals, Place::AfterValue) if next_is_value => (place, None),
        (Kind::Equals, Place::AfterName) if next_is_value => (
            place,
            Some(
                Problem::new("a property stands where a node is expected")
                    .help("a line starts with a node's name, its properties follow: `link client server mtu=1400`"),
            ),
        ),
        (Kind::Equals, Place::AfterName | Place::AfterValue) => {
            (place, Some(Problem::new("this `=` has no value").help("a value follows it: mtu=1400")))
        }
        (Kind::Equals, _) => {
            (place, Some(Problem::new("this `=` has no name").help("a property's name precedes it: mtu=1400")))
        }
        (Kind::Open, Place::Start | Place::AfterChildren) => {
            let help = "a block belongs to a node and opens on its line: `namespace client {`";
            (Place::Start, Some(Problem::new("this `{` belongs to no node").help(help)))
        }
        (Kind::Open, _) => (Place::Start, None),
        (Kind::Close, _) => (place, None),
        (Kind::Semicolon, Place::Start) => {
            (place, Some(Problem::new("this `;` ends nothing").help("remove it: `;` stands between nodes")))
        }
        (Kind::Newline | Kind::Semicolon, _) => (Place::Start, None),
        (Kind::SlashDash, _) => (place, comments_nothing_out(next)),
        _ => (place, None),
    }
}

fn comments_nothing_out(next: Option<&Token<'_>>) -> Option<Problem> {
    let is_fine = next.is_some_and(|next| next.is_value() || next.kind == Kind::Open);
    let help = "it comments out what follows: a node, an argument, a property or a block";
    (!is_fine).then(|| Problem::new("this `/-` comments out nothing").help(help))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        problems(&tokens(text, 4).expect("tokens"), 4).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn well_formed_nodes_pass() {
        for text in ["a b c=d {\n e; f\n}\n/- g h\n", "a /- b /- { c } { d }", "a { b } // c\nd", "a \\\n b = c"] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, message) in [
            ("a {\n b\n", "this `{` is never closed"),
            ("a\n}\n", "this `}` closes nothing"),
            ("{ a }", "this `{` belongs to no node"),
            ("a { b } c", "a new node on the line of a `}`"),
            ("a=b", "a property stands where a node is expected"),
            ("a b=\n", "this `=` has no value"),
            ("= b", "this `=` has no name"),
            ("a;;b", "this `;` ends nothing"),
            ("a /-\n", "this `/-` comments out nothing"),
            ("a{b{c{d{e{}}}}}", "nested deeper than 4 levels"),
        ] {
            assert_eq!(found(text), [message], "{text}");
        }
    }
}
