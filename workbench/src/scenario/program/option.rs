//! Socket options by their symbolic names, and the values that each takes.
//!
//! An option has one level, so the level is not written. What a value means is socket(7)'s, tcp(7)'s and ip(7)'s.

use super::model::OptionValue;
use crate::scenario::error::{Problem, quoted};
use crate::scenario::suggest::did_you_mean;
use crate::scenario::value::{Reading, Value};

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 0 or 1.
    Switch,
    /// A number.
    Number,
    /// A number of bytes.
    Bytes,
    /// A number of seconds.
    Seconds,
    /// A number of milliseconds.
    Milliseconds,
    /// `struct timeval`.
    Time,
    /// `struct linger`.
    Linger,
    /// How path MTU discovery is done.
    Discovery,
    /// A text.
    Text,
    /// Can only be read.
    ReadOnly,
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub(super) struct SocketOption {
    /// Its name.
    pub(super) name: &'static str,
    /// Its level.
    pub(super) level: i32,
    /// Its number.
    pub(super) number: i32,
    /// What its value is.
    pub(super) kind: Kind,
}

const fn option(name: &'static str, level: i32, number: i32, kind: Kind) -> SocketOption {
    SocketOption { name, level, number, kind }
}

use libc::{IPPROTO_IP as IP, IPPROTO_IPV6 as IPV6, IPPROTO_TCP as TCP, SOL_SOCKET as SO};

const OPTIONS: &[SocketOption] = &[
    option("SO_REUSEADDR", SO, libc::SO_REUSEADDR, Kind::Switch),
    option("SO_REUSEPORT", SO, libc::SO_REUSEPORT, Kind::Switch),
    option("SO_KEEPALIVE", SO, libc::SO_KEEPALIVE, Kind::Switch),
    option("SO_BROADCAST", SO, libc::SO_BROADCAST, Kind::Switch),
    option("SO_DONTROUTE", SO, libc::SO_DONTROUTE, Kind::Switch),
    option("SO_OOBINLINE", SO, libc::SO_OOBINLINE, Kind::Switch),
    option("SO_SNDBUF", SO, libc::SO_SNDBUF, Kind::Bytes),
    option("SO_RCVBUF", SO, libc::SO_RCVBUF, Kind::Bytes),
    option("SO_RCVLOWAT", SO, libc::SO_RCVLOWAT, Kind::Bytes),
    option("SO_SNDTIMEO", SO, libc::SO_SNDTIMEO, Kind::Time),
    option("SO_RCVTIMEO", SO, libc::SO_RCVTIMEO, Kind::Time),
    option("SO_LINGER", SO, libc::SO_LINGER, Kind::Linger),
    option("SO_PRIORITY", SO, libc::SO_PRIORITY, Kind::Number),
    option("SO_ERROR", SO, libc::SO_ERROR, Kind::ReadOnly),
    option("SO_ACCEPTCONN", SO, libc::SO_ACCEPTCONN, Kind::ReadOnly),
    option("SO_TYPE", SO, libc::SO_TYPE, Kind::ReadOnly),
    option("TCP_NODELAY", TCP, libc::TCP_NODELAY, Kind::Switch),
    option("TCP_CORK", TCP, libc::TCP_CORK, Kind::Switch),
    option("TCP_QUICKACK", TCP, libc::TCP_QUICKACK, Kind::Switch),
    option("TCP_KEEPIDLE", TCP, libc::TCP_KEEPIDLE, Kind::Seconds),
    option("TCP_KEEPINTVL", TCP, libc::TCP_KEEPINTVL, Kind::Seconds),
    option("TCP_KEEPCNT", TCP, libc::TCP_KEEPCNT, Kind::Number),
    option("TCP_USER_TIMEOUT", TCP, libc::TCP_USER_TIMEOUT, Kind::Milliseconds),
    option("TCP_SYNCNT", TCP, libc::TCP_SYNCNT, Kind::Number),
    option("TCP_MAXSEG", TCP, libc::TCP_MAXSEG, Kind::Bytes),
    option("TCP_DEFER_ACCEPT", TCP, libc::TCP_DEFER_ACCEPT, Kind::Seconds),
    option("TCP_LINGER2", TCP, libc::TCP_LINGER2, Kind::Seconds),
    option("TCP_WINDOW_CLAMP", TCP, libc::TCP_WINDOW_CLAMP, Kind::Bytes),
    option("TCP_NOTSENT_LOWAT", TCP, libc::TCP_NOTSENT_LOWAT, Kind::Bytes),
    option("TCP_FASTOPEN", TCP, libc::TCP_FASTOPEN, Kind::Number),
    option("TCP_FASTOPEN_CONNECT", TCP, libc::TCP_FASTOPEN_CONNECT, Kind::Switch),
    option("TCP_CONGESTION", TCP, libc::TCP_CONGESTION, Kind::Text),
    option("IP_TTL", IP, libc::IP_TTL, Kind::Number),
    option("IP_TOS", IP, libc::IP_TOS, Kind::Number),
    option("IP_MTU", IP, libc::IP_MTU, Kind::ReadOnly),
    option("IP_MTU_DISCOVER", IP, libc::IP_MTU_DISCOVER, Kind::Discovery),
    option("IP_RECVERR", IP, libc::IP_RECVERR, Kind::Switch),
    option("IP_FREEBIND", IP, libc::IP_FREEBIND, Kind::Switch),
    option("IP_BIND_ADDRESS_NO_PORT", IP, libc::IP_BIND_ADDRESS_NO_PORT, Kind::Switch),
    option("IPV6_V6ONLY", IPV6, libc::IPV6_V6ONLY, Kind::Switch),
    option("IPV6_UNICAST_HOPS", IPV6, libc::IPV6_UNICAST_HOPS, Kind::Number),
    option("IPV6_RECVERR", IPV6, libc::IPV6_RECVERR, Kind::Switch),
];

/// ip(7), IP_MTU_DISCOVER.
const DISCOVERIES: &[(&str, i32)] = &[
    ("IP_PMTUDISC_DONT", libc::IP_PMTUDISC_DONT),
    ("IP_PMTUDISC_WANT", libc::IP_PMTUDISC_WANT),
    ("IP_PMTUDISC_DO", libc::IP_PMTUDISC_DO),
    ("IP_PMTUDISC_PROBE", libc::IP_PMTUDISC_PROBE),
];

/// An option by its name.
pub(super) fn named(value: Value<'_>) -> Reading<SocketOption> {
    let text = value.text().map_err(|_| value.expected("a socket option").help("by its name, as in SO_REUSEADDR"))?;
    let names: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
    OPTIONS.iter().find(|option| option.name == text).copied().ok_or_else(|| {
        if matches!(text, "SOL_SOCKET" | "SOL_TCP" | "SOL_IP" | "IPPROTO_TCP" | "IPPROTO_IP" | "IPPROTO_IPV6") {
            return Problem::new(format!("{} is a level, which an option's name implies", quoted(text)))
                .help("write the option alone, as in `setsockopt s SO_REUSEADDR 1`");
        }
        Problem::new(format!("no socket option is called {}", quoted(text))).help_if(did_you_mean(text, &names))
    })
}

impl SocketOption {
    /// Reads a value for this option.
    pub(super) fn value(self, value: Value<'_>) -> Reading<OptionValue> {
        let is_text = value.text().is_ok();
        let number = |what: &str, last: i128| value.integer(what, 0..=last).map(OptionValue::Number);
        let most = i128::from(i32::MAX);
        match self.kind {
            Kind::Switch => number("1 or 0", 1).map_err(|problem| problem.help("1 switches it on, 0 off")),
            Kind::Number => value.integer("a number", -1..=most).map(OptionValue::Number),
            Kind::Bytes => fitting(value, value.size_bytes()?, 1),
            Kind::Seconds if is_text => fitting(value, value.duration_ns()?, 1_000_000_000),
            Kind::Milliseconds if is_text => fitting(value, value.duration_ns()?, 1_000_000),
            Kind::Seconds => number("a number of seconds", most).map_err(|problem| problem.help("as in \"5s\", or 5")),
            Kind::Milliseconds => {
                number("a number of milliseconds", most).map_err(|problem| problem.help("as in \"5s\", or 5000"))
            }
            Kind::Time => value.duration_ns().map(|ns| OptionValue::Time { ns }),
            Kind::Linger if matches!(value.text(), Ok("off")) => Ok(OptionValue::Linger(None)),
            Kind::Linger => {
                let lingering = value.duration_ns().and_then(|ns| fitting(value, ns, 1_000_000_000));
                match lingering.map_err(|problem| problem.help("whole seconds, as in \"0s\", or off"))? {
                    OptionValue::Number(seconds) => Ok(OptionValue::Linger(Some(seconds))),
                    other => Ok(other),
                }
            }
            Kind::Discovery => value.one_of("a way to discover the path MTU", DISCOVERIES).map(OptionValue::Number),
            Kind::Text => value.text().map(|text| OptionValue::Text(text.to_owned())),
            Kind::ReadOnly => Err(Problem::new(format!("{} can only be read", quoted(self.name)))
                .help(format!("with `getsockopt … {}`", self.name))),
        }
    }
}

/// A quantity in units of `unit`, if it is a whole number of them that fits into an int.
fn fitting(value: Value<'_>, quantity: u64, unit: u64) -> Reading<OptionValue> {
    let units = if quantity.is_multiple_of(unit) { i32::try_from(quantity / unit).ok() } else { None };
    let remedy = match unit {
        1_000_000_000 => "the kernel counts whole seconds here",
        1_000_000 => "the kernel counts whole milliseconds here",
        _ => "at most 2147483647",
    };
    units.map(OptionValue::Number).ok_or_else(|| value.expected("what fits into the option").help(remedy))
}
