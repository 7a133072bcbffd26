//! One way to write a scenario: four spaces for each level, one space between words, at most one empty line, comments
//! where they were.
//!
//! Works on tokens, not on a parsed document, so that comments, the spelling of values and blocks on one line stay as
//! their author wrote them.

use kdl::{KdlDocument, KdlEntry, KdlNode};

use super::error::Diagnostics;
use super::source::SourceFile;
use super::syntax;
use super::tokens::{Kind, Token};

/// Formats a scenario's text. Formatting twice changes nothing more.
///
/// # Errors
///
/// The text is not KDL 2.0. What it declares is not looked at.
pub fn format(source: &SourceFile) -> Result<String, Diagnostics> {
    let before = syntax::document(source)?;
    let tokens = syntax::checked_tokens(source)?;
    let mut layout = Layout::default();
    for (index, token) in tokens.iter().enumerate() {
        layout.token(token, &tokens[index + 1..]);
    }
    let text = layout.finish();
    // A formatter must never change what a text says; should it not know a turn of phrase, it leaves all as it is.
    let is_same = KdlDocument::parse_v2(&text).is_ok_and(|after| says_the_same(before.nodes(), after.nodes()));
    Ok(if is_same { text } else { source.text.clone() })
}

fn says_the_same(before: &[KdlNode], after: &[KdlNode]) -> bool {
    let entry = |entry: &KdlEntry| (entry.name().map(|name| name.value().to_owned()), entry.value().clone());
    let children = |node: &KdlNode| node.children().map_or(Vec::new(), |children| children.nodes().to_vec());
    before.len() == after.len()
        && before.iter().zip(after).all(|(a, b)| {
            a.name().value() == b.name().value()
                && a.entries().iter().map(entry).eq(b.entries().iter().map(entry))
                && says_the_same(&children(a), &children(b))
        })
}

/// The text so far and what is known about its last line.
#[derive(Default)]
struct Layout {
    text: String,
    /// Open blocks; true for those on one line.
    blocks: Vec<bool>,
    /// The next token follows the last one without a space.
    is_glued: bool,
    /// The line is complete; only a comment may still be added to it.
    is_line_due: bool,
    /// Behind a `\`: the next line belongs to the same node.
    is_continued: bool,
    /// Line breaks since the last token.
    breaks: usize,
}

impl Layout {
    fn token(&mut self, token: &Token<'_>, following: &[Token<'_>]) {
        match token.kind {
            Kind::Space => {}
            Kind::Newline => {
                self.breaks += 1;
                self.is_line_due = true;
            }
            Kind::LineComment => {
                self.is_glued = false;
                self.word(token.text.trim_end());
            }
            Kind::BlockComment => self.word(token.text),
            Kind::Semicolon if self.blocks.last() == Some(&true) => self.inner_semicolon(following),
            Kind::Semicolon => self.is_line_due = true,
            Kind::Open => self.open(following),
            Kind::Close => self.close(),
            Kind::Equals => {
                self.text.push('=');
                self.is_glued = true;
            }
            Kind::Backslash => {
                self.word("\\");
                self.is_continued = true;
            }
            Kind::SlashDash => {
                self.begin_word();
                self.text.push_str("/-");
                self.is_glued = following.first().is_some_and(|next| next.is_value() || next.kind == Kind::Open);
            }
            Kind::Word | Kind::String | Kind::Stray => {
                self.begin_word();
                self.text.push_str(token.text);
                self.is_continued = false;
            }
        }
    }

    /// A word or a comment, on a new line if the last one is complete and this does not belong to it.
    fn word(&mut self, word: &str) {
        let belongs_to_line = self.breaks == 0 && (word.starts_with("//") || word.starts_with("/*"));
        let is_line_due = self.is_line_due;
        if belongs_to_line {
            self.is_line_due = false;
        }
        self.begin_word();
        self.text.push_str(word);
        self.is_line_due = belongs_to_line && is_line_due;
    }

    /// The line break or the space that is due before a word.
    fn begin_word(&mut self) {
        if self.is_line_due || self.text.is_empty() {
            let is_first = self.text.is_empty() || self.text.ends_with('{');
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            if self.breaks > 1 && !is_first && !self.is_continued {
                self.text.push('\n');
            }
            let depth = self.blocks.len() + usize::from(self.is_continued);
            self.text.push_str(&"    ".repeat(depth));
        } else if !self.is_glued {
            self.text.push(' ');
        }
        self.is_line_due = false;
        self.is_glued = false;
        self.breaks = 0;
    }

    fn open(&mut self, following: &[Token<'_>]) {
        self.begin_word();
        self.text.push('{');
        self.blocks.push(is_on_one_line(following));
        self.is_line_due = self.blocks.last() == Some(&false);
        self.is_continued = false;
    }

    fn close(&mut self) {
        let is_on_one_line = self.blocks.pop().unwrap_or(false);
        self.breaks = 0;
        if self.text.ends_with('{') {
            self.is_line_due = false;
            self.is_glued = true;
        } else {
            self.is_line_due = !is_on_one_line;
        }
        self.begin_word();
        self.text.push('}');
        self.is_continued = false;
    }

    fn inner_semicolon(&mut self, following: &[Token<'_>]) {
        let next = following.iter().find(|token| token.kind != Kind::Space);
        if next.is_some_and(|next| next.kind != Kind::Close) {
            self.text.push(';');
        }
    }

    fn finish(mut self) -> String {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text
    }
}

/// Whether a block, given what follows its `{`, is closed on the same line.
fn is_on_one_line(following: &[Token<'_>]) -> bool {
    let mut depth = 1;
    for token in following {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Newline | Kind::LineComment => return false,
            _ if token.text.contains('\n') => return false,
            _ => {}
        }
        if depth == 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str) -> String {
        format(&SourceFile::new("test.kdl", text)).expect("KDL")
    }

    const MESSY: &str = r##"


// top
about   "x"   // trailing


tag quick ;  tag "b"; // two


namespace   client{
  // inside
  sysctl "net.ipv4.x" 0   or = 1 /* block */ // why



  // two
  drop tcp \ // next
     dport=0x50

  // end

}
run x in=client #"curl "q" z"# {expect exit=28;env "a" "b" ;}
run y in=client "true" { }
/- run z
/-run z2
run /- a b /-c=d {
    stdin text="""
  as it
      is
  """
}
// last"##;

    const TIDY: &str = r##"// top
about "x" // trailing

tag quick
tag "b" // two

namespace client {
    // inside
    sysctl "net.ipv4.x" 0 or=1 /* block */ // why

    // two
    drop tcp \ // next
        dport=0x50

    // end
}
run x in=client #"curl "q" z"# { expect exit=28; env "a" "b" }
run y in=client "true" {}
/- run z
/-run z2
run /- a b /-c=d {
    stdin text="""
  as it
      is
  """
}
// last
"##;

    #[test]
    fn comments_spelling_and_single_empty_lines_are_kept() {
        assert_eq!(formatted(MESSY), TIDY);
    }

    #[test]
    fn formatting_twice_changes_nothing_more() {
        for text in [MESSY, "", "\n\n", "// only", "a{b{c}}", "a /- b \\\n c", "a { // why\n b }\n"] {
            let once = formatted(text);
            assert_eq!(formatted(&once), once, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_kdl_is_not_formatted() {
        let source = SourceFile::new("test.kdl", "a {");
        assert_eq!(format(&source).expect_err("refused").to_string(), "this `{` is never closed");
    }
}
