//! Runs jobs side by side, at most so many at a time, and hands their outcomes back in the order of the jobs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::progress::Progress;
use crate::agent::{Job, Outcome};
use crate::engine::{self, EngineError};
use crate::evidence::EngineKind;
use crate::plan::Plan;

/// Versions of programs that earlier runs have told, by program name.
type KnownTools = Arc<Mutex<BTreeMap<String, String>>>;

/// Runs every plan and gives each outcome, with the plan's index, to `done`, in order. The futures live on the calling
/// thread, which must be the main one (see the host engine).
pub async fn run_all(
    plans: &[Arc<Plan>],
    engine: EngineKind,
    at_most: usize,
    progress: &Progress,
    mut done: impl FnMut(usize, Result<Outcome, EngineError>),
) {
    let known = KnownTools::default();
    let mut waiting = plans.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let mut finished = BTreeMap::new();
    let mut indices = BTreeMap::new();
    let mut next = 0;
    loop {
        while running.len() < at_most
            && let Some((index, plan)) = waiting.next()
        {
            progress.started(index, &plan);
            let task = running.spawn(run_one(plan, engine, Arc::clone(&known)));
            indices.insert(task.id(), index);
        }
        let Some(joined) = running.join_next_with_id().await else { return };
        let (task, outcome) = match joined {
            Ok(ended) => ended,
            // The panic has been printed.
            Err(panic) => (panic.id(), Err(EngineError::Silent { said: "a defect of the workbench".to_owned() })),
        };
        let Some(index) = indices.remove(&task) else { continue };
        progress.finished(index);
        finished.insert(index, outcome);
        while let Some(outcome) = finished.remove(&next) {
            done(next, outcome);
            next += 1;
        }
    }
}

async fn run_one(plan: Arc<Plan>, engine: EngineKind, known: KnownTools) -> Result<Outcome, EngineError> {
    let known_tools = known.lock().map(|tools| tools.clone()).unwrap_or_default();
    let job = Job { plan: Plan::clone(&plan), engine, known_tools };
    let outcome = engine::run(&job).await;
    if let (Ok(Outcome::Seen(evidence)), Ok(mut tools)) = (&outcome, known.lock()) {
        tools.extend(evidence.tools.clone());
    }
    outcome
}
