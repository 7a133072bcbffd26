//! Asking name servers: whose waits are a resolver's, and what a name server's answer says.

use std::net::SocketAddr;

use super::case::{Case, seen};
use super::network::plain;
use crate::timeline::objects::{Kind, ObjectId};
use crate::timeline::{Content, EvidenceRef, Flight};
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
