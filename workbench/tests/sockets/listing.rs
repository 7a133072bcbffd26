//! Reads what `ss -tanoi` prints, as far as tests compare it. `ss` is the oracle; nothing here knows how it is made.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use workbench::evidence::{TcpSocket, TcpState, TimerKind};

/// A socket as `ss` lists it.
#[derive(Debug, PartialEq)]
pub struct Listed {
    /// State, queues.
    pub state: String,
    /// Bytes not read, bytes not acknowledged.
    pub queues: (u32, u32),
    /// Kind, milliseconds until it fires as exactly as `ss` says, count.
    pub timer: Option<(String, RangeInclusive<i64>, u8)>,
    /// Of `-i`: what is told as `name:value`.
    pub info: BTreeMap<String, String>,
}

/// The listings in what one `ss` after the other printed, each by local and remote address.
pub fn listings(output: &str) -> Vec<BTreeMap<(String, String), Listed>> {
    let mut all: Vec<BTreeMap<_, Listed>> = Vec::new();
    let mut last = None;
    for line in output.lines() {
        if line.starts_with("State") {
            all.push(BTreeMap::new());
        } else if let (Some(info), Some(listing), Some(key)) = (line.strip_prefix('\t'), all.last_mut(), &last) {
            let pairs = info.split_whitespace().filter_map(|word| word.split_once(':'));
            let listed: &mut Listed = listing.get_mut(key).expect("a line before its second");
            listed.info = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        } else if let Some(listing) = all.last_mut() {
            let (key, listed) = first_line(line).unwrap_or_else(|| panic!("a line of ss: {line:?}"));
            last = Some(key.clone());
            listing.insert(key, listed);
        }
    }
    all
}

fn first_line(line: &str) -> Option<((String, String), Listed)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [state, received, sent, local, remote, rest @ ..] = words.as_slice() else { return None };
    let timer = rest.iter().find_map(|word| word.strip_prefix("timer:(")?.strip_suffix(')'));
    let queues = (received.parse().ok()?, sent.parse().ok()?);
    let listed =
        Listed { state: (*state).to_owned(), queues, timer: timer.and_then(read_timer), info: BTreeMap::new() };
    Some((((*local).to_owned(), (*remote).to_owned()), listed))
}

fn read_timer(text: &str) -> Option<(String, RangeInclusive<i64>, u8)> {
    let words: Vec<&str> = text.split(',').collect();
    let [kind, expires, count] = words.as_slice() else { return None };
    Some(((*kind).to_owned(), read_time(expires)?, count.parse().ok()?))
}

/// `59sec`, `1.016ms` (which is 1,016 ms), `632ms`, `1min5sec`, `119min`: the longer, the more is cut off.
fn read_time(text: &str) -> Option<RangeInclusive<i64>> {
    let (minutes, rest) = text.split_once("min").map_or((None, text), |(minutes, rest)| (Some(minutes), rest));
    let minutes: Option<i64> = minutes.map(str::parse).transpose().ok()?;
    let (seconds, milliseconds): (i64, i64) = match (rest.strip_suffix("sec"), rest.strip_suffix("ms")) {
        (Some(seconds), _) => (seconds.parse().ok()?, 0),
        (_, Some(text)) => match text.split_once('.') {
            Some((seconds, milliseconds)) => (seconds.parse().ok()?, milliseconds.parse().ok()?),
            None => (0, text.parse().ok()?),
        },
        _ if rest.is_empty() => (0, 0),
        _ => return None,
    };
    let least = minutes.unwrap_or(0) * 60_000 + seconds * 1_000 + milliseconds;
    let cut = match minutes {
        Some(10..) => 59_999,
        Some(_) => 999,
        None if seconds > 9 => 999,
        None => 0,
    };
    Some(least..=least + cut)
}

/// A sampled socket's addresses as `ss -n` writes them.
pub fn addresses(socket: &TcpSocket) -> (String, String) {
    let write = |(address, port): (std::net::IpAddr, u16)| {
        let port = if port == 0 { "*".to_owned() } else { port.to_string() };
        if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    (write(socket.local), write(socket.remote))
}

/// A state as `ss` names it.
pub fn state(state: TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTAB",
        TcpState::SynSent => "SYN-SENT",
        TcpState::SynRecv => "SYN-RECV",
        TcpState::FinWait1 => "FIN-WAIT-1",
        TcpState::FinWait2 => "FIN-WAIT-2",
        TcpState::TimeWait => "TIME-WAIT",
        TcpState::Close => "UNCONN",
        TcpState::CloseWait => "CLOSE-WAIT",
        TcpState::LastAck => "LAST-ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
        TcpState::Unknown(_) => "UNKNOWN",
    }
}

/// A timer as `ss` names it; `None` for none.
pub fn timer(kind: TimerKind) -> Option<&'static str> {
    match kind {
        TimerKind::Off => None,
        TimerKind::On => Some("on"),
        TimerKind::Keepalive => Some("keepalive"),
        TimerKind::TimeWait => Some("timewait"),
        TimerKind::Probe => Some("persist"),
        TimerKind::Unknown(_) => Some("unknown"),
    }
}
