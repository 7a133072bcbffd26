//! The one `match` over engines.

use super::host;
use crate::agent::{Job, Outcome};
use crate::evidence::EngineKind;

/// Why an engine gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The agent could not be started.
    #[error("cannot start the agent: {0}")]
    Start(std::io::Error),
    /// The agent ended without an outcome.
    #[error("the agent ended without a result{}{said}", if said.is_empty() { "" } else { ": " })]
    Silent {
        /// What it wrote to standard error, if anything.
        said: String,
    },
    /// The agent's outcome cannot be read.
    #[error("the agent's result cannot be read: {0}")]
    Garbled(serde_json::Error),
}

/// Carries out a job where its engine says.
///
/// # Errors
///
/// [`EngineError`] when there is no outcome at all; a lab that could not be built is an outcome.
pub async fn run(job: &Job) -> Result<Outcome, EngineError> {
    match job.engine {
        EngineKind::Host => host::run(job).await,
        EngineKind::Virtual => Err(EngineError::Silent { said: "there is no virtual engine yet".to_owned() }),
    }
}
