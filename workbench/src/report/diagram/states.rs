//! TCP states, where samples show them: one entry whenever a socket is seen in another state than before.
//!
//! Without samples there is nothing: a state that the packets suggest is not a state that was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::evidence::{Evidence, TcpSocket, TcpState};
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
    let labels = TcpLabels::new(evidence, flights);
    let label = |socket: &TcpSocket| {
        let [local, remote] = [socket.local, socket.remote].map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
        labels.of(local, remote)
    };
    let connections = || evidence.sockets.iter().flat_map(|sample| &sample.sockets).filter(|s| is_connection(s));
    let is_alone = connections().map(&label).collect::<BTreeSet<_>>().len() < 2;
    let words = |socket: &TcpSocket, state: &str| match socket.state {
        TcpState::Listen => format!("{state} on port {}", socket.local.1),
        _ if is_alone => state.to_owned(),
        _ => format!("{state} {}", label(socket)),
    };
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
                add(words(socket, &name(socket.state)));
            }
        }
        let is_here = |cookie: u64| sample.sockets.iter().any(|socket| socket.cookie == cookie);
        let gone: Vec<_> = last.keys().filter(|(of, cookie)| *of == host && !is_here(*cookie)).copied().collect();
        for key in gone {
            // RFC 9293, 3.3.2: CLOSED is the state of a connection that is none any more.
            let socket = last.remove(&key).filter(|socket| is_connection(socket) && socket.state != TcpState::Close);
            if let Some(socket) = socket {
                add(words(socket, "CLOSED"));
            }
        }
    }
    seen
}

fn is_connection(socket: &TcpSocket) -> bool {
    socket.state != TcpState::Listen && socket.remote.1 != 0
}

/// As netstat(8) and the kernel write them.
fn name(state: TcpState) -> String {
    match state {
        TcpState::Established => "ESTABLISHED",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynRecv => "SYN_RECV",
        TcpState::FinWait1 => "FIN_WAIT1",
        TcpState::FinWait2 => "FIN_WAIT2",
        TcpState::TimeWait => "TIME_WAIT",
        TcpState::Close => "CLOSE",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::LastAck => "LAST_ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
        TcpState::Unknown(number) => return format!("state {number}"),
    }
    .to_owned()
}
