//! What came back on a socket: a reset, a FIN, data, an ICMP error, or an errno of the kernel's own.

use super::case::{Case, seen};
use super::happenings::Happening;
use super::kernel;
use super::resolver;
use crate::evidence::{Arg, Call};
use crate::timeline::objects::{Completed, Kind, ObjectId};
use crate::timeline::tcp_flags::{self, FIN, RST, SYN};
use crate::timeline::{Content, EvidenceRef, Fate, Flight};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// What the calls on a socket said from some moment on.
#[derive(Debug, Default)]
struct Told {
    /// An errno and the call that said it.
    error: Option<(String, usize)>,
    /// A read that returned 0.
    end: Option<usize>,
    /// Anything else that came: data, a connection.
    success: Option<usize>,
}

/// What came back on a socket at `happening`, as far as the process looked before `limit_ns`. `None` if nothing did.
pub fn came_back(case: &Case<'_>, id: ObjectId, happening: &Happening, limit_ns: i64) -> Option<EndedBy> {
    if is_no_news(case, id, happening) {
        return None;
    }
    let told = told(case, id, happening, limit_ns);
    let t_ns = happening.t_ns;
    if let Some((errno, call)) = &told.error {
        return Some(failed(case, id, errno, *call, t_ns));
    }
    if let Some(call) = told.end {
        return Some(ended(case, id, call, t_ns));
    }
    if let Some(found) = told.success.is_none().then(|| not_asked(case, id, happening)).flatten() {
        return Some(found);
    }
    if case.objects.get(id).kind == Kind::Udp && resolver::is_name_server(case, id) {
        return Some(resolver::answered(case, id, t_ns));
    }
    let call = told.success.or(happening.call)?;
    let mut found = answered(case, id, call, t_ns);
    // That it failed all the same is not explained by what came.
    let process = case.evidence.processes.iter().find(|process| process.tid == happening.pid);
    if let Some(code) = process.and_then(|process| process.exit_code).filter(|code| *code != 0) {
        found.confidence = Confidence::Likely;
        found.words = format!("{}; {} then ended with exit code {code}", found.words, case.process(happening.pid));
    }
    Some(found)
}

/// An error that a look at descriptors found (POLLERR), and the program did not ask which: a packet that came meanwhile.
fn not_asked(case: &Case<'_>, id: ObjectId, happening: &Happening) -> Option<EndedBy> {
    let (index, since_ns, t_ns) = (happening.call?, happening.since_ns, happening.t_ns);
    let has_error = |arg: &Arg| match arg {
        Arg::Poll(entries) => entries.iter().any(|entry| entry.revents.contains("ERR")),
        _ => false,
    };
    if !case.evidence.calls[index].args.iter().any(has_error) {
        return None;
    }
    let told = EvidenceRef::Call(index);
    // It may have come before the look, after what it is about was sent.
    let sent = case.packets(id).rev().find(|(flight, is_ours)| *is_ours && flight.t_ns() <= t_ns);
    let from_ns = sent.map_or(since_ns, |(flight, _)| flight.t_ns().min(since_ns));
    if let Some((flight, kind)) = case.icmp_about(id, from_ns, t_ns) {
        return Some(by_packet(case, id, flight, Mechanism::Icmp(kind.to_owned()), told, t_ns));
    }
    let reset = case.last_arrived(id, t_ns, |flight| tcp_flags::of(flight) & RST != 0)?;
    Some(by_packet(case, id, reset, Mechanism::Reset, told, t_ns))
}

/// A connection that was there before, on which a program could go on sending, and nothing had come.
fn is_no_news(case: &Case<'_>, id: ObjectId, happening: &Happening) -> bool {
    let is_writable = happening.call.is_some_and(|index| is_only_writable(&case.evidence.calls[index]));
    let since_ns = happening.since_ns;
    let has_come = || {
        let last = case.last_arrived(id, happening.t_ns, |_| true);
        last.and_then(|flight| flight.arrived_ns).is_some_and(|at| at >= since_ns)
    };
    is_writable && case.objects.get(id).kind == Kind::Tcp && kernel::is_established(case, id, since_ns) && !has_come()
}

/// Whether a look at descriptors found nothing but that one can send (poll(2), epoll_ctl(2), select(2)).
fn is_only_writable(call: &Call) -> bool {
    let mut found = false;
    for (place, arg) in call.args.iter().enumerate() {
        match arg {
            Arg::Poll(entries) => {
                for event in entries.iter().flat_map(|entry| entry.revents.split('|')).filter(|event| !event.is_empty())
                {
                    if !matches!(event.trim_start_matches('E'), "POLLOUT" | "POLLWRNORM" | "POLLWRBAND") {
                        return false;
                    }
                    found = true;
                }
            }
            // select(2): the first set is for reading, the second for writing.
            Arg::FdSet { ready, .. } if !ready.is_empty() => {
                if place != 2 {
                    return false;
                }
                found = true;
            }
            _ => {}
        }
    }
    found
}

fn told(case: &Case<'_>, id: ObjectId, happening: &Happening, limit_ns: i64) -> Told {
    let mut told = Told::default();
    let first = happening.call.unwrap_or(0);
    let is_in_time = |index: usize| {
        let call = &case.evidence.calls[index];
        let is_within = call.exit_ns.is_some_and(|exit| exit >= happening.t_ns && exit <= limit_ns);
        call.pid == happening.pid && is_within
    };
    for (index, completed) in case.objects.completed_since(first).filter(|(index, _)| is_in_time(*index)) {
        // What limits an operation says nothing of its socket: ECANCELED is that it was not needed.
        let is_its = |completed: &&Completed| completed.op.object == Some(id) && completed.op.timeout_ns.is_none();
        let of_object = completed.iter().filter(is_its);
        if let Some(errno) = of_object.filter_map(|completed| completed.error.clone()).next_back() {
            told.error = Some((errno, index));
        }
    }
    let calls = case.objects.calls_on(id);
    let calls = calls[calls.partition_point(|index| *index < first)..].iter().copied();
    for index in calls.filter(|index| is_in_time(*index)) {
        let call = &case.evidence.calls[index];
        match said(call) {
            Some(Said::Error(errno)) => told.error = Some((errno, index)),
            Some(Said::End) => told.end = told.end.or(Some(index)),
            Some(Said::Success) => told.success = Some(index),
            None => {}
        }
    }
    told
}

enum Said {
    Error(String),
    End,
    Success,
}

fn said(call: &Call) -> Option<Said> {
    match call.name.as_str() {
        "getsockopt" => call.socket_error().map(|errno| if errno == "0" { Said::Success } else { Said::Error(errno) }),
        "read" | "readv" | "recvfrom" | "recvmsg" | "recvmmsg" => match (call.error(), call.value()) {
            (Some("EAGAIN" | "EINTR" | "ERESTARTSYS"), _) => None,
            (Some(errno), _) => Some(Said::Error(errno.to_owned())),
            (None, Some(0)) => Some(Said::End),
            (None, _) => Some(Said::Success),
        },
        "connect" | "sendto" | "sendmsg" | "write" | "writev" | "accept" | "accept4" | "sendfile" => match call.error()
        {
            Some("EAGAIN" | "EINPROGRESS" | "EALREADY" | "EISCONN" | "EINTR" | "ERESTARTSYS") => None,
            Some(errno) => Some(Said::Error(errno.to_owned())),
            None => (call.name == "connect" || call.name.starts_with("accept")).then_some(Said::Success),
        },
        _ => None,
    }
}

/// An errno: who said it first, a packet or the kernel?
fn failed(case: &Case<'_>, id: ObjectId, errno: &str, call: usize, t_ns: i64) -> EndedBy {
    let begun_ns = begun_ns(case, id, call);
    let told = EvidenceRef::Call(call);
    let icmp = case.icmp_about(id, begun_ns, t_ns).filter(|(_, kind)| can_mean(errno, kind));
    // A kernel whose neighbour does not answer sends the error to itself (ipv4_link_failure, net/ipv4/route.c).
    let is_own = icmp.is_some_and(|(flight, _)| flight.from == case.host() && flight.to == case.host());
    if is_own && kernel::asked_neighbour(case, begun_ns, t_ns).is_some() {
        return kernel::no_neighbour(case, id, call, t_ns);
    }
    if let Some((flight, kind)) = icmp {
        if went_on(case, id, flight, t_ns) {
            let mut found = kernel::timed_out(case, id, call, t_ns);
            found.words = format!("{}; it said {errno}, because ICMP {kind} had come before", found.words);
            found.evidence.extend(seen(flight));
            return found;
        }
        return by_packet(case, id, flight, Mechanism::Icmp(kind.to_owned()), told, t_ns);
    }
    match errno {
        "ECONNREFUSED" | "ECONNRESET" | "EPIPE" => {
            match case.last_arrived(id, t_ns, |flight| tcp_flags::of(flight) & RST != 0) {
                Some(flight) => by_packet(case, id, flight, Mechanism::Reset, told, t_ns),
                None => match case.last_arrived(id, t_ns, |flight| tcp_flags::of(flight) & FIN != 0) {
                    Some(flight) if errno == "EPIPE" => by_packet(case, id, flight, Mechanism::Fin, told, t_ns),
                    _ => refused_locally(case, id, errno, call, t_ns),
                },
            }
        }
        "ETIMEDOUT" => kernel::timed_out(case, id, call, t_ns),
        "EHOSTUNREACH" | "EHOSTDOWN" if kernel::asked_neighbour(case, begun_ns, t_ns).is_some() => {
            kernel::no_neighbour(case, id, call, t_ns)
        }
        _ => refused_locally(case, id, errno, call, t_ns),
    }
}

/// Whether an ICMP error of this kind can be what an errno says (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert
/// in net/ipv6/icmp.c).
fn can_mean(errno: &str, kind: &str) -> bool {
    match errno {
        "ETIMEDOUT" | "ECONNRESET" | "EPIPE" => false,
        "ECONNREFUSED" => kind == "port unreachable",
        _ => true,
    }
}

/// Whether TCP went on after an ICMP error: on an established connection it only remembers what to say when it gives up
/// (RFC 1122, 4.2.3.9; sk_err_soft in net/ipv4/tcp_ipv4.c).
fn went_on(case: &Case<'_>, id: ObjectId, icmp: &Flight, t_ns: i64) -> bool {
    if case.objects.get(id).kind != Kind::Tcp {
        return false;
    }
    let came_ns = icmp.arrived_ns.unwrap_or(t_ns);
    let is_later = |flight: &Flight| flight.t_ns() > came_ns && flight.t_ns() <= t_ns;
    let has_sent =
        case.packets(id).any(|(flight, is_ours)| is_ours && is_later(flight) && tcp_flags::of(flight) & RST == 0);
    // Unless it asked to be told at once (ip(7)).
    let calls = case.objects.calls_on(id).iter().map(|index| &case.evidence.calls[*index]);
    let mut options = calls.filter(|call| call.name == "setsockopt");
    let is_told = options.any(|call| call.has_symbol("IP_RECVERR") || call.has_symbol("IPV6_RECVERR"));
    has_sent || (kernel::is_established(case, id, came_ns) && !is_told)
}

/// When what failed had begun: the connect, else the socket.
fn begun_ns(case: &Case<'_>, id: ObjectId, call: usize) -> i64 {
    let begun = case.connect(id).unwrap_or(case.objects.get(id).made_by);
    case.evidence.calls[begun.min(call)].entry_ns
}

/// A packet had the last word.
fn by_packet(
    case: &Case<'_>,
    id: ObjectId,
    flight: &Flight,
    mechanism: Mechanism,
    told: EvidenceRef,
    t_ns: i64,
) -> EndedBy {
    let who = sender(case, flight);
    let what = match &mechanism {
        Mechanism::Reset => "a RST".to_owned(),
        Mechanism::Fin => "a FIN".to_owned(),
        Mechanism::Icmp(kind) => format!("ICMP {kind}"),
        other => other.name(),
    };
    let at = flight.arrived_ns.unwrap_or(t_ns);
    let place = case.place(id);
    let is_refusal = !kernel::is_established(case, id, t_ns);
    let by = peers_call(case, id, flight).unwrap_or_default();
    let words = match (&mechanism, is_refusal) {
        (Mechanism::Fin, _) => format!("{who} closed the connection with {place} (FIN{by})"),
        (Mechanism::Reset, true) => format!("{who} refused the connection to {place} with {what}"),
        (Mechanism::Reset, false) => format!("{who} reset the connection with {place} (RST{by})"),
        _ => format!("{who} answered what was sent to {place} with {what}"),
    };
    EndedBy {
        evidence: seen(flight).into_iter().chain([told]).collect(),
        ..plain(Party::Peer, mechanism, who, at.min(t_ns), words)
    }
}

/// The call of a socket program at the other end that made its kernel send a FIN or a RST: `, close by program server`.
fn peers_call(case: &Case<'_>, id: ObjectId, flight: &Flight) -> Option<String> {
    let sent_ns = flight.t_ns();
    let mut calls = case.evidence.calls.iter().enumerate().rev().filter(|(_, call)| call.entry_ns <= sent_ns);
    let (_, call) = calls.find(|(index, call)| {
        let ends = matches!(call.name.as_str(), "close" | "shutdown") && call.error().is_none();
        ends && !case.evidence.is_of_command(call.pid)
            && case.objects.first_of(*index).is_some_and(|other| case.are_ends(id, other))
    })?;
    Some(format!(", {} by program {}", call.name, case.evidence.program_of(call.pid)?))
}

/// The host that sent a packet: a router's ICMP error comes from the router.
fn sender(case: &Case<'_>, flight: &Flight) -> String {
    let address =
        flight.addresses.map(|(from, _)| case.names.owner(from).map_or_else(|| from.to_string(), str::to_owned));
    address.unwrap_or_else(|| flight.from.clone())
}

/// The kernel refused without asking anybody.
fn refused_locally(case: &Case<'_>, id: ObjectId, errno: &str, call: usize, t_ns: i64) -> EndedBy {
    let asked = &case.evidence.calls[call].name;
    let words = format!("the kernel of {} refused {asked} to {} at once: {errno}", case.host(), case.place(id));
    // fib_props in net/ipv4/fib_semantics.c: what routes say; EINVAL is a blackhole's.
    let is_route = matches!(errno, "ENETUNREACH" | "EHOSTUNREACH" | "EACCES" | "EINVAL" | "ENETDOWN" | "EADDRNOTAVAIL");
    let mechanism = if is_route { Mechanism::Route(errno.to_owned()) } else { Mechanism::Refused(errno.to_owned()) };
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), t_ns, words);
    found.evidence = vec![EvidenceRef::Call(call)];
    found.confidence = if case.flow(id).is_some() { Confidence::Likely } else { Confidence::Certain };
    found
}

/// A read returned 0.
fn ended(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let told = EvidenceRef::Call(call);
    match case.last_arrived(id, t_ns, |flight| tcp_flags::of(flight) & FIN != 0) {
        Some(flight) => by_packet(case, id, flight, Mechanism::Fin, told, t_ns),
        None => {
            let words = format!("{} was closed", case.place(id));
            let mut found = plain(Party::Peer, Mechanism::Fin, case.place(id), t_ns, words);
            found.evidence = vec![told];
            found.confidence = Confidence::Likely;
            found
        }
    }
}

/// What was asked for came.
fn answered(case: &Case<'_>, id: ObjectId, call: usize, t_ns: i64) -> EndedBy {
    let place = case.place(id);
    let carries = |flight: &Flight| match &flight.content {
        Content::Tcp(segment) => segment.payload_len > 0 || segment.flags & SYN != 0,
        _ => true,
    };
    let last = case.last_arrived(id, t_ns, |flight| flight.fate == Fate::Arrived && carries(flight));
    let words = match last.map(tcp_flags::of) {
        Some(flags) if flags & SYN != 0 => format!("{place} accepted the connection"),
        _ => format!("{place} answered"),
    };
    let who = last.map_or_else(|| place.clone(), |flight| sender(case, flight));
    let mut found = plain(Party::Peer, Mechanism::Data, who, t_ns, words);
    found.evidence = last.map(seen).into_iter().flatten().chain([EvidenceRef::Call(call)]).collect();
    found
}

/// A cause that no timer is part of.
pub fn plain(party: Party, mechanism: Mechanism, who: String, fired_at_ns: i64, words: String) -> EndedBy {
    EndedBy {
        party,
        mechanism,
        who,
        armed_at_ns: None,
        armed_for_ns: None,
        fired_at_ns,
        evidence: Vec::new(),
        confidence: Confidence::Certain,
        words,
        next: None,
        also: Vec::new(),
    }
}
