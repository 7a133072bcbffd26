//! A run at many phases of the timer wheel: first once, to learn over which step they lie, then at each of them.

use std::path::PathBuf;

use super::conclude::{Conclude, Concluded};
use super::not_run::missing_program;
use super::schedule::{Schedule, Task};
use crate::agent::Outcome;
use crate::engine::EngineError;
use crate::evidence::{Evidence, wheel_step_jiffies};
use crate::snapshot::{self, Mismatch, Snapshot, Subject, Tolerance};
use crate::timeline::{self, Spread, Timeline};
use crate::verdict;

/// What a run came to at all its phases but the one that stands for all.
pub struct Phases {
    /// The ranges.
    pub spread: Spread,
    /// Where the runs differ although only their phase does, in words.
    pub differences: Vec<String>,
    /// The same in full.
    pub diffs: String,
    /// Why they cannot be believed, if so.
    pub inconclusive: Option<String>,
}

/// One run at one phase.
struct Told {
    phase_ns: u64,
    timeline: Timeline,
    snapshot: Snapshot,
    findings: Vec<String>,
    inconclusive: Vec<String>,
}

impl Told {
    fn by(evidence: &Evidence, phase_ns: u64) -> Self {
        let timeline = timeline::build(evidence);
        let verdict = verdict::judge(evidence, &timeline);
        let finding = |f: &verdict::Finding| format!("{}: expected {}, observed {}", f.what, f.expected, f.observed);
        Self {
            phase_ns,
            snapshot: Snapshot::from_run(evidence, &timeline, verdict.ended_by.as_ref()),
            timeline,
            findings: verdict.findings.iter().map(finding).collect(),
            inconclusive: verdict.inconclusive,
        }
    }
}

/// What the first run of a task came to, and how the others go.
enum First {
    /// It stands for all, over a step of this length.
    Stands(Box<Evidence>, u64),
    /// It says what all would.
    Says(Result<Outcome, EngineError>),
}

/// Makes each of `tasks` at `count` phases and gives what they came to to `done`, in order.
pub async fn run(
    tasks: &[(&PathBuf, Task)],
    count: u32,
    schedule: &Schedule<'_>,
    conclude: &Conclude<'_>,
    mut done: impl FnMut(&Concluded),
) {
    let mut firsts = Vec::new();
    let once: Vec<Task> = tasks.iter().map(|(_, task)| task.clone()).collect();
    schedule.run(&once, |_, outcome| firsts.push(first(outcome))).await;
    let step_ns = |first: &First| match first {
        First::Stands(_, step_ns) => Some(*step_ns),
        First::Says(_) => None,
    };
    // Which task, and at which phase.
    let places: Vec<(usize, u64)> = (0..)
        .zip(&firsts)
        .filter_map(|(index, first)| Some((index, step_ns(first)?)))
        .flat_map(|(index, step_ns)| timeline::phases_ns(step_ns, count).map(move |phase_ns| (index, phase_ns)))
        .collect();
    let all: Vec<Task> = places.iter().map(|&(index, phase_ns)| at_phase(&tasks[index].1, phase_ns)).collect();
    let mut firsts = (0..).zip(firsts);
    let mut told: Vec<Told> = Vec::new();
    let mut broken: Option<Result<Outcome, EngineError>> = None;
    let mut conclude_next = |told: Vec<Told>, broken: Option<Result<Outcome, EngineError>>| {
        let Some((index, first)) = firsts.next() else { return };
        let (path, task) = &tasks[index];
        done(&match (first, broken) {
            (First::Says(outcome), _) | (First::Stands(..), Some(outcome)) => {
                conclude.conclude(path, task, None, outcome)
            }
            (First::Stands(evidence, step_ns), None) => {
                conclude.conclude_phases(path, task, &evidence, &Phases::of(&evidence, &told, step_ns, conclude))
            }
        });
    };
    let mut next = 0;
    schedule
        .run(&all, |place, outcome| {
            let (index, phase_ns) = places[place];
            while next < index {
                conclude_next(Vec::new(), None);
                next += 1;
            }
            match outcome {
                Ok(Outcome::Seen(evidence)) => told.push(Told::by(&evidence, phase_ns)),
                other => broken = broken.take().or(Some(other)),
            }
            if places.get(place + 1).is_none_or(|(following, _)| *following != index) {
                conclude_next(std::mem::take(&mut told), broken.take());
                next += 1;
            }
        })
        .await;
    while next < tasks.len() {
        conclude_next(Vec::new(), None);
        next += 1;
    }
}

fn first(outcome: Result<Outcome, EngineError>) -> First {
    match outcome {
        Ok(Outcome::Seen(evidence)) if missing_program(&evidence).is_none() => {
            let tick_ns = evidence.machine.tick_ns;
            let longest_ns = timeline::longest_wheel_ns(&timeline::build(&evidence), tick_ns).unwrap_or(0);
            First::Stands(evidence, wheel_step_jiffies(longest_ns, tick_ns) * tick_ns)
        }
        other => First::Says(other),
    }
}

fn at_phase(task: &Task, phase_ns: u64) -> Task {
    let mut guest = task.guest.clone();
    if let Some(guest) = &mut guest {
        guest.phase_ns = Some(phase_ns);
    }
    Task { guest, ..task.clone() }
}

impl Phases {
    fn of(reference: &Evidence, told: &[Told], step_ns: u64, conclude: &Conclude<'_>) -> Self {
        let own = Told::by(reference, 0);
        let runs: Vec<(u64, &Timeline)> = told.iter().map(|told| (told.phase_ns, &told.timeline)).collect();
        let spread = Spread::of(&own.timeline, &runs, step_ns);
        let mut differences = Vec::new();
        let mut diffs = String::new();
        let tolerance = Tolerance::of(&reference.machine, 0);
        for stray in &spread.strays {
            let words = stray.in_words(spread.count);
            let other = stray.runs.first().map_or(&own, |run| &told[*run]);
            let comparison = snapshot::compare(&own.snapshot, &other.snapshot, &tolerance);
            let diff = snapshot::render_phases_diff(&comparison, conclude.terminal.color_out);
            diffs.push_str(&format!("{words}, it goes otherwise:\n\n{diff}\n"));
            differences.push(format!("{words}, it goes otherwise"));
        }
        differences.extend(other_cause(&own, told, &tolerance));
        let failing = told.iter().filter(|told| told.findings != own.findings && !told.findings.is_empty());
        let mut failing = failing.peekable();
        if let Some(first) = failing.peek() {
            let finding = format!("{} ({:.3} s into the step)", first.findings.join("; "), seconds(first.phase_ns));
            differences.push(format!("at {} of {} phases {finding}", failing.count(), spread.count));
        }
        let inconclusive = told
            .iter()
            .find(|told| !told.inconclusive.is_empty())
            .map(|told| format!("{:.3} s into the step: {}", seconds(told.phase_ns), told.inconclusive.join("; ")));
        Self { spread, differences, diffs, inconclusive }
    }
}

/// The phases at which something else ended it, in words.
fn other_cause(own: &Told, told: &[Told], tolerance: &Tolerance) -> Option<String> {
    let mismatch = |other: &Told| -> Option<Mismatch> {
        let summary = snapshot::compare(&own.snapshot, &other.snapshot, tolerance).summary;
        summary.into_iter().find(|mismatch| mismatch.subject == Subject::Verdict)
    };
    let others: Vec<(u64, Mismatch)> =
        told.iter().filter_map(|other| Some((other.phase_ns, mismatch(other)?))).collect();
    let (phase_ns, Mismatch { expected, observed, .. }) = others.first()?;
    let (count, all, into) = (others.len(), told.len(), seconds(*phase_ns));
    Some(format!("at {count} of {all} phases {observed}, else {expected} ({into:.3} s into the step)"))
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}
