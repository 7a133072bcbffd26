//! What a call's arguments say: constants, the value of an option, what was asked about and what was ready.
//!
//! Only what stands there. What a descriptor means at that moment is for those who follow descriptors.

use std::net::SocketAddr;

use super::call::{Arg, Call, SocketAddress};
use super::ring::member;

impl SocketAddress {
    /// Address and port of an IPv4 or IPv6 socket's address. An IPv4 address that a program wrote into an IPv6
    /// socket's (RFC 4291, 2.5.5.2) travels as IPv4, and is one here.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet { ip, port } => Some(SocketAddr::new(ip.to_canonical(), *port)),
            Self::Scoped { ip, port, .. } => Some(SocketAddr::new((*ip).into(), *port)),
            _ => None,
        }
    }
}

impl Call {
    /// Whether a constant that begins like this is among the arguments: `AF_INET` finds `AF_INET6` too.
    pub fn has_symbol(&self, symbol: &str) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Symbol(names) if names.split('|').any(|n| n.starts_with(symbol))))
    }

    /// Whether the descriptor that it makes closes when its process executes another program (open(2), O_CLOEXEC).
    pub fn closes_on_exec(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Symbol(names) if names.contains("CLOEXEC")))
    }

    /// The descriptors that it works on or asks about. What `epoll_wait` returns are none: it holds what the program
    /// gave with each.
    pub fn descriptors(&self) -> Vec<i32> {
        let is_epoll = self.name.starts_with("epoll");
        let of = |arg: &Arg| match arg {
            Arg::Fd(fd) => vec![*fd],
            Arg::Poll(entries) if !is_epoll => entries.iter().filter_map(|e| i32::try_from(e.fd).ok()).collect(),
            Arg::FdSet { asked, .. } => asked.clone(),
            _ => Vec::new(),
        };
        self.args.iter().flat_map(of).filter(|fd| *fd >= 0).collect()
    }

    /// What was ready when a wait returned: descriptor (of `epoll_wait`, what the program gave with it) and whether an
    /// error was among the events.
    pub fn ready(&self) -> Vec<(i64, bool)> {
        let mut ready = Vec::new();
        for arg in &self.args {
            match arg {
                Arg::Poll(entries) => {
                    let happened = entries.iter().filter(|e| !e.revents.is_empty());
                    ready.extend(happened.map(|e| (e.fd, e.revents.contains("ERR") || e.revents.contains("HUP"))));
                }
                Arg::FdSet { ready: set, .. } => ready.extend(set.iter().map(|fd| (i64::from(*fd), false))),
                _ => {}
            }
        }
        ready
    }

    /// Two descriptors that `socketpair` or `pipe` made.
    pub fn pair(&self) -> Vec<i32> {
        let lists = self.args.iter().filter_map(|arg| match arg {
            Arg::List(items) => Some(items),
            _ => None,
        });
        let number = |item: &Arg| match item {
            Arg::Fd(fd) => Some(*fd),
            Arg::Int(n) => i32::try_from(*n).ok(),
            _ => None,
        };
        lists.flatten().filter_map(number).collect()
    }

    /// `epoll_ctl`: the descriptor that it is about, and what the program wants to be given back with it.
    pub fn epoll_target(&self) -> Option<(i32, i64)> {
        let target = self.args.iter().skip(1).find_map(|arg| match arg {
            Arg::Fd(fd) => Some(*fd),
            _ => None,
        })?;
        let data = self.args.iter().find_map(|arg| match arg {
            Arg::Struct(members) => match member(members, "data")? {
                Arg::Int(data) => Some(*data),
                // A union (epoll_ctl(2)): what comes back is all of it.
                Arg::Struct(union) => match member(union, "u64")? {
                    Arg::Int(data) => Some(*data),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
        Some((target, data.unwrap_or(i64::from(target))))
    }

    /// First expiry and interval of the timer that it sets; an expiry of 0 disarms.
    pub fn timer_setting(&self) -> Option<(u64, u64)> {
        self.args.iter().find_map(|arg| match arg {
            Arg::Timer { value_ns, interval_ns, .. } => Some((*value_ns, *interval_ns)),
            Arg::Timeout { ns, .. } => ns.map(|ns| (ns, 0)),
            _ => None,
        })
    }

    /// SO_ERROR as `getsockopt` stored it: an errno's name, or `0`.
    pub fn socket_error(&self) -> Option<String> {
        let is_asked = self.name == "getsockopt" && self.has_symbol("SO_ERROR") && self.value().is_some();
        self.args.iter().filter(|_| is_asked).find_map(|arg| match arg {
            Arg::List(list) => match list.first()? {
                Arg::Symbol(name) => Some(name.clone()),
                Arg::Int(0) => Some("0".into()),
                Arg::Int(errno) => Some(format!("{:?}", nix::errno::Errno::from_raw(i32::try_from(*errno).ok()?))),
                _ => None,
            },
            _ => None,
        })
    }

    /// Whether a signal ended it (signal(7)).
    pub fn is_interrupted(&self) -> bool {
        matches!(
            self.error(),
            Some("EINTR" | "ERESTARTSYS" | "ERESTARTNOINTR" | "ERESTARTNOHAND" | "ERESTART_RESTARTBLOCK")
        )
    }
}
