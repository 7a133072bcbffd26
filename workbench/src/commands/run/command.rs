//! The command itself: select, run, print, sum up.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conclude::{Conclude, Concluded};
use super::engines::{engines, programs_at_most_ns, tasks};
use super::hold::Hold;
use super::junit_file::JunitFile;
use super::phases;
use super::progress::Progress;
use super::schedule::{Schedule, Task};
use super::select::{Selection, select};
use crate::agent;
use crate::cli::{EngineChoice, Format, RunArgs};
use crate::commands::check::{count, wrong};
use crate::commands::interrupt::to_the_end;
use crate::commands::terminal::{Terminal, say_line};
use crate::engine::Engine;
use crate::evidence::JiffiesClock;
use crate::exit_code;
use crate::plan::Plan;
use crate::report::Status;

/// Runs that mostly wait: this many for each core, unless `--jobs` says otherwise.
const JOBS_PER_CORE: usize = 4;

/// Runs what the arguments select and returns the exit code.
pub fn run(args: &RunArgs, terminal: Terminal) -> u8 {
    let selection = Selection { paths: &args.paths, only: &args.only, tag: &args.tag };
    let plans = match select(selection, terminal) {
        Ok(plans) => plans,
        Err(code) => return code,
    };
    if args.virtual_time.phases.is_some() && args.repeat > 1 {
        return wrong(&"--repeat means nothing with --phases: every repeat at one phase is the same");
    }
    if args.format == Format::Json && !args.show.is_empty() {
        return wrong(
            &"--show prints for people, and --format json one object for each run; keep the runs with --artifacts DIR and \
              look at them with `workbench show`",
        );
    }
    let engines = match engines(args) {
        Ok(engines) => engines,
        Err(code) => return code,
    };
    // One thread, and that the main one: see the host engine.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return wrong(&format!("cannot start: {e}")),
    };
    let progress = Progress::new(args.format == Format::Text && std::io::stderr().is_terminal());
    let mut tally = Tally::default();
    let mut junit = match JunitFile::new(args.junit.as_deref()) {
        Ok(junit) => junit,
        Err(code) => return code,
    };
    // One file is looked at; of many, or many times the same, only what differs.
    let is_one_file = plans.iter().all(|(path, _)| *path == plans[0].0);
    let is_telling = args.verbose || (is_one_file && args.repeat == 1);
    let common = common_folder(&plans);
    let conclude = Conclude { args, common, terminal, is_telling, hold: Hold::new(args, terminal.color_out) };
    let once: Vec<(&PathBuf, Task)> = plans
        .iter()
        .flat_map(|(path, plan)| tasks(plan, &engines, &args.virtual_time).into_iter().map(move |task| (path, task)))
        .collect();
    let schedule = Schedule {
        at_most: at_most(args),
        jiffies: host_jiffies(&engines),
        programs_at_most_ns: programs_at_most_ns(args.virtual_time.compute),
        progress: &progress,
    };
    let done = |concluded: &Concluded| {
        progress.print(&concluded.text);
        tally.add(concluded);
        junit.add(concluded);
    };
    let everything = async {
        match args.virtual_time.phases {
            Some(count) => phases::run(&once, count, &schedule, &conclude, done).await,
            None => repeated(&once, args.repeat, &schedule, &conclude, done).await,
        }
    };
    if !to_the_end(&runtime, everything) {
        return exit_code::INTERRUPTED;
    }
    if args.format == Format::Text && tally.total() > 1 {
        say_line(&tally.sentence());
    }
    junit.write(tally.exit_code(args.deny_skips))
}

/// Makes each of `once` so many times.
async fn repeated(
    once: &[(&PathBuf, Task)],
    times: u32,
    schedule: &Schedule<'_>,
    conclude: &Conclude<'_>,
    mut done: impl FnMut(&Concluded),
) {
    let tasks: Vec<Task> = (0..times).flat_map(|_| once.iter().map(|(_, task)| task.clone())).collect();
    let concluded = |index: usize, outcome| {
        let (path, task) = &once[index % once.len()];
        let repeat = (times > 1).then(|| (index / once.len()) as u32 + 1);
        done(&conclude.conclude(path, task, repeat, outcome));
    };
    schedule.run(&tasks, concluded).await;
}

/// How many runs at a time. In real time they mostly wait; in virtual time they never do.
fn at_most(args: &RunArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let for_each_core = if args.engine == EngineChoice::Host { JOBS_PER_CORE } else { 1 };
    args.jobs.map_or(cores * for_each_core, usize::from)
}

/// The host's jiffies clock, for runs on it.
fn host_jiffies(engines: &[Engine]) -> Option<JiffiesClock> {
    engines.contains(&Engine::Host).then(agent::read_jiffies).flatten()
}

/// The longest path that all scenarios' folders begin with.
fn common_folder(plans: &[(PathBuf, Arc<Plan>)]) -> &Path {
    let mut folders = plans.iter().filter_map(|(path, _)| path.parent());
    let first = folders.next().unwrap_or(Path::new(""));
    let is_above_all = |folder: &&Path| plans.iter().all(|(path, _)| path.starts_with(folder));
    first.ancestors().find(is_above_all).unwrap_or(Path::new(""))
}

/// How many runs ended how.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    inconclusive: usize,
    errors: usize,
    /// The worst error's exit code: a wrong scenario before a lacking environment.
    error_code: Option<u8>,
}

impl Tally {
    fn add(&mut self, concluded: &Concluded) {
        match concluded.report.status {
            Status::Pass => self.passed += 1,
            Status::Fail => self.failed += 1,
            Status::Skipped => self.skipped += 1,
            Status::Inconclusive => self.inconclusive += 1,
            Status::Error => {
                self.errors += 1;
                let code = concluded.error_code.unwrap_or(exit_code::ENVIRONMENT);
                self.error_code = Some(self.error_code.map_or(code, |c| c.min(code)));
            }
        }
    }

    fn total(&self) -> usize {
        self.passed + self.failed + self.skipped + self.inconclusive + self.errors
    }

    fn sentence(&self) -> String {
        let parts = [
            (self.failed, "failed"),
            (self.errors, "with an error"),
            (self.inconclusive, "inconclusive"),
            (self.skipped, "skipped"),
        ];
        let mut text = format!("{}: {} passed", count(self.total(), "run"), self.passed);
        for (n, what) in parts.into_iter().filter(|(n, _)| *n > 0) {
            text.push_str(&format!(", {n} {what}"));
        }
        text
    }

    /// A difference is more than a lacking environment, which is more than a run that cannot be believed. Skips alone
    /// are fine, unless they are denied or nothing else ran.
    fn exit_code(&self, deny_skips: bool) -> u8 {
        if let Some(code) = self.error_code {
            return if self.failed > 0 && code != exit_code::WRONG_INPUT { exit_code::DIFFERS } else { code };
        }
        if self.failed > 0 {
            exit_code::DIFFERS
        } else if self.skipped > 0 && (deny_skips || self.skipped == self.total()) {
            exit_code::ENVIRONMENT
        } else if self.inconclusive > 0 {
            exit_code::INCONCLUSIVE
        } else {
            exit_code::AGREES
        }
    }
}
