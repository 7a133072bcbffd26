//! One line of a drawing: cells with a character and a style each. It knows nothing of what is drawn.

use unicode_width::UnicodeWidthChar;

use super::super::text::{Options, Style};

/// A line of cells.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The character, and its style; `None` for the second cell of a wide one.
    cells: Vec<(Option<char>, Style)>,
}

impl Row {
    /// An empty one.
    pub(super) fn new(width: usize) -> Self {
        Self { cells: vec![(Some(' '), Style::Plain); width] }
    }

    /// Writes `text` from the cell `x` on. What does not fit is not written; who calls this has wrapped it.
    pub(super) fn put(&mut self, x: usize, text: &str, style: Style) {
        let mut x = x;
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            if width == 0 || x + width > self.cells.len() {
                continue;
            }
            self.cells[x] = (Some(c), style);
            self.cells[x + 1..x + width].fill((None, style));
            x += width;
        }
    }

    /// Fills the cells from `from` up to `to`, which stays as it is.
    pub(super) fn fill(&mut self, from: usize, to: usize, c: char, style: Style) {
        for x in from..to {
            self.put(x, c.encode_utf8(&mut [0; 4]), style);
        }
    }

    /// The line without spaces at its end.
    pub(super) fn line(&self, options: Options) -> String {
        let is_space = |cell: &(Option<char>, Style)| cell.0 == Some(' ');
        let len = self.cells.iter().rposition(|cell| !is_space(cell)).map_or(0, |last| last + 1);
        let mut line = String::new();
        for run in self.cells[..len].chunk_by(|a, b| a.1 == b.1) {
            let text: String = run.iter().filter_map(|cell| cell.0).collect();
            line.push_str(&run[0].1.paint(&text, options));
        }
        line
    }
}
