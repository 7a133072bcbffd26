//! The tracer's loop: waits for a stop, lets the thread run again as soon as it can, tells the agent.
//!
//! Nothing ticks: `waitpid` blocks. Only while the pipe to the agent is full does the loop wait for two things at once.
//! What a stop means for threads and processes is next door, in `lives`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::channel::{Frame, FrameWriter};
use super::decode::{CallStop, Outcome};
use super::table::{Frees, Traced, traced};
use super::tracees::{Pending, Shared, Tracees};
use super::{TraceEvent, filter, names, uring};
use crate::evidence::{Arg, Call, CallResult, Process};
use crate::sys::fork::exit_now;
use crate::sys::ptrace::{self, Stop, SyscallEnd, SyscallStop};

/// How far the command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not at its `execve` yet, or held there.
    Held,
    /// In its first `execve`.
    Executing,
    /// Running, or gone.
    Executed,
    /// Its `execve` failed.
    Refused,
}

/// Records a command and all its descendants.
pub struct Recorder<'a> {
    events: &'a mut FrameWriter,
    gate: Option<OwnedFd>,
    /// SIGCHLD, which is blocked.
    child_signal: SigSet,
    pub(super) tracees: Tracees,
    pub(super) main: i32,
    pub(super) phase: Phase,
    next_seq: u64,
}

impl<'a> Recorder<'a> {
    /// A recorder that writes to `events` and holds the command until a byte comes out of `gate`. SIGCHLD, in
    /// `child_signal`, must be blocked.
    pub fn new(events: &'a mut FrameWriter, gate: OwnedFd, child_signal: SigSet) -> Self {
        let (tracees, phase) = (Tracees::default(), Phase::Held);
        Self { events, gate: Some(gate), child_signal, tracees, main: 0, phase, next_seq: 0 }
    }

    /// Records until the command and all its descendants are gone. `report` says why, if the command's process ends
    /// before its `execve`.
    pub fn run(&mut self, main: Pid, argv: Vec<String>, report: impl FnOnce() -> Frame) -> io::Result<()> {
        self.main = main.as_raw();
        self.tracees.add_command(self.main, argv);
        while let Some((tid, stop)) = self.next_stop()? {
            let now_ns = monotonic_ns();
            let is_over = matches!(stop, Stop::Exited(_) | Stop::Killed(_));
            if is_over && tid == self.main && self.phase == Phase::Held {
                return self.events.push(&report());
            }
            self.on_stop(tid, stop, now_ns)?;
            if self.phase == Phase::Refused {
                // What is left of the command's process dies with the tracer.
                return Ok(());
            }
            self.events.flush()?;
        }
        Ok(())
    }

    /// Stands for a command that cannot be executed because there is no such program.
    pub fn refuse(&mut self, errno: Errno) -> io::Result<()> {
        let monotonic_ns = self.wait_for_release()?;
        self.emit(TraceEvent::Started { monotonic_ns })?;
        self.emit(TraceEvent::ExecFailed { errno: names::errno(errno as i32), monotonic_ns })
    }

    /// The next stop; `None` when nobody is left. Blocks in `waitpid`, unless events wait for room in the pipe: then in
    /// `poll`, for room and for SIGCHLD, which announces a stop.
    fn next_stop(&mut self) -> io::Result<Option<(i32, Stop)>> {
        loop {
            let block = !self.events.is_backed_up();
            match ptrace::wait_any(block) {
                Ok(Some(stop)) => return Ok(Some(stop)),
                Ok(None) => self.wait_for_room()?,
                Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    fn wait_for_room(&mut self) -> io::Result<()> {
        let stops = SignalFd::with_flags(&self.child_signal, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let room = PollFd::new(self.events.as_fd(), PollFlags::POLLOUT);
        poll(&mut [room, PollFd::new(stops.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        while stops.read_signal()?.is_some() {}
        self.events.flush()
    }

    /// Holds the command until the agent lets it go. The moment it does is the run's zero.
    fn wait_for_release(&mut self) -> io::Result<i64> {
        if let Some(gate) = self.gate.take()
            && File::from(gate).read(&mut [0])? == 0
        {
            // The agent gave up: the command dies with the tracer.
            exit_now(0);
        }
        Ok(monotonic_ns())
    }

    fn on_stop(&mut self, tid: i32, stop: Stop, now_ns: i64) -> io::Result<()> {
        match stop {
            Stop::SyscallExit => self.on_return(tid, now_ns),
            Stop::Event { event: libc::PTRACE_EVENT_SECCOMP, .. } => self.on_entry(tid, now_ns),
            Stop::Event { event: libc::PTRACE_EVENT_EXEC, .. } => self.on_exec(tid, now_ns),
            Stop::Event {
                event: libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK,
                ..
            } => self.on_child(tid, now_ns),
            Stop::Event { event: ptrace::EVENT_STOP, signal } => self.on_event_stop(tid, signal),
            Stop::Event { .. } => self.proceed(tid, 0),
            Stop::Signal(signal) => self.on_signal(tid, signal, now_ns),
            Stop::Exited(code) => self.on_end(tid, Ok(code), now_ns),
            Stop::Killed(signal) => self.on_end(tid, Err(signal), now_ns),
        }
    }

    /// At the entry of a call that the filter stops at.
    fn on_entry(&mut self, tid: i32, now_ns: i64) -> io::Result<()> {
        let stop = stopped(ptrace::syscall_stop(tid, SyscallEnd::Entry))?;
        let SyscallStop::Seccomp { arch, number, args } = stop else {
            return self.proceed(tid, 0);
        };
        if arch != filter::NATIVE_ARCH {
            self.on_foreign(tid, arch, now_ns)?;
            return self.proceed(tid, 0);
        }
        let Some((thread, shared)) = self.tracees.with_shared(tid) else { return self.proceed(tid, 0) };
        let Some(traced) = traced(number).filter(|traced| matters(traced, tid, args, shared)) else {
            return self.proceed(tid, 0);
        };
        let mut stop = CallStop::new(tid, args, now_ns);
        let mut decoded = (traced.enter)(&stop);
        if traced.number == libc::SYS_restart_syscall {
            decoded.push(Arg::Resumes(thread.previous.unwrap_or("system call").to_owned()));
        }
        let hidden = uring::at_entry(traced, &stop, &mut decoded, thread.record.pid, shared);
        let is_first = self.phase == Phase::Held;
        if is_first {
            stop.entry_ns = self.wait_for_release()?;
            self.phase = Phase::Executing;
        }
        let pending = Pending { seq: self.next_seq, traced, stop, args: decoded };
        self.next_seq += 1;
        if let Some(thread) = self.tracees.thread(tid) {
            thread.pending = Some(pending);
        }
        self.proceed(tid, 0)?;
        self.emit_hidden(tid, hidden, now_ns)?;
        if is_first { self.emit_start(tid, stop.entry_ns) } else { Ok(()) }
    }

    /// The command was let go at its `execve`: zero.
    fn emit_start(&mut self, tid: i32, monotonic_ns: i64) -> io::Result<()> {
        self.emit(TraceEvent::Started { monotonic_ns })?;
        let Some(thread) = self.tracees.thread(tid) else { return Ok(()) };
        thread.record.start_ns = monotonic_ns;
        let record = thread.record.clone();
        self.emit_process(record)
    }

    /// At the return of a recorded call.
    fn on_return(&mut self, tid: i32, now_ns: i64) -> io::Result<()> {
        let outcome = match stopped(ptrace::syscall_stop(tid, SyscallEnd::Return))? {
            SyscallStop::Exit { value, is_error: false } => Ok(value),
            SyscallStop::Exit { value, is_error: true } => Err(i32::try_from(-value).unwrap_or(libc::EIO)),
            _ => return self.proceed(tid, 0),
        };
        let mut hidden = None;
        let pending = self.tracees.with_shared(tid).and_then(|(thread, shared)| {
            let mut pending = thread.pending.take()?;
            thread.previous = Some(pending.traced.name);
            (pending.traced.leave)(&pending.stop, outcome, &mut pending.args);
            free(pending.traced, &pending.stop.raw, shared);
            hidden = uring::at_return(&mut pending, outcome, thread.record.pid, shared);
            Some(pending)
        });
        self.proceed(tid, 0)?;
        self.emit_hidden(tid, hidden, now_ns)?;
        let Some(pending) = pending else { return Ok(()) };
        self.emit_call(tid, pending, Some((outcome, now_ns)))?;
        match outcome {
            Err(errno) if self.phase == Phase::Executing && tid == self.main => {
                self.phase = Phase::Refused;
                self.emit(TraceEvent::ExecFailed { errno: names::errno(errno), monotonic_ns: now_ns })
            }
            _ => Ok(()),
        }
    }

    /// Lets a stopped thread run, to the return of the call it is in if that is recorded. It may have been killed
    /// meanwhile; its end comes by itself then.
    pub(super) fn proceed(&mut self, tid: i32, signal: i32) -> io::Result<()> {
        let is_in_call = self.tracees.thread(tid).is_some_and(|thread| thread.pending.is_some());
        let resumed =
            if is_in_call { ptrace::resume_to_syscall_exit(tid, signal) } else { ptrace::resume(tid, signal) };
        unless_gone(resumed)
    }

    /// Queues that operations of an io_uring are missed, if they are.
    fn emit_hidden(&mut self, tid: i32, why: Option<String>, monotonic_ns: i64) -> io::Result<()> {
        let Some(why) = why else { return Ok(()) };
        let pid = self.tracees.thread(tid).map_or(tid.cast_unsigned(), |thread| thread.record.pid);
        self.emit(TraceEvent::HiddenRing { pid, why, monotonic_ns })
    }

    /// Queues an event.
    pub(super) fn emit(&mut self, event: TraceEvent) -> io::Result<()> {
        self.events.push(&Frame::Event(event))
    }

    /// Queues a thread's record as it now is.
    pub(super) fn emit_process(&mut self, record: Process) -> io::Result<()> {
        self.emit(TraceEvent::Process(record))
    }

    /// Queues a call with how and when it returned, or without if it never will.
    pub(super) fn emit_call(&mut self, tid: i32, pending: Pending, end: Option<(Outcome, i64)>) -> io::Result<()> {
        let pid = self.tracees.thread(tid).map_or(tid.cast_unsigned(), |thread| thread.record.pid);
        self.emit(TraceEvent::Call(Call {
            seq: pending.seq,
            pid,
            tid: tid.cast_unsigned(),
            name: pending.traced.name.to_owned(),
            args: pending.args,
            result: end.map(|(outcome, _)| match outcome {
                Ok(value) => CallResult::Value(value),
                Err(errno) => CallResult::Error(names::errno(errno)),
            }),
            entry_ns: pending.stop.entry_ns,
            exit_ns: end.map(|(_, exit_ns)| exit_ns),
        }))
    }
}

/// Whether a call is worth recording: one that works on descriptors is if one of them is.
fn matters(traced: &Traced, tid: i32, args: [u64; 6], shared: &mut Shared) -> bool {
    let is_recorded = |i: &usize| shared.descriptors.is_recorded(tid, args[*i] as i32);
    let matters = traced.descriptors.is_empty() || traced.descriptors.iter().any(is_recorded);
    free(traced, &args, shared);
    matters
}

/// Forgets what a call makes free: at its entry, which may be all that is seen of it, and again at its return, because
/// another thread may have asked in between.
fn free(traced: &Traced, args: &[u64; 6], shared: &mut Shared) {
    match traced.frees {
        Frees::Nothing => {}
        Frees::Argument(i) => {
            shared.descriptors.forget(args[i] as i32);
            shared.rings.forget(args[i] as i32);
        }
        Frees::Range => {
            shared.descriptors.forget_range(args[0] as u32, args[1] as u32);
            shared.rings.forget_range(args[0] as u32, args[1] as u32);
        }
    }
}

/// A request to a thread that was killed meanwhile is no failure.
fn stopped(stop: io::Result<SyscallStop>) -> io::Result<SyscallStop> {
    match stop {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(SyscallStop::Other),
        other => other,
    }
}

/// As [`stopped`].
pub(super) fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}

fn monotonic_ns() -> i64 {
    // CLOCK_MONOTONIC always exists.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
