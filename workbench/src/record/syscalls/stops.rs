//! The tracer's loop: waits for a stop, lets the thread run again as soon as it can, tells the agent.
//!
//! Nothing ticks: `waitpid` blocks. Only while the pipe to the agent is full does the loop wait for two things at once.
//! What a stop means for threads and processes is next door, in `lives`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::channel::{Frame, FrameWriter};
use super::decode::{CallStop, Outcome};
use super::roots::{Root, Standing};
use super::table::{Frees, Traced, traced};
use super::tracees::{Pending, Shared, Tracees};
use super::{TraceEvent, filter, names, uring};
use crate::evidence::{Arg, Call, CallResult, Process};
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
    pub(super) events: &'a mut FrameWriter,
    pub(super) gate: Option<OwnedFd>,
    /// SIGCHLD, which is blocked.
    pub(super) child_signal: SigSet,
    /// What the tracer started, by thread id.
    pub(super) roots: BTreeMap<i32, Root>,
    /// Whether companions may begin, and whether the command may.
    pub(super) may_begin: (bool, bool),
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
        let (roots, may_begin) = (BTreeMap::new(), (false, false));
        Self { events, gate: Some(gate), child_signal, roots, may_begin, tracees, main: 0, phase, next_seq: 0 }
    }

    /// Follows a process that the tracer started and seized; the first is the command.
    pub fn follow(&mut self, child: Pid, report: OwnedFd, argv: Vec<String>, program: Option<String>) {
        let tid = child.as_raw();
        if self.roots.is_empty() {
            self.main = tid;
        }
        let is_program = program.is_some();
        self.roots.insert(tid, Root { report: Some(report), is_program, standing: Standing::Preparing });
        self.tracees.add_root(tid, argv, program);
    }

    /// Records until the command and all its descendants are gone, and the socket programs with them. `report` says why, if
    /// one of them ends before it could begin.
    pub fn run(&mut self, report: impl Fn(OwnedFd) -> Frame) -> io::Result<()> {
        while let Some((tid, stop)) = self.next_stop()? {
            let now_ns = monotonic_ns();
            let is_over = matches!(stop, Stop::Exited(_) | Stop::Killed(_));
            if is_over
                && let Some(root) = self.roots.get_mut(&tid)
                && root.standing != Standing::Going
                && let Some(pipe) = root.report.take()
            {
                return self.events.push(&report(pipe));
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
        self.read_gate()?;
        let monotonic_ns = monotonic_ns();
        self.emit(TraceEvent::Started { monotonic_ns })?;
        self.emit(TraceEvent::ExecFailed { errno: names::errno(errno as i32), monotonic_ns })
    }

    /// The next stop; `None` when nobody is left. Blocks in `waitpid`, unless events wait for room in the pipe: then in
    /// `poll`, for room and for SIGCHLD, which announces a stop; or somebody is held: then for the gate as well.
    fn next_stop(&mut self) -> io::Result<Option<(i32, Stop)>> {
        loop {
            let block = !self.events.is_backed_up() && !self.is_holding();
            match ptrace::wait_any(block) {
                Ok(Some(stop)) => return Ok(Some(stop)),
                Ok(None) => self.wait_for_more()?,
                Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
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
        let is_first = self.roots.get(&tid).is_some_and(|root| root.standing == Standing::Preparing);
        if is_first && self.roots[&tid].is_program {
            // Until it begins, it closes what it has from us.
            let begins = u64::try_from(libc::SYS_execve) == Ok(number);
            return if begins { self.hold(tid) } else { self.proceed(tid, 0) };
        }
        let Some((thread, shared)) = self.tracees.with_shared(tid) else { return self.proceed(tid, 0) };
        let Some(traced) = traced(number).filter(|traced| matters(traced, tid, args, shared)) else {
            return self.proceed(tid, 0);
        };
        let stop = CallStop::new(tid, args, now_ns);
        let mut decoded = (traced.enter)(&stop);
        if traced.number == libc::SYS_restart_syscall {
            decoded.push(Arg::Resumes(thread.previous.unwrap_or("system call").to_owned()));
        }
        let hidden = uring::at_entry(traced, &stop, &mut decoded, thread.record.pid, shared);
        let pending = Pending { seq: self.next_seq, traced, stop, args: decoded };
        self.next_seq += 1;
        if let Some(thread) = self.tracees.thread(tid) {
            thread.pending = Some(pending);
        }
        if is_first {
            return self.hold(tid);
        }
        self.proceed(tid, 0)?;
        self.emit_hidden(tid, hidden, now_ns)
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
    let bytes = match traced.name {
        "read" | "write" => Some(args[2]),
        // Of vectors only the number is known here; nobody wakes a thread by one.
        "readv" | "writev" | "sendfile" | "splice" => Some(u64::MAX),
        _ => None,
    };
    let is_recorded = |i: &usize| shared.descriptors.is_recorded(tid, args[*i] as i32, bytes);
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

pub(super) fn monotonic_ns() -> i64 {
    // CLOCK_MONOTONIC always exists.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
