//! The text of a snapshot back to claims. Says where it is wrong; repairs nothing.

use super::cause::{AMBIGUOUS, Cause, ENDED_BY};
use super::claims::{ClaimLine, Claims, GapRange, MS, Summary, is_disturbing};
use super::render::{CLASSES, NO_TIMER};
use crate::evidence::Ending;
use crate::timeline::{Timer, Wait};

/// A snapshot's text that is not what [`Claims::render`] writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct ClaimsError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What would be right, with an example.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

const COMMAND: &str = "the command, `client$ curl http://server/`";
const ENDING: &str = "how it ended: `exit CODE`, `killed by SIGNAL`, `still running` or `execve failed: ERRNO`, \
                      then ` after 1.025 s`";
const BLANK: &str = "a blank line between the end and the events";
const EVENT: &str = "an event, `1.025 s  client  connect failed: ETIMEDOUT`, its columns two spaces apart";
const WAIT: &str = "a wait, `+1.024 s  RTO of 1 s, timer wheel` (or `with slack`, `high resolution`, `own clock`) or \
                    `+1.024 s  no timer`";
const RANGE: &str = "a range at the end, `, 3.017 to 3.048 s over 64 phases`, the shorter first";
const AFTER_WAIT: &str = "the event that ended the wait above";
const CAUSE: &str = "what ended it, `ended by  kernel client: SYN retries of 3 s`, as the last line";
const PRINTABLE: &str = "text without control characters";

impl Claims {
    /// Reads what [`Claims::render`] wrote.
    ///
    /// # Errors
    /// The first line that is not of that form, counted from 1.
    pub fn parse(text: &str) -> Result<Self, ClaimsError> {
        let mut lines = (1..).zip(text.lines());
        if let Some((line, found)) = lines.clone().find(|(_, line)| line.chars().any(is_disturbing)) {
            return Err(error(line, PRINTABLE, &found.escape_debug().to_string()));
        }
        let (line, found) = lines.next().unwrap_or((1, ""));
        let (host, command) = found.split_once("$ ").ok_or_else(|| error(line, COMMAND, found))?;
        let (line, found) = lines.next().unwrap_or((2, ""));
        let (how, after_ns) = end(found).ok_or_else(|| error(line, ENDING, found))?;
        let summary = Summary { host: host.to_owned(), command: command.to_owned(), how, after_ns };
        if let Some((line, found)) = lines.next().filter(|(_, line)| !line.is_empty()) {
            return Err(error(line, BLANK, found));
        }
        let mut lines: Vec<(usize, &str)> = lines.collect();
        let last = lines.pop_if(|(_, line)| line.trim_start().starts_with(ENDED_BY));
        let ended_by = last.map(|(number, line)| cause(line).ok_or_else(|| error(number, CAUSE, line))).transpose()?;
        if let Some((line, found)) = lines.iter().find(|(_, line)| line.trim_start().starts_with(ENDED_BY)) {
            return Err(error(*line, EVENT, found));
        }
        Ok(Self { summary, lines: events(lines.into_iter())?, ended_by })
    }
}

fn events<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Vec<ClaimLine>, ClaimsError> {
    let mut events = Vec::new();
    let mut pending: Option<(usize, Waited)> = None;
    for (number, line) in lines {
        let trimmed = line.trim();
        if trimmed.starts_with('+') {
            if pending.is_some() {
                return Err(error(number, AFTER_WAIT, line));
            }
            pending = Some((number, waited(trimmed).map_err(|expected| error(number, expected, line))?));
        } else {
            let waited = pending.take().map(|(_, waited)| waited);
            events.push(event(trimmed, waited).ok_or_else(|| error(number, EVENT, line))?);
        }
    }
    match pending {
        Some((number, _)) => Err(error(number + 1, AFTER_WAIT, "")),
        None => Ok(events),
    }
}

/// `ended by  kernel client: SYN retries of 3 s`.
fn cause(line: &str) -> Option<Cause> {
    let text = line.trim().strip_prefix(ENDED_BY)?.strip_prefix("  ")?.trim_start();
    let (text, is_ambiguous) = text.strip_suffix(AMBIGUOUS).map_or((text, false), |text| (text, true));
    let timed = text.rsplit_once(" of ").and_then(|(words, armed)| Some((words, u64::try_from(seconds(armed)?).ok()?)));
    let (words, armed_ns) = timed.map_or((text, None), |(words, armed_ns)| (words, Some(armed_ns)));
    let is_whole = words.split_once(": ").is_some_and(|(who, mechanism)| !who.is_empty() && !mechanism.is_empty());
    is_whole.then(|| Cause { words: words.to_owned(), armed_ns, is_ambiguous })
}

/// What a line that begins with `+` says.
type Waited = (Wait, Option<GapRange>);

fn event(line: &str, waited: Option<Waited>) -> Option<ClaimLine> {
    let (t, rest) = line.split_once("  ")?;
    let (at, text) = rest.trim_start().split_once("  ").unwrap_or((rest.trim_start(), ""));
    let (wait, range) = waited.map_or((None, None), |(wait, range)| (Some(wait), range));
    let text = text.trim_start().to_owned();
    let line = ClaimLine { t_ns: seconds(t)?, wait, range, at: at.to_owned(), text };
    (!line.at.is_empty()).then_some(line)
}

/// A wait and, where one follows, its range; or what was expected.
fn waited(line: &str) -> Result<Waited, &'static str> {
    let Some((line, tail)) = line.strip_suffix(" phases").and_then(|line| line.rsplit_once(", ")) else {
        return Ok((wait(line).ok_or(WAIT)?, None));
    };
    Ok((wait(line).ok_or(WAIT)?, Some(range(tail).ok_or(RANGE)?)))
}

/// `3.017 to 3.048 s over 64`.
fn range(text: &str) -> Option<GapRange> {
    let (gaps, phases) = text.split_once(" over ")?;
    let (low, high) = gaps.split_once(" to ")?;
    let (low_ns, high_ns) = (seconds(&format!("{low} s"))?, seconds(high)?);
    let is_range = (0..=high_ns).contains(&low_ns);
    is_range.then_some(GapRange { low_ns, high_ns, phases: phases.parse().ok()? })
}

fn wait(line: &str) -> Option<Wait> {
    let (gap, rest) = line.strip_prefix('+')?.split_once("  ")?;
    let gap_ns = seconds(gap).filter(|gap| *gap >= 0)?;
    if rest.trim() == NO_TIMER {
        return Some(Wait { gap_ns, timer: None });
    }
    let (timer, class) = rest.trim().rsplit_once(", ")?;
    let (name, armed) = timer.rsplit_once(" of ")?;
    let class = CLASSES.iter().find(|(_, words)| *words == class)?.0;
    let armed_ns = u64::try_from(seconds(armed)?).ok()?;
    Some(Wait { gap_ns, timer: Some(Timer { name: name.to_owned(), class, armed_ns }) })
}

fn end(line: &str) -> Option<(Ending, i64)> {
    let (how, after) = line.rsplit_once(" after ")?;
    let how = if let Some(code) = how.strip_prefix("exit ") {
        Ending::Exit(code.parse().ok()?)
    } else if let Some(signal) = how.strip_prefix("killed by ") {
        Ending::Signal(signal.to_owned())
    } else if let Some(errno) = how.strip_prefix("execve failed: ") {
        Ending::ExecFailed(errno.to_owned())
    } else if how == "still running" {
        Ending::Deadline
    } else {
        return None;
    };
    Some((how, seconds(after)?))
}

/// `1.025 s`, `-0.001 s`, `1 s`: seconds with at most three decimals.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = text.strip_suffix(" s")?;
    let (digits, sign) = number.strip_prefix('-').map_or((number, 1), |digits| (digits, -1));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let ms = whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(format!("{decimals:0<3}").parse().ok()?)?;
    ms.checked_mul(sign * MS)
}

fn error(line: usize, expected: &str, found: &str) -> ClaimsError {
    let found = if found.trim().is_empty() { "nothing".to_owned() } else { format!("`{}`", found.trim()) };
    ClaimsError { line, expected: expected.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> (usize, String) {
        let error = Claims::parse(text).unwrap_err();
        (error.line, error.to_string())
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_be_right() {
        assert_eq!(wrong("").0, 1);
        assert_eq!(wrong("client$ true\nexit none after 1 s\n").0, 2);
        assert_eq!(wrong("client$ true\nexit 0 after 1 s\nx\n").0, 3);
        let (line, message) = wrong("client$ true\nexit 0 after 1.000 s\n\n  1.o25 s  client  exit 0\n");
        assert_eq!(line, 4);
        assert!(message.starts_with("line 4: expected an event, `1.025 s"), "{message}");
        assert!(message.ends_with("found `1.o25 s  client  exit 0`"), "{message}");
    }

    #[test]
    fn a_wait_without_its_event_is_an_error() {
        let head = "client$ true\nexit 0 after 1.000 s\n\n";
        assert_eq!(wrong(&format!("{head}  +1.000 s  no timer\n")).0, 5);
        assert_eq!(wrong(&format!("{head}  +1.000 s  no timer\n  +1.000 s  no timer\n")).0, 5);
        assert_eq!(wrong(&format!("{head}  +1.000 s  RTO of 1 s, sundial\n  1.000 s  a  b\n")).0, 4);
    }

    #[test]
    fn a_range_that_is_none_is_an_error_that_says_so() {
        let line = |range: &str| {
            wrong(&format!("client$ true\nexit 0 after 1.000 s\n\n  +1.000 s  RTO of 1 s, timer wheel, {range}\n"))
        };
        for range in ["1.1 to 1.0 s over 8 phases", "1.0 s over 8 phases", "1.0 to 1.1 s over all phases", "8 phases"] {
            let (number, message) = line(range);
            assert_eq!(number, 4);
            assert!(message.contains("expected a range at the end"), "{message}");
        }
        assert!(line("1.0 to 1.1 s").1.contains("expected a wait"));
    }

    #[test]
    fn control_characters_in_a_snapshot_are_an_error() {
        let (line, message) = wrong("client$ true\nexit 0 after 1.000 s\n\n  1.000 s  client  \u{1b}[2J\n");
        assert_eq!(line, 4);
        assert!(!message.contains('\u{1b}'), "{message}");
    }

    #[test]
    fn a_time_too_large_for_nanoseconds_is_an_error_and_no_overflow() {
        assert_eq!(seconds("99999999999999999999 s"), None);
        assert_eq!(seconds("9223372036854775 s"), None);
        assert_eq!(seconds("0.0001 s"), None);
        assert_eq!(seconds("-0.001 s"), Some(-MS));
        assert_eq!(seconds("1.5 s"), Some(1500 * MS));
    }
}
