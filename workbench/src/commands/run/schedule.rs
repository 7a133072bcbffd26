//! Runs jobs side by side, at most so many at a time, and hands their outcomes back in the order of the jobs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio::task::JoinSet;

use super::progress::Progress;
use crate::agent::{Guest, Job, Outcome};
use crate::engine::{self, Engine, EngineError, Share};
use crate::evidence::JiffiesClock;
use crate::plan::Plan;

/// Versions of programs that earlier runs have told, by program name.
type KnownTools = Arc<Mutex<BTreeMap<String, String>>>;

/// A run to be made: what, where, and with which clock.
#[derive(Debug, Clone)]
pub struct Task {
    /// What.
    pub plan: Arc<Plan>,
    /// Where.
    pub engine: Engine,
    /// For a virtual machine.
    pub guest: Option<Guest>,
    /// What tells it from the same run on other kernels, where there are several: `6.12.117`.
    pub label: Option<String>,
}

/// What all tasks have in common.
pub struct Schedule<'a> {
    /// How many at a time.
    pub at_most: usize,
    /// The host's jiffies clock, if it could be told.
    pub jiffies: Option<JiffiesClock>,
    /// Processor time that the programs of a virtual machine may use together, in nanoseconds.
    pub programs_at_most_ns: u64,
    /// Where to show what goes on.
    pub progress: &'a Progress,
}

impl Schedule<'_> {
    /// Runs every task and gives each outcome, with the task's index, to `done`, in order. The futures live on the
    /// calling thread, which must be the main one (see the host engine).
    pub async fn run(&self, tasks: &[Task], mut done: impl FnMut(usize, Result<Outcome, EngineError>)) {
        let known = KnownTools::default();
        let mut cpus = Cpus::new();
        let mut waiting = tasks.iter().enumerate();
        let mut running = JoinSet::new();
        let mut finished = BTreeMap::new();
        let mut started = BTreeMap::new();
        let mut next = 0;
        loop {
            while running.len() < self.at_most
                && let Some((index, task)) = waiting.next()
            {
                self.progress.started(index, &task.plan);
                let cpu = cpus.take();
                let share = Share { cpu, programs_at_most_ns: self.programs_at_most_ns };
                let one = run_one(task.clone(), self.jiffies, share, Arc::clone(&known));
                started.insert(running.spawn(one).id(), (index, cpu));
            }
            let Some(joined) = running.join_next_with_id().await else { return };
            let (id, outcome) = match joined {
                Ok(ended) => ended,
                // The panic has been printed.
                Err(panic) => (panic.id(), Err(EngineError::Silent { said: "a defect of the workbench".to_owned() })),
            };
            let Some((index, cpu)) = started.remove(&id) else { continue };
            cpus.give_back(cpu);
            self.progress.finished(index);
            finished.insert(index, outcome);
            while let Some(outcome) = finished.remove(&next) {
                done(next, outcome);
                next += 1;
            }
        }
    }
}

/// The processors that this process may use, the least used first.
struct Cpus {
    /// How many runs have each.
    users: BTreeMap<usize, usize>,
}

impl Cpus {
    fn new() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok();
        let is_allowed = |cpu: &usize| allowed.as_ref().is_some_and(|set| set.is_set(*cpu).unwrap_or(false));
        Self { users: (0..CpuSet::count()).filter(is_allowed).map(|cpu| (cpu, 0)).collect() }
    }

    fn take(&mut self) -> Option<usize> {
        let (cpu, users) = self.users.iter_mut().min_by_key(|(_, users)| **users)?;
        *users += 1;
        Some(*cpu)
    }

    fn give_back(&mut self, cpu: Option<usize>) {
        if let Some(users) = cpu.and_then(|cpu| self.users.get_mut(&cpu)) {
            *users -= 1;
        }
    }
}

async fn run_one(
    task: Task,
    jiffies: Option<JiffiesClock>,
    share: Share,
    known: KnownTools,
) -> Result<Outcome, EngineError> {
    let known_tools = known.lock().map(|tools| tools.clone()).unwrap_or_default();
    let is_host = task.guest.is_none();
    let job = Job {
        plan: Plan::clone(&task.plan),
        engine: task.engine.kind(),
        known_tools,
        jiffies: jiffies.filter(|_| is_host),
        guest: task.guest,
    };
    let outcome = engine::run(job, &task.engine, share).await;
    if let (Ok(Outcome::Seen(evidence)), Ok(mut tools)) = (&outcome, known.lock()) {
        tools.extend(evidence.tools.clone());
    }
    outcome
}
