//! A command line cut into words as a shell would cut it, and nothing else that a shell does.
//!
//! There is no shell in a run: what is measured is the program, not `sh`. Whatever would need one is an error that says
//! how to ask for one.

use std::ops::Range;

use super::error::{Problem, quoted};

/// What is wrong with a command line, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misuse {
    pub(super) place: Range<usize>,
    pub(super) problem: Problem,
}

/// Splits a command line: white space separates, `'…'` and `"…"` hold together, `\` takes the next character as it is.
pub(super) fn split(line: &str) -> Result<Vec<String>, Misuse> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(line, at, &mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(line, at, &mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some((_, escaped)) => word.get_or_insert_default().push(escaped),
                None => return Err(misuse(at..line.len(), Problem::new("a `\\` at the end takes nothing with it"))),
            },
            c if is_shell_syntax(c) || (word.is_none() && matches!(c, '~' | '#')) => {
                return Err(misuse(at..at + c.len_utf8(), needs_a_shell(c)));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(
    line: &str,
    at: usize,
    chars: &mut std::str::CharIndices<'_>,
    word: &mut String,
) -> Result<(), Misuse> {
    for (_, c) in chars.by_ref() {
        match c {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
    Err(unclosed(line, at))
}

/// In double quotes a shell still expands `$` and backquotes, and `\` escapes only what is special there (POSIX, 2.2.3).
fn double_quoted(
    line: &str,
    at: usize,
    chars: &mut std::str::CharIndices<'_>,
    word: &mut String,
) -> Result<(), Misuse> {
    while let Some((here, c)) = chars.next() {
        match c {
            '"' => return Ok(()),
            '$' | '`' => return Err(misuse(here..here + 1, needs_a_shell(c))),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => word.push(escaped),
                Some((_, other)) => word.extend(['\\', other]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err(unclosed(line, at))
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

fn unclosed(line: &str, at: usize) -> Misuse {
    misuse(at..line.len(), Problem::new("this quote is never closed").help("close it, or write `\\` before it"))
}

fn misuse(place: Range<usize>, problem: Problem) -> Misuse {
    Misuse { place, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(split(line).expect_err(line).place.start, at, "{line}");
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
