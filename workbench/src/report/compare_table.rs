//! A comparison of kernels for people: a row for each run, a column for each kernel, and below it what differs. Fits the
//! terminal as far as names allow; decides nothing.

use std::fmt::Write as _;

use super::compare::{Column, Compared, Difference, Told, last_timer};
use super::text::{Options, Style};
use crate::evidence::Ending;
use crate::plan::DiffersPlan;
use crate::snapshot::{Sides, render_sides};
use crate::timeline::{duration, escape};

/// Space between two columns.
const GUTTER: usize = 2;

/// The least room for a kernel's column, however narrow the terminal: a kernel's name and a time fit.
const LEAST: usize = 9;

/// What stands for a story that is the same as the last one to the left.
const SAME: &str = "=";

/// The table, and below it every difference in full and why there is nothing to see.
pub fn render(compared: &[Compared], options: Options) -> String {
    let mut out = table(compared, options);
    for run in compared {
        for difference in &run.differences {
            out.push_str(&difference_text(run, difference, options));
        }
        for mark in &run.idle {
            let _ = writeln!(out, "\n{}", idle_text(run, mark, options));
        }
    }
    out.push_str(&nothing_texts(compared, options));
    let _ = writeln!(out, "\n{}", sentence(compared));
    out
}

/// Lines of one cell.
type Cell = Vec<String>;

fn table(compared: &[Compared], options: Options) -> String {
    let labels =
        compared.first().map_or(Vec::new(), |run| run.columns.iter().map(|c| vec![escape(&c.label)]).collect());
    let heading: Vec<Cell> = std::iter::once(vec!["run".to_owned()]).chain(labels).collect();
    let rows: Vec<Vec<Cell>> = compared.iter().map(row).collect();
    let widths = widths(&heading, &rows, options.width);
    let mut out = String::new();
    write_row(&mut out, &heading, &widths, |_, text| Style::Dim.paint(text, options));
    for (run, row) in compared.iter().zip(&rows) {
        let begins = |column: usize| run.differences.iter().any(|difference| difference.to + 1 == column);
        let paint = |column: usize, text: &str| match (column, begins(column)) {
            (0, _) => Style::Bold.paint(text, options),
            (_, true) => Style::Yellow.paint(text, options),
            (_, false) => text.to_owned(),
        };
        write_row(&mut out, row, &widths, paint);
    }
    out
}

fn row(run: &Compared) -> Vec<Cell> {
    let name = vec![escape(&run.scenario), format!("  {}", escape(&run.run))];
    let cells = run.columns.iter().zip(&run.same_as).enumerate().map(|(index, (column, same_as))| match same_as {
        Some(first) if *first != index => vec![SAME.to_owned()],
        _ => cell(column),
    });
    std::iter::once(name).chain(cells).collect()
}

/// How it ended and after how long, then the timer that ended it.
fn cell(column: &Column) -> Cell {
    match &column.told {
        Told::Nothing(status, _) => vec![status.to_string()],
        Told::Story(story) => {
            let summary = &story.claims.summary;
            let seconds = format!("{:.3} s", summary.after_ns as f64 / 1e9);
            let end = match &summary.how {
                Ending::Exit(code) => format!("exit {code}, {seconds}"),
                Ending::Signal(signal) => format!("{}, {seconds}", escape(signal)),
                Ending::Deadline => "still running".to_owned(),
                Ending::ExecFailed(errno) => format!("execve: {}", escape(errno)),
            };
            let timer = last_timer(story).map(|timer| format!("{} {}", escape(&timer.name), duration(timer.armed_ns)));
            std::iter::once(end).chain(timer).collect()
        }
    }
}

/// How wide the columns are: as wide as their content, the widest ones narrower until all of them fit.
fn widths(heading: &[Cell], rows: &[Vec<Cell>], at_most: usize) -> Vec<usize> {
    let natural = |column: usize| {
        let cells = rows.iter().map(|row| &row[column]).chain([&heading[column]]);
        cells.flatten().map(|line| length(line)).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..heading.len()).map(natural).collect();
    let total = |widths: &[usize]| widths.iter().map(|width| width + GUTTER).sum::<usize>();
    while total(&widths) > at_most {
        // The names are kept whole: they are what one looks for.
        match widths.iter_mut().skip(1).max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn write_row(out: &mut String, cells: &[Cell], widths: &[usize], paint: impl Fn(usize, &str) -> String) {
    let cells: Vec<Cell> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| cell.iter().flat_map(|line| folded(line, *width)).collect())
        .collect();
    for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
        let mut text = String::new();
        let mut due = 0;
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            due += GUTTER;
            if let Some(part) = cell.get(line) {
                let _ = write!(text, "{:due$}{}", "", paint(column, part));
                due = width.saturating_sub(length(part));
            } else {
                due += width;
            }
        }
        let _ = writeln!(out, "{text}");
    }
}

/// `text` in lines of at most `width` characters where its words allow.
fn folded(text: &str, width: usize) -> Vec<String> {
    if length(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Between which kernels, what the scenario says about it, and every event.
fn difference_text(run: &Compared, difference: &Difference, options: Options) -> String {
    let [from, to] = [difference.from, difference.to].map(|column| escape(&run.columns[column].label));
    let headline = format!("{}: {to} does otherwise than {from}", name(run));
    let mut out = format!("\n{}\n", Style::Bold.paint(&headline, options));
    for mark in &difference.marks {
        let words = format!("marked, since {}: {}", escape(&mark.since), escape(&mark.why));
        for line in folded(&words, options.width.saturating_sub(2 * GUTTER)) {
            let _ = writeln!(out, "  {line}");
        }
    }
    if difference.marks.is_empty() {
        let _ = writeln!(out, "  {}", Style::Red.paint("unmarked: no `differs` of the scenario says so", options));
    }
    let diff = render_sides(&difference.comparison, &Sides::kernels(&from, &to), options.color);
    out.push('\n');
    for line in diff.lines() {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    }
    out
}

fn idle_text(run: &Compared, mark: &DiffersPlan, options: Options) -> String {
    let words = format!("marked as differing since {}, and nothing does there", mark.since);
    format!("{}: {}", name(run), Style::Yellow.paint(&escape(&words), options))
}

/// Where there is nothing to see, and why.
fn nothing_texts(compared: &[Compared], options: Options) -> String {
    let mut out = String::new();
    for run in compared {
        for column in &run.columns {
            let Told::Nothing(status, why) = &column.told else { continue };
            let headline = format!("{} on {}: {status}", name(run), escape(&column.label));
            let _ = write!(out, "\n{}: ", Style::Yellow.paint(&headline, options));
            let lines: Vec<String> = why.lines().map(escape).collect();
            let _ = writeln!(out, "{}", lines.join("\n"));
        }
    }
    out
}

fn name(run: &Compared) -> String {
    format!("{} / {}", escape(&run.scenario), escape(&run.run))
}

fn sentence(compared: &[Compared]) -> String {
    let told = compared.iter().filter(|run| run.columns.iter().filter(|c| c.story().is_some()).count() > 1);
    let differing = compared.iter().filter(|run| !run.differences.is_empty()).count();
    let unmarked = compared.iter().filter(|run| !run.is_marked()).count();
    let mut text = format!("{} compared: {} differ by kernel", told.count(), differing);
    if unmarked > 0 {
        let _ = write!(text, ", {unmarked} of them unmarked");
    } else if differing > 0 {
        text.push_str(", all of them marked");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::compared;
    use super::*;

    fn rendered(runs: &[Compared], width: usize) -> String {
        render(runs, Options { width, ..Options::KEPT })
    }

    fn table_of(text: &str) -> Vec<&str> {
        text.lines().take_while(|line| !line.is_empty()).collect()
    }

    #[test]
    fn only_what_is_new_stands_in_a_cell() {
        let text = rendered(&[compared(&["6.5"], [Some(0), None, Some(4000), Some(4000)])], 100);
        let expected = [
            "  run            5.10.223          6.1.176  6.12.117          7.2.13",
            "  syn-retries-0  exit 28, 3.071 s  skipped  exit 28, 3.071 s  =",
            "    curl         SYN retries 3 s            SYN retries 7 s",
        ];
        assert_eq!(table_of(&text).iter().map(|line| line.trim_end()).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn no_line_of_a_table_of_four_kernels_is_wider_than_the_terminal() {
        let runs = [compared(&[], [0, 1000, 2000, 3000].map(Some)), compared(&[], [Some(0); 4])];
        for width in [80, 100, 120] {
            let text = rendered(&runs, width);
            let widest = table_of(&text).iter().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} > {width}\n{text}");
        }
    }

    #[test]
    fn below_the_table_stands_what_differs_and_whether_the_scenario_says_so() {
        let told = [0, 0, 4000, 4000].map(Some);
        let marked = rendered(&[compared(&["6.5"], told)], 100);
        assert!(marked.contains("\nsyn-retries-0 / curl: 6.12.117 does otherwise than 6.1.176\n"), "{marked}");
        assert!(marked.contains("\n  marked, since 6.5: what is new in 6.5\n"), "{marked}");
        assert!(marked.contains("timer: on 6.1.176 RTO of 1 s, timer wheel, on 6.12.117 RTO of 5 s"), "{marked}");
        assert!(marked.ends_with("\n1 compared: 1 differ by kernel, all of them marked\n"), "{marked}");
        let unmarked = rendered(&[compared(&[], told)], 100);
        assert!(unmarked.contains("\n  unmarked: no `differs` of the scenario says so\n"), "{unmarked}");
        assert!(unmarked.ends_with("\n1 compared: 1 differ by kernel, 1 of them unmarked\n"), "{unmarked}");
    }

    #[test]
    fn a_mark_that_marks_nothing_and_a_kernel_that_tells_nothing_are_told() {
        let text = rendered(&[compared(&["6.5"], [Some(0), None, Some(0), Some(0)])], 100);
        assert!(
            text.contains("\nsyn-retries-0 / curl: marked as differing since 6.5, and nothing does there\n"),
            "{text}"
        );
        assert!(text.contains("\nsyn-retries-0 / curl on 6.1.176: skipped: kernel 6.6 is not available"), "{text}");
    }

    #[test]
    fn names_and_reasons_cannot_steer_a_terminal() {
        let mut run = compared(&["6.5"], [Some(0), None, Some(4000), Some(4000)]);
        run.scenario.push_str("\u{1b}[2J");
        run.columns[0].label.push('\u{202e}');
        run.differences[0].marks[0].why.push_str("\r\u{7}");
        run.columns[1].told = Told::Nothing(super::super::status::Status::Skipped, "\u{1b}]0;owned\u{7}\n".into());
        let text = rendered(&[run], 100);
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text:?}");
    }
}
