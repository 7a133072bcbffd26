//! The host engine: the agent as a process of this machine, in namespaces of its own.
//!
//! The agent is this same program. It must be started from the main thread, because the parent-death signal that
//! guards it fires when the *thread* that made it ends (prctl(2), PR_SET_PDEATHSIG).

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::{EngineError, SELF};
use crate::agent::{Job, Outcome};

/// Starts an agent, hands it the job and waits for its outcome. The lab may still be on its way out on return; dropping
/// the future kills it.
pub(super) async fn run(job: &Job) -> Result<Outcome, EngineError> {
    let mut agent = Command::new(SELF)
        .args(["agent", "--parent", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: the terminal's Ctrl-C is for us, and we end the agent.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(EngineError::Start)?;
    if let Some(mut stdin) = agent.stdin.take() {
        let text = serde_json::to_vec(job).map_err(EngineError::Garbled)?;
        // An agent that is gone says so by its silence below.
        let _ = stdin.write_all(&text).await;
    }
    let mut line = Vec::new();
    if let Some(stdout) = agent.stdout.take() {
        BufReader::with_capacity(64 * 1024, stdout).read_until(b'\n', &mut line).await.map_err(EngineError::Start)?;
    }
    if line.is_empty() {
        let mut said = Vec::new();
        if let Some(mut stderr) = agent.stderr.take() {
            let _ = stderr.read_to_end(&mut said).await;
        }
        return Err(EngineError::Silent { said: String::from_utf8_lossy(&said).trim().to_owned() });
    }
    serde_json::from_slice(&line).map_err(EngineError::Garbled)
}
