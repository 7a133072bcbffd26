//! Waiting for somebody to want a command to end. What then goes, and how, is the command's business.

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Ends when SIGINT, SIGTERM or SIGHUP comes.
pub async fn interrupted() {
    let (Ok(mut int), Ok(mut term), Ok(mut hup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
        _ = hup.recv() => {}
    }
}

/// Runs the labs of `everything` to their end. Says so and returns false if somebody wanted them to end before.
pub fn to_the_end(runtime: &Runtime, everything: impl Future<Output = ()>) -> bool {
    let is_finished = runtime.block_on(async {
        tokio::select! {
            () = everything => true,
            () = interrupted() => false,
        }
    });
    if !is_finished {
        eprintln!("workbench: interrupted; the labs are gone");
    }
    is_finished
}
