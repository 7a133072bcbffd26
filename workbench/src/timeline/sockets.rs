//! The command's connections: which `connect` on which descriptor, how it came out, and when the descriptor was let go.
//!
//! What is behind a descriptor is known already. Makes no text.

use std::collections::BTreeMap;

use super::objects::{Name, ObjectId, Objects};
use crate::evidence::{Call, Evidence, SocketAddress};

/// One `connect` of a stream socket.
#[derive(Debug)]
pub struct Connection {
    /// Index of the `connect` call.
    pub call: usize,
    /// Where to.
    pub remote: SocketAddress,
    /// The socket.
    pub object: ObjectId,
    /// How it came out; `None` if nobody ever looked.
    pub outcome: Option<Outcome>,
    /// When its last descriptor was closed and by which thread, or when the socket began another connection, or when
    /// the last process that had it ended; `None` if the run ended first.
    pub released: Option<(i64, Option<u32>)>,
    /// TCP_SYNCNT, where the program set it.
    pub syn_count: Option<u32>,
    /// TCP_USER_TIMEOUT in milliseconds, where the program set it.
    pub user_timeout_ms: Option<u64>,
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
    /// Follows the connections of a run over its calls.
    pub fn new(evidence: &Evidence, objects: &Objects) -> Self {
        let mut walk = Walk {
            evidence,
            objects,
            connections: Vec::new(),
            roles: vec![Vec::new(); evidence.calls.len()],
            current: BTreeMap::new(),
            signs: BTreeMap::new(),
            interrupted: BTreeMap::new(),
        };
        for step in evidence.steps() {
            let call = &evidence.calls[step.call];
            if step.is_return { walk.exit(step.call, call, step.t_ns) } else { walk.entry(step.call, call) }
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
        self.connections.binary_search_by_key(&call, |c| c.call).ok()
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

/// A look that may have shown how a connect came out: when, by which call, and whether an error was among the events.
type Sign = (i64, usize, bool);

struct Walk<'a> {
    evidence: &'a Evidence,
    objects: &'a Objects,
    connections: Vec<Connection>,
    roles: Vec<Vec<(i32, usize)>>,
    /// The connection that a socket began last.
    current: BTreeMap<ObjectId, usize>,
    signs: BTreeMap<usize, Sign>,
    /// `connect` calls that a signal interrupted and nobody began again: return and index.
    interrupted: BTreeMap<usize, (i64, usize)>,
}

impl Walk<'_> {
    fn entry(&mut self, index: usize, call: &Call) {
        if call.name == "connect" {
            self.begin(index, call);
        }
        let ready = self.objects.ready(index).iter();
        let ready = ready.filter_map(|ready| Some((i32::try_from(ready.named).ok()?, ready.object)));
        let all = self.objects.of(index).iter().copied().chain(ready);
        self.roles[index] = all.filter_map(|(fd, object)| Some((fd, *self.current.get(&object)?))).collect();
    }

    fn begin(&mut self, index: usize, call: &Call) {
        let (Some(object), Some(remote)) = (self.objects.first_of(index), call.address()) else { return };
        if let Some(connection) = self.pending(object).filter(|c| self.connections[*c].remote == *remote) {
            self.interrupted.remove(&connection);
            return;
        }
        if !self.is_stream(object, remote) {
            return;
        }
        if let Some(earlier) = self.current.insert(object, self.connections.len()) {
            self.connections[earlier].released = Some((call.entry_ns, Some(call.tid)));
        }
        let option = |name| self.objects.get(object).options.at(name, index);
        let (syn_count, user_timeout) = (option(Name::SynCount), option(Name::UserTimeout));
        self.connections.push(Connection {
            call: index,
            remote: remote.clone(),
            object,
            outcome: None,
            released: None,
            syn_count: syn_count.and_then(|(count, _)| u32::try_from(count).ok()),
            user_timeout_ms: user_timeout.map(|(ms, _)| ms),
            has_read_to_the_end: false,
        });
    }

    /// A datagram socket's `connect` sends nothing and waits for nothing (udp(7), unix(7)).
    fn is_stream(&self, object: ObjectId, remote: &SocketAddress) -> bool {
        let made_by = &self.evidence.calls[self.objects.get(object).made_by];
        let is_remote = remote.inet().is_some() || matches!(remote, SocketAddress::Unix(_));
        is_remote && !made_by.has_symbol("SOCK_DGRAM") && !made_by.has_symbol("SOCK_RAW")
    }

    /// The connection of a socket, while nobody knows how it came out.
    fn pending(&self, object: ObjectId) -> Option<usize> {
        self.current.get(&object).copied().filter(|connection| self.connections[*connection].outcome.is_none())
    }

    fn exit(&mut self, index: usize, call: &Call, exit_ns: i64) {
        for ready in self.objects.ready(index) {
            if let Some(connection) = self.pending(ready.object) {
                let sign = self.signs.entry(connection).or_insert((exit_ns, index, false));
                sign.2 |= ready.is_error;
            }
        }
        let Some(object) = self.objects.first_of(index) else { return };
        let connection = self.current.get(&object).copied();
        let name = call.name.as_str();
        if let (Some(connection), "read" | "readv" | "recvfrom" | "recvmsg", Some(0)) = (connection, name, call.value())
        {
            self.connections[connection].has_read_to_the_end = true;
        }
        if let Some(connection) = self.pending(object) {
            match told_by(call) {
                Some(How::Interrupted) => {
                    self.interrupted.insert(connection, (exit_ns, index));
                }
                Some(how) => self.settle(connection, (exit_ns, index), how),
                None => {}
            }
        }
    }

    /// The outcome stands at the first sign, whoever asked for the reason later.
    fn settle(&mut self, connection: usize, told: (i64, usize), how: How) {
        let (t_ns, call) = self.signs.remove(&connection).map_or(told, |(t_ns, call, _)| (t_ns, call));
        self.connections[connection].outcome = Some(Outcome { t_ns, call, how });
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
        for number in 0..self.connections.len() {
            let connection = &mut self.connections[number];
            connection.released = connection.released.or(self.objects.get(connection.object).released);
            if connection.outcome.is_none() {
                self.give_up_asking(number);
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
            Some(_) if call.is_interrupted() => Some(How::Interrupted),
            Some(error) => Some(How::Failed(Some(error.to_owned()))),
        },
        "getsockopt" => match call.socket_error()? {
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
