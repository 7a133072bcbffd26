//! What stops mean for threads and processes: births, `execve`, signals, ends.

use std::io;

use super::TraceEvent;
use super::names::signal;
use super::rings::Rings;
use super::stops::{Phase, Recorder, unless_gone};
use crate::evidence::{Arg, Ending, Signal};
use crate::sys::ptrace;

impl Recorder<'_> {
    /// A thread made another thread or a process.
    pub(super) fn on_child(&mut self, tid: i32, now_ns: i64) -> io::Result<()> {
        let Ok(child) = ptrace::event_message(tid) else { return self.proceed(tid, 0) };
        let child = child as i32;
        let record = self.tracees.add_child(child, tid, now_ns).cloned();
        self.proceed(tid, 0)?;
        if self.tracees.take_early(child) {
            self.proceed(child, 0)?;
        }
        record.map_or(Ok(()), |record| self.emit_process(record))
    }

    /// A new thread's first stop, or a group stop, which lasts until SIGCONT.
    pub(super) fn on_event_stop(&mut self, tid: i32, signal: i32) -> io::Result<()> {
        match signal {
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => unless_gone(ptrace::listen(tid)),
            _ if self.tracees.may_run(tid) => self.proceed(tid, 0),
            _ => Ok(()),
        }
    }

    /// `execve` succeeded: new program, one thread, and descriptors closed that nobody named.
    pub(super) fn on_exec(&mut self, tid: i32, now_ns: i64) -> io::Result<()> {
        let former = ptrace::event_message(tid).map_or(tid, |former| former as i32);
        if former != tid
            && let Some((mut mover, abandoned)) = self.tracees.merge_into_leader(tid, former)
        {
            mover.record.end_ns = Some(now_ns);
            self.emit_process(mover.record)?;
            if let Some(pending) = abandoned {
                self.emit_call(tid, pending, None)?;
            }
        }
        let record = self.tracees.with_shared(tid).map(|(thread, shared)| {
            shared.descriptors.forget_all();
            // The kernel marks them close-on-exec.
            shared.rings = Rings::default();
            let args = thread.pending.as_ref().map_or(&[][..], |pending| &pending.args);
            if let Some(argv) = args.iter().find_map(texts) {
                thread.record.argv = argv;
            }
            thread.record.clone()
        });
        if tid == self.main {
            self.phase = Phase::Executed;
        }
        self.proceed(tid, 0)?;
        record.map_or(Ok(()), |record| self.emit_process(record))
    }

    /// A signal is about to be delivered.
    pub(super) fn on_signal(&mut self, tid: i32, number: i32, now_ns: i64) -> io::Result<()> {
        let info = ptrace::signal_info(tid);
        self.proceed(tid, number)?;
        let Ok(info) = info else { return Ok(()) };
        let pid = self.tracees.thread(tid).map_or(tid.cast_unsigned(), |thread| thread.record.pid);
        self.emit(TraceEvent::Signal(Signal {
            t_ns: now_ns,
            pid,
            tid: tid.cast_unsigned(),
            name: signal::name(number),
            code: signal::code(number, info.code),
            sender_pid: signal::has_sender(number, info.code).then(|| info.pid.cast_unsigned()),
            errno: (info.errno != 0).then_some(info.errno),
        }))
    }

    /// A thread is gone: by `exit` with a code, or killed by a signal.
    pub(super) fn on_end(&mut self, tid: i32, how: Result<i32, i32>, now_ns: i64) -> io::Result<()> {
        if let Some(pending) = self.tracees.thread(tid).and_then(|thread| thread.pending.take()) {
            self.emit_call(tid, pending, None)?;
        }
        if let Some(mut thread) = self.tracees.remove(tid) {
            thread.record.end_ns = Some(now_ns);
            thread.record.exit_code = how.ok();
            thread.record.killed_by = how.err().map(signal::name);
            self.emit_process(thread.record)?;
        }
        for orphan in self.tracees.adopt_early(now_ns) {
            let record = self.tracees.thread(orphan).map(|thread| thread.record.clone());
            self.proceed(orphan, 0)?;
            record.map_or(Ok(()), |record| self.emit_process(record))?;
        }
        if tid != self.main {
            return Ok(());
        }
        let how = match how {
            Ok(code) => Ending::Exit(code),
            Err(number) => Ending::Signal(signal::name(number)),
        };
        self.emit(TraceEvent::MainEnded { monotonic_ns: now_ns, how })
    }

    /// A call of another architecture: said once for each process.
    pub(super) fn on_foreign(&mut self, tid: i32, arch: u32, now_ns: i64) -> io::Result<()> {
        let Some((thread, shared)) = self.tracees.with_shared(tid) else { return Ok(()) };
        if std::mem::replace(&mut shared.is_foreign, true) {
            return Ok(());
        }
        let pid = thread.record.pid;
        self.emit(TraceEvent::ForeignArchitecture { pid, arch, monotonic_ns: now_ns })
    }
}

fn texts(arg: &Arg) -> Option<Vec<String>> {
    match arg {
        Arg::Texts(texts) => Some(texts.clone()),
        _ => None,
    }
}
