//! TCP states, where samples show them: one entry whenever a socket is seen in another state than before.
//!
//! Without samples there is nothing: a state that the packets suggest is not a state that was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::evidence::{Evidence, TcpSocket, TcpState};
use crate::report::sockets::names;
use crate::timeline::{Flight, TcpLabels};

/// A socket was seen in another state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub t_ns: i64,
    pub host: String,
    /// `SYN_SENT`, and where there are several connections `SYN_SENT server:80`.
    pub words: String,
}

/// All changes of state that samples show, in order.
pub(super) fn states(evidence: &Evidence, flights: &[Flight]) -> Vec<Seen> {
    let words = Words::new(evidence, flights);
    // By host and cookie: the socket as it was last seen.
    let mut last: BTreeMap<(&str, u64), &TcpSocket> = BTreeMap::new();
    let mut seen = Vec::new();
    for sample in &evidence.sockets {
        let host = sample.host.as_str();
        let t_ns = sample.t_ns.max(0);
        let mut add = |words: String| seen.push(Seen { t_ns, host: host.to_owned(), words });
        for socket in &sample.sockets {
            let before = last.insert((host, socket.cookie), socket);
            if before.is_none_or(|before| before.state != socket.state) {
                add(words.of(host, socket, &name(socket.state)));
            }
        }
        let is_here = |cookie: u64| sample.sockets.iter().any(|socket| socket.cookie == cookie);
        let gone: Vec<_> = last.keys().filter(|(of, cookie)| *of == host && !is_here(*cookie)).copied().collect();
        for key in gone {
            // RFC 9293, 3.3.2: CLOSED is the state of a connection that is none any more.
            if let Some(socket) = last.remove(&key).filter(|socket| socket.state != TcpState::Close) {
                add(words.of(host, socket, "CLOSED"));
            }
        }
    }
    seen
}

/// How sockets are told from each other, as far as that is necessary.
struct Words<'a> {
    labels: TcpLabels<'a>,
    /// There is one connection only.
    is_alone: bool,
    /// Hosts and ends of sockets.
    ends: BTreeSet<(&'a str, SocketAddr, SocketAddr)>,
}

impl<'a> Words<'a> {
    fn new(evidence: &'a Evidence, flights: &[Flight]) -> Self {
        let labels = TcpLabels::new(evidence, flights);
        let samples = || evidence.sockets.iter();
        let connections = samples().flat_map(|s| s.sockets.iter().filter(|s| is_connection(s)).map(|c| (&*s.host, c)));
        let ends: BTreeSet<_> = connections.map(|(host, socket)| (host, socket.ends().0, socket.ends().1)).collect();
        let names: BTreeSet<String> = ends.iter().map(|(_, local, remote)| labels.of(*local, *remote).name).collect();
        let is_alone = names.len() < 2;
        Self { labels, is_alone, ends }
    }

    fn of(&self, host: &str, socket: &TcpSocket, state: &str) -> String {
        if !is_connection(socket) {
            return format!("{state}, port {}", socket.local.1);
        }
        let (local, remote) = socket.ends();
        let label = self.labels.of(local, remote);
        let name = if self.is_alone { String::new() } else { format!(" {}", label.name) };
        // Both ends in one host look alike.
        let end = match label.is_server {
            Some(true) if self.ends.contains(&(host, remote, local)) => ", server's end",
            Some(false) if self.ends.contains(&(host, remote, local)) => ", client's end",
            _ => "",
        };
        format!("{state}{name}{end}")
    }
}

fn is_connection(socket: &TcpSocket) -> bool {
    socket.state != TcpState::Listen && socket.remote.1 != 0
}

/// As netstat(8) and the kernel write them.
fn name(state: TcpState) -> String {
    match state {
        TcpState::Unknown(number) => format!("state {number}"),
        known => names(known).netstat.to_owned(),
    }
}
