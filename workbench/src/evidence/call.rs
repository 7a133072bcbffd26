//! System calls, decoded far enough to be rendered as strace does and to be reasoned about.
//!
//! Arguments keep their structure (a descriptor is a descriptor, a timeout a length of time), because the verdict needs
//! to know which wait was armed for how long on which socket; text is made from them when somebody wants to read.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::ring::member;

/// One system call of one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Order of entry over all threads, from 0.
    pub seq: u64,
    /// Process id in the lab.
    pub pid: u32,
    /// Thread id in the lab.
    pub tid: u32,
    /// Kernel's name of the call: `connect`.
    pub name: String,
    /// Arguments, in order, with what the kernel wrote into them filled in after the return.
    pub args: Vec<Arg>,
    /// Result; `None` if it never returned (the process was gone first, or the run ended).
    pub result: Option<CallResult>,
    /// Entry, since zero.
    pub entry_ns: i64,
    /// Return, since zero.
    pub exit_ns: Option<i64>,
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallResult {
    /// A value, not an error.
    Value(i64),
    /// `-1` with this errno's name: `EINPROGRESS`. Kernel-only ones (`ERESTARTSYS`) included.
    Error(String),
}

/// A socket's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketAddress {
    /// AF_INET and AF_INET6.
    Inet {
        /// Address.
        ip: IpAddr,
        /// Port.
        port: u16,
    },
    /// AF_INET6 with a scope: the address belongs to one interface (`fe80::/10`).
    Scoped {
        /// Address.
        ip: Ipv6Addr,
        /// Port.
        port: u16,
        /// Interface index in the host's namespace.
        scope_id: u32,
    },
    /// AF_UNIX: a path, `@name` for an abstract one, empty for an unnamed one.
    Unix(String),
    /// AF_NETLINK.
    Netlink {
        /// nl_pid.
        pid: u32,
        /// nl_groups.
        groups: u32,
    },
    /// AF_UNSPEC: dissolves a datagram socket's association.
    Unspec,
    /// Anything else, by family number.
    Other(u16),
}

/// One entry of `poll` or an `epoll_wait` result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollEntry {
    /// Descriptor (for epoll, what `data` holds, as a number).
    pub fd: i64,
    /// Events asked for, by name: `POLLIN|POLLOUT`. Empty for an epoll result.
    pub events: String,
    /// Events that happened, by name; empty before the return and where nothing did.
    pub revents: String,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arg {
    /// A descriptor.
    Fd(i32),
    /// A number.
    Int(i64),
    /// A constant, flags or a signal set by name, as strace writes them: `SOCK_STREAM|SOCK_NONBLOCK`, `[INT TERM]`,
    /// `SO_RCVTIMEO_OLD`.
    Symbol(String),
    /// An address in memory, which says nothing outside its process; NULL is 0.
    Pointer(u64),
    /// Bytes, the first ones; `total` is the whole length.
    Bytes {
        /// The first bytes.
        #[serde(with = "super::bytes")]
        head: Vec<u8>,
        /// Length of all of it.
        total: u64,
    },
    /// Text: a path.
    Text(String),
    /// A list of texts: `execve`'s argv.
    Texts(Vec<String>),
    /// `execve`'s environment, counted only: its values are the machine's and may be secrets.
    Environment {
        /// Address in memory.
        address: u64,
        /// How many variables.
        count: u64,
    },
    /// A socket's address.
    Address(SocketAddress),
    /// A length passed by address, which the kernel changes: `socklen_t *`. In a message header, `msg_namelen`.
    Length {
        /// As passed in.
        given: i64,
        /// As it came back; `None` before the return and when the call failed.
        returned: Option<i64>,
    },
    /// `poll`'s set or `epoll_wait`'s result.
    Poll(Vec<PollEntry>),
    /// `select`'s set: descriptors, as passed in and as they came back.
    FdSet {
        /// Asked for.
        asked: Vec<i32>,
        /// Ready, after the return.
        ready: Vec<i32>,
    },
    /// A length of time that arms a wait; `None` is "for ever" (NULL, or -1 for `poll`).
    Timeout {
        /// How long. Where the call names an instant (`at_ns`), what lay between its entry and that instant.
        ns: Option<u64>,
        /// How the call writes it, for rendering: `ms`, `timeval`, `timespec`, `s`.
        form: TimeForm,
        /// The instant on the call's own clock, where it names one (TIMER_ABSTIME, FUTEX_WAIT_BITSET).
        at_ns: Option<u64>,
        /// What was left of it at the return, where the kernel writes that back (`select`, `pselect6`, `ppoll`).
        left_ns: Option<u64>,
    },
    /// An interval timer's setting: value and interval (`setitimer`, `timerfd_settime`, `timer_settime`).
    Timer {
        /// Until it fires; 0 disarms. Where the call names an instant (`at_ns`), what lay ahead of its entry.
        value_ns: u64,
        /// From then on, every.
        interval_ns: u64,
        /// As in [`Arg::Timeout`].
        form: TimeForm,
        /// The instant on the timer's own clock, where the call names one (TIMER_ABSTIME).
        at_ns: Option<u64>,
    },
    /// A structure with named members: `{events=EPOLLIN, data=5}`.
    Struct(Vec<(String, Arg)>),
    /// Several of something: an iovec, `[0]` of `getsockopt`.
    List(Vec<Arg>),
    /// `restart_syscall`: the interrupted call that the kernel takes up again.
    Resumes(String),
}

impl Arg {
    /// A length of time from the call's entry on.
    pub fn timeout(ns: Option<u64>, form: TimeForm) -> Self {
        Self::Timeout { ns, form, at_ns: None, left_ns: None }
    }

    /// The first of these arguments, or of what is inside them, for which `find` has an answer.
    fn find<'a, T>(args: &'a [Self], find: &impl Fn(&'a Self) -> Option<T>) -> Option<T> {
        args.iter().find_map(|arg| {
            find(arg).or_else(|| match arg {
                Self::List(items) => Self::find(items, find),
                Self::Struct(members) => members.iter().find_map(|(_, m)| Self::find(std::slice::from_ref(m), find)),
                _ => None,
            })
        })
    }
}

/// How a call writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeForm {
    /// Whole milliseconds (`poll`, `epoll_wait`).
    Ms,
    /// `struct timeval`.
    Timeval,
    /// `struct timespec`.
    Timespec,
    /// Whole seconds (`alarm`).
    S,
}

impl Call {
    /// The first descriptor among the arguments: the one a socket call works on.
    pub fn fd(&self) -> Option<i32> {
        self.args.iter().find_map(|a| match a {
            Arg::Fd(fd) => Some(*fd),
            _ => None,
        })
    }

    /// The first socket address among the arguments, message headers included.
    pub fn address(&self) -> Option<&SocketAddress> {
        Arg::find(&self.args, &|a| match a {
            Arg::Address(address) => Some(address),
            _ => None,
        })
    }

    /// The wait this call arms: `None` if it arms none, `Some(None)` for ever, `Some(Some(ns))` so long. A socket
    /// option's timeout arms nothing yet.
    pub fn timeout_ns(&self) -> Option<Option<u64>> {
        if matches!(self.name.as_str(), "setsockopt" | "getsockopt") {
            return None;
        }
        self.args.iter().find_map(|a| match a {
            Arg::Timeout { ns, .. } => Some(*ns),
            // What IORING_ENTER_EXT_ARG passes.
            Arg::Struct(members) if self.name == "io_uring_enter" => match member(members, "ts")? {
                Arg::Timeout { ns, .. } => Some(*ns),
                _ => None,
            },
            _ => None,
        })
    }

    /// The errno's name, if the call failed.
    pub fn error(&self) -> Option<&str> {
        match &self.result {
            Some(CallResult::Error(name)) => Some(name),
            _ => None,
        }
    }

    /// The value, if the call succeeded.
    pub fn value(&self) -> Option<i64> {
        match self.result {
            Some(CallResult::Value(value)) => Some(value),
            _ => None,
        }
    }
}
