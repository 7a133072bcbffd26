//! `workbench compare`: the same runs on several kernels, in virtual time, side by side. Reads and writes no snapshots.

use std::io::IsTerminal;

use super::check::wrong;
use super::interrupt::to_the_end;
use super::run::{Progress, Schedule, Selection, Task, programs_at_most_ns, seen, select, tasks, virtual_engines};
use super::terminal::{Terminal, say, say_line};
use crate::agent::Outcome;
use crate::cli::{CompareArgs, Format, VirtualArgs};
use crate::engine::{Engine, EngineError, Kernel};
use crate::exit_code;
use crate::report::compare::{Column, Compared, Told};
use crate::report::{Status, compare_line, compare_text, text};
use crate::snapshot::Snapshot;
use crate::{timeline, verdict};

/// Runs what the arguments select on every kernel, prints the comparison and returns the exit code.
pub fn compare(args: &CompareArgs, terminal: Terminal) -> u8 {
    let selection = Selection { paths: &args.paths, only: &args.only, tag: &args.tag };
    let plans = match select(selection, terminal) {
        Ok(plans) => plans,
        Err(code) => return code,
    };
    let (kernel, seed, horizon) = (args.kernel.clone(), args.seed, args.horizon);
    let virtual_args = VirtualArgs { kernel, seed, horizon, ..VirtualArgs::default() };
    let engines = match kernels(&virtual_args) {
        Ok(engines) => engines,
        Err(code) => return code,
    };
    // One thread, and that the main one: see the host engine.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return wrong(&format!("cannot start: {e}")),
    };
    let progress = Progress::new(args.format == Format::Text && std::io::stderr().is_terminal());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let schedule = Schedule {
        at_most: args.jobs.map_or(cores, usize::from),
        jiffies: None,
        programs_at_most_ns: programs_at_most_ns(None),
        progress: &progress,
    };
    let all: Vec<Task> = plans.iter().flat_map(|(_, plan)| tasks(plan, &engines, &virtual_args)).collect();
    let mut sum = Sum::default();
    let mut columns = Vec::new();
    let everything = schedule.run(&all, |index, outcome| {
        columns.push(sum.column(&all[index], outcome));
        if columns.len() == engines.len() {
            sum.add(Compared::new(&all[index].plan, std::mem::take(&mut columns)), args.format);
        }
    });
    if !to_the_end(&runtime, everything) {
        return exit_code::INTERRUPTED;
    }
    if args.format == Format::Text {
        let options = text::Options { color: terminal.color_out, width: terminal.width, ..text::Options::KEPT };
        say(&compare_text(&sum.compared, options));
    }
    sum.exit_code()
}

/// The kernels to compare, the oldest first; or the exit code, with everything said.
fn kernels(args: &VirtualArgs) -> Result<Vec<Engine>, u8> {
    let mut engines = virtual_engines(args)?;
    let order = |engine: &Engine| match engine {
        Engine::Host => None,
        Engine::Virtual(Kernel { release, hz, .. }) => Some((crate::scenario::KernelVersion::of(release), *hz)),
    };
    engines.sort_by_key(order);
    match engines.len() {
        0 | 1 => {
            eprintln!(
                "workbench: there is nothing to compare with one kernel; `workbench kernel build --suite bookworm` makes \
                 another, `workbench kernel list` shows those that are here"
            );
            Err(exit_code::ENVIRONMENT)
        }
        _ => Ok(engines),
    }
}

/// All runs, compared, and what went wrong on the way.
#[derive(Default)]
struct Sum {
    compared: Vec<Compared>,
    has_inconclusive: bool,
    /// The worst error's exit code: a wrong scenario before a lacking environment.
    error_code: Option<u8>,
}

impl Sum {
    fn column(&mut self, task: &Task, outcome: Result<Outcome, EngineError>) -> Column {
        let (release, hz) = match &task.engine {
            Engine::Virtual(kernel) => (kernel.release.clone(), kernel.hz),
            Engine::Host => (String::new(), 0),
        };
        let label = task.label.clone().unwrap_or_else(|| release.clone());
        let evidence = match seen(outcome) {
            Ok(evidence) => evidence,
            Err(not_run) => {
                let worse = |code: u8| self.error_code.map_or(code, |other| other.min(code));
                self.error_code = not_run.error_code.map(worse).or(self.error_code);
                let told = Told::Nothing(not_run.status, not_run.reason);
                return Column { label, kernel: release, hz, told };
            }
        };
        let timeline = timeline::build(&evidence);
        let verdict = verdict::judge(&evidence, &timeline);
        let doubts = verdict.inconclusive;
        let told = if doubts.is_empty() {
            Told::Story(Box::new(Snapshot::from_run(&evidence, &timeline, verdict.ended_by.as_ref())))
        } else {
            self.has_inconclusive = true;
            Told::Nothing(Status::Inconclusive, doubts.join("; "))
        };
        Column { label, kernel: evidence.machine.kernel.clone(), hz: evidence.machine.hz(), told }
    }

    fn add(&mut self, compared: Compared, format: Format) {
        if format == Format::Json {
            // Plain data: texts and numbers. Writing it cannot fail.
            say_line(&compare_line(&compared).unwrap_or_default());
        }
        self.compared.push(compared);
    }

    /// An unmarked difference is more than a lacking environment, which is more than a run that cannot be believed.
    fn exit_code(&self) -> u8 {
        let is_marked = self.compared.iter().all(Compared::is_marked);
        let is_nothing_seen = self.compared.iter().flat_map(|run| &run.columns).all(|column| column.story().is_none());
        match self.error_code {
            Some(exit_code::WRONG_INPUT) => exit_code::WRONG_INPUT,
            _ if !is_marked => exit_code::DIFFERS,
            Some(code) => code,
            None if self.has_inconclusive => exit_code::INCONCLUSIVE,
            None if is_nothing_seen => exit_code::ENVIRONMENT,
            None => exit_code::AGREES,
        }
    }
}
