//! A command line cut into words as a shell would cut it, and nothing else that a shell does.
//!
//! There is no shell in a run: what is measured is the program, not `sh`. Whatever would need one is an error that says
//! how to ask for one.

use std::ops::Range;
use std::str::CharIndices;

use miette::SourceSpan;

use super::error::{Problem, quoted};

/// Splits a command line: white space separates, `'…'` and `"…"` hold together, `\` takes the next character as it is.
///
/// `place` says where in the file a part of the line stands.
pub(super) fn split(line: &str, place: &dyn Fn(Range<usize>) -> SourceSpan) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        let span = |len: usize| place(at..at + len);
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let rest = chars.by_ref().map(|(_, c)| c);
                single_quoted(rest, word.get_or_insert_default()).ok_or_else(|| unclosed(span(1)))?;
            }
            '"' => {
                let word = word.get_or_insert_default();
                double_quoted(&mut chars, word, place)?.ok_or_else(|| unclosed(span(1)))?;
            }
            '\\' => match chars.next() {
                Some((_, escaped)) => word.get_or_insert_default().push(escaped),
                None => return Err(Problem::new("a `\\` at the end takes nothing with it").at(span(1))),
            },
            c if is_shell_syntax(c) || (word.is_none() && matches!(c, '~' | '#')) => {
                return Err(needs_a_shell(c).at(span(c.len_utf8())));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Everything up to the next `'`; `None` if there is none.
fn single_quoted(chars: impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    for c in chars {
        match c {
            '\'' => return Some(()),
            c => word.push(c),
        }
    }
    None
}

/// Everything up to the next `"`; `None` if there is none. A shell still expands `$` and backquotes here, and `\` escapes
/// only what is special (POSIX, 2.2.3).
fn double_quoted(
    chars: &mut CharIndices<'_>,
    word: &mut String,
    place: &dyn Fn(Range<usize>) -> SourceSpan,
) -> Result<Option<()>, Problem> {
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok(Some(())),
            '$' | '`' => return Err(needs_a_shell(c).at(place(at..at + 1))),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => word.push(escaped),
                Some((_, other)) => word.extend(['\\', other]),
                None => return Ok(None),
            },
            c => word.push(c),
        }
    }
    Ok(None)
}

fn is_shell_syntax(c: char) -> bool {
    matches!(c, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*')
}

fn needs_a_shell(c: char) -> Problem {
    let what = match c {
        '|' => "a pipe",
        '<' | '>' => "a redirection",
        '$' | '`' | '~' | '*' => "an expansion",
        '#' => "a comment",
        _ => "a list of commands",
    };
    Problem::new(format!("{} would be {what}, and no shell reads this command", quoted(&c.to_string())))
        .help("put it in single quotes if it is meant as it stands, or run a shell: \"sh\" \"-c\" \"…\"")
}

fn unclosed(span: SourceSpan) -> Problem {
    let problem = Problem::new("this quote is never closed").at(span).label("opened here");
    problem.help("close it, or write `\\` before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<Vec<String>, Problem> {
        super::split(line, &|range| (range.start, range.len()).into())
    }

    fn place(problem: &Problem) -> usize {
        miette::Diagnostic::labels(problem).expect("labels").next().expect("one").offset()
    }

    #[test]
    fn words_are_cut_as_a_shell_cuts_them() {
        for (line, words) in [
            ("curl -m 5  http://server/", vec!["curl", "-m", "5", "http://server/"]),
            ("sh -c 'echo $HOME | cat > x'", vec!["sh", "-c", "echo $HOME | cat > x"]),
            ("a \"b c\"d'e f'", vec!["a", "b cde f"]),
            ("a \"\" ''", vec!["a", "", ""]),
            (r#"a \$b "\$c \d \"e\"" \ f"#, vec!["a", "$b", "$c \\d \"e\"", " f"]),
            ("a#b c~d http://x/?q=1", vec!["a#b", "c~d", "http://x/?q=1"]),
            ("  ", vec![]),
        ] {
            assert_eq!(split(line).expect(line), words, "{line}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_refused_at_its_place() {
        for (line, at) in [
            ("a | b", 2),
            ("a > b", 2),
            ("a $b", 2),
            ("a \"$b\"", 3),
            ("a; b", 1),
            ("a &", 2),
            ("a ~", 2),
            ("a # b", 2),
            ("a *.c", 2),
            ("a 'b", 2),
            ("a \"b", 2),
            ("a \\", 2),
        ] {
            assert_eq!(place(&split(line).expect_err(line)), at, "{line}");
        }
    }

    #[test]
    fn a_real_shell_cuts_the_same_words() {
        for line in [r#"a \$b "\$c \d \"e\"" \ f 'g\h' "i'j" k\ l"#, "a '' \"\" b\"c\"'d'"] {
            let script = format!("printf '%s\\n' {line}");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh runs");
            let theirs = String::from_utf8(output.stdout).expect("UTF-8");
            assert_eq!(split(line).expect(line).join("\n") + "\n", theirs);
        }
    }
}
