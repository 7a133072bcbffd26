//! The words of a KDL 2.0 text, comments and white space included: nothing is lost, nothing is interpreted.
//!
//! The `kdl` crate parses; this only cuts, for what that crate cannot give: a look at the text before a recursive parser
//! meets it, messages that name the right word, and a formatter that keeps comments.

use std::iter::Peekable;
use std::str::CharIndices;

use miette::SourceSpan;

use super::error::{Problem, is_direction_mark};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Spaces and tabs, on one line.
    Space,
    /// One line break.
    Newline,
    /// `// …` to the end of the line, without the line break.
    LineComment,
    /// `/* … */`, nested ones included.
    BlockComment,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    Semicolon,
    /// `=`
    Equals,
    /// `/-`, which comments out what follows.
    SlashDash,
    /// `\`, which continues a line.
    Backslash,
    /// A string in quotes of any kind.
    String,
    /// A bare word, a number, or a keyword such as `#true`.
    Word,
    /// A character that means nothing where it stands.
    Stray,
}

/// One token and where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// The token's place in the file.
    pub(super) fn span(&self) -> SourceSpan {
        (self.offset, self.text.len()).into()
    }

    /// Whether it can be a value, a node's name or a property's.
    pub(super) fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::String)
    }
}

/// Cuts a text into tokens.
///
/// # Errors
///
/// A string or a comment that never ends, or comments nested deeper than `nesting_limit`: no token after it can be
/// trusted.
pub(super) fn tokens(text: &str, nesting_limit: usize) -> Result<Vec<Token<'_>>, Problem> {
    let mut cutter = Cutter { text, chars: text.char_indices().peekable(), nesting_limit };
    let mut tokens = Vec::new();
    while let Some((offset, first)) = cutter.chars.next() {
        let kind = cutter.token(offset, first)?;
        tokens.push(Token { kind, offset, text: &text[offset..cutter.offset()] });
    }
    Ok(tokens)
}

/// A line break of KDL 2.0 (spec, 3.18).
pub(super) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// White space of KDL 2.0 (spec, 3.17), and the byte order mark that may open a file.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}'
    )
}

/// A character that may stand in a bare word (KDL 2.0 spec, 3.10).
fn is_word(c: char) -> bool {
    !is_space(c) && !is_newline(c) && !"\\/(){};[]\"#=".contains(c) && !is_disallowed(c)
}

/// A character that may stand nowhere in a document, not even in a string (KDL 2.0 spec, 3.19).
pub(super) fn is_disallowed(c: char) -> bool {
    matches!(c, '\0'..='\u{08}' | '\u{0E}'..='\u{1F}' | '\u{7F}') || is_direction_mark(c)
}

struct Cutter<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    nesting_limit: usize,
}

impl<'a> Cutter<'a> {
    fn offset(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(offset, _)| *offset)
    }

    fn rest(&mut self) -> &'a str {
        let offset = self.offset();
        &self.text[offset..]
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.chars.next_if(|(_, c)| wanted(*c)).is_some() {}
    }

    /// Skips so many characters.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.chars.next();
        }
    }

    fn token(&mut self, offset: usize, first: char) -> Result<Kind, Problem> {
        Ok(match first {
            '\r' if self.rest().starts_with('\n') => {
                self.skip(1);
                Kind::Newline
            }
            c if is_newline(c) => Kind::Newline,
            c if is_space(c) => {
                self.skip_while(is_space);
                Kind::Space
            }
            '{' => Kind::Open,
            '}' => Kind::Close,
            ';' => Kind::Semicolon,
            '=' => Kind::Equals,
            '\\' => Kind::Backslash,
            '/' => self.slash(offset)?,
            '"' => self.string(offset, 0)?,
            '#' => self.hash(offset)?,
            c if is_word(c) => {
                self.skip_while(is_word);
                Kind::Word
            }
            _ => Kind::Stray,
        })
    }

    fn slash(&mut self, offset: usize) -> Result<Kind, Problem> {
        match self.rest().chars().next() {
            Some('/') => {
                self.skip_while(|c| !is_newline(c));
                Ok(Kind::LineComment)
            }
            Some('-') => {
                self.skip(1);
                Ok(Kind::SlashDash)
            }
            Some('*') => {
                self.skip(1);
                self.block_comment(offset)
            }
            _ => Ok(Kind::Stray),
        }
    }

    fn block_comment(&mut self, offset: usize) -> Result<Kind, Problem> {
        let mut depth = 1;
        while depth > 0 {
            if self.rest().starts_with("/*") {
                self.skip(2);
                depth += 1;
            } else if self.rest().starts_with("*/") {
                self.skip(2);
                depth -= 1;
            } else if self.chars.next().is_none() {
                return Err(Problem::new("this comment never ends")
                    .at((offset, 2).into())
                    .label("opened here")
                    .help("close it with `*/`; each `/*` inside needs a `*/` of its own"));
            }
            if depth > self.nesting_limit {
                return Err(Problem::new(format!("comments nested deeper than {} levels", self.nesting_limit))
                    .at((offset, 2).into())
                    .label("the outermost one")
                    .help("`//` comments do not nest"));
            }
        }
        Ok(Kind::BlockComment)
    }

    /// `#true`, `#-inf`, or a raw string `#"…"#`.
    fn hash(&mut self, offset: usize) -> Result<Kind, Problem> {
        let more = self.rest().chars().take_while(|c| *c == '#').count();
        if self.rest()[more..].starts_with('"') {
            self.skip(more + 1);
            return self.string(offset, more + 1);
        }
        if more > 0 || !self.rest().starts_with(is_word) {
            self.skip(more);
            return Ok(Kind::Stray);
        }
        self.skip_while(is_word);
        Ok(Kind::Word)
    }

    /// The rest of a string whose first quote has been read; raw ones end with as many `#` as they began with.
    fn string(&mut self, offset: usize, hashes: usize) -> Result<Kind, Problem> {
        let is_multi_line = self.rest().starts_with("\"\"");
        if hashes == 0 && is_multi_line && self.rest()[2..].chars().next().is_none_or(|c| !is_newline(c)) {
            // Either an empty string with something right behind it or a `"""` that lacks its line break.
            self.skip(1);
            return Ok(Kind::String);
        }
        if is_multi_line {
            self.skip(2);
        }
        let end = format!("{}{}", if is_multi_line { "\"\"\"" } else { "\"" }, "#".repeat(hashes));
        loop {
            if self.rest().starts_with(&end) {
                self.skip(end.len());
                return Ok(Kind::String);
            }
            match self.chars.next() {
                Some((_, '\\')) if hashes == 0 => self.escape(),
                Some((_, c)) if is_multi_line || !is_newline(c) => {}
                _ => return Err(endless_string(offset, is_multi_line, &end)),
            }
        }
    }

    /// What follows a backslash: one character, or all white space up to the next visible one.
    fn escape(&mut self) {
        let is_white = |c| is_space(c) || is_newline(c);
        match self.rest().chars().next() {
            Some(c) if is_white(c) => self.skip_while(is_white),
            _ => self.skip(1),
        }
    }
}

fn endless_string(offset: usize, is_multi_line: bool, end: &str) -> Problem {
    let (message, help) = match is_multi_line {
        true => ("this string never ends", format!("close it with `{end}` on a line of its own")),
        false => (
            "this string does not end on its line",
            format!("close it with `{end}`; a text of several lines stands between `\"\"\"` and `\"\"\"`"),
        ),
    };
    Problem::new(message).at((offset, 1).into()).label("opened here").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(Kind, &str)> {
        tokens(text, 4).expect("tokens").iter().map(|t| (t.kind, t.text)).collect()
    }

    #[test]
    fn every_byte_of_a_text_is_in_exactly_one_token() {
        let text = "a \"b\\\" {\" #\"c\"d\"# /* x /* y */ */ k=#true; // z\r\n\"\"\"\n  m\n  \"\"\" /- n { }\\\n(";
        let tokens = tokens(text, 4).expect("tokens");
        assert_eq!(tokens.iter().map(|t| t.text).collect::<String>(), text);
        assert!(tokens.windows(2).all(|pair| pair[0].offset + pair[0].text.len() == pair[1].offset));
    }

    #[test]
    fn braces_in_strings_and_comments_are_no_braces() {
        let kinds: Vec<Kind> = cut("\"{\" #\"{\"# // {").into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::String, Kind::Space, Kind::String, Kind::Space, Kind::LineComment]);
    }

    #[test]
    fn a_raw_string_ends_only_with_as_many_hashes_as_it_began_with() {
        assert_eq!(cut("##\"a\"# b\"##"), [(Kind::String, "##\"a\"# b\"##")]);
    }

    #[test]
    fn what_never_ends_is_told_where_it_began() {
        for (text, at) in [("a \"b\nc", 2), ("a /* b", 2), ("a \"\"\"\nb", 2), ("a #\"b\"", 2), ("/*/*/*/*/*/*", 0)] {
            let problem = tokens(text, 4).expect_err("refused");
            assert_eq!(problem, problem.clone().at((99, 1).into()), "{text} has a place");
            let label = miette::Diagnostic::labels(&problem).expect("labels").next().expect("one");
            assert_eq!(label.offset(), at, "{text}");
        }
    }
}
