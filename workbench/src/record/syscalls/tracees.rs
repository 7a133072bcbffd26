//! The threads and processes under the tracer, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::decode::CallStop;
use super::descriptors::Descriptors;
use super::rings::Rings;
use super::table::Traced;
use crate::evidence::{Arg, Process};

/// A call that was entered and has not returned.
#[derive(Debug)]
pub struct Pending {
    /// Order of entry over all threads.
    pub seq: u64,
    /// Which call.
    pub traced: &'static Traced,
    /// Its raw arguments.
    pub stop: CallStop,
    /// Its arguments as decoded at the entry.
    pub args: Vec<Arg>,
}

/// A thread.
#[derive(Debug)]
pub struct Thread {
    /// What the evidence will say of it.
    pub record: Process,
    /// The call it is in.
    pub pending: Option<Pending>,
    /// The call before, which `restart_syscall` may take up again.
    pub previous: Option<&'static str>,
}

/// What the threads of a process share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Its descriptors.
    pub descriptors: Descriptors,
    /// Its io_uring rings.
    pub rings: Rings,
    /// Whether it was reported to have one that cannot be read.
    pub is_ring_hidden: bool,
    /// Whether it was reported to make calls of another architecture.
    pub is_foreign: bool,
}

/// All that is traced.
#[derive(Debug, Default)]
pub struct Tracees {
    threads: BTreeMap<i32, Thread>,
    processes: BTreeMap<u32, Shared>,
    /// Threads whose first stop came before their parent's event that names them: they wait, stopped.
    early: BTreeSet<i32>,
}

impl Tracees {
    /// Adds a process that the tracer started: the command, or a socket program.
    pub fn add_root(&mut self, tid: i32, argv: Vec<String>, program: Option<String>) {
        let id = tid.cast_unsigned();
        self.processes.insert(id, Shared::default());
        let mut thread = Thread::new(id, id, 0, argv, 0);
        thread.record.program = program;
        self.threads.insert(tid, thread);
    }

    /// Adds a thread that `parent` made, if it is not known yet.
    pub fn add_child(&mut self, tid: i32, parent: i32, now_ns: i64) -> Option<&Process> {
        if self.threads.contains_key(&tid) {
            return None;
        }
        let maker = &self.threads.get(&parent)?.record;
        let (parent_pid, argv) = (maker.pid, maker.argv.clone());
        let is_thread = Path::new(&format!("/proc/{parent_pid}/task/{tid}")).exists();
        let pid = if is_thread { parent_pid } else { tid.cast_unsigned() };
        if !is_thread {
            let maker = self.processes.get(&parent_pid);
            let (descriptors, rings) = maker.map(|p| (p.descriptors.clone(), p.rings.clone())).unwrap_or_default();
            self.processes.insert(pid, Shared { descriptors, rings, ..Shared::default() });
        }
        self.threads.insert(tid, Thread::new(pid, tid.cast_unsigned(), parent.cast_unsigned(), argv, now_ns));
        self.threads.get(&tid).map(|thread| &thread.record)
    }

    /// A thread's first stop: whether it is known and may run.
    pub fn may_run(&mut self, tid: i32) -> bool {
        self.threads.contains_key(&tid) || !self.early.insert(tid)
    }

    /// Whether this thread stopped early and waits for its parent's event.
    pub fn take_early(&mut self, tid: i32) -> bool {
        self.early.remove(&tid)
    }

    /// Adds the threads that still wait for an event of a parent that was killed before it could report them.
    pub fn adopt_early(&mut self, now_ns: i64) -> Vec<i32> {
        let early: Vec<i32> = std::mem::take(&mut self.early).into_iter().collect();
        for tid in &early {
            let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
            let field =
                |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
            let id = tid.cast_unsigned();
            let pid = field("Tgid:").unwrap_or(id);
            self.processes.entry(pid).or_default();
            let parent = field("PPid:").unwrap_or(0);
            self.threads.insert(*tid, Thread::new(pid, id, parent, Vec::new(), now_ns));
        }
        early
    }

    /// A thread.
    pub fn thread(&mut self, tid: i32) -> Option<&mut Thread> {
        self.threads.get_mut(&tid)
    }

    /// A thread with what its process shares.
    pub fn with_shared(&mut self, tid: i32) -> Option<(&mut Thread, &mut Shared)> {
        let thread = self.threads.get_mut(&tid)?;
        let shared = self.processes.get_mut(&thread.record.pid)?;
        Some((thread, shared))
    }

    /// `execve` by a thread that is not the leader gives it the leader's id; the two become one. The thread's own
    /// record ends with it, and so does the call that the leader was in.
    pub fn merge_into_leader(&mut self, leader: i32, former: i32) -> Option<(Thread, Option<Pending>)> {
        let mut mover = self.threads.remove(&former)?;
        let leader = self.threads.get_mut(&leader)?;
        let abandoned = std::mem::replace(&mut leader.pending, mover.pending.take());
        Some((mover, abandoned))
    }

    /// Takes a thread that is gone out; with a leader goes its process.
    pub fn remove(&mut self, tid: i32) -> Option<Thread> {
        let thread = self.threads.remove(&tid)?;
        if thread.record.tid == thread.record.pid {
            self.processes.remove(&thread.record.pid);
        }
        Some(thread)
    }
}

impl Thread {
    fn new(pid: u32, tid: u32, parent_tid: u32, argv: Vec<String>, start_ns: i64) -> Self {
        let record = Process {
            program: None,
            pid,
            tid,
            parent_tid,
            argv,
            start_ns,
            end_ns: None,
            exit_code: None,
            killed_by: None,
        };
        Self { record, pending: None, previous: None }
    }
}
