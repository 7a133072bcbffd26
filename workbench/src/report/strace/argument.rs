//! One argument as strace prints it.

use std::net::{IpAddr, Ipv6Addr};

use super::quote;
use crate::evidence::{Arg, PollEntry, SocketAddress, TimeForm};

/// An argument of the call with this name, which decides how an epoll result looks.
pub fn argument(call: &str, arg: &Arg) -> String {
    match arg {
        Arg::Fd(fd) => fd.to_string(),
        Arg::Int(value) => value.to_string(),
        Arg::Symbol(name) => name.clone(),
        Arg::Pointer(0) => "NULL".to_owned(),
        Arg::Pointer(address) => format!("{address:#x}"),
        Arg::Bytes { head, total } => quote::bytes(head, *total),
        Arg::Text(path) => quote::path(path),
        Arg::Texts(texts) => quote::list(texts.iter().map(|text| quote::text(text))),
        Arg::Environment { address, count: 1 } => format!("{address:#x} /* 1 var */"),
        Arg::Environment { address, count } => format!("{address:#x} /* {count} vars */"),
        Arg::Address(address) => socket_address(address),
        Arg::Length { .. } => format!("[{}]", length(call, arg)),
        Arg::Poll(entries) if call.starts_with("epoll") => quote::list(entries.iter().map(epoll_event)),
        Arg::Poll(entries) => quote::list(entries.iter().map(poll_entry)),
        Arg::FdSet { asked, .. } => descriptors(asked),
        Arg::Timeout { ns, form, at_ns, .. } => match (at_ns.or(*ns), form) {
            (Some(ns), form) => time(ns, *form),
            (None, TimeForm::Ms) => "-1".to_owned(),
            (None, _) => "NULL".to_owned(),
        },
        Arg::Timer { value_ns, interval_ns, form, at_ns } => {
            let (interval, value) = (time(*interval_ns, *form), time(at_ns.unwrap_or(*value_ns), *form));
            format!("{{it_interval={interval}, it_value={value}}}")
        }
        Arg::Struct(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, arg)| format!("{name}={}", member(call, arg))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Arg::List(items) => quote::list(items.iter().map(|item| argument(call, item))),
        Arg::Resumes(name) => format!("<... resuming interrupted {name} ...>"),
    }
}

/// A member of a structure: a length stands there by itself, not by address.
fn member(call: &str, arg: &Arg) -> String {
    match arg {
        Arg::Length { .. } => length(call, arg),
        other => argument(call, other),
    }
}

/// A length before and after, where the kernel changed it. `sendfile`'s offset is always given twice.
fn length(call: &str, arg: &Arg) -> String {
    match arg {
        Arg::Length { given, returned: Some(returned) } if call == "sendfile" => format!("{given}] => [{returned}"),
        Arg::Length { given, returned: Some(returned) } if given != returned => format!("{given} => {returned}"),
        Arg::Length { given, .. } => given.to_string(),
        other => argument(call, other),
    }
}

/// A `select` set.
pub fn descriptors(fds: &[i32]) -> String {
    let fds: Vec<String> = fds.iter().map(i32::to_string).collect();
    format!("[{}]", fds.join(" "))
}

fn poll_entry(entry: &PollEntry) -> String {
    match entry {
        // poll(2): a negative descriptor is skipped.
        PollEntry { fd: ..0, .. } => format!("{{fd={}}}", entry.fd),
        PollEntry { fd, events, .. } => format!("{{fd={fd}, events={events}}}"),
    }
}

fn epoll_event(entry: &PollEntry) -> String {
    let (data, events) = (entry.fd.cast_unsigned(), &entry.revents);
    format!("{{events={events}, data={{u32={}, u64={data}}}}}", data & 0xffff_ffff)
}

/// A length of time or an instant.
pub fn time(ns: u64, form: TimeForm) -> String {
    let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    match form {
        TimeForm::Ms => (ns / 1_000_000).to_string(),
        TimeForm::S => seconds.to_string(),
        TimeForm::Timeval => format!("{{tv_sec={seconds}, tv_usec={}}}", rest / 1_000),
        TimeForm::Timespec => format!("{{tv_sec={seconds}, tv_nsec={rest}}}"),
    }
}

fn socket_address(address: &SocketAddress) -> String {
    match address {
        SocketAddress::Inet { ip: IpAddr::V4(ip), port } => {
            format!("{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")}}")
        }
        SocketAddress::Inet { ip: IpAddr::V6(ip), port } => inet6(ip, *port, 0),
        SocketAddress::Scoped { ip, port, scope_id } => inet6(ip, *port, *scope_id),
        SocketAddress::Unix(path) => match path.strip_prefix('@') {
            _ if path.is_empty() => "{sa_family=AF_UNIX}".to_owned(),
            Some(name) => format!("{{sa_family=AF_UNIX, sun_path=@{}}}", quote::path(name)),
            None => format!("{{sa_family=AF_UNIX, sun_path={}}}", quote::path(path)),
        },
        SocketAddress::Netlink { pid, groups } => {
            // C's %#08x: a zero has no prefix.
            let groups = if *groups == 0 { "00000000".to_owned() } else { format!("{groups:#08x}") };
            format!("{{sa_family=AF_NETLINK, nl_pid={pid}, nl_groups={groups}}}")
        }
        SocketAddress::Unspec => "{sa_family=AF_UNSPEC}".to_owned(),
        SocketAddress::Other(family) => match i32::from(*family) {
            libc::AF_INET => "{sa_family=AF_INET}".to_owned(),
            libc::AF_INET6 => "{sa_family=AF_INET6}".to_owned(),
            libc::AF_NETLINK => "{sa_family=AF_NETLINK}".to_owned(),
            libc::AF_PACKET => "{sa_family=AF_PACKET}".to_owned(),
            _ => format!("{{sa_family={family:#x}}}"),
        },
    }
}

fn inet6(ip: &Ipv6Addr, port: u16, scope_id: u32) -> String {
    format!(
        "{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl(0), \
         inet_pton(AF_INET6, \"{ip}\", &sin6_addr), sin6_scope_id={scope_id}}}"
    )
}
