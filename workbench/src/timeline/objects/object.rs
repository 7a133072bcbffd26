//! The objects of a run, and which of them each call worked on, waited for, found ready. Following makes them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use super::options::Options;
use super::rings::Completed;

/// Number of an object.
pub type ObjectId = usize;

/// Something behind one or more descriptors.
#[derive(Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Index of the last `connect` on it that began a connection.
    pub connect: Option<usize>,
    /// Index of the call that made it, or of the first one that was seen to work on it.
    pub made_by: usize,
    /// Where it is connected to, or was sent to last.
    pub remote: Option<SocketAddr>,
    /// Socket options, as they were set.
    pub options: Options,
    /// When its last descriptor was closed and by which thread, or when the last process that had one ended; `None` if
    /// the run ended first.
    pub released: Option<(i64, Option<u32>)>,
    /// Whether that one had not come out, as far as the walk has come.
    pub(super) is_connecting: bool,
    /// Where a timerfd was armed last: call and value, as far as the walk has come.
    pub(super) armed: Option<(usize, u64)>,
    /// The same as [`Self::watched`] as a list, made when it is asked for and gone when the set changes: a loop asks often.
    pub(super) listed: Option<Rc<[ObjectId]>>,
    /// What an epoll set watches: what the program gave with it, and the object; as far as the walk has come.
    /// Two may have the same.
    pub(super) watched: Vec<(i64, ObjectId)>,
}

impl Object {
    pub(super) fn new(kind: Kind, made_by: usize) -> Self {
        Self {
            kind,
            connect: None,
            made_by,
            remote: None,
            options: Options::default(),
            released: None,
            is_connecting: false,
            armed: None,
            listed: None,
            watched: Vec::new(),
        }
    }
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

/// An object that was ready when a wait returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub object: ObjectId,
    /// The number by which the call names it: a descriptor, of `epoll_wait` what the program gave with it.
    pub named: i64,
    /// Whether an error was among the events.
    pub is_error: bool,
}

/// A timerfd that a wait found expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// Which.
    pub timer: ObjectId,
    /// Index of the call that had armed it.
    pub armed_by: usize,
    /// For how long.
    pub armed_for_ns: u64,
}

/// All objects, and which of them each call worked on.
#[derive(Debug)]
pub struct Objects {
    pub(super) all: Vec<Object>,
    /// By call: descriptor and object, of every descriptor among its arguments.
    pub(super) roles: Vec<Vec<(i32, ObjectId)>>,
    /// By call: what was ready at its return.
    pub(super) ready: Vec<Vec<Ready>>,
    /// By call: the timerfd that had expired at its return.
    pub(super) fired: BTreeMap<usize, Fired>,
    /// By call: what had gone through an io_uring and was done at its return.
    pub(super) completed: BTreeMap<usize, Vec<Completed>>,
    /// By call that waits for an epoll set: what was in it.
    pub(super) in_set: BTreeMap<usize, Rc<[ObjectId]>>,
    /// By object: the calls whose first descriptor it is, in the order of their entry.
    pub(super) calls: Vec<Vec<usize>>,
}

impl Objects {
    /// An object.
    pub fn get(&self, id: ObjectId) -> &Object {
        &self.all[id]
    }

    /// All objects' numbers.
    pub fn ids(&self) -> std::ops::Range<ObjectId> {
        0..self.all.len()
    }

    /// Descriptor and object of every descriptor that a call works on or asks about.
    pub fn of(&self, call: usize) -> &[(i32, ObjectId)] {
        &self.roles[call]
    }

    /// The object of a call's first descriptor.
    pub fn first_of(&self, call: usize) -> Option<ObjectId> {
        self.roles[call].first().map(|(_, id)| *id)
    }

    /// The calls whose first descriptor leads to an object, in the order of their entry.
    pub fn calls_on(&self, id: ObjectId) -> &[usize] {
        &self.calls[id]
    }

    pub(super) fn list_calls(&mut self) {
        self.calls = vec![Vec::new(); self.all.len()];
        for (index, roles) in self.roles.iter().enumerate() {
            if let Some((_, id)) = roles.first() {
                self.calls[*id].push(index);
            }
        }
    }

    /// What was ready when a call returned.
    pub fn ready(&self, call: usize) -> &[Ready] {
        &self.ready[call]
    }

    /// The timerfd that a call found expired.
    pub fn fired(&self, call: usize) -> Option<Fired> {
        self.fired.get(&call).copied()
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
