//! The diagram as text, at most 80 columns wide, in the manner of the figures of RFC 9293.

use super::super::text::{Options, Style, seconds};
use super::super::views::Run;
use super::canvas::Row;
use super::draw::{Arrow, Beside, Sheet};
use super::scene::{Scene, Step, Tone, What};
use crate::report::words::{in_cells, width, wrap, wrap_name};

/// What every terminal has.
const WIDEST: usize = 80;

/// Below this nothing could be read.
const NARROWEST: usize = 60;

/// The diagram of a run, with a line feed at its end.
pub fn render(run: &Run<'_>, options: Options) -> String {
    text(&Scene::new(run), options)
}

/// A scene as text.
pub(super) fn text(scene: &Scene, options: Options) -> String {
    let columns = options.width.clamp(NARROWEST, WIDEST);
    let times = scene.steps.iter().map(|step| seconds(step.t_ns, options).len()).max().unwrap_or(0).max(4);
    let sheet = Sheet::new(columns, times + 3, scene.columns.len());
    let mut lines = Vec::new();
    lines.extend(paragraph(&scene.headline, "", columns, Style::Bold, options));
    lines.extend(paragraph(&scene.under[0], "  ", columns, Style::Plain, options));
    lines.extend(paragraph(&scene.under[1], "  ", columns, Style::Dim, options));
    lines.push(String::new());
    lines.extend(names(scene, &sheet).iter().map(|row| row.line(options)));
    lines.push(sheet.row('|').line(options));
    for step in &scene.steps {
        lines.extend(step_rows(step, &sheet, times, options).iter().map(|row| row.line(options)));
    }
    lines.push(sheet.row('|').line(options));
    if !scene.absent.is_empty() {
        lines.push(String::new());
        let text = format!("without a lifeline: {}", scene.absent.join(", "));
        lines.extend(paragraph(&text, "  ", columns, Style::Dim, options));
    }
    for words in &scene.foot {
        lines.push(String::new());
        lines.extend(paragraph(words, "", columns, Style::Bold, options));
    }
    lines.join("\n") + "\n"
}

/// Words over the whole width.
fn paragraph(text: &str, indent: &str, columns: usize, style: Style, options: Options) -> Vec<String> {
    let lines = wrap(text, columns - indent.len() - 2);
    let further = |number: usize| if number == 0 { "" } else { "  " };
    let line = |(number, line): (usize, &String)| style.paint(&format!("{indent}{}{line}", further(number)), options);
    lines.iter().enumerate().map(line).collect()
}

/// The hosts' names above their lifelines: the first to its right, the last to its left, the others in the middle.
fn names(scene: &Scene, sheet: &Sheet) -> Vec<Row> {
    let count = scene.columns.len();
    let apart = sheet.lifelines.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(sheet.width - sheet.left);
    let room = if count == 1 { apart } else { (apart / 2).saturating_sub(1) };
    let wrapped: Vec<Vec<String>> = scene.columns.iter().map(|name| wrap_name(name, room)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    let row = |number: usize| {
        let mut row = Row::new(sheet.width);
        if number + 1 == height {
            row.put(sheet.left - 2 - "time".len(), "time", Style::Dim);
        }
        for (column, lines) in wrapped.iter().enumerate() {
            let Some(line) = (number + lines.len()).checked_sub(height).and_then(|at| lines.get(at)) else { continue };
            let x = sheet.lifelines[column];
            let start = match column {
                0 => x,
                _ if column + 1 == count => x + 1 - width(line),
                _ => x - width(line) / 2,
            };
            row.put(start, line, Style::Bold);
        }
        row
    };
    (0..height).map(row).collect()
}

fn step_rows(step: &Step, sheet: &Sheet, times: usize, options: Options) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(gap) = &step.gap {
        rows.push(sheet.row('|'));
        rows.extend(sheet.gap(gap.column, &gap.words, Style::Yellow));
        rows.push(sheet.row('|'));
    }
    let first = rows.len();
    rows.extend(what_rows(step, sheet));
    if let Some(row) = rows.get_mut(first) {
        let time = seconds(step.t_ns, options);
        row.put(1 + times - time.len(), &time, Style::Dim);
    }
    rows
}

fn what_rows(step: &Step, sheet: &Sheet) -> Vec<Row> {
    let style = style(step.tone);
    let after = step.after.as_deref().unwrap_or_default();
    match &step.what {
        What::Mark { column, text } => {
            let mut rows = sheet.beside(&Beside { column: *column, text, style }, mark(step.tone));
            if !after.is_empty() {
                let indented = if sheet.is_leftwards(*column) { after.to_owned() } else { format!("  {after}") };
                rows.extend(sheet.beside(&Beside { column: *column, text: &indented, style: Style::Yellow }, None));
            }
            rows
        }
        What::Arrow { from, to, label, fate, end, is_many } => {
            let label = in_cells(label);
            let fate = in_cells(fate);
            let arrow = Arrow { from: *from, to: *to, label: &label, fate: &fate, end, is_many: *is_many };
            let mut rows = match (after, from == to) {
                ("", _) => Vec::new(),
                (_, true) => sheet.beside(&Beside { column: *from, text: after, style: Style::Yellow }, None),
                (_, false) => sheet.over(&arrow, after, Style::Yellow),
            };
            rows.extend(sheet.arrow(&arrow));
            rows
        }
        What::Note { text } => {
            let mut lines = wrap(text, sheet.width - sheet.left - 2);
            if !after.is_empty() {
                lines.extend(wrap(after, sheet.width - sheet.left - 2));
            }
            lines.iter().map(|line| sheet.note(line, style)).collect()
        }
    }
}

/// What stands on a lifeline where something happens.
fn mark(tone: Tone) -> Option<char> {
    Some(match tone {
        Tone::Setup | Tone::Call => '*',
        Tone::Signal => '!',
        Tone::Process => 'o',
        Tone::End => '#',
        Tone::Packet | Tone::State => return None,
    })
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Setup => Style::Yellow,
        Tone::Call => Style::Plain,
        Tone::Packet => Style::Cyan,
        Tone::Signal => Style::Magenta,
        Tone::Process => Style::Dim,
        Tone::End | Tone::State => Style::Bold,
    }
}
