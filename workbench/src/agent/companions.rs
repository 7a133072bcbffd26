//! Starting the built-in peers of a plan before anything that happens counts.
//!
//! What they do is their own business; that they are all there before the command is let go is this file's.

use super::clock::monotonic_ns;
use super::execute::Stop;
use crate::lab::{Lab, LabError};
use crate::peers::{Companion, PeersError};
use crate::plan::Plan;
use crate::record::packets::Opening;
use crate::record::sockets::SocketRecorder;

/// Starts the peers, if there are any, and forgets what that left in the recorders: a peer that fills its own queue
/// sends packets over `lo`, and they are no part of the story.
///
/// # Errors
///
/// [`Stop`] with the peer that the kernel refuses, or what else failed.
pub fn start_peers(
    plan: &Plan,
    lab: &Lab,
    captures: &mut Opening,
    sockets: &mut SocketRecorder,
) -> Result<Option<Companion>, Stop> {
    if plan.hosts.iter().all(|host| host.peers.is_empty()) {
        return Ok(None);
    }
    // Threads that open captures would stand in the way of a fork.
    captures.join()?;
    let companion = Companion::start(&plan.hosts, |host| lab.netns(host)).map_err(stop)?;
    captures.forget();
    sockets.forget(monotonic_ns)?;
    Ok(companion)
}

fn stop(error: PeersError) -> Stop {
    match error {
        PeersError::Refused { host, asked, source, origin } => {
            Stop::Lab(LabError::Refused { at: host, asked, kernel: format!("{source:?}"), origin })
        }
        error => Stop::Peers(error),
    }
}

/// What has to be said of peers that did not live as long as the run.
pub fn blind_spot(companion: &Companion) -> Option<String> {
    companion.has_ended().then(|| "the process that serves the peers ended before the run did".to_owned())
}
