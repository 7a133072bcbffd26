//! The timeline's columns: time, wait, place, words. Only the words wrap.

use std::fmt::Write as _;

use super::text::{Options, Style};

/// A row.
pub(super) struct Row {
    pub time: String,
    pub wait: String,
    pub at: String,
    pub what: String,
    /// Stands before every line of `what`.
    pub indent: &'static str,
    pub style: Style,
}

/// Space between two columns.
const GUTTER: usize = 2;

/// The least room for words, however narrow the terminal.
const LEAST_WORDS: usize = 20;

/// All rows below a line of headings.
pub(super) fn table(rows: &[Row], options: Options) -> String {
    let heading = Row {
        time: "time".into(),
        wait: "wait, timer".into(),
        at: "where".into(),
        what: "what".into(),
        indent: "",
        style: Style::Dim,
    };
    let widest = |cell: fn(&Row) -> &str| rows.iter().chain([&heading]).map(|row| length(cell(row))).max().unwrap_or(0);
    let widths = [widest(|row| &row.time), widest(|row| &row.wait), widest(|row| &row.at)];
    let before: usize = widths.iter().map(|width| width + GUTTER).sum::<usize>() + GUTTER;
    let room = options.width.saturating_sub(before).max(LEAST_WORDS);
    let mut out = String::new();
    for row in [&heading].into_iter().chain(rows) {
        let [time, wait, at] = widths;
        let cells = format!(
            "{:GUTTER$}{:>time$}{:GUTTER$}{:<wait$}{:GUTTER$}{:<at$}{:GUTTER$}",
            "", row.time, "", row.wait, "", row.at, ""
        );
        for (number, line) in wrapped(&row.what, room, row.indent).iter().enumerate() {
            let start = if number == 0 { cells.clone() } else { " ".repeat(before) };
            let painted = row.style.paint(format!("{start}{line}").trim_end(), options);
            let _ = writeln!(out, "{painted}");
        }
    }
    out
}

/// `text` in lines of at most `room` characters, each but the first a little further in.
fn wrapped(text: &str, room: usize, indent: &str) -> Vec<String> {
    const FURTHER: &str = "  ";
    let mut lines = vec![indent.to_owned()];
    let mut is_empty = true;
    for word in text.split(' ') {
        let needed = length(lines.last().map_or("", String::as_str)) + usize::from(!is_empty) + length(word);
        if !is_empty && needed > room {
            lines.push(format!("{indent}{FURTHER}"));
            is_empty = true;
        }
        let mut rest = word;
        // A word longer than a line is cut.
        while let Some(line) = lines.last_mut() {
            if !is_empty {
                line.push(' ');
            }
            let left = room.saturating_sub(length(line)).max(1);
            let cut = rest.char_indices().nth(left).map_or(rest.len(), |(at, _)| at);
            line.push_str(&rest[..cut]);
            rest = &rest[cut..];
            is_empty = false;
            if rest.is_empty() {
                break;
            }
            lines.push(format!("{indent}{FURTHER}"));
            is_empty = true;
        }
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_stay_whole_while_they_fit() {
        assert_eq!(wrapped("one two three", 8, ""), ["one two", "  three"]);
        assert_eq!(wrapped("one two", 7, ""), ["one two"]);
    }

    #[test]
    fn a_word_longer_than_a_line_is_cut() {
        assert_eq!(wrapped("abcdefghij k", 6, ""), ["abcdef", "  ghij", "  k"]);
    }
}
