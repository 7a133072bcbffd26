//! Asking name servers: whose waits are a resolver's, and what a name server's answer says.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::case::{Case, seen};
use super::happenings::{Happening, RanOut, What};
use super::network::plain;
use super::words::{seconds, several};
use crate::timeline::objects::{Kind, ObjectId};
use crate::timeline::{Content, EvidenceRef, Flight, duration};
use crate::verdict::{EndedBy, Mechanism, Party};

/// Port 53: domain (RFC 1035, 4.2).
const DOMAIN: u16 = 53;

/// Whether a socket talks to a name server.
pub fn is_name_server(case: &Case<'_>, id: ObjectId) -> bool {
    let object = case.objects.get(id);
    let is_there =
        matches!(object.kind, Kind::Udp | Kind::Tcp) && object.remote.is_some_and(|remote| remote.port() == DOMAIN);
    is_there && case.flights.iter().any(|flight| is_dns_with(flight, object.remote))
}

/// Whether a packet to or from this place is a name server's protocol, and not something else on its port.
fn is_dns_with(flight: &Flight, place: Option<SocketAddr>) -> bool {
    let is_dns = match &flight.content {
        Content::Udp { dns, .. } => dns.is_some(),
        Content::Tcp(segment) => [segment.sport, segment.dport].contains(&DOMAIN),
        _ => false,
    };
    let Some((from, to)) = flight.addresses else { return false };
    is_dns && place.is_some_and(|place| place.ip() == from || place.ip() == to)
}

/// A name server's answer came.
pub fn answered(case: &Case<'_>, id: ObjectId, t_ns: i64) -> EndedBy {
    let is_answer = |flight: &Flight| matches!(&flight.content, Content::Udp { dns: Some(dns), .. } if !dns.is_query);
    let answer = case.last_arrived(id, t_ns, is_answer);
    let dns = answer.and_then(|flight| match &flight.content {
        Content::Udp { dns, .. } => dns.as_ref(),
        _ => None,
    });
    let place = case.place(id);
    let (mechanism, words) = match dns {
        Some(dns) => {
            let what = if dns.rcode == "NOERROR" && dns.answers == 0 { "no address" } else { &dns.rcode };
            (Mechanism::ResolverAnswer(dns.rcode.clone()), format!("{place} answered {} with {what}", dns.question))
        }
        None => (Mechanism::Data, format!("{place} answered")),
    };
    let mut found = plain(Party::Resolver, mechanism, place, t_ns, words);
    found.evidence = answer.map(seen).unwrap_or_default();
    found
}

/// The resolver's queries on a socket that were sent in a span, with the calls that sent them.
pub fn queries(case: &Case<'_>, from_ns: i64, to_ns: i64) -> Vec<EvidenceRef> {
    let sends = case.evidence.calls.iter().enumerate().filter(|(index, call)| {
        let is_send = matches!(call.name.as_str(), "sendto" | "sendmsg" | "sendmmsg" | "write");
        let is_there = case.objects.first_of(*index).is_some_and(|id| is_name_server(case, id));
        is_send && is_there && (from_ns..=to_ns).contains(&call.entry_ns)
    });
    sends.map(|(index, _)| EvidenceRef::Call(index)).collect()
}

/// A wait for a name server's answer ran out: the last of as many as the resolver makes. In between, answers may have come
/// to some of its questions and not to others, or too late.
pub fn gave_up(case: &Case<'_>, at: &Happening) -> EndedBy {
    let asks = |id: &ObjectId| is_name_server(case, *id);
    let mut waits: Vec<(&Happening, &RanOut)> = Vec::new();
    for happening in case.until(at.t_ns).iter().rev().filter(|h| h.tid == at.tid) {
        match &happening.what {
            What::RanOut(ran_out) if ran_out.waited_for.iter().any(asks) => waits.push((happening, ran_out)),
            What::Refused(_) => {}
            What::Ready(ready) if ready.iter().any(asks) => {}
            _ => break,
        }
    }
    let armed_at_ns = waits.last().map_or(at.since_ns, |(_, first)| first.armed_at_ns);
    let armed_for_ns: u64 = waits.iter().map(|(_, ran_out)| ran_out.armed_for_ns).sum();
    let lengths: Vec<String> = waits.iter().rev().map(|(_, ran_out)| duration(ran_out.armed_for_ns)).collect();
    let asked: BTreeSet<ObjectId> = waits.iter().flat_map(|(_, ran_out)| ran_out.waited_for.iter().copied()).collect();
    let from_ns = |flight: &Flight| flight.arrived_ns.is_some_and(|arrived| arrived >= armed_at_ns);
    let has_answer = asked.iter().any(|id| case.last_arrived(*id, at.t_ns, from_ns).is_some());
    let who = case.process(at.pid);
    let words = format!(
        "the resolver of {who} gave up after {}: {}, armed for {}, and {}",
        seconds(at.t_ns - armed_at_ns),
        several(waits.len(), "wait"),
        lengths.join(" + "),
        if has_answer { "not every question was answered in time" } else { "no answer" },
    );
    let mut found = plain(Party::Resolver, Mechanism::ResolverTimeout, who, at.t_ns, words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = Some(armed_for_ns);
    found.evidence = queries(case, armed_at_ns - 10_000_000, at.t_ns);
    found.evidence.extend(waits.iter().rev().filter_map(|(h, _)| h.call).map(EvidenceRef::Call));
    found
}
