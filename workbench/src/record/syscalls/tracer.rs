//! The agent's handle on a traced command: prepare, release, receive, kill.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::channel::{self, Frame, FrameReader};
use super::{TraceEvent, launch, roots};
use crate::evidence::Process;
use crate::sys::fork::fork_child;

/// A command to run under the tracer.
#[derive(Debug)]
pub struct TracedCommand {
    /// Program and arguments; never empty. A program without a slash is looked up in PATH of `env`.
    pub argv: Vec<String>,
    /// The whole environment, in this order.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Network namespace to enter.
    pub netns: OwnedFd,
    /// What `hostname` says there, where the kernel allows to set it.
    pub hostname: String,
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
}

/// A socket program to run under the tracer: a forked process that executes nothing.
pub struct TracedProgram {
    /// Its name.
    pub name: String,
    /// Network namespace to enter.
    pub netns: OwnedFd,
    /// What its host is called.
    pub hostname: String,
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
    /// What it does; returns its exit code. Runs in a process with one thread, above whose descriptor 2 all is closed.
    pub work: Box<dyn Fn() -> i32>,
}

/// What a tracer runs: the first ends the run, whatever it is.
pub enum TracedRoot {
    /// A command.
    Command(TracedCommand),
    /// A socket program.
    Program(TracedProgram),
}

/// Why a command could not be traced, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// An argument, a variable or the directory holds a NUL byte.
    #[error("{what} holds a NUL byte, which no program can be given: {text:?}")]
    Nul {
        /// What it is.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The tracer could not be started.
    #[error("cannot start the tracer process: {0}")]
    Start(#[source] io::Error),
    /// The pipe from the tracer failed, or what came through was no frame.
    #[error("cannot read the tracer's events: {0}")]
    Receive(#[from] io::Error),
    /// The command could not be prepared.
    #[error("cannot {step} for the command: {errno}")]
    Setup {
        /// What failed: `enter the network namespace`.
        step: String,
        /// The errno's name.
        errno: String,
    },
    /// The tracer ended before the command did.
    #[error("the tracer process ended before the command: its last events are missing")]
    Died,
}

/// A command under a tracer of its own. Dropping it kills both.
#[derive(Debug)]
pub struct Tracer {
    tracer: Pid,
    reader: FrameReader,
    gate: Option<OwnedFd>,
    /// Processes that are there, by the events received.
    live: BTreeSet<u32>,
    is_killing: bool,
    has_ended: bool,
    is_finished: bool,
}

impl Tracer {
    /// Forks the tracer, which forks the command and prepares it up to its `execve`. Does not wait for that: a failure
    /// comes out of [`Self::receive`]. To be called from the agent's only thread; when that ends, the tracer dies, and
    /// with the tracer the command and all its descendants.
    pub fn spawn(command: TracedCommand) -> Result<Self, TraceError> {
        Self::spawn_all(TracedRoot::Command(command), Vec::new())
    }

    /// As [`Self::spawn`], with socket programs beside it, which begin at [`Self::release_companions`].
    ///
    /// # Errors
    ///
    /// As [`Self::spawn`]'s.
    pub fn spawn_all(main: TracedRoot, companions: Vec<TracedProgram>) -> Result<Self, TraceError> {
        let roots = std::iter::once(main).chain(companions.into_iter().map(TracedRoot::Program));
        let roots = roots.map(launch::Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let (reader, writer) = channel::pipe().map_err(TraceError::Start)?;
        let (gate_read, gate_write) = channel::gate().map_err(TraceError::Start)?;
        let agent = nix::unistd::getpid();
        let tracer = fork_child(|| launch::run_tracer(agent, roots, writer, gate_read)).map_err(TraceError::Start)?;
        Ok(Self {
            tracer,
            reader,
            gate: Some(gate_write),
            live: BTreeSet::new(),
            is_killing: false,
            has_ended: false,
            is_finished: false,
        })
    }

    /// Readable when events are there, and at the end.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Lets the socket programs beside the command begin.
    ///
    /// # Errors
    ///
    /// The kernel's, if the tracer is gone.
    pub fn release_companions(&mut self) -> io::Result<()> {
        match &self.gate {
            Some(gate) => Ok(nix::unistd::write(gate, &[roots::COMPANIONS]).map(drop)?),
            None => Ok(()),
        }
    }

    /// Lets the command go. Its first event is [`TraceEvent::Started`], whose stamp is the entry of its `execve`.
    pub fn release(&mut self) -> io::Result<()> {
        match self.gate.take() {
            Some(gate) => std::fs::File::from(gate).write_all(&[roots::COMMAND]),
            None => Ok(()),
        }
    }

    /// The events that are there now, without waiting.
    pub fn receive(&mut self) -> Result<Vec<TraceEvent>, TraceError> {
        if self.is_finished {
            return Ok(Vec::new());
        }
        let received = self.reader.receive()?;
        let mut events = Vec::with_capacity(received.frames.len());
        for frame in received.frames {
            match frame {
                Frame::Event(event) => {
                    self.note(&event);
                    events.push(event);
                }
                Frame::SetupFailed { step, errno } => {
                    self.is_finished = true;
                    return Err(TraceError::Setup { step, errno });
                }
            }
        }
        // An end without the command's end is an error, but not before the last events were handed out.
        self.is_finished = received.is_end && (self.has_ended || events.is_empty());
        if self.is_finished && !self.has_ended { Err(TraceError::Died) } else { Ok(events) }
    }

    /// Whether the command and all its descendants are gone and every event was received.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Kills every process of the command, those that appear later included. Their ends come as events. (A command
    /// that was never released has none: drop the tracer.)
    pub fn kill(&mut self) {
        self.is_killing = true;
        for pid in &self.live {
            kill_process(*pid);
        }
    }

    fn note(&mut self, event: &TraceEvent) {
        match event {
            TraceEvent::Process(process) => self.note_process(process),
            TraceEvent::MainEnded { .. } | TraceEvent::ExecFailed { .. } => self.has_ended = true,
            _ => {}
        }
    }

    fn note_process(&mut self, process: &Process) {
        let is_new = process.end_ns.is_none() && self.live.insert(process.pid);
        if is_new && self.is_killing {
            kill_process(process.pid);
        }
        // A leader's end is reported after that of its last thread.
        if process.end_ns.is_some() && process.tid == process.pid {
            self.live.remove(&process.pid);
        }
    }
}

/// A process that is gone already needs no killing.
fn kill_process(pid: u32) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = kill(self.tracer, Signal::SIGKILL);
        }
        let _ = waitpid(self.tracer, None);
    }
}

/// Text for the kernel.
pub(super) fn c_string(what: &'static str, text: &str) -> Result<CString, TraceError> {
    CString::new(text).map_err(|_| TraceError::Nul { what, text: text.to_owned() })
}
