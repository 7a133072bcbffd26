//! Waiting for somebody to want a command to end. What then goes, and how, is the command's business.

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
