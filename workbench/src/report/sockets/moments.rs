//! Which of a run's many samples a reader wants to see: those where something changed. Does not print.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{SocketSample, TcpSocket, TcpState, TimerKind};
use crate::timeline::Timeline;

/// More moments of one host than this are too many: then only those that show something for the first time.
const MANY: usize = 40;

/// What a reader cares about in a socket. Not how long its timer still has to go, nor how full exactly its queues are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Condition {
    cookie: u64,
    state: TcpState,
    timer: TimerKind,
    /// As sock_diag counts; and in `tcp_info`: RTOs, probes, doublings of the RTO.
    counts: (u8, u8, u8, u8),
    has_unread: bool,
    has_unacknowledged: bool,
    /// Listening: connections that wait to be accepted.
    waiting: u32,
}

impl Condition {
    fn of(socket: &TcpSocket) -> Self {
        let info = socket.info.unwrap_or_default();
        let is_listening = socket.state == TcpState::Listen;
        Self {
            cookie: socket.cookie,
            state: socket.state,
            timer: if socket.timer == TimerKind::DELAYED_ACK { TimerKind::Off } else { socket.timer },
            counts: (socket.retransmits, info.retransmits, info.probes, info.backoff),
            has_unread: socket.recv_queue > 0,
            has_unacknowledged: socket.send_queue > 0,
            waiting: if is_listening { socket.recv_queue } else { 0 },
        }
    }
}

/// The samples that matter, in their order: the first of each host that has a socket, each where a socket came, went or
/// changed its state, timer, retransmissions, probes, or whether its queues are empty, and the first at the end of each
/// wait. With more than forty of one host, only those that show a socket as it has not been before, and the last one.
pub fn moments<'a>(samples: &'a [SocketSample], timeline: &Timeline) -> Vec<&'a SocketSample> {
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    let mut of_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        of_host.entry(&sample.host).or_default().push(at);
    }
    for (host, of_host) in of_host {
        let changed = changed(samples, &of_host);
        if changed.len() > MANY {
            kept.extend(novel(samples, &changed));
            kept.extend(changed.last());
        } else {
            kept.extend(changed);
            kept.extend(ends_of_waits(samples, &of_host, host, timeline));
        }
    }
    kept.into_iter().map(|at| &samples[at]).collect()
}

fn conditions(sample: &SocketSample) -> BTreeSet<Condition> {
    sample.sockets.iter().map(Condition::of).collect()
}

/// The samples that differ from the one before.
fn changed(samples: &[SocketSample], of_host: &[usize]) -> Vec<usize> {
    let mut before = BTreeSet::new();
    let is_other = |at: &&usize| {
        let now = conditions(&samples[**at]);
        let is_other = now != before;
        before = now;
        is_other
    };
    of_host.iter().filter(is_other).copied().collect()
}

/// Of these samples, those in which a socket is as it has not been before.
fn novel(samples: &[SocketSample], of_host: &[usize]) -> Vec<usize> {
    let mut known = BTreeSet::new();
    let is_novel = |at: &&usize| {
        let conditions = conditions(&samples[**at]);
        let is_novel = !conditions.is_subset(&known);
        known.extend(conditions);
        is_novel
    };
    of_host.iter().filter(is_novel).copied().collect()
}

/// The first sample at or after the end of each wait that a timer of this host armed.
fn ends_of_waits(samples: &[SocketSample], of_host: &[usize], host: &str, timeline: &Timeline) -> Vec<usize> {
    let is_here = |at: &str| at.split(' ').next() == Some(host);
    let timed = |event: &&crate::timeline::Event| {
        event.is_claim && is_here(&event.at) && event.wait.as_ref().is_some_and(|wait| wait.timer.is_some())
    };
    let ends = timeline.events.iter().filter(timed).map(|event| event.t_ns);
    let first_after = |end_ns: i64| of_host.iter().find(|at| samples[**at].t_ns >= end_ns);
    let has_sockets = |at: &usize| !samples[*at].sockets.is_empty();
    ends.filter_map(first_after).copied().filter(has_sockets).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::socket;
    use super::*;
    use crate::evidence::SampleReason;
    use crate::timeline::{Event, EventKind, Timer, TimerClass, Wait};

    const NOTHING: Timeline = Timeline { events: Vec::new() };

    fn sample(host: &str, t_ns: i64, sockets: Vec<TcpSocket>) -> SocketSample {
        SocketSample { host: host.into(), t_ns, took_ns: 0, because: SampleReason::Packet, sockets }
    }

    fn stamps(samples: &[SocketSample], timeline: &Timeline) -> Vec<i64> {
        moments(samples, timeline).iter().map(|sample| sample.t_ns).collect()
    }

    fn waiting(retransmits: u8, expires_ms: u32) -> TcpSocket {
        TcpSocket { timer: TimerKind::On, retransmits, expires_ms, ..socket(TcpState::SynSent) }
    }

    #[test]
    fn a_timer_that_only_goes_on_is_told_once_and_a_retransmission_again() {
        let samples = [
            sample("client", 0, vec![]),
            sample("client", 1, vec![waiting(0, 1000)]),
            sample("client", 2, vec![waiting(0, 600)]),
            sample("client", 3, vec![waiting(1, 2000)]),
            sample("client", 4, vec![]),
        ];
        assert_eq!(stamps(&samples, &NOTHING), [1, 3, 4]);
    }

    #[test]
    fn each_host_changes_for_itself() {
        let of = |host, t_ns| sample(host, t_ns, vec![socket(TcpState::Listen)]);
        let samples = [of("client", 0), of("server", 1), of("client", 2), of("server", 3)];
        assert_eq!(stamps(&samples, &NOTHING), [0, 1]);
    }

    #[test]
    fn the_end_of_a_wait_is_told_although_nothing_changed() {
        let timer = Timer { name: "poll".into(), class: TimerClass::Slack, armed_ns: 2 };
        let event = Event {
            t_ns: 3,
            at: "client".into(),
            kind: EventKind::End,
            text: "exit 1".into(),
            wait: Some(Wait { gap_ns: 2, timer: Some(timer) }),
            is_claim: true,
            evidence: Vec::new(),
        };
        let samples: Vec<SocketSample> = (1..5).map(|t_ns| sample("client", t_ns, vec![waiting(0, 1000)])).collect();
        assert_eq!(stamps(&samples, &Timeline { events: vec![event] }), [1, 3]);
    }

    #[test]
    fn of_very_many_changes_only_new_conditions_and_the_last_are_told() {
        let samples: Vec<SocketSample> =
            (0..200).map(|t_ns| sample("client", t_ns, vec![waiting((t_ns % 2) as u8, 9)])).collect();
        assert_eq!(stamps(&samples, &NOTHING), [0, 1, 199]);
    }
}
