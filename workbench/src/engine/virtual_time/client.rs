//! The asking side: starts a launcher, hands it an order, waits for its outcome.
//!
//! The launcher reads one line and then its standard input stays open for as long as somebody wants the run: when that
//! somebody stops wanting it, or dies of whatever signal, the launcher finds the end of the file and clears everything
//! away.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::order::Order;
use crate::agent::Outcome;
use crate::engine::{EngineError, SELF};

/// A launcher, and the pipe that keeps it going. Dropping it ends the run and waits until nothing is left of it.
struct Launcher {
    child: Child,
    asks: Option<ChildStdin>,
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.asks.take());
        // It has to end one machine and remove one folder: milliseconds. Who is told that the run is gone can rely on it.
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if since.elapsed() > PATIENCE {
                let _ = self.child.start_kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A launcher that has been stopped (SIGSTOP) clears nothing away. It is killed then, and the machine dies with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out an order.
///
/// # Errors
///
/// [`EngineError`] when there is no outcome at all.
pub async fn run(order: &Order) -> Result<Outcome, EngineError> {
    let mut child = Command::new(SELF)
        .arg("launch")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: the terminal's Ctrl-C is for us, and we end the launcher.
        .process_group(0)
        .spawn()
        .map_err(EngineError::Start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut launcher = Launcher { asks: child.stdin.take(), child };
    let mut text = serde_json::to_vec(order).map_err(EngineError::Garbled)?;
    text.push(b'\n');
    if let Some(asks) = &mut launcher.asks {
        // A launcher that is gone says so by its silence below.
        let _ = asks.write_all(&text).await;
    }
    let mut line = Vec::new();
    if let Some(stdout) = stdout {
        BufReader::with_capacity(64 * 1024, stdout).read_until(b'\n', &mut line).await.map_err(EngineError::Start)?;
    }
    if line.is_empty() {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_end(&mut said).await;
        }
        return Err(EngineError::Silent { said: String::from_utf8_lossy(&said).trim().to_owned() });
    }
    serde_json::from_slice(&line).map_err(EngineError::Garbled)
}
