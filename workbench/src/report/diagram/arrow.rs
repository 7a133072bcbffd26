//! A packet's event taken apart: from where to where, what it was, and where it ended.

use crate::evidence::Evidence;
use crate::timeline::{Event, EvidenceRef, Flight};

/// Where an arrow ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// At the other host.
    Arrives,
    /// At the other host, where a rule took it.
    Taken,
    /// On the wire between the two.
    Lost,
    /// Nowhere yet: the run ended first.
    InFlight,
}

/// The hosts of `client -> server`; `client lo` is twice the same.
pub(super) fn ends(at: &str) -> Option<(&str, &str)> {
    match at.split_once(" -> ") {
        Some(ends) => Some(ends),
        None => at.strip_suffix(" lo").map(|host| (host, host)),
    }
}

/// What was sent, what became of it in words (empty if it arrived), and where the arrow ends.
pub(super) fn fate<'a>(text: &'a str, to: &str) -> (&'a str, &'a str, End) {
    for (words, end) in [("lost on the wire", End::Lost), ("still on its way at the end", End::InFlight)] {
        if let Some(label) = text.strip_suffix(words).and_then(|label| label.strip_suffix(", ")) {
            return (label, words, end);
        }
    }
    let took = ["dropped", "rejected", "taken"].iter().filter_map(|verb| text.rfind(&format!(", {verb} at ")));
    let Some(at) = took.max() else { return (text, "", End::Arrives) };
    let words = &text[at + 2..];
    let place = words.split(' ').nth(2).unwrap_or_default();
    (&text[..at], words, if place == to { End::Taken } else { End::Lost })
}

/// How far a packet went: routers pass it on, and one arrow is drawn for the whole way.
///
/// What a router passes on unharmed is no claim: it is the next event of the same words that leaves that router.
pub(super) fn whole_way(evidence: &Evidence, events: &[Event], first: usize, used: &mut [bool]) -> Vec<usize> {
    let is_router = |name: &str| evidence.plan.hosts.iter().any(|host| host.is_router && host.name == name);
    let mut way = vec![first];
    let mut at = ends(&events[first].at).map_or("", |(_, to)| to);
    while is_router(at) {
        let is_next = |&index: &usize| {
            let event = &events[index];
            let leaves = ends(&event.at).is_some_and(|(from, to)| from == at && to != at);
            let is_later = event.t_ns >= events[first].t_ns;
            !used[index] && !event.is_claim && leaves && is_later && event.text == events[first].text
        };
        let Some(next) = (0..events.len()).find(is_next) else { break };
        used[next] = true;
        way.push(next);
        at = ends(&events[next].at).map_or("", |(_, to)| to);
    }
    way
}

/// How many packets an event stands for, and when the first of them arrived.
pub(super) fn arrival(event: &Event, flights: &[Flight]) -> (usize, Option<i64>) {
    let is_of = |flight: &&Flight| {
        let seen = [flight.sent_index, flight.arrived_index].into_iter().flatten();
        seen.into_iter().any(|index| event.evidence.contains(&EvidenceRef::Packet(index)))
    };
    let mut own = flights.iter().filter(is_of);
    let first = own.next();
    (usize::from(first.is_some()) + own.count(), first.and_then(|flight| flight.arrived_ns))
}

#[cfg(test)]
mod tests {
    use super::{End, fate};

    #[test]
    fn what_became_of_a_packet_is_told_from_what_it_was() {
        let rule = "SYN to server:80, dropped at server by \"drop tcp dport=80\"";
        assert_eq!(fate(rule, "server").0, "SYN to server:80");
        assert_eq!(fate(rule, "server").1, "dropped at server by \"drop tcp dport=80\"");
        assert_eq!(fate(rule, "server").2, End::Taken);
        assert_eq!(fate(rule, "client").2, End::Lost);
        assert_eq!(
            fate("RST from server:80, lost on the wire", ""),
            ("RST from server:80", "lost on the wire", End::Lost)
        );
        assert_eq!(fate("SYN to server:80, retransmission 1", "server").2, End::Arrives);
    }
}
