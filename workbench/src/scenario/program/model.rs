//! A socket program, typed: what each step calls, on which of its sockets, and what should come of it.

use std::net::IpAddr;

use miette::SourceSpan;
use serde::{Deserialize, Serialize};

use crate::scenario::address::Family;
use crate::scenario::cause::Cause;
use crate::scenario::span::Spanned;

/// `program NAME in=HOST { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Its name.
    pub name: Spanned<String>,
    /// The host it runs in.
    pub host: Spanned<String>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// How many different sockets it names.
    pub sockets: usize,
    /// The node.
    pub span: SourceSpan,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub call: Call,
    /// What should come of it.
    pub expected: Expected,
    /// As the scenario writes it, in one line.
    pub text: String,
    /// The node.
    pub span: SourceSpan,
}

/// What a step does. Sockets are numbered in the order in which the program first names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// socket(2).
    Socket {
        /// Which.
        socket: usize,
        /// Of what kind.
        kind: SocketKind,
        /// SOCK_NONBLOCK.
        is_nonblocking: bool,
    },
    /// setsockopt(2).
    SetOption {
        /// Which.
        socket: usize,
        /// Level.
        level: i32,
        /// Option.
        name: i32,
        /// To what.
        value: OptionValue,
    },
    /// getsockopt(2).
    GetOption {
        /// Which.
        socket: usize,
        /// Level.
        level: i32,
        /// Option.
        name: i32,
    },
    /// bind(2).
    Bind {
        /// Which.
        socket: usize,
        /// To what; without an address to any.
        to: Endpoint,
    },
    /// listen(2).
    Listen {
        /// Which.
        socket: usize,
        /// How many connections may wait.
        backlog: i32,
    },
    /// accept(2).
    Accept {
        /// The listening one.
        socket: usize,
        /// What it makes.
        made: usize,
    },
    /// connect(2).
    Connect {
        /// Which.
        socket: usize,
        /// To whom.
        to: Endpoint,
    },
    /// One send(2).
    Send {
        /// Which.
        socket: usize,
        /// These bytes; otherwise so many of no meaning.
        text: Option<String>,
        /// How many.
        bytes: u64,
        /// Its flags: MSG_NOSIGNAL or none.
        is_without_signal: bool,
    },
    /// One recv(2).
    Receive {
        /// Which.
        socket: usize,
        /// Room for so many.
        bytes: u64,
    },
    /// recv(2) until it returns 0 or fails.
    Drain {
        /// Which.
        socket: usize,
    },
    /// shutdown(2).
    Shutdown {
        /// Which.
        socket: usize,
        /// What of it.
        direction: Direction,
    },
    /// close(2).
    Close {
        /// Which.
        socket: usize,
    },
    /// dup(2).
    Duplicate {
        /// Which.
        socket: usize,
        /// What it makes.
        made: usize,
    },
    /// poll(2) on one socket.
    Poll {
        /// Which.
        socket: usize,
        /// For what.
        readiness: Readiness,
        /// For how long; `None`: as long as it takes.
        timeout_ms: Option<i32>,
    },
    /// clock_nanosleep(2).
    Sleep {
        /// For how long.
        duration_ns: u64,
    },
    /// sigaction(2) of SIGPIPE.
    Sigpipe {
        /// SIG_IGN, otherwise SIG_DFL.
        is_ignored: bool,
    },
    /// A named place that others wait for.
    Reach {
        /// Its name.
        name: String,
    },
    /// Waits for a socket's state or another program's step.
    Wait {
        /// For what.
        cause: Cause,
    },
}

/// An address and a port. The plan finds the address of a host that is given by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// A host's name.
    pub host: Option<String>,
    /// The address.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The socket's family.
    pub family: Family,
}

/// Protocol and family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketKind {
    /// UDP, otherwise TCP.
    pub is_udp: bool,
    /// Family.
    pub family: Family,
}

/// What a socket option is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionValue {
    /// An int.
    Number(i32),
    /// A `struct timeval`.
    Time {
        /// How long; 0 is for ever.
        ns: u64,
    },
    /// A `struct linger`; `None` is off.
    Linger(Option<i32>),
    /// A text.
    Text(String),
}

/// Which half of a connection is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}

/// What a socket is waited for to be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// POLLIN.
    In,
    /// POLLOUT.
    Out,
}

/// What should come of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Anything but an errno.
    #[default]
    Success,
    /// This value.
    Value(i64),
    /// This errno, by name.
    Errno(String),
}
