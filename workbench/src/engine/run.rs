//! The one `match` over engines.

use super::host;
use super::virtual_time::{self, Kernel, Order};
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

/// An engine, with what it needs besides a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// This machine's kernel, in real time.
    Host,
    /// A kernel of its own, in virtual time.
    Virtual(Kernel),
}

impl Engine {
    /// Which one, for the evidence.
    pub fn kind(&self) -> EngineKind {
        match self {
            Self::Host => EngineKind::Host,
            Self::Virtual(_) => EngineKind::Virtual,
        }
    }
}

/// This program, also after its file was replaced by a newer build.
pub const SELF: &str = "/proc/self/exe";

/// What a virtual machine may use of the machine that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The processor that it gets to itself; `None` leaves that to the kernel.
    pub cpu: Option<usize>,
    /// Processor time that all its programs may use together, in nanoseconds.
    pub programs_at_most_ns: u64,
}

/// Carries out a job.
///
/// # Errors
///
/// [`EngineError`] when there is no outcome at all; a lab that could not be built is an outcome.
pub async fn run(mut job: Job, engine: &Engine, share: Share) -> Result<Outcome, EngineError> {
    match engine {
        Engine::Host => host::run(&job).await,
        Engine::Virtual(kernel) => {
            let Share { cpu, programs_at_most_ns } = share;
            let known_tools = std::mem::take(&mut job.known_tools);
            virtual_time::run(&Order { job, known_tools, kernel: kernel.clone(), cpu, programs_at_most_ns }).await
        }
    }
}
