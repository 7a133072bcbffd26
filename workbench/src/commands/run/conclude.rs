//! One run's outcome to a status: timeline, verdict, snapshot, and the text that says so.

use std::path::Path;

use super::artifacts;
use super::phases::Phases;
use super::schedule::Task;
use crate::agent::{Outcome, Refused, Unsupported};
use crate::cli::{Format, RunArgs};
use crate::commands::terminal::Terminal;
use crate::engine::EngineError;
use crate::evidence::{Ending, Evidence};
use crate::plan::Origin;
use crate::report::json::RunReport;
use crate::report::phases::PhasesReport;
use crate::report::text;
use crate::report::{SnapshotStatus, Status};
use crate::snapshot::{self, Checked, Snapshot, Store, StoreError, Tolerance};
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
}

/// A run, concluded.
pub struct Concluded {
    /// What happened, for programs.
    pub report: RunReport,
    /// What to print.
    pub text: String,
    /// For [`Status::Error`]: whose fault it is.
    pub error_code: Option<u8>,
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
        let concluded = match outcome {
            Ok(Outcome::Seen(evidence)) => match missing_program(&evidence) {
                Some(why) => self.not_run(task, Status::Error, why, Some(exit_code::ENVIRONMENT)),
                None => self.seen(path, repeat, &evidence, None),
            },
            Ok(Outcome::Unsupported(lacking)) => self.not_run(task, Status::Skipped, skipped(&lacking), None),
            Ok(Outcome::Refused(refused)) => {
                let code = if refused.is_scenario_fault { exit_code::WRONG_INPUT } else { exit_code::ENVIRONMENT };
                self.not_run(task, Status::Error, refusal(&refused), Some(code))
            }
            Ok(Outcome::Broken(why)) => self.not_run(task, Status::Error, why, Some(exit_code::ENVIRONMENT)),
            Err(error) => self.not_run(task, Status::Error, error.to_string(), Some(exit_code::ENVIRONMENT)),
        };
        self.printed(concluded)
    }

    /// Concludes a run that was made at many phases; `evidence` is of the one that stands for all.
    pub fn conclude_phases(&self, path: &Path, evidence: &Evidence, phases: &Phases) -> Concluded {
        self.printed(self.seen(path, None, evidence, Some(phases)))
    }

    /// For programs a report is one line; for people it is the text.
    fn printed(&self, mut concluded: Concluded) -> Concluded {
        if self.args.format == Format::Json {
            // A report is plain data: maps with text keys, numbers, texts. Writing it cannot fail.
            concluded.text = concluded.report.to_line().unwrap_or_default() + "\n";
        }
        concluded
    }

    fn not_run(&self, task: &Task, status: Status, reason: String, error_code: Option<u8>) -> Concluded {
        let plan = &task.plan;
        let text = format!("{}/{}: {status}: {reason}\n", plan.scenario, plan.run);
        let report = RunReport::not_run(plan, task.engine.kind(), status, Some(reason));
        Concluded { report, text, error_code }
    }

    fn seen(&self, path: &Path, repeat: Option<u32>, evidence: &Evidence, phases: Option<&Phases>) -> Concluded {
        let timeline = timeline::build(evidence);
        let mut verdict = verdict::judge(evidence, &timeline);
        let mut observed = Snapshot::from_run(evidence, &timeline);
        let spread = phases.map(|phases| &phases.spread);
        if let Some(phases) = phases {
            verdict.inconclusive.extend(phases.inconclusive.clone());
            observed = observed.with_spread(&phases.spread);
        }
        let is_believed = verdict.inconclusive.is_empty() && phases.is_none_or(|phases| phases.differences.is_empty());
        let held = self.hold(path, evidence, &observed, is_believed);
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
        // The full story without colours is what is kept; the same function makes it again from the evidence.
        let plain = text::render(evidence, &timeline, &verdict, text::Options::KEPT);
        if let Some(dir) = &self.args.artifacts {
            match artifacts::keep(dir, path, self.common, repeat, evidence, &plain) {
                Ok(folder) => report.artifacts = Some(folder.display().to_string()),
                Err(e) => {
                    report.status = Status::Error;
                    report.reason = Some(format!("artifacts cannot be kept in {}: {e}", dir.display()));
                    error_code = Some(exit_code::ENVIRONMENT);
                }
            }
        }
        let diffs = phases.map_or("", |phases| &phases.diffs);
        let text = self.text(evidence, &timeline, &verdict, spread, &report) + diffs + &extra;
        Concluded { report, text, error_code }
    }

    /// The whole story, or one line for a run that agrees among others.
    fn text(
        &self,
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
            ..text::Options::KEPT
        };
        let status = &report.status;
        let headline = text::headline(evidence, timeline, options);
        let reason = report.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
        let is_short = matches!(status, Status::Pass | Status::Inconclusive) && !self.is_telling;
        if is_short {
            return format!("{status:<12} {headline}{reason}\n");
        }
        let story = text::render_spread(evidence, timeline, verdict, spread, options);
        if *status == Status::Pass { format!("{story}\n") } else { format!("{story}\n{status}{reason}\n\n") }
    }

    /// Holds a run against its snapshot, as the command line says.
    /// A run that cannot be believed changes no file.
    fn hold(
        &self,
        path: &Path,
        evidence: &Evidence,
        observed: &Snapshot,
        is_believed: bool,
    ) -> Result<Held, StoreError> {
        if self.args.no_snapshot {
            return Ok(Held::default());
        }
        let store = Store::for_scenario(path)?;
        let run = &evidence.plan.snapshot_name(&evidence.machine.kernel);
        let tolerance = Tolerance::of(&evidence.machine, evidence.lateness.max_ns);
        let may_write = !self.args.ci && !self.args.accept && is_believed;
        let checked = store.check(run, observed, &tolerance, may_write)?;
        let color = self.terminal.color_out;
        let has_new_ranges = observed.recording.phases.is_some()
            && store.load(run)?.is_some_and(|accepted| !accepted.has_ranges_of(observed));
        let held = match &checked {
            Checked::New { .. } => Held { status: SnapshotStatus::New, missing: self.args.ci, ..Held::default() },
            Checked::Compared { comparison, .. } => Held::of(comparison, color),
        };
        if self.args.accept
            && !self.args.ci
            && is_believed
            && (has_new_ranges || matches!(held.status, SnapshotStatus::New | SnapshotStatus::Differs))
        {
            let file = store.accept(run, observed)?;
            let text = format!("  accepted: {}\n", shown(&file));
            return Ok(Held { status: SnapshotStatus::Match, text, ..Held::default() });
        }
        let pending = match checked {
            Checked::New { pending } | Checked::Compared { pending, .. } => pending,
        };
        Ok(held.with_pending(pending.as_deref()))
    }
}

/// What holding a run against its snapshot came to.
struct Held {
    status: SnapshotStatus,
    /// There is none, and none may be written.
    missing: bool,
    /// Neither agrees nor differs, and why.
    inconclusive: Option<String>,
    /// To print after the timeline.
    text: String,
}

impl Default for Held {
    fn default() -> Self {
        Self { status: SnapshotStatus::None, missing: false, inconclusive: None, text: String::new() }
    }
}

impl Held {
    fn of(comparison: &snapshot::Comparison, color: bool) -> Self {
        let diff = || snapshot::render_diff(comparison, color);
        match comparison.outcome {
            snapshot::Outcome::Agrees => Self { status: SnapshotStatus::Match, ..Self::default() },
            snapshot::Outcome::Differs => Self { status: SnapshotStatus::Differs, text: diff(), ..Self::default() },
            snapshot::Outcome::MissingRetransmission | snapshot::Outcome::MachineLate => {
                Self { inconclusive: Some(comparison.remarks.join("; ")), text: diff(), ..Self::default() }
            }
        }
    }

    fn with_pending(mut self, pending: Option<&Path>) -> Self {
        if let Some(pending) = pending {
            let what = if self.status == SnapshotStatus::New { "a new snapshot waits" } else { "what was seen waits" };
            self.text.push_str(&format!("  {what} in {}: workbench review\n", shown(pending)));
        }
        self
    }
}

/// A path from where the user stands, if it is below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// A command that is not there is a lack of this machine, not a result of the scenario.
pub fn missing_program(evidence: &Evidence) -> Option<String> {
    let Ending::ExecFailed(errno) = &evidence.end.how else { return None };
    let program = &evidence.plan.command.argv[0];
    let remedy = "install it, or let `workbench doctor --fix` do so";
    Some(match errno.as_str() {
        "ENOENT" => format!("there is no program `{program}` in the lab's PATH; {remedy}"),
        _ => format!("`{program}` cannot be executed: {errno}"),
    })
}

fn skipped(lacking: &Unsupported) -> String {
    let Unsupported { feature, why, remedy, origin } = lacking;
    format!("{feature} is not available here: {why}; {remedy}{}", place(origin))
}

fn refusal(refused: &Refused) -> String {
    let Refused { at, asked, kernel, origin, .. } = refused;
    let is_sysctl = asked.starts_with("net.");
    let remedy = match kernel.split(':').next() {
        Some("ENOENT") if is_sysctl => "; this kernel has no such sysctl or value: `if-present=#true` would do without",
        Some("EINVAL" | "ERANGE") if is_sysctl => "; `or=VALUE` would name a second choice",
        _ => "",
    };
    format!("the kernel refuses `{asked}` in {at}: {kernel}{remedy}{}", place(origin))
}

/// ` (scenarios/x.kdl:3:5: sysctl "…" 0)`.
fn place(origin: &Origin) -> String {
    if origin.line == 0 {
        return String::new();
    }
    format!("\n  {}:{}:{}: {}", origin.file, origin.line, origin.column, origin.text)
}
