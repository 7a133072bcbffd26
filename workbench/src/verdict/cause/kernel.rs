//! The kernel gave up: which of its timers it was, armed when and for how long, and whether that is what it computes.

use super::case::{Case, SYN, flags, seen};
use super::network::plain;
use super::objects::ObjectId;
use super::options::Name;
use super::words::{compared, seconds};
use crate::evidence::{TcpState, TimerKind};
use crate::kernel_model::{Prediction, Settings, SocketOptions, Start, connect_gives_up};
use crate::timeline::{Content, EvidenceRef, Flight};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

const ACK: u8 = 16;

/// ETIMEDOUT: which timer said it.
pub fn timed_out(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    if is_established(case, id, t_ns) { established(case, id, call, t_ns) } else { connecting(case, id, call, t_ns) }
}

/// Whether a handshake was over: its second segment arrived, or the socket was accepted or seen so.
pub fn is_established(case: &Case<'_>, id: ObjectId, t_ns: i64) -> bool {
    let object = case.objects.get(id);
    let is_accepted = case.evidence.calls[object.made_by].name.starts_with("accept");
    let is_answered = || case.last_arrived(id, t_ns, |f| flags(f) & (SYN | ACK) == SYN | ACK).is_some();
    let is_seen =
        || matches!(case.sampled(id, t_ns), Some((_, s)) if !matches!(s.state, TcpState::SynSent | TcpState::Close));
    is_accepted || is_answered() || is_seen()
}

/// What a program set on a socket, as the kernel's arithmetic takes it.
pub fn socket_options(case: &Case<'_>, id: ObjectId) -> SocketOptions {
    let last = |name| case.objects.get(id).options.last(name).map(|(value, _)| value);
    SocketOptions {
        syn_count: last(Name::SynCount).and_then(|n| u32::try_from(n).ok()),
        user_timeout_ms: last(Name::UserTimeout),
        keep_idle_s: last(Name::KeepIdle),
        keep_interval_s: last(Name::KeepInterval),
        keep_count: last(Name::KeepCount).and_then(|n| u32::try_from(n).ok()),
        linger2_s: last(Name::Linger2),
        rto_max_ms: None,
    }
}

/// What the kernel computes for a connect that nobody answers, and when it began.
pub fn connect_prediction(case: &Case<'_>, id: ObjectId) -> Option<(Prediction, i64)> {
    let connect = case.objects.get(id).connect?;
    let settings = Settings::of(case.evidence, case.host())?;
    let begun_ns = case.evidence.calls[connect].entry_ns;
    let syn = case.packets(id).find(|(flight, is_ours)| *is_ours && flags(flight) & (SYN | ACK) == SYN);
    let begun_ns = syn.map_or(begun_ns, |(flight, _)| flight.t_ns());
    let start = Start::of(&case.evidence.machine, begun_ns);
    Some((connect_gives_up(&settings, &socket_options(case, id), &start), begun_ns))
}

fn connecting(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let object = case.objects.get(id);
    let connect = object.connect.unwrap_or(call);
    let user_timeout = object.options.at(Name::UserTimeout, connect);
    let syns: Vec<&Flight> =
        case.packets(id).filter(|(f, is_ours)| *is_ours && flags(f) & SYN != 0).map(|p| p.0).collect();
    let place = case.place(id);
    let prediction = connect_prediction(case, id);
    let armed_at_ns = syns.first().map_or(case.evidence.calls[connect].entry_ns, |flight| flight.t_ns());
    let (mechanism, armed_for_ns) = match user_timeout {
        Some((ms, _)) => (Mechanism::UserTimeout, Some(ms * 1_000_000)),
        None => (Mechanism::SynRetries, prediction.as_ref().map(|(p, _)| p.nominal_ns())),
    };
    let sent = match syns.len() {
        0 => "no SYN was seen".to_owned(),
        1 => "its SYN was not answered".to_owned(),
        n => format!("{n} SYNs were not answered"),
    };
    let (judged, confidence) = compared(prediction.as_ref().map(|(p, _)| p), t_ns - armed_at_ns, case.evidence);
    let words = format!(
        "the kernel of {} gave up on {place} after {}: {sent}; {judged}",
        case.host(),
        seconds(t_ns - armed_at_ns)
    );
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = armed_for_ns;
    found.confidence = if syns.is_empty() { Confidence::Likely } else { confidence };
    found.evidence = vec![EvidenceRef::Call(connect)];
    found.evidence.extend(user_timeout.map(|(_, set)| EvidenceRef::Call(set)));
    found.evidence.extend(syns.iter().flat_map(|flight| seen(flight)));
    found.evidence.push(EvidenceRef::Call(call));
    found
}

/// The last sample in which a socket's timer ran.
fn last_timer(case: &Case<'_>, id: ObjectId, t_ns: i64) -> Option<(usize, TimerKind)> {
    let samples = case.evidence.sockets.iter().enumerate().rev();
    let before = samples.filter(|(_, sample)| sample.host == case.host() && sample.t_ns <= t_ns);
    let timers = before.filter_map(|(index, sample)| {
        let socket = sample.sockets.iter().find(|s| case.is(id, s))?;
        (socket.timer != TimerKind::Off && socket.state != TcpState::Close).then_some((index, socket.timer))
    });
    timers.into_iter().next()
}

/// A connection that was there and whose peer fell silent.
fn established(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let timer = last_timer(case, id, t_ns);
    let unanswered = unanswered(case, id, t_ns);
    let kind = timer.map_or_else(|| guessed(&unanswered), |(_, kind)| kind);
    let options = &case.objects.get(id).options;
    let user_timeout = options.at(Name::UserTimeout, call);
    let settings = Settings::of(case.evidence, case.host());
    let last_heard_ns = case.last_arrived(id, t_ns, |_| true).and_then(|f| f.arrived_ns);
    let first_unanswered_ns = unanswered.first().map(|flight| flight.t_ns());
    let (mechanism, armed_at_ns, armed_for_ns) = match (user_timeout, kind) {
        (Some((ms, _)), TimerKind::Keepalive) => (Mechanism::UserTimeout, last_heard_ns, Some(ms * 1_000_000)),
        (Some((ms, _)), _) => (Mechanism::UserTimeout, first_unanswered_ns, Some(ms * 1_000_000)),
        (None, TimerKind::Keepalive) => {
            let option = |name, sysctl: Option<u64>| options.at(name, call).map(|(value, _)| value).or(sysctl);
            let idle_s = option(Name::KeepIdle, settings.as_ref().map(|s| s.keepalive_time_s));
            let interval_s = option(Name::KeepInterval, settings.as_ref().map(|s| s.keepalive_interval_s));
            let count = option(Name::KeepCount, settings.as_ref().map(|s| s.keepalive_probes.into()));
            let total_s = idle_s.zip(interval_s).zip(count).map(|((idle, interval), count)| idle + interval * count);
            (Mechanism::Keepalive, last_heard_ns, total_s.map(|s| s * 1_000_000_000))
        }
        (None, TimerKind::Probe) => (Mechanism::Persist, last_heard_ns, None),
        (None, _) => (Mechanism::Retransmissions, first_unanswered_ns, None),
    };
    let words = words(case, id, &mechanism, unanswered.len(), t_ns - armed_at_ns.unwrap_or(t_ns), settings.as_ref());
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = armed_at_ns;
    found.armed_for_ns = armed_for_ns.or(armed_at_ns.and_then(|at| u64::try_from(t_ns - at).ok()));
    found.confidence = if timer.is_some() { Confidence::Certain } else { Confidence::Likely };
    found.evidence.extend(user_timeout.map(|(_, set)| EvidenceRef::Call(set)));
    found.evidence.extend(unanswered.iter().flat_map(|flight| seen(flight)));
    found.evidence.extend(timer.map(|(index, _)| EvidenceRef::Sample(index)));
    found.evidence.push(EvidenceRef::Call(call));
    found
}

/// What a socket sent after the last time it heard anything new: the segments, probes and what was sent again.
fn unanswered<'a>(case: &Case<'a>, id: ObjectId, t_ns: i64) -> Vec<&'a Flight> {
    let last_heard_ns = case.last_arrived(id, t_ns, |_| true).and_then(|f| f.arrived_ns).unwrap_or(i64::MIN);
    let sent = case.packets(id).filter(|(flight, is_ours)| *is_ours && flight.t_ns() <= t_ns).map(|(flight, _)| flight);
    let sent: Vec<&Flight> = sent.collect();
    let again: Option<&&Flight> = sent.iter().find(|f| f.retransmission > 0 && f.t_ns() > last_heard_ns);
    let first_seq = again.and_then(|f| segment(f)).map(|s| s.seq);
    let begins = |f: &&&Flight| segment(f).map(|s| s.seq) == first_seq && first_seq.is_some();
    let begun_ns = sent.iter().find(begins).map_or(last_heard_ns, |f| f.t_ns() - 1);
    sent.into_iter().filter(|flight| flight.t_ns() > begun_ns.min(last_heard_ns.max(begun_ns))).collect()
}

fn segment(flight: &Flight) -> Option<&crate::timeline::TcpSegment> {
    match &flight.content {
        Content::Tcp(segment) => Some(segment),
        _ => None,
    }
}

/// Without samples: data that is sent again is a retransmission, anything else a probe.
fn guessed(unanswered: &[&Flight]) -> TimerKind {
    let has_data = unanswered.iter().any(|f| segment(f).is_some_and(|s| s.payload_len > 0));
    if has_data { TimerKind::On } else { TimerKind::Keepalive }
}

fn words(
    case: &Case<'_>,
    id: ObjectId,
    mechanism: &Mechanism,
    unanswered: usize,
    took_ns: i64,
    settings: Option<&Settings>,
) -> String {
    let (host, place, took) = (case.host(), case.place(id), seconds(took_ns));
    let why = match mechanism {
        Mechanism::UserTimeout => {
            let set = case.objects.get(id).options.last(Name::UserTimeout).map_or(0, |(ms, _)| ms);
            format!("TCP_USER_TIMEOUT of {set} ms was over, after {unanswered} segments without an answer")
        }
        Mechanism::Keepalive => format!("{unanswered} keepalive probes were not answered"),
        Mechanism::Persist => format!("{unanswered} zero-window probes were not answered"),
        _ => {
            let limit = settings.map_or(String::new(), |s| format!(" (tcp_retries2={}, HZ={})", s.retries2, s.hz()));
            format!("{} retransmissions were not acknowledged{limit}", unanswered.saturating_sub(1))
        }
    };
    format!("the kernel of {host} gave up the connection to {place} after {took}: {why}")
}

/// The neighbour questions of the command's host in a span, which nobody answered.
pub fn asked_neighbour<'a>(case: &Case<'a>, from_ns: i64, to_ns: i64) -> Option<Vec<&'a Flight>> {
    let ours = |f: &&Flight| f.from == case.host() && (from_ns..=to_ns).contains(&f.t_ns());
    let questions = case.flights.iter().filter(ours).filter(|f| match &f.content {
        Content::Arp { is_request, .. } => *is_request,
        Content::Icmp { kind, .. } => kind.contains("neighbo") && kind.contains("solicitation"),
        _ => false,
    });
    let asked: Vec<&Flight> = questions.collect();
    (!asked.is_empty()).then_some(asked)
}

/// ARP or neighbour discovery got no answer.
pub fn no_neighbour(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let object = case.objects.get(id);
    let connect = object.connect.unwrap_or(object.made_by);
    let armed_at_ns = case.evidence.calls[connect].entry_ns;
    let asked = asked_neighbour(case, armed_at_ns, t_ns).unwrap_or_default();
    let took = seconds(t_ns - armed_at_ns);
    let words = format!(
        "the kernel of {} gave up on {} after {took}: nobody answered who has that address ({} questions), so no SYN was sent",
        case.host(),
        case.place(id),
        asked.len(),
    );
    let mut found = plain(Party::Kernel, Mechanism::Neighbour, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = Some(armed_at_ns);
    let each_ns = crate::timeline::neighbour_wait_ns(case.evidence, case.host());
    found.armed_for_ns = Some(asked.len() as u64 * each_ns);
    found.evidence = asked.iter().flat_map(|flight| seen(flight)).collect();
    found.evidence.push(EvidenceRef::Call(call));
    found
}

/// A socket that no process had any more was given up by the kernel: the last one before `t_ns`.
pub fn orphaned(case: &Case<'_>, t_ns: i64) -> Option<EndedBy> {
    const ANNOUNCED_NS: i64 = 50_000_000;
    let destroyed = case.evidence.destroyed.iter().enumerate().rev().find(|(_, destroyed)| {
        let is_orphan = matches!(destroyed.socket.state, TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing);
        let is_near = (destroyed.t_ns - t_ns).abs() <= ANNOUNCED_NS;
        // A socket is closed before it is destroyed; that it was an orphan shows in its last sample.
        destroyed.host == case.host() && is_near && (is_orphan || destroyed.socket.state == TcpState::Close)
    });
    let (index, destroyed) = destroyed?;
    let id = case.objects.ids().find(|id| case.objects.get(*id).remote.is_some() && case.is(*id, &destroyed.socket))?;
    let (sample, last) =
        case.sampled(id, destroyed.t_ns).filter(|(_, socket)| socket.inode == 0 && socket.state != TcpState::Close)?;
    let unanswered = unanswered(case, id, t_ns);
    let armed_at_ns = unanswered.first().map_or(case.evidence.sockets[sample].t_ns, |flight| flight.t_ns());
    let settings = Settings::of(case.evidence, case.host());
    let limit =
        settings.map_or(String::new(), |s| format!(" (tcp_orphan_retries={}, HZ={})", s.orphan_retries, s.hz()));
    let words = format!(
        "the kernel of {} gave up the connection to {}, which no process had any more, after {}: {} retransmissions were \
         not acknowledged{limit}",
        case.host(),
        case.place(id),
        seconds(destroyed.t_ns - armed_at_ns),
        last.retransmits,
    );
    let mut found =
        plain(Party::Kernel, Mechanism::OrphanLimit, case.host().to_owned(), destroyed.t_ns.min(t_ns), words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = u64::try_from(found.fired_at_ns - armed_at_ns).ok();
    found.evidence = unanswered.iter().flat_map(|flight| seen(flight)).collect();
    found.evidence.extend([EvidenceRef::Sample(sample), EvidenceRef::Destroyed(index)]);
    Some(found)
}
