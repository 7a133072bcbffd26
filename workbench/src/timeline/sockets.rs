//! The command's connections: which `connect` on which descriptor, how it came out, and when the descriptor was let go.
//!
//! Follows descriptors through `socket`, `dup`, `close` and processes. Makes no text.

use std::collections::BTreeMap;

use super::waits::ready;
use crate::evidence::{Arg, Call, Evidence, SocketAddress};

/// One `connect` of a stream socket.
#[derive(Debug)]
pub struct Connection {
    /// Index of the `connect` call.
    pub call: usize,
    /// Where to.
    pub remote: SocketAddress,
    /// Process and number of every descriptor it had.
    pub descriptors: Vec<(u32, i32)>,
    /// How it came out; `None` if nobody ever looked.
    pub outcome: Option<Outcome>,
    /// When its last descriptor was closed and by which thread; `None` if the run ended first.
    pub released: Option<(i64, u32)>,
    /// TCP_SYNCNT, where the program set it.
    pub syn_count: Option<u32>,
    /// Whether a read returned 0: the program has seen the peer's FIN.
    pub has_read_to_the_end: bool,
}

/// How a connect came out, at the first moment the program could know.
#[derive(Debug)]
pub struct Outcome {
    /// When.
    pub t_ns: i64,
    /// Index of the call that could tell.
    pub call: usize,
    /// What it said.
    pub how: How,
}

/// The ways a connect comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum How {
    /// Established.
    Connected,
    /// An errno by name; `None` if the program saw that it failed and did not ask why.
    Failed(Option<String>),
    /// A signal's handler ended the call.
    Interrupted,
}

/// All connections and, for each call, which of its descriptors is which connection.
#[derive(Debug)]
pub struct Sockets {
    /// In the order they were begun.
    pub connections: Vec<Connection>,
    roles: Vec<Vec<(i32, usize)>>,
}

impl Sockets {
    /// Follows the descriptors of a run.
    pub fn new(evidence: &Evidence) -> Self {
        let mut walk = Walk::new(evidence);
        for (index, is_exit) in steps(evidence) {
            let call = &evidence.calls[index];
            walk.adopt(call.pid);
            match (is_exit, call.exit_ns) {
                (false, _) => walk.entry(index, call),
                (true, Some(exit_ns)) => walk.exit(index, call, exit_ns),
                (true, None) => {}
            }
        }
        walk.finish();
        Self { connections: walk.connections, roles: walk.roles }
    }

    /// The connection behind a descriptor of the call at this index.
    pub fn of(&self, call: usize, fd: i32) -> Option<usize> {
        self.roles[call].iter().find(|(known, _)| *known == fd).map(|(_, connection)| *connection)
    }

    /// The connection that the call at this index began.
    pub fn begun_by(&self, call: usize) -> Option<usize> {
        self.connections.iter().position(|c| c.call == call)
    }

    /// Whether nobody saw a FIN of this connection's peer: the program never read to the end, and let go of the
    /// connection so soon that the FIN might as well have come afterwards. `end_ns` is when the command ended.
    pub fn ignores_fin(&self, connection: usize, arrived_ns: i64, end_ns: i64) -> bool {
        const HELD_NS: i64 = 350_000_000;
        let connection = &self.connections[connection];
        let let_go_ns = connection.released.map_or(end_ns, |(t_ns, _)| t_ns);
        !connection.has_read_to_the_end && let_go_ns - arrived_ns < HELD_NS
    }

    /// How many connections had begun before the call with this index.
    pub fn begun_before(&self, call: usize) -> usize {
        self.connections.partition_point(|c| c.call < call)
    }
}

/// Entries and returns of all calls in the order they happened. Within one stamp a thread's calls do not overlap.
fn steps(evidence: &Evidence) -> Vec<(usize, bool)> {
    let mut steps = Vec::with_capacity(evidence.calls.len() * 2);
    for (index, call) in evidence.calls.iter().enumerate() {
        steps.push((call.entry_ns, index, false));
        steps.extend(call.exit_ns.map(|exit_ns| (exit_ns, index, true)));
    }
    steps.sort_unstable();
    steps.into_iter().map(|(_, index, is_exit)| (index, is_exit)).collect()
}

/// A look that may have shown how a connect came out: when, by which call, and whether an error was among the events.
type Sign = (i64, usize, bool);

struct Walk<'a> {
    evidence: &'a Evidence,
    connections: Vec<Connection>,
    roles: Vec<Vec<(i32, usize)>>,
    /// Connection behind a process's descriptor.
    open: BTreeMap<(u32, i32), usize>,
    /// Descriptors that are datagram sockets: their `connect` sends nothing and waits for nothing.
    datagram: BTreeMap<(u32, i32), bool>,
    syn_counts: BTreeMap<(u32, i32), u32>,
    signs: BTreeMap<usize, Sign>,
    /// `connect` calls that a signal interrupted and nobody began again: return and index.
    interrupted: BTreeMap<usize, (i64, usize)>,
    known: Vec<u32>,
}

impl<'a> Walk<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        Self {
            evidence,
            connections: Vec::new(),
            roles: vec![Vec::new(); evidence.calls.len()],
            open: BTreeMap::new(),
            datagram: BTreeMap::new(),
            syn_counts: BTreeMap::new(),
            signs: BTreeMap::new(),
            interrupted: BTreeMap::new(),
            known: Vec::new(),
        }
    }

    /// A process that is seen for the first time has what its parent has open.
    fn adopt(&mut self, pid: u32) {
        if self.known.contains(&pid) {
            return;
        }
        self.known.push(pid);
        let processes = &self.evidence.processes;
        let parent_tid = processes.iter().find(|p| p.tid == pid).map_or(0, |p| p.parent_tid);
        let Some(parent) = processes.iter().find(|p| p.tid == parent_tid).map(|p| p.pid) else { return };
        let inherited: Vec<_> = self.open.range((parent, i32::MIN)..=(parent, i32::MAX)).collect();
        let inherited: Vec<_> = inherited.into_iter().map(|((_, fd), c)| ((pid, *fd), *c)).collect();
        for (key, connection) in inherited {
            self.hold(key, connection);
        }
    }

    fn entry(&mut self, index: usize, call: &Call) {
        if call.name == "connect" {
            self.begin(index, call);
        }
        let fds = call.args.iter().flat_map(descriptors);
        let roles = fds.filter_map(|fd| self.open.get(&(call.pid, fd)).map(|connection| (fd, *connection)));
        self.roles[index] = roles.collect();
    }

    fn begin(&mut self, index: usize, call: &Call) {
        let (Some(fd), Some(remote)) = (call.fd(), call.address()) else { return };
        let key = (call.pid, fd);
        let is_remote =
            matches!(remote, SocketAddress::Inet { .. } | SocketAddress::Scoped { .. } | SocketAddress::Unix(_));
        let is_stream = is_remote && !self.datagram.get(&key).copied().unwrap_or(false);
        let pending = self.open.get(&key).filter(|c| self.connections[**c].outcome.is_none());
        if let Some(connection) = pending.filter(|c| self.connections[**c].remote == *remote) {
            self.interrupted.remove(connection);
            return;
        }
        if !is_stream {
            return;
        }
        self.release(key, call.entry_ns, call.tid);
        let syn_count = self.syn_counts.get(&key).copied();
        self.connections.push(Connection {
            call: index,
            remote: remote.clone(),
            descriptors: Vec::new(),
            outcome: None,
            released: None,
            syn_count,
            has_read_to_the_end: false,
        });
        self.hold(key, self.connections.len() - 1);
    }

    fn exit(&mut self, index: usize, call: &Call, exit_ns: i64) {
        let name = call.name.as_str();
        if let ("socket" | "accept" | "accept4" | "dup" | "dup2" | "dup3" | "fcntl", Some(made)) = (name, call.value())
        {
            self.make(call, i32::try_from(made).unwrap_or(-1), exit_ns);
        }
        if name == "close"
            && let Some(fd) = call.fd()
        {
            self.release((call.pid, fd), exit_ns, call.tid);
        }
        if let ("setsockopt", Some(fd), true) = (name, call.fd(), has_symbol(call, "TCP_SYNCNT")) {
            let count = integer(call).and_then(|n| u32::try_from(n).ok());
            self.syn_counts.extend(count.map(|n| ((call.pid, fd), n)));
        }
        for (fd, is_error) in ready(call) {
            let connection = i32::try_from(fd).ok().and_then(|fd| self.open.get(&(call.pid, fd)));
            if let Some(connection) = connection.filter(|c| self.connections[**c].outcome.is_none()) {
                let sign = self.signs.entry(*connection).or_insert((exit_ns, index, false));
                sign.2 |= is_error;
            }
        }
        let of_call = call.fd().and_then(|fd| self.open.get(&(call.pid, fd)).copied());
        if let (Some(connection), "read" | "readv" | "recvfrom" | "recvmsg", Some(0)) = (of_call, name, call.value()) {
            self.connections[connection].has_read_to_the_end = true;
        }
        if let Some(connection) = of_call.filter(|c| self.connections[*c].outcome.is_none()) {
            match told_by(call) {
                Some(How::Interrupted) => {
                    self.interrupted.insert(connection, (exit_ns, index));
                }
                Some(how) => self.settle(connection, (exit_ns, index), how),
                None => {}
            }
        }
    }

    /// A call that returned a descriptor: whatever had this number before is gone.
    fn make(&mut self, call: &Call, made: i32, exit_ns: i64) {
        let copied = match (call.name.as_str(), call.fd()) {
            ("dup" | "dup2" | "dup3", Some(fd)) => Some(fd),
            ("fcntl", Some(fd)) if has_symbol(call, "F_DUPFD") => Some(fd),
            ("fcntl", _) => return,
            _ => None,
        };
        if copied == Some(made) {
            return;
        }
        let key = (call.pid, made);
        self.release(key, exit_ns, call.tid);
        self.datagram.insert(key, has_symbol(call, "SOCK_DGRAM") || has_symbol(call, "SOCK_RAW"));
        self.syn_counts.remove(&key);
        if let Some(connection) = copied.and_then(|fd| self.open.get(&(call.pid, fd)).copied()) {
            self.hold(key, connection);
        }
    }

    fn hold(&mut self, key: (u32, i32), connection: usize) {
        self.open.insert(key, connection);
        self.connections[connection].descriptors.push(key);
    }

    /// The outcome stands at the first sign, whoever asked for the reason later.
    fn settle(&mut self, connection: usize, told: (i64, usize), how: How) {
        let (t_ns, call) = self.signs.remove(&connection).map_or(told, |(t_ns, call, _)| (t_ns, call));
        self.connections[connection].outcome = Some(Outcome { t_ns, call, how });
    }

    fn release(&mut self, key: (u32, i32), t_ns: i64, tid: u32) {
        let Some(connection) = self.open.remove(&key) else { return };
        if !self.open.values().any(|c| *c == connection) {
            if self.connections[connection].outcome.is_none() {
                self.give_up_asking(connection);
            }
            self.connections[connection].released = Some((t_ns, tid));
        }
    }

    /// Nobody will ask any more: what was seen last has to say it.
    fn give_up_asking(&mut self, connection: usize) {
        if let Some(&(t_ns, call, is_error)) = self.signs.get(&connection) {
            let how = if is_error { How::Failed(None) } else { How::Connected };
            self.settle(connection, (t_ns, call), how);
        } else if let Some(&told) = self.interrupted.get(&connection) {
            self.settle(connection, told, How::Interrupted);
        }
    }

    fn finish(&mut self) {
        for connection in 0..self.connections.len() {
            if self.connections[connection].outcome.is_none() {
                self.give_up_asking(connection);
            }
        }
    }
}

/// What a call on a pending connection's descriptor says about it, if anything.
fn told_by(call: &Call) -> Option<How> {
    match call.name.as_str() {
        "connect" => match call.error() {
            None => call.value().map(|_| How::Connected),
            Some("EISCONN") => Some(How::Connected),
            Some("EINPROGRESS" | "EALREADY" | "EAGAIN") => None,
            Some("ERESTARTSYS" | "ERESTARTNOINTR" | "ERESTARTNOHAND" | "EINTR") => Some(How::Interrupted),
            Some(error) => Some(How::Failed(Some(error.to_owned()))),
        },
        "getsockopt" if has_symbol(call, "SO_ERROR") && call.value().is_some() => match socket_error(call)? {
            error if error == "0" => Some(How::Connected),
            error => Some(How::Failed(Some(error))),
        },
        "getpeername" | "sendto" | "sendmsg" | "write" | "writev" | "recvfrom" | "recvmsg" | "read" | "readv" => {
            match call.error() {
                None => Some(How::Connected),
                Some("ENOTCONN" | "EAGAIN") => None,
                Some(error) => Some(How::Failed(Some(error.to_owned()))),
            }
        }
        _ => None,
    }
}

/// SO_ERROR as `getsockopt` stored it: an errno's name, or `0`.
fn socket_error(call: &Call) -> Option<String> {
    call.args.iter().find_map(|arg| match arg {
        Arg::List(list) => match list.first()? {
            Arg::Symbol(name) => Some(name.clone()),
            Arg::Int(0) => Some("0".into()),
            Arg::Int(errno) => Some(format!("{:?}", nix::errno::Errno::from_raw(i32::try_from(*errno).ok()?))),
            _ => None,
        },
        _ => None,
    })
}

/// An option's value: `[5]`.
fn integer(call: &Call) -> Option<i64> {
    call.args.iter().find_map(|arg| match arg {
        Arg::List(list) => list.iter().find_map(|item| match item {
            Arg::Int(n) => Some(*n),
            _ => None,
        }),
        _ => None,
    })
}

/// Whether `symbol` is among the constants of a call.
fn has_symbol(call: &Call, symbol: &str) -> bool {
    call.args.iter().any(|arg| matches!(arg, Arg::Symbol(names) if names.split('|').any(|n| n.starts_with(symbol))))
}

fn descriptors(arg: &Arg) -> Vec<i32> {
    match arg {
        Arg::Fd(fd) => vec![*fd],
        Arg::Poll(entries) => entries.iter().filter_map(|e| i32::try_from(e.fd).ok()).collect(),
        Arg::FdSet { asked, .. } => asked.clone(),
        _ => Vec::new(),
    }
}
