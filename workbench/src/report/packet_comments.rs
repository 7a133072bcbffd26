//! What is said about single packets in a pcapng: what became of each, and what the verdict rests on.

use std::collections::BTreeMap;

use super::packet_words;
use super::text::{Options, headline};
use super::views::Run;
use crate::timeline::{EvidenceRef, Flight, escape, flights};
use crate::verdict::EndedBy;

/// About the whole file: the headline, and what ended the run.
pub fn about(run: &Run<'_>) -> Vec<String> {
    let headline = headline(run.evidence, run.timeline, Options::KEPT);
    let ended_by = run.verdict.ended_by.as_ref();
    let next = ended_by.and_then(|ended_by| ended_by.next.as_ref());
    let verdict = ended_by.map(|ended_by| escape(&ended_by.words));
    let next = next.map(|next| escape(&next.words));
    std::iter::once(headline).chain(verdict).chain(next).collect()
}

/// Comments by index into `Evidence::packets`: first what the packet is, then what the verdict makes of it.
pub fn comments(run: &Run<'_>) -> BTreeMap<usize, Vec<String>> {
    let mut comments = of_flights(run, &flights(run.evidence));
    if let Some(ended_by) = &run.verdict.ended_by {
        rests_on(ended_by, "", &mut comments);
        for other in &ended_by.also {
            rests_on(other, "or: ", &mut comments);
        }
    }
    comments
}

/// The verdict's sentence at the last packet that it rests on, its mechanism at those before.
fn rests_on(ended_by: &EndedBy, or: &str, comments: &mut BTreeMap<usize, Vec<String>>) {
    let packets = ended_by.evidence.iter().filter_map(|reference| match reference {
        EvidenceRef::Packet(index) => Some(*index),
        _ => None,
    });
    let packets: Vec<usize> = packets.collect();
    let Some(last) = packets.iter().max() else { return };
    for index in &packets {
        let comment = match index == last {
            true => format!("{or}ended by: {}", escape(&ended_by.words)),
            false => format!("{or}evidence for: {} of {}", ended_by.mechanism.name(), escape(&ended_by.who)),
        };
        comments.entry(*index).or_default().push(comment);
    }
}

/// Retransmissions where they left, what was taken or lost where it was seen last.
fn of_flights(run: &Run<'_>, flights: &[Flight]) -> BTreeMap<usize, Vec<String>> {
    let mut comments: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let waits = waits(run);
    for flight in flights {
        let first = flight.sent_index.or(flight.arrived_index);
        let wait = first.and_then(|index| waits.get(&index)).copied();
        if let (Some(index), Some(said)) = (first, packet_words::retransmission(flight, wait)) {
            comments.entry(index).or_default().push(said);
        }
        let last = flight.arrived_index.or(flight.sent_index);
        if let (Some(index), Some(fate)) = (last, packet_words::fate(run.evidence, flight)) {
            comments.entry(index).or_default().push(fate);
        }
    }
    comments
}

/// By packet, the wait that ended with it.
fn waits<'a>(run: &Run<'a>) -> BTreeMap<usize, &'a crate::timeline::Wait> {
    let mut waits = BTreeMap::new();
    for event in &run.timeline.events {
        let Some(wait) = &event.wait else { continue };
        for reference in &event.evidence {
            if let EvidenceRef::Packet(index) = reference {
                waits.insert(*index, wait);
            }
        }
    }
    waits
}
