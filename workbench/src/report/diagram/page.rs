//! A picture in the making: where the next thing goes, words, lifelines and their gaps. Whole pixels only, so that the
//! same scene is the same file everywhere.

use std::fmt::Write as _;

use super::draw::Sheet;
use crate::report::words::{in_cells, wrap};

/// Width of a character in pixels: 0.6 of the font's size, as monospaced fonts have it.
pub(super) const CELL: usize = 8;

/// Height of a line in pixels.
pub(super) const LINE: usize = 18;

/// Which end of some words is at the given place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The picture so far.
pub(super) struct Page {
    pub sheet: Sheet,
    /// Pixels from the top to where the next thing begins.
    pub y: usize,
    /// What stands in front of the lifelines.
    pub body: String,
    pub lifelines: String,
    /// Where the current piece of the lifelines began.
    since_y: usize,
}

impl Page {
    pub(super) fn new(sheet: Sheet) -> Self {
        Self { sheet, y: 0, body: String::new(), lifelines: String::new(), since_y: 0 }
    }

    /// Goes on further down.
    pub(super) fn advance(&mut self, pixels: usize) {
        self.y += pixels;
    }

    pub(super) fn begin_lifelines(&mut self) {
        self.since_y = self.y;
    }

    pub(super) fn end_lifelines(&mut self) {
        self.lifelines_until("life");
    }

    fn lifelines_until(&mut self, class: &str) {
        for x in &self.sheet.lifelines {
            let (x, from, to) = (x * CELL, self.since_y, self.y);
            let _ =
                writeln!(self.lifelines, "<line class=\"{class}\" x1=\"{x}\" y1=\"{from}\" x2=\"{x}\" y2=\"{to}\"/>");
        }
        self.since_y = self.y;
    }

    /// A silence: the lifelines are dashed for a while.
    pub(super) fn gap(&mut self, column: usize, words: &str) {
        self.advance(LINE / 2);
        self.lifelines_until("life");
        self.advance(LINE / 2);
        self.beside(column, words, "wait");
        self.advance(LINE);
        self.lifelines_until("gap");
        self.advance(LINE / 3);
    }

    /// Words at a place.
    pub(super) fn words(&mut self, x: usize, y: usize, words: &str, class: &str, anchor: Anchor) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(self.body, "<text x=\"{x}\" y=\"{y}\"{class}{anchor}>{}</text>", text(words));
    }

    /// Words beside a lifeline.
    pub(super) fn beside(&mut self, column: usize, words: &str, class: &str) {
        let x = self.sheet.lifelines[column] * CELL;
        let is_left = self.sheet.is_leftwards(column);
        for line in wrap(words, self.sheet.room(column)) {
            self.advance(LINE);
            match is_left {
                true => self.words(x - CELL - CELL / 2, self.y, &line, class, Anchor::End),
                false => self.words(x + CELL + CELL / 2, self.y, &line, class, Anchor::Start),
            }
        }
    }

    /// Words along an arrow, beside the lifeline `at`, on the side where `other` is.
    pub(super) fn along(&mut self, at: usize, other: usize, words: &str, class: &str) {
        let x = self.sheet.lifelines[at] * CELL;
        let is_right = other > at;
        for line in wrap(words, self.sheet.room_along(at, other)) {
            self.advance(LINE);
            match is_right {
                true => self.words(x + 2 * CELL, self.y, &line, class, Anchor::Start),
                false => self.words(x - 2 * CELL, self.y, &line, class, Anchor::End),
            }
        }
    }
}

/// Words as XML's character data. XML has no way at all to say a control character (XML 1.0, 2.2); those were written
/// out before.
pub(super) fn text(words: &str) -> String {
    let mut out = String::new();
    for c in in_cells(words).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
