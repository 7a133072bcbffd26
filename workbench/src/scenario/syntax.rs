//! From text to a KDL 2.0 document: what is wrong with the syntax, in words that say what to write instead.
//!
//! The text is looked at word by word before the `kdl` crate's recursive parser sees it, because deep nesting would
//! overflow its stack, and because it does not know that `5s` was meant as a length of time.

use kdl::{KdlDiagnostic, KdlDocument};
use miette::SourceSpan;

use super::error::{Diagnostics, Problem, quoted};
use super::source::SourceFile;
use super::structure;
use super::tokens::{Kind, Token, is_disallowed, tokens};

/// Braces and comments nested deeper are refused. The language needs three levels; the parser's stack holds fifty.
const NESTING_LIMIT: usize = 16;

/// Parses the text of a scenario's own file as KDL 2.0.
pub(super) fn document(source: &SourceFile) -> Result<KdlDocument, Diagnostics> {
    parse(&source.text).map_err(|problems| Diagnostics::new(source, problems))
}

/// The tokens of a scenario's own file, which a recursive parser can be given.
pub(super) fn checked_tokens(source: &SourceFile) -> Result<Vec<Token<'_>>, Diagnostics> {
    check(&source.text).map_err(|problems| Diagnostics::new(source, problems))
}

/// Parses a text as KDL 2.0; places are counted from its beginning.
pub(super) fn parse(text: &str) -> Result<KdlDocument, Vec<Problem>> {
    let tokens = check(text)?;
    KdlDocument::parse_v2(text).map_err(|e| e.diagnostics.iter().map(|found| explain(found, &tokens)).collect())
}

fn check(text: &str) -> Result<Vec<Token<'_>>, Vec<Problem>> {
    let mut problems: Vec<Problem> = disallowed_characters(text);
    if !problems.is_empty() {
        return Err(problems);
    }
    let tokens = tokens(text, NESTING_LIMIT).map_err(|problem| vec![problem])?;
    problems.extend(structure::problems(&tokens, NESTING_LIMIT));
    problems.extend(words(&tokens));
    if problems.is_empty() { Ok(tokens) } else { Err(problems) }
}

fn disallowed_characters(text: &str) -> Vec<Problem> {
    let is_byte_order_mark = |offset, c| offset == 0 && c == '\u{FEFF}';
    text.char_indices()
        .filter(|(offset, c)| is_disallowed(*c) && !is_byte_order_mark(*offset, *c))
        .map(|(offset, c)| {
            let code = u32::from(c);
            Problem::new(format!("the invisible character U+{code:04X} may not stand in a scenario"))
                .at((offset, c.len_utf8()).into())
                .help(format!("in a string it is written `\\u{{{code:x}}}`"))
        })
        .collect()
}

/// Words that are no KDL 2.0 values, and what was most likely meant by them.
fn words(tokens: &[Token<'_>]) -> Vec<Problem> {
    let after = |i: usize| tokens.get(i + 1);
    let mut problems = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let problem = match (token.kind, after(i)) {
            (Kind::Word, Some(next)) if next.kind == Kind::String && matches!(token.text, "r" | "#r") => {
                Some(Problem::new("a raw string of KDL 1").help("KDL 2 writes it without the r: #\"…\"#"))
            }
            (Kind::Word, Some(next)) if next.kind == Kind::LineComment && token.text.ends_with(':') => {
                let what = format!("{}{}", token.text, next.text);
                Some(Problem::new("everything behind this `//` is a comment").help(format!("quote it: \"{what}\"")))
            }
            (Kind::Word, Some(next)) if next.kind == Kind::Stray && starts_number(token.text) => {
                Some(needs_quotes(&joined(&tokens[i..])))
            }
            (Kind::Word | Kind::String, Some(next)) if next.is_value() => {
                Some(Problem::new("two values without a space between them").help("write a space, or one quoted value"))
            }
            (Kind::Word, _) => word(token.text),
            (Kind::Stray, _) if i > 0 && tokens[i - 1].is_value() && starts_number(tokens[i - 1].text) => None,
            (Kind::Stray, _) if token.text == ")" && i > 1 && tokens[i - 2].text == "(" => None,
            (Kind::Stray, _) => Some(stray(token.text)),
            (Kind::String, _) if !token.text.starts_with('#') => escapes(token),
            _ => None,
        };
        problems.extend(problem.map(|problem| problem.at(token.span())));
    }
    problems
}

/// What stands there without a gap, as its author may have seen it as one: `10.9.0.0/24`.
fn joined(tokens: &[Token<'_>]) -> String {
    let parts = tokens.iter().take_while(|t| matches!(t.kind, Kind::Word | Kind::Stray));
    parts.map(|token| token.text).collect()
}

/// Escapes that KDL 2.0 does not know (spec, 3.11).
fn escapes(token: &Token<'_>) -> Option<Problem> {
    let mut chars = token.text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        let (_, escaped) = chars.next()?;
        let is_code_point = || {
            let code = token.text[at..].strip_prefix("\\u{")?.split('}').next()?;
            char::from_u32(u32::from_str_radix(code, 16).ok()?)
        };
        if escaped.is_whitespace() || "nrt\\\"bfs".contains(escaped) || (escaped == 'u' && is_code_point().is_some()) {
            continue;
        }
        let problem = Problem::new(format!("{} is no escape", quoted(&format!("\\{escaped}"))));
        let problem = problem.at((token.offset + at, 1 + escaped.len_utf8()).into());
        return Some(problem.help("a backslash is written `\\\\`, or stands as it is between #\" and \"#"));
    }
    None
}

fn starts_number(text: &str) -> bool {
    text.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit())
}

fn word(text: &str) -> Option<Problem> {
    match text {
        "true" | "false" | "null" | "inf" | "-inf" | "nan" => {
            Some(Problem::new(format!("a bare `{text}` is KDL 1")).help(format!("KDL 2 writes `#{text}`")))
        }
        "#true" | "#false" | "#null" | "#inf" | "#-inf" | "#nan" => None,
        _ if text.starts_with('#') => {
            Some(Problem::new(format!("{} is no keyword", quoted(text))).help("comments start with `//`"))
        }
        _ if starts_number(text) && !is_number(text) => Some(needs_quotes(text)),
        _ => None,
    }
}

fn needs_quotes(text: &str) -> Problem {
    Problem::new(format!("{} is not a value of KDL", quoted(text)))
        .label("starts like a number, but is none")
        .help(format!("values with a unit and addresses are written in quotes: \"{text}\""))
}

fn stray(text: &str) -> Problem {
    let problem = Problem::new(format!("{} means nothing here", quoted(text)));
    match text {
        "(" | ")" => problem.help("scenarios have no type annotations: units are part of the value, \"100ms\""),
        "#" => problem.help("comments start with `//`"),
        _ => problem.help("a value with special characters is written in quotes"),
    }
}

/// A number of KDL 2.0 that fits into an `i128`, which is what the `kdl` crate holds.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |part: &str, radix: u32| {
        part.starts_with(|c: char| c.is_digit(radix)) && part.chars().all(|c| c == '_' || c.is_digit(radix))
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return all(digits, radix) && i128::from_str_radix(&digits.replace('_', ""), radix).is_ok();
        }
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let is_exponent = |e: &str| all(e.strip_prefix(['+', '-']).unwrap_or(e), 10);
    let is_whole = exponent.is_none() && fraction.is_none();
    all(whole, 10)
        && fraction.is_none_or(|f| all(f, 10))
        && exponent.is_none_or(is_exponent)
        && (!is_whole || whole.replace('_', "").parse::<i128>().is_ok())
}

/// A finding of the `kdl` crate in its own words, at the word it is about.
fn explain(found: &KdlDiagnostic, tokens: &[Token<'_>]) -> Problem {
    let message = found.message.clone().unwrap_or_else(|| "this is not KDL 2.0".into());
    let span = anchored(found, tokens);
    let label = found.label.clone().unwrap_or_else(|| "here".into());
    Problem::new(message).at(span).label(label).help_if(found.help.clone())
}

/// kdl 6.7 starts the span of "Expected property value" at the beginning of the document; only its end is right.
fn anchored(found: &KdlDiagnostic, tokens: &[Token<'_>]) -> SourceSpan {
    let end = found.span.offset() + found.span.len();
    let last = tokens.iter().rfind(|t| t.is_value() && t.offset < end);
    match (found.message.as_deref(), last) {
        (Some("Expected property value"), Some(token)) => token.span(),
        _ => found.span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let source = SourceFile::new("test.kdl", text);
        document(&source).err().map_or(Vec::new(), |e| e.problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_kdl_accepts_passes() {
        for text in
            ["", "a 1 0x1f 0b1 0o7 1_000 -5 +2.5e-3 #true #-inf", "a b = c; d { e f=\"g\" }\n/- h 1\n", "a \\\n b\n"]
        {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn all_mistakes_of_a_file_are_found_at_once() {
        let found = problems("a delay=100ms\nb 10.9.0.0/24 true\nc r\"x\" = 5\n");
        let of = |what: &str| found.iter().filter(|problem| problem.contains(what)).count();
        assert_eq!((of("`100ms`"), of("`10.9.0.0/24`"), of("`true`"), of("raw string")), (1, 1, 1, 1), "{found:?}");
    }

    #[test]
    fn no_text_of_repeated_marks_overflows_the_stack() {
        let marks = "{ } a{ a{\n /* /- = a= a=b a=b\n ( \\ \" # #\" ; a a\n /-a\n /-b /-{} {} a{} a; \\\n \"\"\"\n \"\\q\"\n /-/- /-\n";
        for mark in marks.split(' ') {
            for glue in ["", " "] {
                problems(&format!("{mark}{glue}").repeat(1_000));
                problems(&format!("a {mark}{glue}").repeat(1_000));
            }
        }
    }

    #[test]
    fn numbers_are_told_from_what_only_starts_like_one() {
        for number in ["0", "-1", "1_000", "1.5", "1e3", "2.5E-7", "0xff", "0b10", "+0o17"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["5s", "1.", ".5", "1.2.3", "0xg", "1e", "10%", "9".repeat(50).as_str()] {
            assert!(!is_number(other), "{other}");
        }
    }
}
