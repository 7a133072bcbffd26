//! What is behind the descriptors of all processes at each moment: sockets, timers, pairs, epoll sets.
//!
//! Follows descriptors through creation, `dup`, `fork` and `close`, over the calls that were recorded. It decides
//! nothing about what they were waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::arguments::{descriptors, epoll_data, has_symbol, inet, pair, setting_ns};
use super::options::{Options, note_option};
use super::rings::{Completed, Rings};
use crate::evidence::{Arg, Call, Evidence};

/// Number of an object.
pub type ObjectId = usize;

/// Something behind one or more descriptors.
#[derive(Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Index of the last `connect` on it.
    pub connect: Option<usize>,
    /// Index of the call that brought an address for [`Self::remote`], or of the one that made it.
    pub made_by: usize,
    /// Where it is connected to, or was sent to last.
    pub remote: Option<(IpAddr, u16)>,
    /// Socket options, as they were set.
    pub options: Options,
    /// Where a timerfd was armed or, with `None`, disarmed: call, value. In order.
    pub armed: Vec<(usize, Option<u64>)>,
    /// What an epoll set watches: `data`, object.
    pub watched: BTreeMap<i64, ObjectId>,
    /// The same as a list, made when it is asked for and gone when the set changes: a loop asks often.
    listed: Option<Rc<[ObjectId]>>,
}

/// Kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stream socket of the network.
    Tcp,
    /// A datagram or raw socket of the network.
    Udp,
    /// A socket of another family that leads to no other process of the command that we know.
    OtherSocket,
    /// `timerfd_create`.
    TimerFd,
    /// `epoll_create`.
    Epoll,
    /// `io_uring_setup`.
    Ring,
    /// `signalfd`.
    SignalFd,
    /// One through which threads and processes wake each other: pipe, eventfd, socket pair.
    Internal,
    /// Not seen being made: inherited, or of a kind that is not recorded.
    Unknown,
}

/// All objects, and which of them each call worked on.
#[derive(Debug)]
pub struct Objects {
    all: Vec<Object>,
    /// By call: descriptor and object, of every descriptor among its arguments.
    roles: Vec<Vec<(i32, ObjectId)>>,
    /// By call: the objects that were ready at its return.
    ready: Vec<Vec<ObjectId>>,
    /// By call: what had gone through an io_uring and was done at its return.
    completed: BTreeMap<usize, Vec<Completed>>,
    /// By call that waits for an epoll set: what was in it.
    in_set: BTreeMap<usize, Rc<[ObjectId]>>,
    /// By object: the calls whose first descriptor it is, in the order of their entry.
    calls: Vec<Vec<usize>>,
}

impl Objects {
    /// Walks over all calls.
    pub fn new(evidence: &Evidence) -> Self {
        let mut walk = Walk {
            evidence,
            objects: Self {
                all: Vec::new(),
                roles: vec![Vec::new(); evidence.calls.len()],
                ready: vec![Vec::new(); evidence.calls.len()],
                completed: BTreeMap::new(),
                in_set: BTreeMap::new(),
                calls: Vec::new(),
            },
            open: BTreeMap::new(),
            known: BTreeSet::new(),
            rings: Rings::default(),
        };
        let mut starts: Vec<(i64, u32)> =
            evidence.processes.iter().filter(|p| p.tid == p.pid).map(|p| (p.start_ns, p.pid)).collect();
        starts.sort_unstable();
        let mut starts = starts.into_iter().peekable();
        for (t_ns, index, is_return) in steps(evidence) {
            let call = &evidence.calls[index];
            // A child has what its parent had open when it was made, and not when it was heard of first.
            while let Some((_, pid)) = starts.next_if(|(start_ns, _)| *start_ns <= t_ns) {
                walk.adopt(pid);
            }
            walk.adopt(call.pid);
            if is_return { walk.leave(index, call) } else { walk.enter(index, call) }
        }
        walk.objects.list_calls();
        walk.objects
    }

    /// An object.
    pub fn get(&self, id: ObjectId) -> &Object {
        &self.all[id]
    }

    /// All objects' numbers.
    pub fn ids(&self) -> std::ops::Range<ObjectId> {
        0..self.all.len()
    }

    /// The object of a call's first descriptor.
    pub fn first_of(&self, call: usize) -> Option<ObjectId> {
        self.roles[call].first().map(|(_, id)| *id)
    }

    /// The calls whose first descriptor leads to an object, in the order of their entry.
    pub fn calls_on(&self, id: ObjectId) -> &[usize] {
        &self.calls[id]
    }

    fn list_calls(&mut self) {
        self.calls = vec![Vec::new(); self.all.len()];
        for (index, roles) in self.roles.iter().enumerate() {
            if let Some((_, id)) = roles.first() {
                self.calls[*id].push(index);
            }
        }
    }

    /// What was ready when a call returned.
    pub fn ready(&self, call: usize) -> &[ObjectId] {
        &self.ready[call]
    }

    /// What a call found done that had gone through an io_uring.
    pub fn completed(&self, call: usize) -> &[Completed] {
        self.completed.get(&call).map_or(&[], Vec::as_slice)
    }

    /// The same for all calls from this one on that found any.
    pub fn completed_since(&self, call: usize) -> impl Iterator<Item = (usize, &[Completed])> {
        self.completed.range(call..).map(|(index, completed)| (*index, completed.as_slice()))
    }

    /// What a call waited for: the objects behind its descriptors, for an epoll set those in it at its entry.
    pub fn waited_for(&self, call: usize) -> Vec<ObjectId> {
        match self.in_set.get(&call) {
            Some(watched) => watched.to_vec(),
            None => self.roles[call].iter().map(|(_, id)| *id).collect(),
        }
    }
}

/// Entries and returns of all calls in the order they happened.
fn steps(evidence: &Evidence) -> Vec<(i64, usize, bool)> {
    let mut steps = Vec::with_capacity(evidence.calls.len() * 2);
    for (index, call) in evidence.calls.iter().enumerate() {
        steps.push((call.entry_ns, index, false));
        steps.extend(call.exit_ns.map(|exit_ns| (exit_ns, index, true)));
    }
    steps.sort_unstable();
    steps
}

struct Walk<'a> {
    evidence: &'a Evidence,
    objects: Objects,
    open: BTreeMap<(u32, i32), ObjectId>,
    known: BTreeSet<u32>,
    rings: Rings,
}

impl Walk<'_> {
    /// A process that is seen for the first time has what its parent has open.
    fn adopt(&mut self, pid: u32) {
        if !self.known.insert(pid) {
            return;
        }
        let processes = &self.evidence.processes;
        let parent_tid = processes.iter().find(|p| p.tid == pid).map_or(0, |p| p.parent_tid);
        let Some(parent) = processes.iter().find(|p| p.tid == parent_tid).map(|p| p.pid) else { return };
        let inherited: Vec<_> =
            self.open.range((parent, i32::MIN)..=(parent, i32::MAX)).map(|(k, v)| (k.1, *v)).collect();
        self.open.extend(inherited.into_iter().map(|(fd, id)| ((pid, fd), id)));
    }

    fn object(&mut self, pid: u32, fd: i32, index: usize) -> ObjectId {
        match self.open.get(&(pid, fd)) {
            Some(id) => *id,
            None => self.make(pid, fd, Kind::Unknown, index),
        }
    }

    fn make(&mut self, pid: u32, fd: i32, kind: Kind, made_by: usize) -> ObjectId {
        self.objects.all.push(Object {
            kind,
            connect: None,
            made_by,
            remote: None,
            options: Options::default(),
            armed: Vec::new(),
            watched: BTreeMap::new(),
            listed: None,
        });
        let id = self.objects.all.len() - 1;
        self.open.insert((pid, fd), id);
        id
    }

    fn enter(&mut self, index: usize, call: &Call) {
        let fds: Vec<i32> = call.args.iter().flat_map(descriptors).collect();
        let roles = fds.into_iter().filter(|fd| *fd >= 0).map(|fd| (fd, self.object(call.pid, fd, index))).collect();
        self.objects.roles[index] = roles;
        if call.name == "io_uring_enter" {
            let mut rings = std::mem::take(&mut self.rings);
            rings.submit(index, call, |fd| self.object(call.pid, fd, index));
            self.rings = rings;
        }
        let Some(id) = self.objects.first_of(index) else { return };
        if self.objects.all[id].kind == Kind::Epoll {
            let set = &mut self.objects.all[id];
            let listed = set.listed.get_or_insert_with(|| set.watched.values().copied().collect());
            let listed = Rc::clone(listed);
            self.objects.in_set.insert(index, listed);
        }
        match call.name.as_str() {
            "connect" => {
                let object = &mut self.objects.all[id];
                let remote = call.address().and_then(inet);
                // A second call on a socket that is connecting asks how the first one came out (connect(2), EALREADY).
                let first = object.connect.map(|first| &self.evidence.calls[first]);
                let is_asking = object.remote == remote
                    && first
                        .is_some_and(|first| matches!(first.error(), Some("EINPROGRESS" | "EINTR" | "ERESTARTSYS")));
                if !is_asking {
                    object.connect = Some(index);
                }
                object.remote = remote;
                if object.kind == Kind::Unknown && object.remote.is_some() {
                    object.kind = Kind::Tcp;
                }
            }
            "sendto" | "sendmsg" | "sendmmsg" => {
                let to = call.address().and_then(inet);
                let object = &mut self.objects.all[id];
                if let (Some(_), Kind::Udp) = (to, object.kind) {
                    object.remote = to;
                }
            }
            "timerfd_settime" => {
                let object = &mut self.objects.all[id];
                object.kind = Kind::TimerFd;
                object.armed.push((index, setting_ns(call)));
            }
            "setsockopt" => note_option(&mut self.objects.all[id].options, index, call),
            _ => {}
        }
    }

    fn leave(&mut self, index: usize, call: &Call) {
        if let Some(value) = call.value() {
            self.made(index, call, i32::try_from(value).unwrap_or(-1));
        }
        match (call.name.as_str(), call.fd()) {
            ("epoll_ctl", Some(fd)) if call.value().is_some() => self.watch(call, fd, index),
            ("close", Some(fd)) => self.release((call.pid, fd)),
            _ => {}
        }
        if call.name == "io_uring_enter" {
            self.objects.completed.insert(index, self.rings.complete(call));
        }
        let ready = self.ready(index, call);
        self.objects.ready[index] = ready;
    }

    /// A call that returned descriptors: whatever had their numbers before is gone.
    fn made(&mut self, index: usize, call: &Call, value: i32) {
        let kind = match call.name.as_str() {
            "socket" => socket_kind(call),
            "accept" | "accept4" => match self.objects.first_of(index).map(|id| self.objects.all[id].kind) {
                Some(Kind::OtherSocket | Kind::Internal) => Kind::Internal,
                _ => Kind::Tcp,
            },
            "timerfd_create" => Kind::TimerFd,
            "epoll_create" | "epoll_create1" => Kind::Epoll,
            "io_uring_setup" => Kind::Ring,
            "signalfd" | "signalfd4" => Kind::SignalFd,
            "eventfd" | "eventfd2" => Kind::Internal,
            "socketpair" | "pipe" | "pipe2" => {
                let pair: Vec<i32> = call.args.iter().flat_map(pair).collect();
                for fd in pair {
                    self.release((call.pid, fd));
                    self.make(call.pid, fd, Kind::Internal, index);
                }
                return;
            }
            "dup" | "dup2" | "dup3" | "fcntl" => return self.copied(index, call, value),
            _ => return,
        };
        let key = (call.pid, value);
        self.release(key);
        let listener = self.objects.first_of(index);
        let id = self.make(call.pid, value, kind, index);
        if call.name.starts_with("accept") {
            self.objects.all[id].remote = call.address().and_then(inet);
            // An accepted socket has its listener's options (tcp(7), socket(7)).
            if let Some(listener) = listener {
                self.objects.all[id].options = self.objects.all[listener].options.clone();
            }
        }
    }

    fn copied(&mut self, index: usize, call: &Call, made: i32) {
        let is_copy = call.name != "fcntl" || has_symbol(call, "F_DUPFD");
        let Some(id) = self.objects.first_of(index).filter(|_| is_copy) else { return };
        if call.fd() != Some(made) {
            self.release((call.pid, made));
            self.open.insert((call.pid, made), id);
        }
    }

    fn watch(&mut self, call: &Call, set: i32, index: usize) {
        let target = call.args.iter().skip(1).find_map(|arg| match arg {
            Arg::Fd(fd) => Some(*fd),
            _ => None,
        });
        let Some(target) = target else { return };
        let data = call.args.iter().find_map(epoll_data).unwrap_or(i64::from(target));
        let (set, id) = (self.object(call.pid, set, index), self.object(call.pid, target, index));
        self.objects.all[set].kind = Kind::Epoll;
        self.objects.all[set].listed = None;
        let watched = &mut self.objects.all[set].watched;
        if has_symbol(call, "EPOLL_CTL_DEL") {
            watched.retain(|_, object| *object != id);
        } else {
            watched.insert(data, id);
        }
    }

    fn ready(&self, index: usize, call: &Call) -> Vec<ObjectId> {
        let roles = &self.objects.roles[index];
        let object = |fd: i64| roles.iter().find(|(known, _)| i64::from(*known) == fd).map(|(_, id)| *id);
        let set = roles.first().map(|(_, id)| &self.objects.all[*id]).filter(|object| object.kind == Kind::Epoll);
        let mut found = Vec::new();
        for arg in &call.args {
            match arg {
                Arg::Poll(entries) => found.extend(
                    entries
                        .iter()
                        .filter(|e| !e.revents.is_empty())
                        .filter_map(|e| set.map_or_else(|| object(e.fd), |set| set.watched.get(&e.fd).copied())),
                ),
                Arg::FdSet { ready, .. } => found.extend(ready.iter().filter_map(|fd| object(i64::from(*fd)))),
                _ => {}
            }
        }
        found
    }

    fn release(&mut self, key: (u32, i32)) {
        self.open.remove(&key);
    }
}

fn socket_kind(call: &Call) -> Kind {
    if !has_symbol(call, "AF_INET") {
        return Kind::OtherSocket;
    }
    if has_symbol(call, "SOCK_DGRAM") || has_symbol(call, "SOCK_RAW") { Kind::Udp } else { Kind::Tcp }
}
