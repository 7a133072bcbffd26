//! Follows descriptors over the calls that were recorded: creation, `dup`, `fork`, `close`, epoll sets, timers.
//!
//! It decides nothing about what they were waited for.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::object::{Fired, Kind, Object, ObjectId, Objects, Ready};
use super::options::note_option;
use super::rings::Rings;
use super::tables::Tables;
use crate::evidence::{Arg, Call, Evidence, SocketAddress};

impl Objects {
    /// Walks over all calls.
    pub fn new(evidence: &Evidence) -> Self {
        let mut walk = Walk {
            objects: Self {
                all: Vec::new(),
                roles: vec![Vec::new(); evidence.calls.len()],
                ready: vec![Vec::new(); evidence.calls.len()],
                fired: BTreeMap::new(),
                completed: BTreeMap::new(),
                in_set: BTreeMap::new(),
                calls: Vec::new(),
            },
            tables: Tables::new(evidence),
            rings: Rings::default(),
            sets: Vec::new(),
            t_ns: 0,
        };
        for step in evidence.steps() {
            let call = &evidence.calls[step.call];
            walk.come_to(step.t_ns);
            walk.tables.begin(call.pid, step.t_ns);
            if step.is_return { walk.leave(step.call, call) } else { walk.enter(step.call, call) }
        }
        walk.come_to(i64::MAX);
        walk.objects.list_calls();
        walk.objects
    }
}

struct Walk<'a> {
    objects: Objects,
    tables: Tables<'a>,
    rings: Rings,
    /// Epoll sets that something was put into.
    sets: Vec<ObjectId>,
    /// The moment that the walk has come to.
    t_ns: i64,
}

impl Walk<'_> {
    fn come_to(&mut self, t_ns: i64) {
        self.t_ns = t_ns;
        for (object, at_ns) in self.tables.come_to(t_ns) {
            self.gone(object, (at_ns, None));
        }
    }

    fn object(&mut self, call: &Call, fd: i32, index: usize) -> ObjectId {
        self.tables.get((call.pid, fd)).unwrap_or_else(|| self.add((call.pid, fd), Kind::Unknown, index, false))
    }

    /// What a call made: whatever had this number before is gone.
    fn make(&mut self, call: &Call, fd: i32, kind: Kind, index: usize) -> ObjectId {
        self.release(call, fd);
        self.add((call.pid, fd), kind, index, call.closes_on_exec())
    }

    fn add(&mut self, key: (u32, i32), kind: Kind, index: usize, closes_on_exec: bool) -> ObjectId {
        self.objects.all.push(Object::new(kind, index));
        let id = self.objects.all.len() - 1;
        self.tables.open(key, id, closes_on_exec, self.t_ns);
        id
    }

    fn release(&mut self, call: &Call, fd: i32) {
        if let Some(object) = self.tables.close((call.pid, fd)) {
            self.gone(object, (self.t_ns, Some(call.tid)));
        }
    }

    /// With its last descriptor an object is gone from all epoll sets (epoll(7), Q6).
    fn gone(&mut self, object: ObjectId, released: (i64, Option<u32>)) {
        self.objects.all[object].released = Some(released);
        for set in &self.sets {
            self.objects.all[*set].watched.retain(|(_, watched)| *watched != object);
        }
    }

    fn release_range(&mut self, call: &Call) {
        let number = |arg: &Arg| match arg {
            Arg::Fd(fd) => Some(i64::from(*fd)),
            Arg::Int(n) => Some(*n),
            _ => None,
        };
        let ends: Vec<i64> = call.args.iter().filter_map(number).collect();
        let &[first, last, ..] = ends.as_slice() else { return };
        if !call.has_symbol("CLOSE_RANGE_CLOEXEC") {
            let within =
                self.tables.numbers(call.pid).into_iter().filter(|fd| (first..=last).contains(&i64::from(*fd)));
            within.for_each(|fd| self.release(call, fd));
        }
    }

    fn enter(&mut self, index: usize, call: &Call) {
        self.objects.roles[index] =
            call.descriptors().into_iter().map(|fd| (fd, self.object(call, fd, index))).collect();
        if call.name == "io_uring_enter" {
            let mut rings = std::mem::take(&mut self.rings);
            rings.submit(index, call, |fd| self.object(call, fd, index));
            self.rings = rings;
            for submission in call.ring_submissions().filter(|s| s.operation == "IORING_OP_CONNECT") {
                if let (Some(fd), Some(to)) = (submission.fd(), submission.address()) {
                    let id = self.object(call, fd, index);
                    self.objects.all[id].remote = to.inet();
                }
            }
        }
        let Some(id) = self.objects.first_of(index) else { return };
        if self.objects.all[id].kind == Kind::Epoll {
            let set = &mut self.objects.all[id];
            let listed = set.listed.get_or_insert_with(|| set.watched.iter().map(|(_, id)| *id).collect());
            self.objects.in_set.insert(index, Rc::clone(listed));
        }
        match call.name.as_str() {
            "connect" => {
                let object = &mut self.objects.all[id];
                let remote = call.address().and_then(SocketAddress::inet);
                // A second call on a socket that is connecting asks how it is getting on (connect(2), EALREADY).
                let is_asking = object.is_connecting && object.remote == remote;
                if !is_asking {
                    object.connect = Some(index);
                }
                object.is_connecting =
                    matches!(call.error(), Some("EINPROGRESS" | "EALREADY" | "EINTR" | "ERESTARTSYS"));
                object.remote = remote;
                if object.kind == Kind::Unknown && object.remote.is_some() {
                    object.kind = Kind::Tcp;
                }
            }
            "sendto" | "sendmsg" | "sendmmsg" => {
                let to = call.address().and_then(SocketAddress::inet);
                let object = &mut self.objects.all[id];
                if let (Some(_), Kind::Udp) = (to, object.kind) {
                    object.remote = to;
                }
            }
            "timerfd_settime" => {
                let object = &mut self.objects.all[id];
                object.kind = Kind::TimerFd;
                object.armed = call.timer_setting().filter(|(ns, _)| *ns > 0).map(|(ns, _)| (index, ns));
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
            ("close", Some(fd)) => self.release(call, fd),
            ("close_range", _) if call.value().is_some() => self.release_range(call),
            ("execve" | "execveat", _) if call.error().is_none() => {
                for object in self.tables.exec(call.pid) {
                    self.gone(object, (self.t_ns, Some(call.tid)));
                }
            }
            _ => {}
        }
        if call.name == "io_uring_enter" {
            self.objects.completed.insert(index, self.rings.complete(call));
        }
        self.objects.ready[index] = self.ready(index, call);
        self.objects.fired.extend(self.fired(index, call).map(|fired| (index, fired)));
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
                for fd in call.pair() {
                    self.make(call, fd, Kind::Internal, index);
                }
                return;
            }
            "dup" | "dup2" | "dup3" | "fcntl" => return self.copied(index, call, value),
            _ => return,
        };
        let listener = self.objects.first_of(index);
        let id = self.make(call, value, kind, index);
        if call.name.starts_with("accept") {
            self.objects.all[id].remote = call.address().and_then(SocketAddress::inet);
            // An accepted socket has its listener's options (tcp(7), socket(7)).
            if let Some(listener) = listener {
                self.objects.all[id].options = self.objects.all[listener].options.clone();
            }
        }
    }

    fn copied(&mut self, index: usize, call: &Call, made: i32) {
        let is_copy = call.name != "fcntl" || call.has_symbol("F_DUPFD");
        let Some(id) = self.objects.first_of(index).filter(|_| is_copy) else { return };
        if call.fd() != Some(made) {
            self.release(call, made);
            self.tables.open((call.pid, made), id, call.closes_on_exec(), self.t_ns);
        }
    }

    fn watch(&mut self, call: &Call, set: i32, index: usize) {
        let Some((target, data)) = call.epoll_target() else { return };
        let (set, id) = (self.object(call, set, index), self.object(call, target, index));
        self.objects.all[set].kind = Kind::Epoll;
        self.objects.all[set].listed = None;
        let watched = &mut self.objects.all[set].watched;
        if !call.has_symbol("EPOLL_CTL_ADD") {
            watched.retain(|(_, object)| *object != id);
        }
        if !call.has_symbol("EPOLL_CTL_DEL") {
            watched.push((data, id));
        }
        if !self.sets.contains(&set) {
            self.sets.push(set);
        }
    }

    fn ready(&self, index: usize, call: &Call) -> Vec<Ready> {
        let roles = &self.objects.roles[index];
        let set = roles.first().map(|(_, id)| &self.objects.all[*id]).filter(|object| object.kind == Kind::Epoll);
        let named = |named: i64| -> Vec<ObjectId> {
            match set {
                Some(set) => set.watched.iter().filter(|(data, _)| *data == named).map(|(_, id)| *id).collect(),
                None => roles.iter().find(|(fd, _)| i64::from(*fd) == named).map(|(_, id)| *id).into_iter().collect(),
            }
        };
        let found = call.ready().into_iter();
        found
            .flat_map(|(n, is_error)| named(n).into_iter().map(move |object| Ready { object, named: n, is_error }))
            .collect()
    }

    /// A timerfd that was ready, or was read.
    fn fired(&self, index: usize, call: &Call) -> Option<Fired> {
        let read = (call.name == "read" && call.value().is_some()).then(|| self.objects.first_of(index)).flatten();
        let mut ready = self.objects.ready[index].iter().map(|ready| ready.object).chain(read);
        let timer = ready.find(|id| self.objects.all[*id].kind == Kind::TimerFd)?;
        let (armed_by, armed_for_ns) = self.objects.all[timer].armed?;
        Some(Fired { timer, armed_by, armed_for_ns })
    }
}

fn socket_kind(call: &Call) -> Kind {
    if !call.has_symbol("AF_INET") {
        return Kind::OtherSocket;
    }
    if call.has_symbol("SOCK_DGRAM") || call.has_symbol("SOCK_RAW") { Kind::Udp } else { Kind::Tcp }
}
