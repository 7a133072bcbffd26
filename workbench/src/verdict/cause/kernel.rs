//! The kernel gave up: which of its timers it was, armed when and for how long, and whether that is what it computes.

use super::case::{Case, SYN, flags, seen};
use super::established::{gave_up, later, prediction, unanswered};
use super::network::plain;
use super::words::{compared, seconds, several};
use crate::evidence::{TcpState, TimerKind};
use crate::kernel_model::{
    Neighbours, Prediction, Settings, SocketOptions, Start, connect_gives_up, neighbour_gives_up,
};
use crate::timeline::objects::{Name, ObjectId};
use crate::timeline::{Content, EvidenceRef, Flight};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

const ACK: u8 = 16;

/// ETIMEDOUT: which timer said it.
pub fn timed_out(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    if is_established(case, id, t_ns) { gave_up(case, id, call, t_ns) } else { connecting(case, id, call, t_ns) }
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

/// When a handshake was over on this side, if that was seen.
pub fn established_ns(case: &Case<'_>, id: ObjectId, t_ns: i64) -> Option<i64> {
    let made_by = &case.evidence.calls[case.objects.get(id).made_by];
    let accepted = made_by.name.starts_with("accept").then_some(made_by.exit_ns).flatten();
    let answer = || case.last_arrived(id, t_ns, |f| flags(f) & (SYN | ACK) == SYN | ACK).and_then(|f| f.arrived_ns);
    accepted.or_else(answer)
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
    let asked = asked_neighbour(case, armed_at_ns, t_ns).filter(|_| syns.is_empty());
    let sent = match syns.len() {
        0 => match &asked {
            Some(asked) => format!(
                "no SYN left, because nobody answered who has that address ({})",
                several(asked.len(), "question")
            ),
            None => "no SYN was seen".to_owned(),
        },
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
    found.evidence.extend(asked.iter().flatten().flat_map(|flight| seen(flight)));
    found.evidence.extend(syns.iter().flat_map(|flight| seen(flight)));
    found.evidence.push(EvidenceRef::Call(call));
    found
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

/// What the kernel computes for a neighbour that does not answer.
fn neighbour_prediction(case: &Case<'_>, id: ObjectId, first: Option<&Flight>) -> Option<Prediction> {
    let settings = Settings::of(case.evidence, case.host())?;
    let first = first?;
    let links = &case.evidence.plan.links;
    let end = links.iter().filter(|link| link.name == first.link).flat_map(|link| &link.ends);
    let interface = end.filter(|end| end.host == case.host()).map(|end| end.interface.as_str()).next()?;
    let is_ipv6 = case.objects.get(id).remote.is_some_and(|remote| remote.is_ipv6());
    let neighbours = Neighbours::of(case.evidence, case.host(), interface, is_ipv6);
    Some(neighbour_gives_up(&settings, &neighbours, &Start::of(&case.evidence.machine, first.t_ns())))
}

/// ARP or neighbour discovery got no answer.
pub fn no_neighbour(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let object = case.objects.get(id);
    let connect = object.connect.unwrap_or(object.made_by);
    let armed_at_ns = case.evidence.calls[connect].entry_ns;
    let asked = asked_neighbour(case, armed_at_ns, t_ns).unwrap_or_default();
    let took = seconds(t_ns - armed_at_ns);
    let prediction = neighbour_prediction(case, id, asked.first().copied());
    let asked_at_ns = asked.first().map_or(armed_at_ns, |flight| flight.t_ns());
    let (judged, confidence) = compared(prediction.as_ref(), t_ns - asked_at_ns, case.evidence);
    let words = format!(
        "the kernel of {} gave up on {} after {took}: nobody answered who has that address ({}), so no SYN was sent; \
         {judged}",
        case.host(),
        case.place(id),
        several(asked.len(), "question"),
    );
    let mut found = plain(Party::Kernel, Mechanism::Neighbour, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = prediction.map(|prediction| prediction.nominal_ns());
    found.confidence = confidence;
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
    let (judged, confidence) = match prediction(case, id, TimerKind::On, true, destroyed.t_ns) {
        Some((prediction, start_ns)) => {
            compared(Some(&later(&prediction, start_ns - armed_at_ns)), destroyed.t_ns - armed_at_ns, case.evidence)
        }
        None => ("what it computes is not known".into(), Confidence::Likely),
    };
    let words = format!(
        "the kernel of {} gave up the connection to {}, which no process had any more, after {}: {} had no answer; {judged}",
        case.host(),
        case.place(id),
        seconds(destroyed.t_ns - armed_at_ns),
        several(usize::from(last.retransmits), "retransmission"),
    );
    let mut found =
        plain(Party::Kernel, Mechanism::OrphanLimit, case.host().to_owned(), destroyed.t_ns.min(t_ns), words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = u64::try_from(found.fired_at_ns - armed_at_ns).ok();
    found.confidence = confidence;
    found.evidence = unanswered.iter().flat_map(|flight| seen(flight)).collect();
    found.evidence.extend([EvidenceRef::Sample(sample), EvidenceRef::Destroyed(index)]);
    Some(found)
}
