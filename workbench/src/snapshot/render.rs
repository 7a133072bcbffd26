//! Claims as text: readable, aligned, and exactly what [`Claims::parse`] reads back. Decides nothing.
//!
//! ```text
//! client$ curl --connect-timeout 999 http://server/
//! exit 28 after 3.050 s
//!
//!    0.001 s  client            connect to server:80
//!    0.001 s  client -> server  SYN, dropped at server by "drop tcp dport=80"
//!   +1.024 s  RTO of 1 s, timer wheel
//!    1.025 s  client -> server  SYN, retransmission 1, dropped at server by "drop tcp dport=80"
//!   +3.048 s  SYN retries of 3 s, timer wheel
//!    3.049 s  client            connect failed: ETIMEDOUT
//!    3.050 s  client            exit 28
//!   ended by  kernel client: SYN retries of 3 s
//! ```
//!
//! A line that begins with `+` is the wait that ended with the event below it. Where it was measured over many phases of
//! the timer wheel, its range follows: `+3.048 s  SYN retries of 3 s, timer wheel, 3.017 to 3.048 s over 64 phases`.

use std::fmt::Write as _;

use super::cause::{Cause, ENDED_BY};
use super::claims::{ClaimLine, Claims, GapRange, MS};
use crate::evidence::Ending;
use crate::timeline::{Timer, TimerClass, Wait};

impl Claims {
    /// The text that stands in the snapshot.
    pub fn render(&self) -> String {
        let summary = &self.summary;
        let mut out = format!("{}$ {}\n", summary.host, summary.command);
        let _ = writeln!(out, "{}", end_text(&summary.how, summary.after_ns));
        if !self.lines.is_empty() || self.ended_by.is_some() {
            out.push('\n');
        }
        let columns = Columns::of(self.lines.iter());
        for line in &self.lines {
            if let Some(wait) = &line.wait {
                let _ = writeln!(out, "{}{}", columns.wait(wait), line.range.map_or(String::new(), range_text));
            }
            let _ = writeln!(out, "{}", columns.event(line));
        }
        if let Some(cause) = &self.ended_by {
            let _ = writeln!(out, "{}", columns.ended_by(cause));
        }
        out
    }
}

/// How wide the columns of a table of lines are.
pub(super) struct Columns {
    time: usize,
    at: usize,
}

impl Columns {
    /// Wide enough for all of `lines`.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a ClaimLine>) -> Self {
        let mut columns = Self { time: "+0.000 s".len(), at: 0 };
        for line in lines {
            let gap = line.wait.as_ref().map_or(0, |wait| gap_text(wait.gap_ns).len());
            columns.time = columns.time.max(seconds(line.t_ns).len() + 1).max(gap);
            columns.at = columns.at.max(line.at.chars().count());
        }
        columns
    }

    /// `   1.025 s  client -> server  SYN, retransmission 1`.
    pub(super) fn event(&self, line: &ClaimLine) -> String {
        let text = format!("  {:>3$}  {:<4$}  {}", seconds(line.t_ns), line.at, line.text, self.time, self.at);
        text.trim_end().to_owned()
    }

    /// `ended by  kernel client: SYN retries of 3 s`.
    pub(super) fn ended_by(&self, cause: &Cause) -> String {
        format!("  {ENDED_BY:>0$}  {cause}", self.time)
    }

    /// Where the second column begins.
    pub(super) fn text_start(&self) -> usize {
        self.time + 4
    }

    /// `  +1.024 s  RTO of 1 s, timer wheel`.
    pub(super) fn wait(&self, wait: &Wait) -> String {
        let timer = wait.timer.as_ref().map_or_else(|| NO_TIMER.to_owned(), timer_text);
        format!("  {:>2$}  {}", gap_text(wait.gap_ns), timer, self.time)
    }
}

/// `, 3.017 to 3.048 s over 64 phases`.
fn range_text(range: GapRange) -> String {
    let low = seconds(range.low_ns);
    format!(", {} to {} over {} phases", low.trim_end_matches(" s"), seconds(range.high_ns), range.phases)
}

/// What stands in place of a timer's description.
pub(super) const NO_TIMER: &str = "no timer";

/// The timer classes in words.
pub(super) const CLASSES: [(TimerClass, &str); 4] = [
    (TimerClass::Wheel, "timer wheel"),
    (TimerClass::Slack, "with slack"),
    (TimerClass::HighResolution, "high resolution"),
    (TimerClass::Deadline, "own clock"),
];

/// `RTO of 1 s, timer wheel`.
pub(super) fn timer_text(timer: &Timer) -> String {
    let class = CLASSES.iter().find(|(class, _)| *class == timer.class).map_or("", |(_, words)| words);
    format!("{} of {}, {class}", timer.name, short_seconds(timer.armed_ns))
}

/// `exit 28 after 3.050 s`.
pub(super) fn end_text(how: &Ending, after_ns: i64) -> String {
    format!("{} after {}", ending_text(how), seconds(after_ns))
}

/// An ending in words.
pub(super) fn ending_text(how: &Ending) -> String {
    match how {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(signal) => format!("killed by {signal}"),
        Ending::Deadline => "still running".to_owned(),
        Ending::ExecFailed(errno) => format!("execve failed: {errno}"),
    }
}

/// `1.025 s`; whole milliseconds are exact.
pub(super) fn seconds(t_ns: i64) -> String {
    let ms = (t_ns / MS).unsigned_abs();
    format!("{}{}.{:03} s", if t_ns < 0 { "-" } else { "" }, ms / 1000, ms % 1000)
}

/// `1 s`, `0.794 s`: a length that somebody chose, without zeros that say nothing.
pub(super) fn short_seconds(t_ns: u64) -> String {
    let full = seconds(i64::try_from(t_ns).unwrap_or(i64::MAX));
    let digits = full.trim_end_matches(" s").trim_end_matches('0').trim_end_matches('.');
    format!("{digits} s")
}

fn gap_text(gap_ns: i64) -> String {
    format!("+{}", seconds(gap_ns))
}
