//! The processes that the tracer itself starts: the command and the socket programs. Each is held where it begins until
//! the agent lets it go; the others run meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::TraceEvent;
use super::stops::{Phase, Recorder, monotonic_ns};
use crate::sys::fork::exit_now;

/// Through the gate: socket programs beside the command may begin.
pub const COMPANIONS: u8 = b'c';
/// Through the gate: the command may begin.
pub const COMMAND: u8 = b'!';

/// A process that the tracer started.
#[derive(Debug)]
pub struct Root {
    /// Where it says what it could not do.
    pub report: Option<OwnedFd>,
    /// It is a socket program, and begins at an `execve` of nothing.
    pub is_program: bool,
    /// How far it has come.
    pub standing: Standing,
}

/// How far a root has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not at its beginning yet.
    Preparing,
    /// At its beginning, stopped.
    Held,
    /// Beyond.
    Going,
}

impl Recorder<'_> {
    /// Whether somebody stands at the gate.
    pub(super) fn is_holding(&self) -> bool {
        self.gate.is_some() && self.roots.values().any(|root| root.standing == Standing::Held)
    }

    /// Blocks until there may be a stop, room in a full pipe, or a word from the agent to those that are held.
    pub(super) fn wait_for_more(&mut self) -> io::Result<()> {
        let stops = SignalFd::with_flags(&self.child_signal, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let is_holding = self.is_holding();
        let mut fds = vec![PollFd::new(stops.as_fd(), PollFlags::POLLIN)];
        if let Some(gate) = self.gate.as_ref().filter(|_| is_holding) {
            fds.push(PollFd::new(gate.as_fd(), PollFlags::POLLIN));
        }
        if self.events.is_backed_up() {
            fds.push(PollFd::new(self.events.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_open = is_holding && fds[1].revents().is_some_and(|revents| !revents.is_empty());
        drop(fds);
        while stops.read_signal()?.is_some() {}
        if is_open {
            self.pass_gate()?;
        }
        self.events.flush()
    }

    fn pass_gate(&mut self) -> io::Result<()> {
        match self.read_gate()? {
            COMPANIONS => self.may_begin.0 = true,
            _ => {
                self.may_begin.1 = true;
                self.gate = None;
            }
        }
        let held: Vec<i32> =
            self.roots.iter().filter(|(_, root)| root.standing == Standing::Held).map(|(tid, _)| *tid).collect();
        held.into_iter().try_for_each(|tid| self.let_go_if_free(tid))
    }

    /// The agent's next word.
    pub(super) fn read_gate(&mut self) -> io::Result<u8> {
        let Some(gate) = &self.gate else { return Ok(COMMAND) };
        let mut word = [0];
        if File::from(gate.try_clone()?).read(&mut word)? == 0 {
            // The agent gave up: everything dies with the tracer.
            exit_now(0);
        }
        Ok(word[0])
    }

    /// A root stands at its beginning.
    pub(super) fn hold(&mut self, tid: i32) -> io::Result<()> {
        if let Some(root) = self.roots.get_mut(&tid) {
            root.standing = Standing::Held;
        }
        self.let_go_if_free(tid)
    }

    fn let_go_if_free(&mut self, tid: i32) -> io::Result<()> {
        let is_main = tid == self.main;
        if if is_main { self.may_begin.1 } else { self.may_begin.0 } { self.let_go(tid) } else { Ok(()) }
    }

    /// Lets a root begin. The moment the command does is the run's zero.
    fn let_go(&mut self, tid: i32) -> io::Result<()> {
        let now_ns = monotonic_ns();
        let is_main = tid == self.main;
        let Some(root) = self.roots.get_mut(&tid) else { return Ok(()) };
        root.standing = Standing::Going;
        if is_main {
            self.phase = if root.is_program { Phase::Executed } else { Phase::Executing };
        }
        if let Some(pending) = self.tracees.thread(tid).and_then(|thread| thread.pending.as_mut()) {
            pending.stop.entry_ns = now_ns;
        }
        self.proceed(tid, 0)?;
        if is_main {
            self.emit(TraceEvent::Started { monotonic_ns: now_ns })?;
        }
        let Some(thread) = self.tracees.thread(tid) else { return Ok(()) };
        thread.record.start_ns = now_ns;
        let record = thread.record.clone();
        self.emit_process(record)
    }
}
