//! A comparison as text for a terminal. Pure; the colours, and what the two sides are called, are the caller's choice.

use super::claims::ClaimLine;
use super::compare::{Comparison, Mismatch, Outcome, Row, Subject};
use super::render::{Columns, seconds};
use super::tolerance::Band;

/// The differences in full, with the lines that agree around them; nothing is left out.
///
/// ```text
/// recorded on 6.1.0, HZ=250; now on 6.12.0, HZ=250
///
///      0.001 s  client -> server  SYN, dropped at server by "drop tcp dport=80"
///   -  1.025 s  client -> server  SYN, retransmission 1, dropped … (in the snapshot only)
///   +  3.072 s  client -> server  SYN, retransmission 2, dropped … (not in the snapshot)
///   ~  3.500 s  client            connect failed: ETIMEDOUT
///               wait: expected 3.048 s, observed 3.499 s, 0.057 s too late
///               allowed 2.995 s to 3.442 s: SYN retries is on the timer wheel: …
/// ```
pub fn render_diff(comparison: &Comparison, color: bool) -> String {
    render_sides(comparison, &Sides::snapshot(), color)
}

/// The same for two runs of one kernel of which only the phase differs.
pub fn render_phases_diff(comparison: &Comparison, color: bool) -> String {
    render_sides(comparison, &Sides::phases(), color)
}

/// What the two sides of a comparison are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Behind an event of the first alone.
    only_first: String,
    /// Behind an event of the second alone.
    only_second: String,
    /// Before what the first has.
    first: String,
    /// Before what the second has.
    second: String,
    /// The first claims how long a timer is armed for; else both only say it.
    is_claim: bool,
}

impl Sides {
    /// A snapshot and a run.
    fn snapshot() -> Self {
        Self {
            only_first: "in the snapshot only".to_owned(),
            only_second: "not in the snapshot".to_owned(),
            first: "expected".to_owned(),
            second: "observed".to_owned(),
            is_claim: true,
        }
    }

    /// A run at the default phase and at another one.
    fn phases() -> Self {
        Self {
            only_first: "at the default phase only".to_owned(),
            only_second: "not at the default phase".to_owned(),
            ..Self::snapshot()
        }
    }

    /// The same run on two kernels.
    pub fn kernels(first: &str, second: &str) -> Self {
        let (only_first, only_second) = (format!("on {first} only"), format!("on {second} only"));
        let (first, second) = (format!("on {first}"), format!("on {second}"));
        Self { only_first, only_second, first, second, is_claim: false }
    }
}

/// The differences in full, between sides of these names.
pub fn render_sides(comparison: &Comparison, sides: &Sides, color: bool) -> String {
    let paint = Paint { color };
    let mut out = Vec::new();
    out.extend(headline(comparison.outcome).map(|line| paint.bold(line)));
    out.extend(comparison.changed.clone());
    if !out.is_empty() {
        out.push(String::new());
    }
    for mismatch in &comparison.summary {
        out.push(paint.red(&format!("- {}", mismatch.expected)));
        out.push(paint.green(&format!("+ {}", mismatch.observed)));
    }
    if !comparison.summary.is_empty() {
        out.push(String::new());
    }
    let columns = Columns::of(comparison.rows.iter().map(line_of));
    for row in &comparison.rows {
        out.extend(row_text(row, &columns, sides, &paint));
    }
    if !comparison.remarks.is_empty() {
        out.push(String::new());
    }
    out.extend(comparison.remarks.iter().map(|remark| format!("note: {remark}")));
    out.join("\n") + "\n"
}

fn headline(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Agrees | Outcome::Differs => None,
        Outcome::MissingRetransmission => Some("the kernel skipped a retransmission"),
        Outcome::MachineLate => Some("later than allowed, but this machine itself was as late"),
    }
}

fn line_of(row: &Row) -> &ClaimLine {
    let (Row::Same(line) | Row::Changed(line, _) | Row::Missing(line) | Row::Extra(line)) = row;
    line
}

fn row_text(row: &Row, columns: &Columns, sides: &Sides, paint: &Paint) -> Vec<String> {
    match row {
        Row::Same(line) => vec![format!("  {}", columns.event(line))],
        Row::Missing(line) => {
            vec![paint.red(&format!("- {} ({})", columns.event(line), sides.only_first))]
        }
        Row::Extra(line) => vec![paint.green(&format!("+ {} ({})", columns.event(line), sides.only_second))],
        Row::Changed(line, mismatch) => {
            let margin = " ".repeat(columns.text_start() + 2);
            let mut lines = vec![paint.yellow(&format!("~ {}", columns.event(line)))];
            lines.extend(explained(mismatch, sides).into_iter().map(|text| format!("{margin}{text}")));
            lines
        }
    }
}

fn explained(mismatch: &Mismatch, sides: &Sides) -> Vec<String> {
    let subject = match mismatch.subject {
        Subject::Command => "command",
        Subject::End => "end",
        Subject::Verdict => "verdict",
        Subject::Wait => "wait",
        Subject::Timer => "timer",
    };
    let Sides { first, second, .. } = sides;
    let Mismatch { expected, observed, .. } = mismatch;
    let has_range = |_: &&Band| sides.is_claim || mismatch.subject == Subject::Wait;
    let Some(band) = mismatch.band.as_ref().filter(has_range) else {
        return vec![format!("{subject}: {first} {expected}, {second} {observed}")];
    };
    let too = match (mismatch.subject, mismatch.excess_ns > 0) {
        (Subject::Wait, true) => "too late",
        (Subject::Wait, false) => "too early",
        (_, true) => "too long",
        (_, false) => "too short",
    };
    let excess = seconds(mismatch.excess_ns.saturating_abs());
    let (low, high) = (seconds(band.low_ns.max(0)), seconds(band.high_ns));
    vec![
        format!("{subject}: {first} {expected}, {second} {observed}, {excess} {too}"),
        format!("allowed {low} to {high}: {}", band.reason),
    ]
}

/// Colours by SGR (ECMA-48, 8.3.117), or none. The text itself has no control characters.
struct Paint {
    color: bool,
}

impl Paint {
    fn bold(&self, text: &str) -> String {
        self.sgr(1, text)
    }

    fn red(&self, text: &str) -> String {
        self.sgr(31, text)
    }

    fn green(&self, text: &str) -> String {
        self.sgr(32, text)
    }

    fn yellow(&self, text: &str) -> String {
        self.sgr(33, text)
    }

    fn sgr(&self, code: u8, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
