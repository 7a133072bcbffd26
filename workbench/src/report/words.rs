//! Words in a grid of cells: how wide they are, and where a line breaks.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` as it can stand in a grid: a character without a width of its own is written out, because what it would do
/// to the one before it is the terminal's choice. Control characters were escaped where the text was made.
pub fn in_cells(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.width() {
            Some(1..) => out.push(c),
            _ => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    out
}

/// How many cells `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A space where no line breaks; a plain one once that is decided.
const NO_BREAK: char = '\u{a0}';

/// `text` in lines of at most `room` cells; a word longer than a line is cut. At least one line.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    // A character may take two cells.
    let room = room.max(2);
    let mut lines = vec![String::new()];
    for word in in_cells(text).split(' ') {
        let line = lines.last().map_or(0, |line| width(line));
        if line > 0 && line + 1 + width(word) > room {
            lines.push(String::new());
        } else if line > 0 {
            push(&mut lines, ' ');
        }
        for c in word.chars() {
            let line = lines.last().map_or(0, |line| width(line));
            if line + c.width().unwrap_or(0) > room {
                lines.push(String::new());
            }
            push(&mut lines, c);
        }
    }
    lines.iter().map(|line| line.replace(NO_BREAK, " ")).collect()
}

/// A name in lines of at most `room` cells, broken behind a hyphen where there is one.
pub fn wrap_name(name: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive('-') {
        match lines.last_mut() {
            Some(line) if width(line) + width(part) <= room => line.push_str(part),
            _ => lines.extend(wrap(part, room)),
        }
    }
    lines
}

fn push(lines: &mut [String], c: char) {
    if let Some(line) = lines.last_mut() {
        line.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::{in_cells, wrap, wrap_name};

    #[test]
    fn a_line_breaks_between_words_and_a_long_word_is_cut() {
        assert_eq!(wrap("SYN to server:80", 10), ["SYN to", "server:80"]);
        assert_eq!(wrap("abcdefghij k", 6), ["abcdef", "ghij k"]);
        assert_eq!(wrap("", 6), [""]);
    }

    #[test]
    fn a_name_breaks_behind_a_hyphen() {
        assert_eq!(wrap_name("edge-router-one", 10), ["edge-", "router-one"]);
        assert_eq!(wrap_name("abcdefgh-i", 4), ["abcd", "efgh", "-i"]);
    }

    #[test]
    fn a_wide_character_takes_two_cells_and_one_without_width_is_written_out() {
        assert_eq!(wrap("タイムアウト", 5), ["タイ", "ムア", "ウト"]);
        assert_eq!(in_cells("e\u{301}"), "e\\u{301}");
    }
}
