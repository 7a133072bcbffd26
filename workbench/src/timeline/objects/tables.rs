//! The descriptor tables of all processes: which object each number is, through `dup`, `fork`, `execve` and the end.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::object::ObjectId;
use crate::evidence::{Evidence, Process};

/// What a descriptor is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    object: ObjectId,
    /// Gone once its process executes another program.
    closes_on_exec: bool,
}

/// A process that begins or ends.
#[derive(Debug, Clone, Copy)]
struct Life {
    t_ns: i64,
    pid: u32,
}

/// Descriptors of all processes at one moment of the walk.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    processes: &'a [Process],
    open: BTreeMap<(u32, i32), Entry>,
    births: Peekable<IntoIter<Life>>,
    ends: Peekable<IntoIter<Life>>,
    /// Processes whose tables have been made, and when they began.
    begun: BTreeMap<u32, i64>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        let processes = &evidence.processes;
        let in_order = |at: &dyn Fn(&Process) -> Option<i64>| {
            let lives =
                processes.iter().filter(|p| p.tid == p.pid).filter_map(|p| Some(Life { t_ns: at(p)?, pid: p.pid }));
            let mut lives: Vec<Life> = lives.collect();
            lives.sort_by_key(|life| (life.t_ns, life.pid));
            lives.into_iter().peekable()
        };
        let (births, ends) = (in_order(&|p| Some(p.start_ns)), in_order(&|p| p.end_ns));
        Self { processes, open: BTreeMap::new(), births, ends, begun: BTreeMap::new() }
    }

    /// Comes to a moment: processes that have begun by then have what their parent has; those that ended before it
    /// have nothing. Returns what nobody has any more, each with when.
    pub(super) fn come_to(&mut self, t_ns: i64) -> Vec<(ObjectId, i64)> {
        while let Some(life) = self.births.next_if(|life| life.t_ns <= t_ns) {
            self.begin(life.pid, life.t_ns);
        }
        let mut released = Vec::new();
        while let Some(life) = self.ends.next_if(|life| life.t_ns < t_ns) {
            released.extend(self.end(life.pid, |_| true).into_iter().map(|object| (object, life.t_ns)));
        }
        released
    }

    /// A child has what its parent had open when it was made, and not when it was heard of first.
    pub(super) fn begin(&mut self, pid: u32, t_ns: i64) {
        if self.begun.contains_key(&pid) {
            return;
        }
        self.begun.insert(pid, t_ns);
        if let Some(parent) = self.parent(pid) {
            let inherited: Vec<_> = self.of(parent).map(|(fd, entry)| ((pid, fd), entry)).collect();
            self.open.extend(inherited);
        }
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        let parent_tid = self.processes.iter().find(|p| p.tid == pid)?.parent_tid;
        self.processes.iter().find(|p| p.tid == parent_tid).map(|p| p.pid)
    }

    fn of(&self, pid: u32) -> impl Iterator<Item = (i32, Entry)> {
        self.open.range((pid, i32::MIN)..=(pid, i32::MAX)).map(|((_, fd), entry)| (*fd, *entry))
    }

    /// The descriptors that a process has.
    pub(super) fn numbers(&self, pid: u32) -> Vec<i32> {
        self.of(pid).map(|(fd, _)| fd).collect()
    }

    /// The object behind a descriptor.
    pub(super) fn get(&self, key: (u32, i32)) -> Option<ObjectId> {
        self.open.get(&key).map(|entry| entry.object)
    }

    /// A descriptor that was made. In virtual time many things share one stamp, and which came first, a `fork` or this,
    /// cannot be told there: a child that began at the same one has it too.
    pub(super) fn open(&mut self, key: (u32, i32), object: ObjectId, closes_on_exec: bool, t_ns: i64) {
        let newborn = self.begun.iter().filter(|(_, at)| **at == t_ns).map(|(pid, _)| *pid);
        let newborn: Vec<u32> = newborn.filter(|pid| self.parent(*pid) == Some(key.0)).collect();
        for pid in newborn {
            self.open.entry((pid, key.1)).or_insert(Entry { object, closes_on_exec });
        }
        self.open.insert(key, Entry { object, closes_on_exec });
    }

    /// A descriptor is gone. Returns its object if that was the last one.
    pub(super) fn close(&mut self, key: (u32, i32)) -> Option<ObjectId> {
        let object = self.open.remove(&key)?.object;
        (!self.is_open(object)).then_some(object)
    }

    /// A process executes another program. Returns what nobody has any more.
    pub(super) fn exec(&mut self, pid: u32) -> Vec<ObjectId> {
        self.end(pid, |entry| entry.closes_on_exec)
    }

    fn end(&mut self, pid: u32, goes: impl Fn(&Entry) -> bool) -> Vec<ObjectId> {
        let gone: Vec<i32> = self.of(pid).filter(|(_, entry)| goes(entry)).map(|(fd, _)| fd).collect();
        gone.into_iter().filter_map(|fd| self.close((pid, fd))).collect()
    }

    fn is_open(&self, object: ObjectId) -> bool {
        self.open.values().any(|entry| entry.object == object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::fixture::Fixture;

    const PARENT: u32 = 10;
    const CHILD: u32 = 11;

    fn process(pid: u32, parent_tid: u32, start_ns: i64, end_ns: i64) -> Process {
        let (exit_code, killed_by) = (Some(0), None);
        Process {
            program: None,
            pid,
            tid: pid,
            parent_tid,
            argv: Vec::new(),
            start_ns,
            end_ns: Some(end_ns),
            exit_code,
            killed_by,
        }
    }

    fn family() -> Evidence {
        let mut evidence = Fixture::new("tool").evidence;
        evidence.processes = vec![process(PARENT, 0, 0, 900), process(CHILD, PARENT, 100, 500)];
        evidence
    }

    #[test]
    fn a_child_has_what_its_parent_had_when_it_was_made() {
        let evidence = family();
        let mut tables = Tables::new(&evidence);
        tables.come_to(10);
        tables.open((PARENT, 3), 0, false, 10);
        tables.come_to(200);
        assert_eq!(tables.close((PARENT, 3)), None, "the child has it still");
        tables.open((PARENT, 3), 1, false, 200);
        assert_eq!((tables.get((CHILD, 3)), tables.get((PARENT, 3))), (Some(0), Some(1)));
    }

    #[test]
    fn a_process_that_ends_has_nothing_any_more_and_one_that_executes_has_not_all() {
        let evidence = family();
        let mut tables = Tables::new(&evidence);
        tables.come_to(10);
        tables.open((PARENT, 3), 0, false, 10);
        tables.open((PARENT, 4), 1, true, 10);
        tables.come_to(200);
        assert_eq!((tables.close((PARENT, 3)), tables.close((PARENT, 4))), (None, None));
        assert_eq!(tables.exec(CHILD), [1]);
        assert_eq!(tables.come_to(501), [(0, 500)]);
    }
}
