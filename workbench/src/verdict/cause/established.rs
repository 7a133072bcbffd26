//! The kernel gave up a connection that was there: which timer, armed when, and what it computes.

use super::case::{Case, FIN, RST, SYN, flags, seen};
use super::kernel::{established_ns, socket_options};
use super::network::plain;
use super::words::{compared, seconds, several};
use crate::evidence::{TcpSocket, TcpState, TimerKind};
use crate::kernel_model::{
    Connection, Prediction, Settings, Start, keepalive_gives_up, persist_gives_up, retransmissions_give_up,
};
use crate::timeline::objects::{Name, ObjectId};
use crate::timeline::{Content, EvidenceRef, Flight, TcpSegment};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// The peer of a connection fell silent, and ETIMEDOUT was said.
pub fn gave_up(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let timer = last_timer(case, id, t_ns);
    let unanswered = unanswered(case, id, t_ns);
    let kind = timer.map_or_else(|| guessed(&unanswered), |(_, kind)| kind);
    let user_timeout = case.objects.get(id).options.at(Name::UserTimeout, call);
    let predicted = prediction(case, id, kind, false, t_ns);
    let start_ns = predicted.as_ref().map(|(_, start_ns)| *start_ns);
    let nominal_ns = predicted.as_ref().map(|(prediction, _)| prediction.nominal_ns());
    let heard_ns = case.last_arrived(id, t_ns, |_| true).and_then(|flight| flight.arrived_ns);
    let first_ns = unanswered.first().map(|flight| flight.t_ns()).or(start_ns);
    let (mechanism, armed_at_ns, armed_for_ns) = match (user_timeout, kind) {
        (Some((ms, _)), TimerKind::Keepalive) => (Mechanism::UserTimeout, heard_ns, Some(ms * 1_000_000)),
        (Some((ms, _)), TimerKind::Probe) => (Mechanism::UserTimeout, start_ns.or(heard_ns), Some(ms * 1_000_000)),
        (Some((ms, _)), _) => (Mechanism::UserTimeout, first_ns, Some(ms * 1_000_000)),
        (None, TimerKind::Keepalive) => (Mechanism::Keepalive, heard_ns, nominal_ns),
        (None, TimerKind::Probe) => (Mechanism::Persist, heard_ns, nominal_ns),
        (None, _) => (Mechanism::Retransmissions, first_ns, nominal_ns),
    };
    let since_ns = armed_at_ns.or(start_ns).unwrap_or(t_ns);
    let (judged, confidence) = match &predicted {
        Some((prediction, start_ns)) => {
            compared(Some(&later(prediction, start_ns - since_ns)), t_ns - since_ns, case.evidence)
        }
        None => ("what it computes is not known".into(), Confidence::Likely),
    };
    let why = because(case, id, kind, &mechanism, &unanswered);
    let words = format!(
        "the kernel of {} gave up the connection to {} after {}: {why}; {judged}",
        case.host(),
        case.place(id),
        seconds(t_ns - since_ns),
    );
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = armed_at_ns;
    found.armed_for_ns = armed_for_ns.or(armed_at_ns.and_then(|at| u64::try_from(t_ns - at).ok()));
    found.confidence = if timer.is_some() { confidence } else { Confidence::Likely };
    found.evidence.extend(user_timeout.map(|(_, set)| EvidenceRef::Call(set)));
    found.evidence.extend(unanswered.iter().flat_map(|flight| seen(flight)));
    found.evidence.extend(timer.map(|(index, _)| EvidenceRef::Sample(index)));
    found.evidence.push(EvidenceRef::Call(call));
    found
}

/// The last sample in which a socket's timer ran.
fn last_timer(case: &Case<'_>, id: ObjectId, t_ns: i64) -> Option<(usize, TimerKind)> {
    let running = |(index, socket): (usize, &TcpSocket)| {
        (socket.timer != TimerKind::Off && socket.state != TcpState::Close).then_some((index, socket.timer))
    };
    case.samples_of(id, t_ns).rev().find_map(running)
}

/// A prediction, told from an earlier moment on.
pub fn later(prediction: &Prediction, by_ns: i64) -> Prediction {
    let mut prediction = prediction.clone();
    let span = &mut prediction.gives_up;
    span.earliest_ns = span.earliest_ns.saturating_add_signed(by_ns);
    span.latest_ns = span.latest_ns.saturating_add_signed(by_ns);
    prediction
}

/// What the kernel computes for a connection whose timer of this kind runs, and from when on.
pub fn prediction(
    case: &Case<'_>,
    id: ObjectId,
    kind: TimerKind,
    is_orphan: bool,
    t_ns: i64,
) -> Option<(Prediction, i64)> {
    let settings = Settings::of(case.evidence, case.host())?;
    let options = socket_options(case, id);
    if kind == TimerKind::Keepalive {
        let set =
            case.objects.get(id).options.last(Name::Keepalive).map(|(_, call)| case.evidence.calls[call].entry_ns);
        let established_ns = established_ns(case, id, t_ns);
        let start_ns = established_ns.max(set)?;
        let heard_ns = case.last_arrived(id, t_ns, |_| true).and_then(|f| f.arrived_ns).unwrap_or(start_ns);
        let start = Start::of(&case.evidence.machine, start_ns);
        return Some((keepalive_gives_up(&settings, &options, heard_ns, &start), start_ns));
    }
    let (start_ns, rto_ns, backoff) = first_armed(case, id, kind, t_ns)?;
    let connection = Connection { rto_ns, is_orphan, backoff };
    let start = Start::of(&case.evidence.machine, start_ns);
    let prediction = match kind {
        TimerKind::Probe => persist_gives_up(&settings, &options, &connection, &start),
        _ => retransmissions_give_up(&settings, &options, &connection, &start),
    };
    Some((prediction, start_ns))
}

/// When the first of the timers was armed that then ran out one after another, the RTO at that time, and how often it had
/// been doubled: from the last sample in which it ran and nothing had gone without an answer yet.
fn first_armed(case: &Case<'_>, id: ObjectId, kind: TimerKind, t_ns: i64) -> Option<(i64, u64, u32)> {
    // TCP_USER_TIMEOUT runs from the first probe on, whether it was answered or not (`icsk_probes_tstamp`).
    let is_timed = case.objects.get(id).options.last(Name::UserTimeout).is_some();
    let first_time = |socket: &TcpSocket| match &socket.info {
        Some(info) => {
            let is_first = info.retransmits == 0 && info.probes == 0 && !(is_timed && info.backoff > 0);
            socket.timer == kind && is_first
        }
        None => false,
    };
    let samples: Vec<(usize, &TcpSocket)> = case.samples_of(id, t_ns).collect();
    let (index, socket) = *samples.iter().rev().find(|(_, socket)| first_time(socket))?;
    let info = socket.info?;
    let (backoff, rto_ns) = (u32::from(info.backoff), u64::from(info.rto) * 1_000);
    let armed_ns = match kind {
        // tcp_probe0_base(), include/net/tcp.h: at least TCP_RTO_MIN.
        TimerKind::Probe => rto_ns.max(200_000_000) << backoff.min(32),
        _ => rto_ns,
    };
    let due_ns = case.evidence.sockets[index].t_ns.saturating_add_unsigned(u64::from(socket.expires_ms) * 1_000_000);
    Some((due_ns.saturating_sub_unsigned(armed_ns), rto_ns, backoff))
}

/// What a socket sent after the last time it heard anything new: the segments, probes and what was sent again.
pub fn unanswered<'a>(case: &Case<'a>, id: ObjectId, t_ns: i64) -> Vec<&'a Flight> {
    let heard_ns = case.last_arrived(id, t_ns, |_| true).and_then(|f| f.arrived_ns).unwrap_or(i64::MIN);
    let sent = case.packets(id).filter(|(flight, is_ours)| *is_ours && flight.t_ns() <= t_ns);
    let sent: Vec<&Flight> = sent.map(|(flight, _)| flight).collect();
    let again = sent.iter().find(|f| f.retransmission > 0 && f.t_ns() > heard_ns).and_then(|f| segment(f));
    let is_first = |s: &TcpSegment, again: &TcpSegment| s.seq == again.seq && carries(s) == carries(again);
    let first = again.and_then(|again| sent.iter().find(|f| segment(f).is_some_and(|s| is_first(s, again))));
    let begun_ns = first.map_or(heard_ns.saturating_add(1), |flight| flight.t_ns());
    sent.into_iter().filter(|flight| flight.t_ns() >= begun_ns).collect()
}

fn segment(flight: &Flight) -> Option<&TcpSegment> {
    match &flight.content {
        Content::Tcp(segment) => Some(segment),
        _ => None,
    }
}

/// Whether a segment takes up sequence numbers: the acknowledgment that ends a handshake has the same one as the data that
/// follows, and is not what is sent again.
fn carries(segment: &TcpSegment) -> bool {
    segment.payload_len > 0 || segment.flags & (SYN | FIN) != 0
}

/// Without samples: data that is sent again is a retransmission, anything else a probe.
fn guessed(unanswered: &[&Flight]) -> TimerKind {
    let has_data = unanswered.iter().any(|f| segment(f).is_some_and(|s| s.payload_len > 0));
    if has_data { TimerKind::On } else { TimerKind::Keepalive }
}

/// Segments that ask for nothing but an answer: one octet below what was sent last, and without data (tcp_xmit_probe_skb
/// in net/ipv4/tcp_output.c; RFC 9293, 3.8.4).
fn probes(unanswered: &[&Flight]) -> usize {
    let segments: Vec<&TcpSegment> = unanswered.iter().filter_map(|flight| segment(flight)).collect();
    let last = segments.iter().map(|s| s.seq.wrapping_add(s.payload_len)).max();
    let is_probe = |s: &&&TcpSegment| s.payload_len == 0 && s.flags & RST == 0 && Some(s.seq.wrapping_add(1)) == last;
    let all_alike = segments.iter().filter(|s| s.flags & RST == 0 && Some(s.seq) == last).count();
    match segments.iter().filter(is_probe).count() {
        // Nothing else was sent since, to tell them by.
        0 => all_alike,
        n => n,
    }
}

fn because(case: &Case<'_>, id: ObjectId, kind: TimerKind, mechanism: &Mechanism, unanswered: &[&Flight]) -> String {
    let sent = unanswered.iter().filter(|flight| flags(flight) & RST == 0).count();
    match mechanism {
        Mechanism::UserTimeout => {
            let set = case.objects.get(id).options.last(Name::UserTimeout).map_or(0, |(ms, _)| ms);
            let what = match kind {
                TimerKind::Probe => "its peer's window had stayed closed".to_owned(),
                TimerKind::Keepalive => format!("{} had no answer", several(probes(unanswered), "keepalive probe")),
                _ => format!("{} had no answer", several(sent, "segment")),
            };
            format!("TCP_USER_TIMEOUT of {set} ms was over, and {what}")
        }
        Mechanism::Keepalive => format!("{} had no answer", several(probes(unanswered), "keepalive probe")),
        Mechanism::Persist => format!("{} had no answer", several(probes(unanswered), "zero-window probe")),
        _ => format!("{} had no answer", several(sent.saturating_sub(1), "retransmission")),
    }
}
