//! The texts that messages quote: a scenario's file and those it uses, in one space of offsets, each with its own name and
//! line numbers. Knows nothing of what is wrong with them.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::error::is_direction_mark;
use super::source::SourceFile;

/// Texts by the offset at which each begins.
#[derive(Debug, Default)]
pub(super) struct Snippets {
    /// Offset, name, text; in the order of the offsets.
    texts: Vec<(usize, String, String)>,
}

impl Snippets {
    /// Those of a scenario. Quoted source must not steer the terminal that shows it.
    pub(super) fn of(source: &SourceFile) -> Self {
        Self { texts: source.parts().map(|(base, name, text)| (base, name.to_owned(), inert(text))).collect() }
    }
}

impl SourceCode for Snippets {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let holding = self.texts.iter().rfind(|(base, ..)| *base <= span.offset());
        let (base, name, text) = holding.ok_or(MietteError::OutOfBounds)?;
        // A span that reaches into the next file is out of bounds here: two labels in two files give two snippets.
        let inside = SourceSpan::from((span.offset() - base, span.len()));
        let found = text.read_span(&inside, lines_before, lines_after)?;
        let shifted = SourceSpan::from((found.span().offset() + base, found.span().len()));
        let (line, column, count) = (found.line(), found.column(), found.line_count());
        Ok(Box::new(MietteSpanContents::new_named(name.clone(), found.data(), shifted, line, column, count)))
    }
}

/// The text with every character that could steer a terminal replaced by one of the same length in bytes, so that
/// spans stay right.
fn inert(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' | '\r' | '\t' => vec![c],
            c if c.is_control() || is_direction_mark(c) => match c.len_utf8() {
                3 => vec![char::REPLACEMENT_CHARACTER],
                n => vec!['?'; n],
            },
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippets() -> Snippets {
        let text = |base: usize, name: &str, text: &str| (base, name.to_owned(), text.to_owned());
        Snippets { texts: vec![text(0, "a.kdl", "one\ntwo\n"), text(9, "b.kdl", "three\nfour\n")] }
    }

    #[test]
    fn a_place_is_quoted_from_its_own_file_with_its_own_line() {
        let all = snippets();
        let found = all.read_span(&(15, 4).into(), 0, 0).expect("there");
        assert_eq!((found.name(), found.line(), found.span().offset()), (Some("b.kdl"), 1, 15));
        assert_eq!(found.data(), b"four");
    }

    #[test]
    fn two_files_never_make_one_snippet() {
        assert!(snippets().read_span(&(4, 10).into(), 1, 1).is_err());
    }
}
