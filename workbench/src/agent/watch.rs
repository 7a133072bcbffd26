//! The poll loop of a run: tracer, captures, the command's output, the deadline, the heartbeat, until the end.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::clock::{self, RealtimeOffsets, monotonic_ns};
use super::daemons::Daemons;
use super::execute::{Stop, os};
use super::faults::Faults;
use super::heartbeat::Heartbeat;
use super::programs::Programs;
use super::sampling::Sampling;
use super::stdio::{Stdin, Stream, output};
use crate::evidence::{
    Call, CaptureLoss, DaemonRecord, End, Ending, FaultRecord, Lateness, Output, Packet, Process, Signal, StepRecord,
};
use crate::lab::Lab;
use crate::record::packets::Capture;
use crate::record::sockets::{Recorded, SocketRecorder};
use crate::record::syscalls::{TraceEvent, TracedCommand, TracedRoot, Tracer};

/// Packets of the end itself (the answer to a FIN) cross a link without a delay in microseconds; this much quiet on
/// every capture, and as much as the slowest link takes, says that they have …
const QUIET_NS: u64 = 300_000;

/// … and a lab that is never quiet is not waited for longer than this.
const QUIET_LIMIT_NS: i64 = 20_000_000;

/// How long a virtual machine is left alone before anything is let go. Earlier, a SYN of the first half millisecond has a
/// time stamp of 0, which the kernel takes for none, and is sent once more.
const SETTLING_NS: i64 = 1_000_000_000;

/// What the recorders have while a run goes on. Stamps are CLOCK_MONOTONIC until [`Watch::finish`].
pub struct Watch {
    tracer: Tracer,
    captures: Vec<Capture>,
    sampling: Sampling,
    daemons: Daemons,
    faults: Faults,
    programs: Programs,
    /// Kept open for as long as the command may read.
    _stdin: Option<OwnedFd>,
    stdout: Stream,
    stderr: Stream,
    heartbeat: Option<Heartbeat>,
    offsets: RealtimeOffsets,
    zero_ns: i64,
    deadline_ns: Option<u64>,
    on_the_way_ns: u64,
    calls: Vec<Call>,
    signals: Vec<Signal>,
    processes: Vec<Process>,
    blind_spots: Vec<String>,
    ended: Option<(i64, Ending)>,
}

/// What a watch saw, since zero.
pub struct Seen {
    /// System calls.
    pub calls: Vec<Call>,
    /// Signals.
    pub signals: Vec<Signal>,
    /// Processes.
    pub processes: Vec<Process>,
    /// Packets.
    pub packets: Vec<Packet>,
    /// Faults with a cause, as they came and went.
    pub faults: Vec<FaultRecord>,
    /// Rules of faults that never did.
    pub idle_rules: BTreeSet<String>,
    /// Packets that were not.
    pub capture_loss: Vec<CaptureLoss>,
    /// Steps of socket programs.
    pub steps: Vec<StepRecord>,
    /// TCP sockets and counters.
    pub sockets: Recorded,
    /// Daemons.
    pub daemons: Vec<DaemonRecord>,
    /// What the recorders could not see, in words.
    pub blind_spots: Vec<String>,
    /// Output.
    pub output: Output,
    /// The end.
    pub end: End,
    /// How late the machine was.
    pub lateness: Lateness,
    /// Readings of both clocks.
    pub offsets: RealtimeOffsets,
    /// Zero on CLOCK_MONOTONIC.
    pub zero_ns: i64,
}

/// What was opened in the hosts before.
pub struct Recorders {
    /// Packets.
    pub captures: Vec<Capture>,
    /// TCP sockets and counters.
    pub sockets: SocketRecorder,
    /// Daemons, which are ready.
    pub daemons: Daemons,
    /// What begins and heals by what they see.
    pub faults: Faults,
}

/// What is watched.
pub struct Command<'a> {
    /// The lab, in whose hosts socket programs run.
    pub lab: &'a Lab,
    /// Socket programs.
    pub programs: Programs,
    /// Program and arguments, unless it is a socket program.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Where it runs.
    pub netns: BorrowedFd<'a>,
    /// What it believes its host is called.
    pub hostname: String,
    /// Descriptor 0.
    pub stdin: Stdin,
    /// How long it may take.
    pub deadline_ns: Option<u64>,
    /// How long a packet may be on its way over one link.
    pub on_the_way_ns: u64,
}

impl Watch {
    /// Starts the tracer, and the command, blocked before its `execve`.
    ///
    /// # Errors
    ///
    /// [`Stop`] if a pipe, the tracer or the heartbeat cannot be had.
    pub fn start(command: Command<'_>, recorders: Recorders, with_heartbeat: bool) -> Result<Self, Stop> {
        let (stdout, stdout_fd) = Stream::open().map_err(os("make a pipe"))?;
        let (stderr, stderr_fd) = Stream::open().map_err(os("make a pipe"))?;
        let programs = command.programs;
        let failed = || os("start the socket programs");
        let companions = programs.companions(command.lab).map_err(failed())?;
        let main = if programs.is_command() {
            TracedRoot::Program(programs.main(command.lab, stdout_fd, stderr_fd).map_err(failed())?)
        } else {
            TracedRoot::Command(TracedCommand {
                argv: command.argv,
                env: command.env,
                cwd: command.cwd,
                netns: command.netns.try_clone_to_owned().map_err(os("keep the host's namespace"))?,
                hostname: command.hostname,
                stdin: command.stdin.fd,
                stdout: stdout_fd,
                stderr: stderr_fd,
            })
        };
        let tracer = Tracer::spawn_all(main, companions)?;
        let heartbeat =
            if with_heartbeat { Some(Heartbeat::start().map_err(os("start the heartbeat"))?) } else { None };
        Ok(Self {
            tracer,
            captures: recorders.captures,
            sampling: Sampling::new(recorders.sockets),
            daemons: recorders.daemons,
            faults: recorders.faults,
            programs,
            _stdin: command.stdin.held_open,
            stdout,
            stderr,
            heartbeat,
            offsets: RealtimeOffsets::default(),
            zero_ns: monotonic_ns(),
            deadline_ns: command.deadline_ns,
            on_the_way_ns: command.on_the_way_ns,
            calls: Vec::new(),
            signals: Vec::new(),
            processes: Vec::new(),
            blind_spots: Vec::new(),
            ended: None,
        })
    }

    /// Lets the socket programs beside the command begin, at a moment that `start` gives from what CLOCK_MONOTONIC is, where
    /// it gives one; and, when they are ready, the command. That is no later moment of the clock's cycle than it takes
    /// them: waiting for the next cycle would let their timers run out. Records until the command has ended, or its deadline has come.
    ///
    /// # Errors
    ///
    /// [`Stop`] if a recorder fails, or a socket program before it is ready.
    pub fn run(mut self, start: &dyn Fn(i64) -> Option<i64>) -> Result<Seen, Stop> {
        let settled_ns = monotonic_ns() + SETTLING_NS;
        if let Some(start_ns) = start(settled_ns) {
            self.daemons.hear_until(start_ns)?;
            clock::sleep_until(start_ns).map_err(os("wait for the phase of the clock"))?;
        }
        self.offsets.read();
        self.sampling.begin()?;
        if self.programs.has_companions() {
            self.companions()?;
        }
        // Until the tracer says when exactly.
        self.zero_ns = monotonic_ns();
        self.sampling.set_zero(self.zero_ns);
        self.faults.set_zero(self.zero_ns);
        if let Err(error) = self.tracer.release() {
            // A tracer that could not set the command up has said why.
            self.take()?;
            return Err(os("let the command go")(error));
        }
        while self.ended.is_none() {
            let left_ns = self.deadline_ns.map(|d| self.zero_ns + d as i64 - monotonic_ns());
            if left_ns.is_some_and(|left| left <= 0) {
                // Before the kill: what the command's sockets send as it dies is no part of the story.
                self.ended = Some((monotonic_ns(), Ending::Deadline));
                self.sampling.end()?;
                self.tracer.kill();
                self.settle()?;
                return Ok(self.finish());
            }
            self.wait_and_take(left_ns)?;
        }
        self.settle()?;
        self.sampling.end()?;
        Ok(self.finish())
    }

    /// Lets the socket programs beside the command begin, and waits until those are ready that say when they are.
    fn companions(&mut self) -> Result<(), Stop> {
        self.zero_ns = monotonic_ns();
        self.sampling.set_zero(self.zero_ns);
        if let Err(error) = self.tracer.release_companions() {
            self.take()?;
            return Err(os("let the socket programs begin")(error));
        }
        while !self.programs.are_ready().map_err(Stop::Program)? && self.ended.is_none() {
            let left_ns = self.deadline_ns.map(|d| self.zero_ns + d as i64 - monotonic_ns());
            if left_ns.is_some_and(|left| left <= 0) {
                let standing = self.programs.standing();
                return Err(Stop::Program(format!("not ready by the run's deadline: {standing}")));
            }
            self.wait_and_take(left_ns)?;
        }
        Ok(())
    }

    /// Waits for something, at most `limit_ns`, takes it, and looks at the sockets if there is a reason to.
    fn wait_and_take(&mut self, limit_ns: Option<i64>) -> Result<(), Stop> {
        let look_ns = self.sampling.next_ns().map(|at_ns| at_ns.saturating_sub(monotonic_ns()));
        let fault_ns = self.faults.next_ns().map(|at_ns| at_ns.saturating_sub(monotonic_ns()));
        let limit_ns = limit_ns.into_iter().chain(look_ns).chain(fault_ns).min();
        let timeout = limit_ns.map(|ns| TimeSpec::from_duration(Duration::from_nanos(ns.max(0) as u64)));
        let descriptors = [Some(self.tracer.as_fd()), self.heartbeat.as_ref().map(Heartbeat::as_fd)]
            .into_iter()
            .chain([self.stdout.as_fd(), self.stderr.as_fd(), self.programs.as_fd()])
            .flatten()
            .chain(self.captures.iter().map(Capture::as_fd))
            .chain(self.sampling.descriptors())
            .chain(self.daemons.descriptors());
        let mut fds: Vec<PollFd<'_>> = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(os("poll")(errno)),
        }
        self.take()?;
        self.sampling.hurry(self.faults.waits_for_sockets());
        self.sampling.turn()?;
        self.programs.turn(self.sampling.samples(), self.sampling.destroyed());
        let to_monotonic_ns = |realtime_ns| self.offsets.to_monotonic_ns(realtime_ns);
        self.faults.note(self.sampling.samples(), &self.captures, &to_monotonic_ns);
        self.faults.note_steps(self.programs.named_steps());
        self.faults.turn();
        Ok(())
    }

    /// Takes what every recorder has. Cheap where there is nothing.
    fn take(&mut self) -> Result<(), Stop> {
        for capture in &mut self.captures {
            capture.drain();
        }
        self.stdout.drain().map_err(os("read the command's output"))?;
        self.stderr.drain().map_err(os("read the command's output"))?;
        self.daemons.take()?;
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.hear().map_err(os("hear the heartbeat"))?;
        }
        for event in self.tracer.receive()? {
            self.note(event);
        }
        self.sampling.note(self.captures.iter().map(Capture::count).sum(), self.calls.len())
    }

    fn note(&mut self, event: TraceEvent) {
        match event {
            TraceEvent::Started { monotonic_ns } => {
                self.zero_ns = monotonic_ns;
                self.sampling.set_zero(monotonic_ns);
                self.faults.set_zero(monotonic_ns);
            }
            TraceEvent::Call(call) => self.calls.push(call),
            TraceEvent::Signal(signal) => self.signals.push(signal),
            TraceEvent::Process(process) => self.note_process(process),
            TraceEvent::ForeignArchitecture { pid, .. } => {
                let spot = format!("process {pid} makes system calls of another architecture, which are not recorded");
                self.blind_spots.push(spot);
            }
            TraceEvent::HiddenRing { pid, why, .. } => {
                self.blind_spots.push(format!("process {pid} uses an io_uring {why}"));
            }
            TraceEvent::ExecFailed { errno, monotonic_ns } => {
                self.ended.get_or_insert((monotonic_ns, Ending::ExecFailed(errno)));
            }
            TraceEvent::MainEnded { monotonic_ns, how } => {
                self.ended.get_or_insert((monotonic_ns, how));
            }
        }
    }

    /// A later record of a thread replaces the earlier one.
    fn note_process(&mut self, process: Process) {
        self.programs.note_process(&process);
        let is_same = |p: &&mut Process| p.tid == process.tid && p.start_ns == process.start_ns;
        match self.processes.iter_mut().find(is_same) {
            Some(known) => *known = process,
            None => self.processes.push(process),
        }
    }

    /// Waits until the packets of the end itself are there.
    fn settle(&mut self) -> Result<(), Stop> {
        let quiet_ns = QUIET_NS + self.on_the_way_ns;
        let limit = monotonic_ns() + QUIET_LIMIT_NS + 4 * self.on_the_way_ns as i64;
        loop {
            let mut fds: Vec<PollFd<'_>> = self
                .captures
                .iter()
                .map(Capture::as_fd)
                .chain(self.sampling.descriptors())
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            let quiet = TimeSpec::from_duration(Duration::from_nanos(quiet_ns));
            let is_quiet = matches!(ppoll(&mut fds, Some(quiet), None), Ok(0));
            self.take()?;
            if is_quiet || monotonic_ns() > limit {
                return Ok(());
            }
        }
    }

    /// Sets every stamp to nanoseconds since zero.
    fn finish(mut self) -> Seen {
        self.offsets.read();
        let Self { offsets, zero_ns, mut calls, mut signals, mut processes, .. } = self;
        for call in &mut calls {
            call.entry_ns -= zero_ns;
            call.exit_ns = call.exit_ns.map(|t| t - zero_ns);
        }
        calls.sort_by_key(|c| (c.entry_ns, c.seq));
        for signal in &mut signals {
            signal.t_ns -= zero_ns;
        }
        for process in &mut processes {
            process.start_ns -= zero_ns;
            process.end_ns = process.end_ns.map(|t| t - zero_ns);
        }
        processes.sort_by_key(|p| p.start_ns);
        let to_zero = |realtime_ns| offsets.to_monotonic_ns(realtime_ns) - zero_ns;
        let mut packets = Vec::new();
        let mut capture_loss = Vec::new();
        for capture in self.captures {
            let (seen, lost) = capture.finish(&to_zero);
            packets.extend(seen);
            capture_loss.extend(lost);
        }
        packets.sort_by_key(|p| p.t_ns);
        let (t_ns, how) = self.ended.unwrap_or((zero_ns, Ending::Deadline));
        Seen {
            calls,
            signals,
            processes,
            packets,
            capture_loss,
            faults: self.faults.finish(zero_ns),
            idle_rules: self.faults.idle_rules(),
            steps: self.programs.records(zero_ns),
            sockets: self.sampling.finish(zero_ns),
            daemons: self.daemons.finish(zero_ns),
            blind_spots: self.blind_spots,
            output: output(self.stdout, self.stderr),
            end: End { t_ns: t_ns - zero_ns, how },
            lateness: self.heartbeat.map(|h| h.lateness()).unwrap_or_default(),
            offsets,
            zero_ns,
        }
    }
}
