//! Which of the things that faults wait for have come. Fed by the poll loop; acts on nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::evidence::{SampleReason, SocketSample, TcpSocket, TcpState};
use crate::plan::{Cause, SocketState};

/// What has happened so far, as far as causes ask for it. Stamps are CLOCK_MONOTONIC.
#[derive(Debug, Default)]
pub struct Causes {
    zero_ns: Option<i64>,
    /// Those that are waited for.
    watched: Vec<Watched>,
    /// Sockets that were there before zero, the peers' own: they do not count.
    old: BTreeSet<(String, u64)>,
    /// Steps that socket programs have come to, and when.
    steps: BTreeMap<(String, String), i64>,
    /// Bytes of payload sent so far, by host.
    sent: BTreeMap<String, u64>,
    /// The host's own addresses, by host: a router's packets are others'.
    addresses: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Looks at sockets so far.
    looks: usize,
}

/// A cause that is waited for, where it has to be remembered.
#[derive(Debug)]
struct Watched {
    cause: Cause,
    /// When it first came.
    first_ns: Option<i64>,
    /// The last look that showed it, counted from 1, and when that was.
    last: Option<(usize, i64)>,
    /// For [`SocketState::Gone`]: there was one.
    had: bool,
}

impl Causes {
    /// Waits for these; hosts' addresses tell who sends a packet for the first time.
    pub fn new(causes: impl IntoIterator<Item = Cause>, addresses: BTreeMap<String, BTreeSet<IpAddr>>) -> Self {
        let watched = |cause| Watched { cause, first_ns: None, last: None, had: false };
        Self { watched: causes.into_iter().map(watched).collect(), addresses, ..Self::default() }
    }

    /// The command was let go then.
    pub fn set_zero(&mut self, zero_ns: i64) {
        self.zero_ns = Some(zero_ns);
    }

    /// Whether any cause asks for packets.
    pub fn counts_bytes(&self) -> bool {
        self.watched.iter().any(|watched| matches!(watched.cause, Cause::Bytes { .. }))
    }

    /// How many looks at sockets there were.
    pub fn looks(&self) -> usize {
        self.looks
    }

    /// New looks at sockets.
    pub fn note_sockets(&mut self, samples: &[SocketSample]) {
        for sample in samples {
            self.looks += 1;
            if sample.because == SampleReason::Start {
                self.old.extend(sample.sockets.iter().map(|socket| (sample.host.clone(), socket.cookie)));
                continue;
            }
            let old = &self.old;
            let is_new = |socket: &&TcpSocket| !old.contains(&(sample.host.clone(), socket.cookie));
            let sockets: Vec<&TcpSocket> = sample.sockets.iter().filter(is_new).collect();
            for watched in &mut self.watched {
                if let Cause::Socket { host, state, port } = &watched.cause
                    && *host == sample.host
                    && holds(*state, *port, &sockets, &mut watched.had)
                {
                    watched.first_ns.get_or_insert(sample.t_ns);
                    watched.last = Some((self.looks, sample.t_ns));
                }
            }
        }
    }

    /// A packet with so many bytes of payload has left a host or crossed its `lo`, from this address.
    pub fn note_payload(&mut self, host: &str, source: IpAddr, bytes: u64, t_ns: i64) {
        let is_own = source.is_loopback() || self.addresses.get(host).is_some_and(|own| own.contains(&source));
        if !is_own || self.zero_ns.is_none_or(|zero_ns| t_ns < zero_ns) {
            return;
        }
        *self.sent.entry(host.to_owned()).or_default() += bytes;
        for watched in self.watched.iter_mut().filter(|watched| watched.first_ns.is_none()) {
            let Cause::Bytes { bytes: limit, from } = &watched.cause else { continue };
            let sent: u64 = match from {
                Some(from) => self.sent.get(from).copied().unwrap_or(0),
                None => self.sent.values().sum(),
            };
            if sent > *limit {
                watched.first_ns = Some(t_ns);
            }
        }
    }

    /// A socket program has come to a step.
    pub fn note_step(&mut self, program: &str, step: &str, t_ns: i64) {
        self.steps.entry((program.to_owned(), step.to_owned())).or_insert(t_ns);
    }

    /// When a cause came; of a time: when it comes.
    pub fn came_ns(&self, cause: &Cause) -> Option<i64> {
        let zero_ns = self.zero_ns?;
        match cause {
            Cause::At { after_ns } => Some(zero_ns.saturating_add_unsigned(*after_ns)),
            Cause::Step { program, step } => self.steps.get(&(program.clone(), step.clone())).copied(),
            Cause::Socket { .. } | Cause::Bytes { .. } => self.watched(cause)?.first_ns,
        }
    }

    /// When a cause came after there had been so many looks: a state that was seen before has to be seen again.
    pub fn came_again_ns(&self, cause: &Cause, looks: usize) -> Option<i64> {
        match cause {
            Cause::Socket { .. } => self.watched(cause)?.last.filter(|(look, _)| *look > looks).map(|(_, t_ns)| t_ns),
            _ => self.came_ns(cause),
        }
    }

    fn watched(&self, cause: &Cause) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.cause == *cause)
    }
}

/// Whether the sockets of a host show a state.
fn holds(state: SocketState, port: Option<u16>, sockets: &[&TcpSocket], had: &mut bool) -> bool {
    let of_port = |socket: &&&TcpSocket| port.is_none_or(|port| [socket.local.1, socket.remote.1].contains(&port));
    let mut sockets = sockets.iter().filter(of_port);
    match TcpState::named(state) {
        Some(wanted) => sockets.any(|socket| socket.state == wanted),
        None => {
            let is_there = sockets.any(|socket| socket.state != TcpState::Listen);
            *had |= is_there;
            *had && !is_there
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(limit: u64, from: Option<&str>) -> Cause {
        Cause::Bytes { bytes: limit, from: from.map(str::to_owned) }
    }

    fn causes(all: &[Cause]) -> Causes {
        let own = |host: &str, last: u8| (host.to_owned(), BTreeSet::from([IpAddr::from([10, 9, 0, last])]));
        let mut causes = Causes::new(all.to_vec(), BTreeMap::from([own("client", 1), own("server", 2)]));
        causes.set_zero(1_000);
        causes
    }

    #[test]
    fn a_time_counts_from_zero() {
        assert_eq!(causes(&[]).came_ns(&Cause::At { after_ns: 500 }), Some(1_500));
        assert_eq!(Causes::default().came_ns(&Cause::At { after_ns: 500 }), None);
    }

    #[test]
    fn bytes_count_where_they_are_sent_for_the_first_time_and_since_zero() {
        let all = [bytes(99, Some("client")), bytes(150, None)];
        let mut causes = causes(&all);
        let [client, server] = [1, 2].map(|last| IpAddr::from([10, 9, 0, last]));
        causes.note_payload("client", client, 1_000, 999);
        causes.note_payload("client", server, 1_000, 1_001);
        causes.note_payload("client", client, 99, 1_002);
        causes.note_payload("server", server, 52, 1_003);
        assert_eq!(all.each_ref().map(|cause| causes.came_ns(cause)), [None, Some(1_003)]);
        causes.note_payload("client", client, 1, 1_004);
        assert_eq!(causes.came_ns(&all[0]), Some(1_004));
    }

    #[test]
    fn a_step_has_come_when_it_first_did() {
        let mut causes = causes(&[]);
        let step = Cause::Step { program: "server".into(), step: "listening".into() };
        assert_eq!(causes.came_ns(&step), None);
        causes.note_step("server", "listening", 1_007);
        causes.note_step("server", "listening", 1_009);
        assert_eq!(causes.came_ns(&step), Some(1_007));
    }
}
