//! From a span in a scenario's text to the place that a message or a report names.

use miette::SourceSpan;

use super::model::Origin;
use crate::scenario::SourceFile;

/// The place of a span: its file, line and column from 1, and the line's text.
pub(super) fn origin(source: &SourceFile, span: SourceSpan) -> Origin {
    let (base, name, text) = source.part_at(span.offset());
    let offset = (span.offset() - base).min(text.len());
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    Origin {
        file: name.to_owned(),
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..offset].chars().count() + 1,
        offset,
        len: span.len(),
        text: text[line_start..line_end].trim().to_owned(),
    }
}

/// The place of something that no scenario asks for: no line, and the reason where the line's text would be.
pub(super) fn by_rule(why: &str) -> Origin {
    Origin { text: why.to_owned(), ..Origin::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_lines_and_characters_from_one() {
        let source = SourceFile::new("x.kdl", "a\n  é link b c // d\n");
        let at = source.text.find("link").expect("there");
        let found = origin(&source, (at, 4).into());
        assert_eq!((found.line, found.column, found.len), (2, 5, 4));
        assert_eq!(found.text, "é link b c // d");
    }

    #[test]
    fn the_end_of_a_file_is_a_place_too() {
        let source = SourceFile::new("x.kdl", "a");
        assert_eq!(origin(&source, (1, 0).into()).line, 1);
        assert_eq!(origin(&source, (9, 9).into()).column, 2);
    }
}
