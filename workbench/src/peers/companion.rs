//! The process that serves a lab's peers: its sockets are opened first, and it is waited for until it listens.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};

use super::open::{Opened, open_all};
use super::serve::serve;
use crate::plan::{HostPlan, Origin};
use crate::sys::fork::fork_companion_keeping;

/// Why a lab's peers are not there.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The kernel refuses a socket that a peer needs.
    #[error("{host}: {asked}: the kernel refuses: {source}")]
    Refused {
        /// Host.
        host: String,
        /// The peer, as the scenario writes it.
        asked: String,
        /// The kernel's answer.
        source: nix::errno::Errno,
        /// Where the scenario asks for it.
        origin: Box<Origin>,
    },
    /// This machine would not start them.
    #[error("{0}: {1}")]
    Machine(&'static str, io::Error),
}

/// For `map_err`: what was tried.
pub(super) fn machine<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> PeersError {
    move |source| PeersError::Machine(what, source.into())
}

/// The running process. It ends with this value or with the thread that made it; init reaps it.
pub struct Companion {
    process: Pid,
    /// The reading end of a pipe that the process alone holds the other end of.
    alive: io::PipeReader,
}

impl Companion {
    /// Opens all peers' sockets and starts the process, unless there is no peer. `netns` gives a host's network
    /// namespace. When this returns, all peers listen.
    ///
    /// To be called in a process with one thread, whose network namespace is the same afterwards.
    ///
    /// # Errors
    ///
    /// [`PeersError::Refused`] where a port is taken, [`PeersError::Machine`] where no process can be had.
    pub fn start<'a>(
        hosts: &[HostPlan],
        netns: impl Fn(&str) -> Option<BorrowedFd<'a>>,
    ) -> Result<Option<Self>, PeersError> {
        if hosts.iter().all(|host| host.peers.is_empty()) {
            return Ok(None);
        }
        let opened = open_all(hosts, netns)?;
        let (alive, ready) = pipe2(OFlag::O_CLOEXEC).map_err(machine("making a pipe"))?;
        let (mut alive, mut ready) = (io::PipeReader::from(alive), io::PipeWriter::from(ready));
        let sockets = opened.iter().flat_map(Opened::descriptors);
        let keep = sockets.chain([ready.as_fd()]).map(|fd| fd.as_raw_fd() as u32).collect();
        let work = move || {
            // As `ss -p` and `ps` name it.
            let _ = prctl::set_name(c"peers");
            let _ = serve(opened, || ready.write_all(&[1]));
        };
        let process = fork_companion_keeping(keep, work).map_err(machine("starting the peers' process"))?;
        let companion = Self { process, alive: alive.try_clone().map_err(machine("keeping a pipe"))? };
        alive.read_exact(&mut [0]).map_err(machine("waiting for the peers to listen"))?;
        Ok(Some(companion))
    }

    /// Whether the process is gone, which makes what was seen of its peers worthless.
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.alive.as_fd(), PollFlags::empty())];
        let is_told = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        is_told && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = kill(self.process, Signal::SIGKILL);
    }
}
