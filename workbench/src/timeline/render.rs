//! A system call in words: as strace would write it, with roles for descriptors and without what differs from run to
//! run (addresses in memory, ephemeral ports, process ids).

use std::fmt::Write as _;

use super::escape::escape;
use super::flows::Flows;
use super::names::Names;
use super::sockets::Sockets;
use crate::evidence::{Arg, Call, CallResult, SocketAddress};

/// How much of a buffer or a path is shown, in characters.
const SHOWN: usize = 24;

/// What is needed to name things in a call.
pub(super) struct Renderer<'a> {
    pub names: &'a Names<'a>,
    pub sockets: &'a Sockets,
    pub flows: &'a Flows,
}

impl Renderer<'_> {
    /// `poll([server:80 POLLOUT], 1, 1 s) = 0`
    pub(super) fn call(&self, index: usize, call: &Call) -> String {
        let args: Vec<String> = call.args.iter().map(|arg| self.arg(index, call, arg)).collect();
        format!("{}({}) = {}", call.name, args.join(", "), self.result(call))
    }

    fn result(&self, call: &Call) -> String {
        match &call.result {
            None => "?".into(),
            Some(CallResult::Error(errno)) => format!("-1 {errno}"),
            // A process or thread id.
            Some(CallResult::Value(made)) if matches!(call.name.as_str(), "clone" | "clone3" | "fork" | "vfork") => {
                u32::try_from(*made).map_or_else(|_| "?".into(), |pid| self.names.process(pid).to_owned())
            }
            Some(CallResult::Value(value)) => value.to_string(),
        }
    }

    fn descriptor(&self, index: usize, fd: i64) -> String {
        let connection = i32::try_from(fd).ok().and_then(|fd| self.sockets.of(index, fd));
        connection.map_or_else(|| fd.to_string(), |connection| self.flows.label(connection).to_owned())
    }

    pub(super) fn arg(&self, index: usize, call: &Call, arg: &Arg) -> String {
        match arg {
            Arg::Fd(fd) => self.descriptor(index, i64::from(*fd)),
            Arg::Int(value) => value.to_string(),
            Arg::Symbol(names) => escape(names),
            Arg::Pointer(0) => "NULL".into(),
            Arg::Pointer(_) => "...".into(),
            Arg::Bytes { head, total } => bytes(head, *total),
            Arg::Text(text) => format!("\"{}\"", shortened(&escape(text))),
            Arg::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| format!("\"{}\"", escape(text))).collect();
                format!("[{}]", texts.join(", "))
            }
            Arg::Environment { .. } => "environment".into(),
            Arg::Address(address) => self.address(call, address),
            Arg::Length { given, returned } => returned.unwrap_or(*given).to_string(),
            Arg::Poll(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        let fd = self.descriptor(index, entry.fd);
                        let happened = if entry.revents.is_empty() { "" } else { " -> " };
                        format!("{fd} {}{happened}{}", entry.events, entry.revents)
                    })
                    .collect();
                format!("[{}]", entries.join(", "))
            }
            Arg::FdSet { asked, .. } => {
                let asked: Vec<String> = asked.iter().map(|fd| self.descriptor(index, i64::from(*fd))).collect();
                format!("[{}]", asked.join(" "))
            }
            Arg::Timeout { ns: None, .. } => "for ever".into(),
            Arg::Timeout { ns: Some(ns), .. } => duration(*ns),
            Arg::Timer { value_ns, interval_ns: 0, .. } => duration(*value_ns),
            Arg::Timer { value_ns, interval_ns, .. } => {
                format!("{}, then every {}", duration(*value_ns), duration(*interval_ns))
            }
            Arg::Resumes(interrupted) => format!("interrupted {}", escape(interrupted)),
            Arg::Struct(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name}={}", self.arg(index, call, value))).collect();
                format!("{{{}}}", members.join(", "))
            }
            Arg::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.arg(index, call, item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// A place for whom one asks, a host for oneself: one's own port is the kernel's choice, unless one binds it.
    pub(super) fn address(&self, call: &Call, address: &SocketAddress) -> String {
        match address {
            SocketAddress::Inet { ip, port } if call.name == "getsockname" => {
                format!("{}:{}", self.names.address(*ip), if *port == 0 { "0" } else { "port" })
            }
            SocketAddress::Inet { ip, port } => self.names.place(ip.to_canonical(), *port),
            SocketAddress::Scoped { ip, port, .. } => self.names.place((*ip).into(), *port),
            SocketAddress::Unix(path) => format!("\"{}\"", escape(path)),
            SocketAddress::Netlink { .. } => "netlink".into(),
            SocketAddress::Unspec => "AF_UNSPEC".into(),
            SocketAddress::Other(family) => format!("family {family}"),
        }
    }
}

/// A length of time in its largest unit that loses nothing: `2 s`, `198 ms`, `1.5 s`.
pub fn duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let unit = UNITS.iter().find(|(unit, _)| ns >= *unit);
    let Some((unit, name)) = unit else { return if ns == 0 { "0".into() } else { format!("{ns} ns") } };
    let mut text = format!("{}", ns / unit);
    let fraction = format!("{:09}", u128::from(ns % unit) * 1_000_000_000 / u128::from(*unit));
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        let _ = write!(text, ".{fraction}");
    }
    format!("{text} {name}")
}

fn bytes(head: &[u8], total: u64) -> String {
    let text = shortened(&escape(&String::from_utf8_lossy(head)));
    let is_whole = !text.ends_with("...") && total == head.len() as u64;
    format!("\"{text}\"{}", if is_whole || text.ends_with("...") { "" } else { "..." })
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let shown: String = text.chars().take(SHOWN).collect();
    format!("{shown}...")
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_duration_is_written_in_its_largest_unit_without_loss() {
        let cases = [(0, "0"), (7, "7 ns"), (1_500, "1.5 us"), (198_000_000, "198 ms"), (2_000_000_000, "2 s")];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(duration(133_000_000_001), "133.000000001 s");
    }
}
