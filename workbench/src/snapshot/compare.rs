//! A snapshot against a run, by structure: which events, after which waits, ended how. Prints nothing.
//!
//! Times since the start are not compared, waits are: an event that no timer brought about is measured from the event
//! before it that both have, so that a late start cannot add up.
//!
//! A wait whose range was measured over the phases of the timer wheel is held against that range, on a kernel of the
//! same HZ; where the run has been at many phases too, both ends of its own range are.

use super::align::{Pairing, align};
use super::cause::{Cause, ENDED_BY};
use super::claims::{ClaimLine, Claims, STILL_RUNNING, Summary};
use super::file::Snapshot;
use super::recording::Phases;
use super::render::{NO_TIMER, end_text, ending_text, seconds, timer_text};
use super::skipped;
use super::tolerance::{Band, Tolerance};
use crate::evidence::EngineKind;
use crate::timeline::{Timer, TimerClass, Wait};

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything agrees.
    Agrees,
    /// One retransmission of the snapshot was not sent, and all the rest agrees, the end's time included. A kernel
    /// under load does that now and then. One run cannot tell it from a kernel that always sends one fewer.
    MissingRetransmission,
    /// Everything agrees but some waits that were too long, or were armed for what was left of a deadline by then, none
    /// by more than this machine itself was late.
    MachineLate,
    /// Something else is different.
    Differs,
}

/// A snapshot held against a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What it comes to.
    pub outcome: Outcome,
    /// What changed between the recording and now (tools, kernel, HZ, engine), in words.
    pub changed: Option<String>,
    /// Differences in what ran, how it ended, and by what.
    pub summary: Vec<Mismatch>,
    /// Every event of either, in the order of the run.
    pub rows: Vec<Row>,
    /// What is worth saying although it is no difference.
    pub remarks: Vec<String>,
}

/// One event of the snapshot, the run, or both.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// In both, and agreeing; as the run has it.
    Same(ClaimLine),
    /// In both, after another wait; as the run has it.
    Changed(ClaimLine, Mismatch),
    /// In the snapshot only.
    Missing(ClaimLine),
    /// In the run only.
    Extra(ClaimLine),
}

/// What a mismatch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The command line or the host it runs in.
    Command,
    /// How the command ended.
    End,
    /// What ended it.
    Verdict,
    /// How long a wait was.
    Wait,
    /// Which timer ended a wait, or how long it was armed for.
    Timer,
}

/// Something that is in both and not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What.
    pub subject: Subject,
    /// In the snapshot, in words.
    pub expected: String,
    /// In the run, in words.
    pub observed: String,
    /// For a wait, and for a timer of which only the length differs: the range it had to be in.
    pub band: Option<Band>,
    /// Where there is a range: nanoseconds outside, negative for too short.
    pub excess_ns: i64,
}

/// Holds a snapshot against a run.
pub fn compare(expected: &Snapshot, observed: &Snapshot, tolerance: &Tolerance) -> Comparison {
    let changed = expected.recording.changes_to(&observed.recording);
    let mut summary = summary_mismatches(&expected.claims.summary, &observed.claims.summary);
    summary.extend(cause_mismatch(&expected.claims, &observed.claims, tolerance));
    // Where buckets lie is a matter of jiffies: ranges of another HZ say nothing here.
    let phases = expected.recording.phases.filter(|_| expected.recording.hz == observed.recording.hz);
    let with = |trust| Rules { tolerance, phases, trust };
    let (rows, mut remarks) = rows(&expected.claims, &observed.claims, with(Trust::Both));
    let mut outcome = outcome_of(&summary, &rows, tolerance);
    // Only a kernel under load skips one; in virtual time there is no load.
    if outcome == Outcome::Differs && summary.is_empty() && tolerance.engine == EngineKind::Host {
        let skipped = skipped::hypotheses(&expected.claims, &observed.claims)
            .find(|skip| all_same(&self::rows(&skip.claims, &observed.claims, with(Trust::Expected)).0));
        if let Some(skip) = skipped {
            outcome = Outcome::MissingRetransmission;
            remarks.push(format!("one packet was not sent, all the rest agrees: {}", skip.text));
        }
    }
    Comparison { outcome, changed, summary, rows, remarks }
}

/// Whose account of the timers counts. With a retransmission missing the run's own numbering is off by one, and with
/// it the lengths that the timeline takes its timers to have been armed for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Both,
    Expected,
}

/// How waits are judged.
#[derive(Clone, Copy)]
struct Rules<'a> {
    tolerance: &'a Tolerance,
    /// Over which phases the snapshot's ranges were measured, if they hold for this kernel.
    phases: Option<Phases>,
    trust: Trust,
}

fn all_same(rows: &[Row]) -> bool {
    rows.iter().all(|row| matches!(row, Row::Same(_)))
}

fn outcome_of(summary: &[Mismatch], rows: &[Row], tolerance: &Tolerance) -> Outcome {
    let is_machines = |mismatch: &Mismatch| {
        let is_length = matches!(mismatch.subject, Subject::Timer | Subject::Verdict);
        let is_explained = mismatch.excess_ns > 0 || (is_length && mismatch.excess_ns != 0);
        is_explained && mismatch.excess_ns.unsigned_abs() <= tolerance.lateness_ns
    };
    let is_machines_row = |row: &Row| match row {
        Row::Same(_) => true,
        Row::Changed(_, mismatch) => is_machines(mismatch),
        Row::Missing(_) | Row::Extra(_) => false,
    };
    if summary.is_empty() && all_same(rows) {
        Outcome::Agrees
    } else if summary.iter().all(is_machines) && rows.iter().all(is_machines_row) {
        Outcome::MachineLate
    } else {
        Outcome::Differs
    }
}

fn summary_mismatches(expected: &Summary, observed: &Summary) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let command = |summary: &Summary| format!("{}$ {}", summary.host, summary.command);
    if command(expected) != command(observed) {
        found.push(mismatch(Subject::Command, command(expected), command(observed)));
    }
    if ending_text(&expected.how) != ending_text(&observed.how) {
        let text = |summary: &Summary| end_text(&summary.how, summary.after_ns);
        found.push(mismatch(Subject::End, text(expected), text(observed)));
    }
    found
}

/// What ended it. A snapshot from before that was claimed says nothing about it, and a length counts where both sides
/// have one and neither has two explanations, which are of different lengths.
fn cause_mismatch(expected: &Claims, observed: &Claims, tolerance: &Tolerance) -> Option<Mismatch> {
    let (was, is) = (expected.ended_by.as_ref()?, observed.ended_by.as_ref()?);
    let text = |cause: &Cause| format!("{ENDED_BY} {cause}");
    let differs = mismatch(Subject::Verdict, text(was), text(is));
    if was.words != is.words {
        return Some(differs);
    }
    let lengths = was.armed_ns.zip(is.armed_ns).filter(|_| !was.is_ambiguous && !is.is_ambiguous);
    let (armed_ns, observed_ns) = lengths?;
    let band = tolerance.armed(armed_ns);
    let excess_ns = band.excess_ns(i64::try_from(observed_ns).unwrap_or(i64::MAX));
    (excess_ns != 0).then_some(Mismatch { band: Some(band), excess_ns, ..differs })
}

fn rows(expected: &Claims, observed: &Claims, rules: Rules<'_>) -> (Vec<Row>, Vec<String>) {
    let mut remarks = Vec::new();
    let mut rows = Vec::new();
    // The command's start is an event that both have.
    let mut earlier = vec![(0, 0)];
    for pairing in align(&expected.lines, &observed.lines) {
        rows.push(match pairing {
            Pairing::Missing(i) => Row::Missing(expected.lines[i].clone()),
            Pairing::Extra(j) => Row::Extra(observed.lines[j].clone()),
            Pairing::Both { expected: i, observed: j, has_moved } => {
                let pair = Pair { expected: &expected.lines[i], observed: &observed.lines[j], earlier: &earlier };
                if has_moved {
                    remarks.push(format!("at another place among others of that moment: {}", pair.observed.text));
                }
                let line = pair.observed.clone();
                let row = match pair.judge(rules) {
                    None => Row::Same(line),
                    Some(mismatch) => Row::Changed(line, mismatch),
                };
                earlier.push((expected.lines[i].t_ns, observed.lines[j].t_ns));
                row
            }
        });
    }
    (rows, remarks)
}

/// The same event in both, and the times of those before it that both have.
struct Pair<'a> {
    expected: &'a ClaimLine,
    observed: &'a ClaimLine,
    earlier: &'a [(i64, i64)],
}

impl Pair<'_> {
    fn judge(&self, rules: Rules<'_>) -> Option<Mismatch> {
        if self.expected.text == STILL_RUNNING {
            return None;
        }
        let tolerance = rules.tolerance;
        let expected_timer = timer_of(self.expected);
        let observed_timer = if rules.trust == Trust::Both { timer_of(self.observed) } else { expected_timer };
        match (expected_timer, observed_timer) {
            (None, None) => self.judge_untimed(tolerance),
            (Some(a), Some(b)) if is_same_kind(a, b) => {
                let band = tolerance.armed(a.armed_ns);
                match band.excess_ns(i64::try_from(b.armed_ns).unwrap_or(i64::MAX)) {
                    0 => self.judge_timed(b, rules),
                    excess_ns => Some(Mismatch { band: Some(band), excess_ns, ..timers_differ(Some(a), Some(b)) }),
                }
            }
            (a, b) => Some(timers_differ(a, b)),
        }
    }

    fn judge_timed(&self, timer: &Timer, rules: Rules<'_>) -> Option<Mismatch> {
        let (expected_ns, observed_ns) = self.timed_gaps();
        let band = match self.expected.range.as_ref().zip(rules.phases) {
            Some((range, phases)) => rules.tolerance.measured(timer, range, phases),
            None => rules.tolerance.timer(timer),
        };
        // A range of its own says more than the one wait that it is of.
        let range = self.observed.range;
        let ends = range.map_or([observed_ns; 2], |range| [range.low_ns, range.high_ns]);
        ends.into_iter().find_map(|end_ns| judge_gap((expected_ns, end_ns), band.clone()))
    }

    /// The last event before this one that both have, else the start.
    fn before(&self) -> (i64, i64) {
        self.earlier.last().copied().unwrap_or_default()
    }

    /// Both waits; from the event before, where the run knows none and the snapshot's timer is what counts.
    fn timed_gaps(&self) -> (i64, i64) {
        let before = self.before();
        (gap_ns(self.expected, before.0), gap_ns(self.observed, before.1))
    }

    fn judge_untimed(&self, tolerance: &Tolerance) -> Option<Mismatch> {
        // What was made ready before the command was let go took as long as the machine took.
        if self.expected.t_ns < 0 && self.observed.t_ns <= 0 {
            return None;
        }
        let before = self.before();
        let gaps = match (&self.expected.wait, &self.observed.wait) {
            (Some(expected), Some(observed)) => (expected.gap_ns, observed.gap_ns),
            // Without a wait on both sides, from the event before on both sides.
            _ => (self.expected.t_ns.saturating_sub(before.0), self.observed.t_ns.saturating_sub(before.1)),
        };
        let is_first = before.0 <= 0 && before.1 <= 0 && self.expected.wait.is_none();
        let band = if is_first { tolerance.start(gaps.0) } else { tolerance.untimed(gaps.0) };
        judge_gap(gaps, band).filter(|_| !self.keeps_its_distance(tolerance))
    }

    /// Whether it comes exactly as long after some earlier event as it did then. What brought it about is not known, and
    /// the event before it may be the doing of an unrelated timer that is seconds early or late.
    fn keeps_its_distance(&self, tolerance: &Tolerance) -> bool {
        self.earlier.iter().any(|&(expected_ns, observed_ns)| {
            let then_ns = self.expected.t_ns.saturating_sub(expected_ns);
            tolerance.same(then_ns).excess_ns(self.observed.t_ns.saturating_sub(observed_ns)) == 0
        })
    }
}

/// A wait's length in the snapshot and in the run.
fn judge_gap((expected_ns, observed_ns): (i64, i64), band: Band) -> Option<Mismatch> {
    let excess_ns = band.excess_ns(observed_ns);
    (excess_ns != 0).then(|| Mismatch {
        band: Some(band),
        excess_ns,
        ..mismatch(Subject::Wait, seconds(expected_ns), seconds(observed_ns))
    })
}

/// The wait that ended with a line: the timeline's, else the time since the event before.
fn gap_ns(line: &ClaimLine, before_ns: i64) -> i64 {
    line.wait.as_ref().map_or(line.t_ns.saturating_sub(before_ns), |wait| wait.gap_ns)
}

fn timer_of(line: &ClaimLine) -> Option<&Timer> {
    line.wait.as_ref().and_then(|wait: &Wait| wait.timer.as_ref())
}

/// Whether two timers are of one name and kind. One wait for all of a deadline and several for its parts are: on a busy
/// machine a program has a little less left by the time it waits, or a little more to wait for.
fn is_same_kind(a: &Timer, b: &Timer) -> bool {
    let is_deadline = |timer: &Timer| matches!(timer.class, TimerClass::Slack | TimerClass::Deadline);
    (&a.name, a.class) == (&b.name, b.class) || (a.class != b.class && is_deadline(a) && is_deadline(b))
}

fn timers_differ(expected: Option<&Timer>, observed: Option<&Timer>) -> Mismatch {
    let text = |timer: Option<&Timer>| timer.map_or_else(|| NO_TIMER.to_owned(), timer_text);
    mismatch(Subject::Timer, text(expected), text(observed))
}

fn mismatch(subject: Subject, expected: String, observed: String) -> Mismatch {
    Mismatch { subject, expected, observed, band: None, excess_ns: 0 }
}
