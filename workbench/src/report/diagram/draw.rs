//! Steps as lines of cells: lifelines, arrows, words beside them. How wide, and where each lifeline stands, is given.

use super::super::text::Style;
use super::arrow::End;
use super::canvas::Row;
use crate::report::words::{width, wrap};

/// The least room for words beside a lifeline; if the next one is nearer, words go over it.
const LEAST: usize = 20;

/// An arrow's line before and after its label, spaces and head included.
const SHAFT: usize = 9;

/// Where lifelines stand.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Cells of a line.
    pub width: usize,
    /// The first cell right of the times.
    pub left: usize,
    /// Cell of each lifeline, from left to right.
    pub lifelines: Vec<usize>,
}

/// Words that stand beside a lifeline, to its right or, beside the last one, to its left.
pub(super) struct Beside<'a> {
    pub column: usize,
    pub text: &'a str,
    pub style: Style,
}

/// An arrow.
pub(super) struct Arrow<'a> {
    pub from: usize,
    pub to: usize,
    pub label: &'a str,
    pub fate: &'a str,
    pub end: &'a End,
    pub is_many: bool,
}

impl Sheet {
    /// Lifelines spread over the room that the times leave.
    pub(super) fn new(width: usize, left: usize, count: usize) -> Self {
        let last = width - 1;
        let x = |number: usize| left + number * (last - left) / (count - 1).max(1);
        Self { width, left, lifelines: (0..count).map(x).collect() }
    }

    /// A line with nothing but lifelines.
    pub(super) fn row(&self, lifeline: char) -> Row {
        let mut row = Row::new(self.width);
        for x in &self.lifelines {
            row.fill(*x, x + 1, lifeline, Style::Dim);
        }
        row
    }

    /// Whether words stand left of this lifeline.
    pub(super) fn is_leftwards(&self, column: usize) -> bool {
        column > 0 && column + 1 == self.lifelines.len()
    }

    /// Cells for words beside a lifeline.
    pub(super) fn room(&self, column: usize) -> usize {
        let x = self.lifelines[column];
        let between = |other: &usize| x.abs_diff(*other).saturating_sub(3);
        if self.is_leftwards(column) {
            let mut others = self.lifelines[..column].iter().rev().map(between);
            return others.find(|room| *room >= LEAST).unwrap_or(x - self.left - 1);
        }
        let mut others = self.lifelines[column + 1..].iter().map(between);
        others.find(|room| *room >= LEAST).unwrap_or((self.width - x).saturating_sub(2))
    }

    /// Writes a line of words beside a lifeline.
    pub(super) fn put_beside(&self, row: &mut Row, column: usize, line: &str, style: Style) {
        let x = self.lifelines[column];
        let start = if self.is_leftwards(column) { x.saturating_sub(1 + width(line)) } else { x + 2 };
        self.put_clear(row, start, line, style);
    }

    /// Words over whatever lifeline they cross, with a space at both ends.
    fn put_clear(&self, row: &mut Row, start: usize, line: &str, style: Style) {
        let end = start + width(line);
        for x in self.lifelines.iter().filter(|x| (start.saturating_sub(1)..=end).contains(*x)) {
            // A neighbour's lifeline stays where the words only touch its gap.
            if (start..end).contains(x) {
                row.fill(start.saturating_sub(1), start, ' ', Style::Plain);
                row.fill(end, (end + 1).min(self.width), ' ', Style::Plain);
            }
        }
        row.put(start, line, style);
    }

    /// Words beside a lifeline, with a mark on it in their first line.
    pub(super) fn beside(&self, words: &Beside<'_>, mark: Option<char>) -> Vec<Row> {
        let indent = if self.is_leftwards(words.column) { "" } else { "  " };
        let room = self.room(words.column) - indent.len();
        let lines = wrap(words.text, room);
        let is_long = lines.len() > 1;
        let lines = if is_long { lines } else { wrap(words.text, room + indent.len()) };
        let line = |(number, line): (usize, &String)| {
            let mut row = self.row('|');
            let line = if number > 0 { format!("{indent}{line}") } else { line.clone() };
            self.put_beside(&mut row, words.column, &line, words.style);
            if let (0, Some(mark)) = (number, mark) {
                let x = self.lifelines[words.column];
                row.fill(x, x + 1, mark, words.style);
            }
            row
        };
        lines.iter().enumerate().map(line).collect()
    }

    /// Words that belong to no lifeline, over all of them.
    pub(super) fn note(&self, line: &str, style: Style) -> Row {
        let mut row = self.row('|');
        self.put_clear(&mut row, self.left + 2, line, style);
        row
    }

    /// A silence: all lifelines are broken.
    pub(super) fn gap(&self, column: usize, words: &str, style: Style) -> Vec<Row> {
        let lines = wrap(words, self.room(column).saturating_sub(2));
        let last = lines.len() - 1;
        let line = |(number, line): (usize, &String)| {
            let mut row = self.row('~');
            let line = match (number == last, self.is_leftwards(column)) {
                (true, false) => format!("{line} ~"),
                (_, true) if number == 0 => format!("~ {line}"),
                _ => line.clone(),
            };
            self.put_beside(&mut row, column, &line, style);
            row
        };
        lines.iter().enumerate().map(line).collect()
    }

    /// An arrow, with its label in it or above it, and what became of it.
    pub(super) fn arrow(&self, arrow: &Arrow<'_>) -> Vec<Row> {
        if arrow.from == arrow.to {
            return self.to_oneself(arrow);
        }
        let mut rows = Vec::new();
        let mut shaft = self.row('|');
        let (from, to) = (self.lifelines[arrow.from], self.lifelines[arrow.to]);
        let end = self.shaft(&mut shaft, arrow);
        // A label in the line must not cover the lifelines that the arrow passes.
        let next = if to > from { self.lifelines[arrow.from + 1] } else { self.lifelines[arrow.from - 1] };
        let reach = next.abs_diff(from).min(end.abs_diff(from));
        if width(arrow.label) + SHAFT <= reach {
            let label = format!(" {} ", arrow.label);
            let start = if to > from { from + 4 } else { from - 3 - width(&label) };
            shaft.put(start, &label, Style::Cyan);
        } else {
            rows = self.over(arrow, arrow.label, Style::Cyan);
        }
        let is_told = !arrow.fate.is_empty() && self.put_fate(&mut shaft, arrow, end);
        rows.push(shaft);
        if !arrow.fate.is_empty() && !is_told {
            rows.extend(self.under(arrow));
        }
        rows
    }

    /// Draws the line itself; returns the cell where it ends.
    fn shaft(&self, row: &mut Row, arrow: &Arrow<'_>) -> usize {
        let (from, to) = (self.lifelines[arrow.from], self.lifelines[arrow.to]);
        let is_right = to > from;
        let whole = to.abs_diff(from);
        let length = match arrow.end {
            End::Arrives | End::Taken => whole,
            End::Lost | End::InFlight => (whole * 3 / 5).max(SHAFT + width(arrow.label)).min(whole - 2),
        };
        let end = if is_right { from + length } else { from - length };
        let line = if arrow.is_many { '=' } else { '-' };
        let (low, high) = if is_right { (from + 1, end) } else { (end + 1, from) };
        for x in (low..high).filter(|x| !self.lifelines.contains(x)) {
            row.fill(x, x + 1, line, Style::Cyan);
        }
        let head = if is_right { end - 1 } else { end + 1 };
        match arrow.end {
            End::Arrives => row.fill(head, head + 1, if is_right { '>' } else { '<' }, Style::Cyan),
            End::Taken => {
                row.fill(head, head + 1, if is_right { '>' } else { '<' }, Style::Cyan);
                row.fill(end, end + 1, 'X', Style::Red);
            }
            End::Lost => row.fill(head, head + 1, 'X', Style::Red),
            End::InFlight => row.fill(head, head + 1, '.', Style::Yellow),
        }
        end
    }

    /// What became of a packet that did not get to the other side, in the arrow's own line if there is room.
    fn put_fate(&self, row: &mut Row, arrow: &Arrow<'_>, end: usize) -> bool {
        let (from, to) = (self.lifelines[arrow.from], self.lifelines[arrow.to]);
        let is_neighbour = arrow.from.abs_diff(arrow.to) == 1;
        let needed = width(arrow.fate) + 2;
        if *arrow.end == End::Taken || !is_neighbour || end.abs_diff(to) < needed {
            return false;
        }
        let start = if to > from { end + 1 } else { end - width(arrow.fate) };
        row.put(start, arrow.fate, Style::Red);
        true
    }

    /// Words above an arrow, where it begins.
    pub(super) fn over(&self, arrow: &Arrow<'_>, text: &str, style: Style) -> Vec<Row> {
        self.along(arrow.from, arrow.to, text, style)
    }

    /// Words below an arrow, where it ends.
    fn under(&self, arrow: &Arrow<'_>) -> Vec<Row> {
        self.along(arrow.to, arrow.from, arrow.fate, Style::Red)
    }

    /// Cells for words along an arrow from or to the lifeline `at`.
    pub(super) fn room_along(&self, at: usize, other: usize) -> usize {
        let x = self.lifelines[at];
        let wall = if other > at { self.width - x - 2 } else { x - self.left - 1 };
        x.abs_diff(self.lifelines[other]).saturating_sub(3).max(LEAST).min(wall)
    }

    /// Words beside the lifeline `at`, on the side where `other` is.
    fn along(&self, at: usize, other: usize, text: &str, style: Style) -> Vec<Row> {
        let x = self.lifelines[at];
        let is_right = other > at;
        let room = self.room_along(at, other);
        let line = |line: &String| {
            let mut row = self.row('|');
            let start = if is_right { x + 2 } else { x - 1 - width(line) };
            self.put_clear(&mut row, start, line, style);
            row
        };
        wrap(text, room).iter().map(line).collect()
    }

    /// A packet on the loopback interface: out and back.
    fn to_oneself(&self, arrow: &Arrow<'_>) -> Vec<Row> {
        let column = arrow.from;
        let x = self.lifelines[column];
        let is_left = self.is_leftwards(column);
        let lines = wrap(arrow.label, self.room(column).saturating_sub(8));
        let cell = |distance: usize| if is_left { x - distance } else { x + distance };
        let reach = 5 + lines.iter().map(|line| width(line)).max().unwrap_or(0);
        let line = if arrow.is_many { '=' } else { '-' };
        let mut rows = Vec::new();
        for (number, words) in lines.iter().enumerate() {
            let mut row = self.row('|');
            if number == 0 {
                (1..4).for_each(|distance| row.fill(cell(distance), cell(distance) + 1, line, Style::Cyan));
            }
            let start = if is_left { x - 4 - width(words) } else { x + 5 };
            self.put_clear(&mut row, start, words, Style::Cyan);
            row.fill(cell(reach + 1), cell(reach + 1) + 1, if number == 0 { '.' } else { '|' }, Style::Cyan);
            rows.push(row);
        }
        let mut back = self.row('|');
        (2..=reach).for_each(|distance| back.fill(cell(distance), cell(distance) + 1, line, Style::Cyan));
        let (head, style) = match arrow.end {
            End::Arrives => (if is_left { '>' } else { '<' }, Style::Cyan),
            _ => ('X', Style::Red),
        };
        back.fill(cell(1), cell(1) + 1, head, style);
        back.fill(cell(reach + 1), cell(reach + 1) + 1, '\'', Style::Cyan);
        rows.push(back);
        if !arrow.fate.is_empty() {
            rows.extend(self.beside(&Beside { column, text: arrow.fate, style: Style::Red }, None));
        }
        rows
    }
}
