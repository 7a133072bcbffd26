//! One run's outcome to a status: timeline, verdict, snapshot, and the text that says so.

use std::path::Path;

use super::artifacts;
use super::hold::{Held, Hold};
use super::not_run::{NotRun, seen};
use super::phases::Phases;
use super::schedule::Task;
use crate::agent::Outcome;
use crate::cli::{Format, RunArgs, TextView};
use crate::commands::show::view;
use crate::commands::terminal::Terminal;
use crate::engine::{Engine, EngineError};
use crate::evidence::Evidence;
use crate::report::json::RunReport;
use crate::report::phases::PhasesReport;
use crate::report::{SnapshotStatus, Status};
use crate::report::{text, views};
use crate::snapshot::Snapshot;
use crate::{exit_code, timeline, verdict};

/// How runs are concluded.
pub struct Conclude<'a> {
    /// The command line.
    pub args: &'a RunArgs,
    /// The folder that all scenarios have in common.
    pub common: &'a Path,
    /// How to print.
    pub terminal: Terminal,
    /// Print timelines of runs that agree, too.
    pub is_telling: bool,
    /// How to hold them against their snapshots.
    pub hold: Hold<'a>,
}

/// A run, concluded.
pub struct Concluded {
    /// What happened, for programs.
    pub report: RunReport,
    /// What to print.
    pub text: String,
    /// The same for people, however it is printed.
    pub story: String,
    /// The scenario's file.
    pub file: String,
    /// The kernel, where there are several.
    pub label: Option<String>,
    /// Which repeat, from 1, where there is more than one.
    pub repeat: Option<u32>,
    /// For [`Status::Error`]: whose fault it is.
    pub error_code: Option<u8>,
}

impl Concluded {
    fn new(task: &Task, report: RunReport, text: String, error_code: Option<u8>) -> Self {
        let (file, label) = (task.plan.file.clone(), task.label.clone());
        Self { report, text, story: String::new(), file, label, repeat: None, error_code }
    }
}

impl Conclude<'_> {
    /// Concludes a run of a scenario in `path`; `repeat` counts from 1 where there is more than one.
    pub fn conclude(
        &self,
        path: &Path,
        task: &Task,
        repeat: Option<u32>,
        outcome: Result<Outcome, EngineError>,
    ) -> Concluded {
        let concluded = match seen(outcome) {
            Ok(evidence) => self.seen(path, task, repeat, &evidence, None),
            Err(not_run) => self.not_run(task, not_run),
        };
        self.printed(Concluded { repeat, ..concluded })
    }

    /// Concludes a run that was made at many phases; `evidence` is of the one that stands for all.
    pub fn conclude_phases(&self, path: &Path, task: &Task, evidence: &Evidence, phases: &Phases) -> Concluded {
        self.printed(self.seen(path, task, None, evidence, Some(phases)))
    }

    /// For programs a report is one line; for people it is the text.
    fn printed(&self, mut concluded: Concluded) -> Concluded {
        concluded.story.clone_from(&concluded.text);
        if self.args.format == Format::Json {
            // A report is plain data: maps with text keys, numbers, texts. Writing it cannot fail.
            concluded.text = concluded.report.to_line().unwrap_or_default() + "\n";
        }
        concluded
    }

    fn not_run(&self, task: &Task, not_run: NotRun) -> Concluded {
        let NotRun { status, reason, error_code } = not_run;
        let plan = &task.plan;
        let place = task.label.as_ref().map(|label| format!(" on {label}")).unwrap_or_default();
        let text = format!("{}/{}{place}: {status}: {reason}\n", plan.scenario, plan.run);
        let mut report = RunReport::not_run(plan, task.engine.kind(), status, Some(reason));
        if let Engine::Virtual(kernel) = &task.engine {
            report.kernel = Some(kernel.release.clone());
            report.hz = Some(kernel.hz);
        }
        Concluded::new(task, report, text, error_code)
    }

    fn seen(
        &self,
        path: &Path,
        task: &Task,
        repeat: Option<u32>,
        evidence: &Evidence,
        phases: Option<&Phases>,
    ) -> Concluded {
        let timeline = timeline::build(evidence);
        let mut verdict = verdict::judge(evidence, &timeline);
        let mut observed = Snapshot::from_run(evidence, &timeline, verdict.ended_by.as_ref());
        let spread = phases.map(|phases| &phases.spread);
        if let Some(phases) = phases {
            verdict.inconclusive.extend(phases.inconclusive.clone());
            observed = observed.with_spread(&phases.spread);
        }
        let is_believed = verdict.inconclusive.is_empty() && phases.is_none_or(|phases| phases.differences.is_empty());
        let held = self.hold.hold(path, evidence, &observed, is_believed);
        if let Ok(Held { inconclusive: Some(why), .. }) = &held {
            verdict.inconclusive.push(why.clone());
        }
        let (status, extra) = match &held {
            Ok(held) => (held.status, held.text.clone()),
            Err(error) => (SnapshotStatus::None, format!("{error}\n")),
        };
        let mut report = RunReport::new(evidence, &timeline, &verdict, status);
        if let Ok(Held { missing: true, .. }) = held {
            report.status = Status::Fail;
            report.reason = Some("there is no snapshot of this run, and with CI set none is written".to_owned());
        }
        if let Some(phases) = phases {
            report.phases = Some(PhasesReport::new(&timeline, &phases.spread));
            report.fail_for(&phases.differences);
        }
        let mut error_code = None;
        if let Err(error) = &held {
            report.status = Status::Error;
            report.reason = Some(error.to_string());
            error_code = Some(exit_code::WRONG_INPUT);
        }
        if let Some(dir) = &self.args.artifacts {
            let place =
                artifacts::Place { dir, scenario: path, common: self.common, label: task.label.as_deref(), repeat };
            match artifacts::keep(place, &views::Run { evidence, timeline: &timeline, verdict: &verdict }) {
                Ok(folder) => report.artifacts = Some(folder.display().to_string()),
                Err(e) => {
                    report.status = Status::Error;
                    report.reason = Some(format!("artifacts cannot be kept in {}: {e}", dir.display()));
                    error_code = Some(exit_code::ENVIRONMENT);
                }
            }
        }
        let diffs = phases.map_or("", |phases| &phases.diffs);
        let text = self.text(task, evidence, &timeline, &verdict, spread, &report) + diffs + &extra;
        Concluded::new(task, report, text, error_code)
    }

    /// The timeline, or the views that are asked for in its place.
    fn story(&self, run: &views::Run<'_>, spread: Option<&timeline::Spread>, options: text::Options) -> String {
        let timeline = || text::render_spread(run.evidence, run.timeline, run.verdict, spread, options);
        let shown = |chosen: &TextView| match chosen {
            TextView::Timeline => timeline(),
            // The only view that does not begin with which run it is of: it is strace's format.
            TextView::Calls => format!("{}\n{}", text::headline(run.evidence, run.timeline, options), run.calls()),
            TextView::Diagram | TextView::Sockets | TextView::Daemons => match view((*chosen).into(), run, options) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => format!("{error}\n"),
            },
        };
        match self.args.show.as_slice() {
            [] => timeline(),
            chosen => chosen.iter().map(shown).collect::<Vec<_>>().join("\n"),
        }
    }

    /// The whole story, or one line for a run that agrees among others.
    fn text(
        &self,
        task: &Task,
        evidence: &Evidence,
        timeline: &timeline::Timeline,
        verdict: &verdict::Verdict,
        spread: Option<&timeline::Spread>,
        report: &RunReport,
    ) -> String {
        let options = text::Options {
            color: self.terminal.color_out,
            width: self.terminal.width,
            details: self.args.verbose,
            is_terminal: self.terminal.is_terminal_out,
            ..text::Options::KEPT
        };
        let status = &report.status;
        let headline = text::headline(evidence, timeline, options);
        let reason = report.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
        let is_short =
            matches!(status, Status::Pass | Status::Inconclusive) && !self.is_telling && self.args.show.is_empty();
        if is_short {
            let place = task.label.as_ref().map(|label| format!("{label:<9} ")).unwrap_or_default();
            return format!("{status:<12} {place}{headline}{reason}\n");
        }
        let story = self.story(&views::Run { evidence, timeline, verdict }, spread, options);
        match status {
            // The story ends with what makes it doubtful.
            Status::Pass | Status::Inconclusive => format!("{story}\n"),
            _ => format!("{story}\n{status}{reason}\n\n"),
        }
    }
}
