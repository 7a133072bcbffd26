//! Which process and thread of the trace everything has. Numbers follow the plan and the order of appearance, never a
//! process id, so that they are the same in every repeat.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::event::{TraceEvent, Track, args};
use crate::evidence::Evidence;
use crate::timeline::escape;

/// The run itself: verdict and end.
const RUN: u64 = 1;
/// Threads of a process: this many numbers apart, so that no two of a trace are the same.
const THREADS: u64 = 100_000;

/// All tracks of a trace.
pub(super) struct Tracks<'a> {
    evidence: &'a Evidence,
    hosts: BTreeMap<&'a str, u64>,
    links: u64,
    /// Tracks beside the command's threads, as they were asked for, with their names.
    named: RefCell<BTreeMap<(u64, String), u64>>,
    next: RefCell<BTreeMap<u64, u64>>,
}

impl<'a> Tracks<'a> {
    pub fn new(evidence: &'a Evidence) -> Self {
        let hosts: BTreeMap<&str, u64> =
            evidence.plan.hosts.iter().map(|host| host.name.as_str()).zip(RUN + 1..).collect();
        let links = RUN + 1 + hosts.len() as u64;
        Self { evidence, hosts, links, named: RefCell::default(), next: RefCell::default() }
    }

    /// The run's own.
    pub fn run(&self, name: &str) -> Track {
        self.track(RUN, name)
    }

    /// A track of a host; of one that is not in the plan, the run's.
    pub fn host(&self, host: &str, name: &str) -> Track {
        self.track(self.hosts.get(host).copied().unwrap_or(RUN), name)
    }

    /// A track among the links.
    pub fn link(&self, name: &str) -> Track {
        self.track(self.links, name)
    }

    /// The track of one of the command's threads, by its place in `Evidence::processes`.
    pub fn thread(&self, index: usize) -> Track {
        let process = &self.evidence.processes[index];
        let path = process.argv.first().map_or("process", String::as_str);
        let executed = path.rsplit('/').next().unwrap_or(path);
        let program = escape(process.program.as_deref().unwrap_or(executed));
        let place = match process.tid == process.pid {
            true => format!("{program} {}", process.pid),
            false => format!("{program} {} thread {}", process.pid, process.tid),
        };
        self.host(self.evidence.host_of(process.pid), &place)
    }

    fn track(&self, pid: u64, name: &str) -> Track {
        let mut named = self.named.borrow_mut();
        let tid = *named.entry((pid, name.to_owned())).or_insert_with(|| {
            let mut next = self.next.borrow_mut();
            let number = next.entry(pid).or_insert(pid * THREADS);
            *number += 1;
            *number
        });
        Track { pid, tid }
    }

    /// Names of all processes and threads, and the order to show them in.
    pub fn metadata(&self, events: &[TraceEvent]) -> Vec<TraceEvent> {
        let plan = &self.evidence.plan;
        let run = (RUN, format!("{} / {}", escape(&plan.scenario), escape(&plan.run)));
        let hosts = plan.hosts.iter().map(|host| (self.hosts[host.name.as_str()], escape(&host.name)));
        let links = (self.links, "links".to_owned());
        let mut metadata = Vec::new();
        for (pid, name) in std::iter::once(run).chain(hosts).chain([links]) {
            // The process's main thread, which has no events: thread 0 would be the idle one of every process.
            let track = Track { pid, tid: pid };
            metadata.push(about("process_name", track, "name", name.into()));
            metadata.push(about("process_sort_index", track, "sort_index", pid.into()));
        }
        let mut threads: Vec<(Track, String)> = self
            .named
            .borrow()
            .iter()
            .map(|((pid, name), tid)| (Track { pid: *pid, tid: *tid }, name.clone()))
            .collect();
        // Lanes of one direction stand together; everything else as it appeared.
        threads.sort_by_key(|(track, name)| (track.pid, (track.pid == self.links).then(|| name.clone()), track.tid));
        let used: BTreeSet<(u64, u64)> = events.iter().map(|event| (event.pid, event.tid)).collect();
        let is_used = |track: &Track| used.contains(&(track.pid, track.tid));
        for (place, (track, name)) in threads.into_iter().filter(|(track, _)| is_used(track)).enumerate() {
            metadata.push(about("thread_name", track, "name", name.into()));
            metadata.push(about("thread_sort_index", track, "sort_index", place.into()));
        }
        metadata
    }
}

fn about(what: &str, track: Track, key: &str, value: Value) -> TraceEvent {
    TraceEvent {
        name: what.into(),
        ph: "M",
        pid: track.pid,
        tid: track.tid,
        args: args([(key, value)]),
        ..TraceEvent::default()
    }
}
