//! What a snapshot claims: how the command ended, and the events that matter with the waits before them.
//!
//! Made from a timeline and rounded to the millisecond at once, so that what is held in memory is exactly what is
//! printed, and what is read back equals it. Comparing and printing are elsewhere.

use super::cause::Cause;
use super::tolerance::SCHEDULING_NS;
use crate::evidence::{Ending, Evidence};
use crate::timeline::{Event, EventKind, IN_FLIGHT, Range, Spread, Timeline, Timer, TimerClass, Wait};
use crate::verdict::EndedBy;

/// A snapshot's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// What ran and how it ended.
    pub summary: Summary,
    /// The events, in order.
    pub lines: Vec<ClaimLine>,
    /// What ended it. `None` in a snapshot from before that was claimed.
    pub ended_by: Option<Cause>,
}

/// What ran and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Host the command ran in.
    pub host: String,
    /// The command, quoted as a shell would need it.
    pub command: String,
    /// How it ended.
    pub how: Ending,
    /// When it ended, since it was let go; whole milliseconds.
    pub after_ns: i64,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimLine {
    /// When, since the command was let go; whole milliseconds.
    pub t_ns: i64,
    /// The wait that ended with it, where the timeline knows one and it is more than a prompt answer; whole
    /// milliseconds.
    pub wait: Option<Wait>,
    /// How far that wait ranges over the phases of the timer wheel, where a run at many of them told it.
    pub range: Option<GapRange>,
    /// Where: a host's name, `client -> server` for a packet, `lab` for the setup.
    pub at: String,
    /// What, in words.
    pub text: String,
}

/// How far a wait ranges over the phases of the timer wheel; whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRange {
    /// Shortest.
    pub low_ns: i64,
    /// Longest.
    pub high_ns: i64,
    /// Over so many phases.
    pub phases: u32,
}

impl ClaimLine {
    /// What makes two lines of two runs the same event: place and words, not the time.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.at, &self.text)
    }
}

impl Claims {
    /// The claims of one run.
    pub fn from_run(evidence: &Evidence, timeline: &Timeline, ended_by: Option<&EndedBy>) -> Self {
        let command = &evidence.plan.command;
        let words: Vec<String> = command.argv.iter().map(|word| quoted(word)).collect();
        Self {
            summary: Summary {
                host: name(&command.host),
                command: visible(&words.join(" ")),
                how: evidence.end.how.clone(),
                after_ns: whole_ms(evidence.end.t_ns),
            },
            lines: timeline
                .events
                .iter()
                .filter(|event| event.is_claim && !is_overtaken_answer(event))
                .map(|event| if is_still_running(event, evidence) { still_running(event) } else { line_of(event) })
                .collect(),
            ended_by: ended_by.map(Cause::of),
        }
    }

    /// Adds what the run told at other phases: the ranges of waits that a timer of the wheel ended. Nothing else
    /// depends on the phase by itself.
    pub(super) fn add_ranges(&mut self, spread: &Spread) {
        for (line, Range { gap_ns, .. }) in self.lines.iter_mut().zip(&spread.ranges) {
            let timer = line.wait.as_ref().and_then(|wait| wait.timer.as_ref());
            line.range = gap_ns.filter(|_| timer.is_some_and(|timer| timer.class == TimerClass::Wheel)).map(
                |(low_ns, high_ns)| GapRange {
                    low_ns: whole_ms(low_ns.max(0)),
                    high_ns: whole_ms(high_ns.max(0)),
                    phases: spread.count,
                },
            );
        }
    }
}

/// What an event says that only tells when we stopped waiting.
pub(super) const STILL_RUNNING: &str = "still running";

fn is_still_running(event: &Event, evidence: &Evidence) -> bool {
    event.kind == EventKind::End && evidence.end.how == Ending::Deadline
}

/// How long we waited is no claim about the world, and differs by engine.
fn still_running(event: &Event) -> ClaimLine {
    ClaimLine { wait: None, text: STILL_RUNNING.to_owned(), ..line_of(event) }
}

fn line_of(event: &Event) -> ClaimLine {
    // A prompt answer that no timer brought about is no wait that a reader would look for.
    let is_worth_a_line = |wait: &&Wait| wait.timer.is_some() || wait.gap_ns.unsigned_abs() > SCHEDULING_NS;
    ClaimLine {
        t_ns: whole_ms(event.t_ns),
        wait: event.wait.as_ref().filter(is_worth_a_line).map(|wait| Wait {
            gap_ns: whole_ms(wait.gap_ns.max(0)),
            timer: wait.timer.as_ref().map(|timer| Timer {
                name: name(&timer.name),
                class: timer.class,
                armed_ns: whole_ms(i64::try_from(timer.armed_ns).unwrap_or(i64::MAX)).unsigned_abs(),
            }),
        }),
        range: None,
        at: name(&event.at),
        text: visible(without_end(&event.text)),
    }
}

/// Whether the end of a run overtakes a packet is chance: it is no claim.
fn without_end(text: &str) -> &str {
    text.strip_suffix(IN_FLIGHT).and_then(|text| text.strip_suffix(", ")).unwrap_or(text)
}

/// A bare ACK is told only for what became of it.
fn is_overtaken_answer(event: &Event) -> bool {
    event.kind == EventKind::Packet && event.text.starts_with("ACK ") && event.text.ends_with(IN_FLIGHT)
}

/// Nanoseconds in a millisecond, the unit in which a snapshot keeps its times.
pub(super) const MS: i64 = 1_000_000;

/// The nearest whole millisecond, halves upwards.
pub(super) fn whole_ms(t_ns: i64) -> i64 {
    t_ns.saturating_add(MS / 2).div_euclid(MS) * MS
}

/// Text on one line without control characters: claims come from what a network and a program said.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if is_disturbing(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, and the ones that break a line or turn its direction (Unicode's Bidi_Control).
pub(super) fn is_disturbing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A column's text: never empty and without double spaces, because those part the columns.
pub(super) fn name(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { "-".to_owned() } else { visible(&words.join(" ")) }
}

/// A word as a POSIX shell needs it (XCU 2.2).
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_to_the_nearest_millisecond_also_before_zero() {
        assert_eq!(whole_ms(1_499_999), MS);
        assert_eq!(whole_ms(1_500_000), 2 * MS);
        assert_eq!(whole_ms(-1_400_000), -MS);
        assert_eq!(whole_ms(-400_000), 0);
    }

    #[test]
    fn words_that_a_shell_would_split_are_quoted() {
        assert_eq!(quoted("http://server/?a"), "'http://server/?a'");
        assert_eq!(quoted("--max-time=2"), "--max-time=2");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn control_characters_become_visible_and_stay_on_one_line() {
        assert_eq!(visible("a\u{1b}[31mb\nc\u{202e}d "), r"a\u{1b}[31mb\nc\u{202e}d");
        assert_eq!(name(" a \t b "), "a b");
        assert_eq!(name(""), "-");
    }
}
