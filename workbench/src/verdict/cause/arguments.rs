//! What the arguments of a call say: descriptors, addresses, times. It knows no other call.

use std::net::IpAddr;

use crate::evidence::{Arg, Call, SocketAddress};

/// First expiry of a timer that a call sets; `None` if it disarms.
pub fn setting_ns(call: &Call) -> Option<u64> {
    let ns = call.args.iter().find_map(|arg| match arg {
        Arg::Timer { value_ns, .. } => Some(*value_ns),
        Arg::Timeout { ns, .. } => *ns,
        _ => None,
    });
    ns.filter(|ns| *ns > 0)
}

/// `data` of epoll_ctl's `{events=EPOLLIN, data=5}`.
pub fn epoll_data(arg: &Arg) -> Option<i64> {
    let Arg::Struct(members) = arg else { return None };
    members.iter().find_map(|(name, value)| match value {
        Arg::Int(data) if name.starts_with("data") => Some(*data),
        _ => None,
    })
}

/// An address of the network, an IPv4 one as such (RFC 4291, 2.5.5.2).
pub fn inet(address: &SocketAddress) -> Option<(IpAddr, u16)> {
    match address {
        SocketAddress::Inet { ip, port } => Some((ip.to_canonical(), *port)),
        SocketAddress::Scoped { ip, port, .. } => Some(((*ip).into(), *port)),
        _ => None,
    }
}

/// Whether a constant that begins like this is among the arguments of a call.
pub fn has_symbol(call: &Call, symbol: &str) -> bool {
    call.args.iter().any(|arg| matches!(arg, Arg::Symbol(names) if names.split('|').any(|n| n.starts_with(symbol))))
}

/// The descriptors in an argument that a call looks at.
pub fn descriptors(arg: &Arg) -> Vec<i32> {
    match arg {
        Arg::Fd(fd) => vec![*fd],
        Arg::Poll(entries) => {
            entries.iter().filter(|e| !e.events.is_empty()).filter_map(|e| i32::try_from(e.fd).ok()).collect()
        }
        Arg::FdSet { asked, .. } => asked.clone(),
        _ => Vec::new(),
    }
}

/// The two descriptors that `socketpair` or `pipe` made.
pub fn pair(arg: &Arg) -> Vec<i32> {
    let Arg::List(items) = arg else { return Vec::new() };
    let number = |item: &Arg| match item {
        Arg::Fd(fd) => Some(*fd),
        Arg::Int(n) => i32::try_from(*n).ok(),
        _ => None,
    };
    items.iter().filter_map(number).collect()
}
