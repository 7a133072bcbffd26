//! The order of flights with equal stamps: by cause.

use std::collections::BTreeMap;

use super::flights::Draft;
use crate::evidence::Evidence;

/// Orders drafts by the stamp they left with and, where stamps are equal, by cause.
///
/// Each host's capture has an order of its own, and an arrival follows its sending: that is all that is known, and
/// what it leaves open is decided by the order of the hosts' names.
pub(super) fn by_cause(evidence: &Evidence, drafts: &mut Vec<Draft<'_>>) {
    let mut draft_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (position, Draft { flight, .. }) in drafts.iter().enumerate() {
        draft_of.extend(flight.sent_index.map(|index| (index, position)));
        draft_of.extend(flight.arrived_index.map(|index| (index, position)));
    }
    let mut rank = vec![0; drafts.len()];
    let mut has_left = vec![false; drafts.len()];
    for (turn, index) in causal_order(evidence, drafts, &draft_of).into_iter().enumerate() {
        let position = draft_of[&index];
        if !has_left[position] {
            has_left[position] = true;
            rank[position] = turn;
        }
    }
    let mut ranked: Vec<_> = rank.into_iter().zip(drafts.drain(..)).collect();
    ranked.sort_by_key(|(rank, draft)| (draft.flight.t_ns(), *rank));
    drafts.extend(ranked.into_iter().map(|(_, draft)| draft));
}

/// Indices of all packets, merged from the hosts' captures so that no packet arrives before it was sent.
fn causal_order(evidence: &Evidence, drafts: &[Draft<'_>], draft_of: &BTreeMap<usize, usize>) -> Vec<usize> {
    let mut captures: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, packet) in evidence.packets.iter().enumerate() {
        captures.entry(&packet.host).or_default().push(index);
    }
    for capture in captures.values_mut() {
        // Backwards, so that the next one can be popped.
        capture.sort_by_key(|&index| std::cmp::Reverse(evidence.packets[index].seq));
    }
    let mut is_done = vec![false; evidence.packets.len()];
    let mut order = Vec::with_capacity(evidence.packets.len());
    while order.len() < evidence.packets.len() {
        let waits_for_its_sending = |index: usize| {
            let sent = drafts[draft_of[&index]].flight.sent_index;
            sent.is_some_and(|sent| sent != index && !is_done[sent])
        };
        let heads = captures.iter().filter_map(|(host, capture)| capture.last().map(|&index| (*host, index)));
        // Stamps that contradict the captures' orders could leave nothing but waiting ones: then the earliest goes.
        let next = heads.min_by_key(|&(_, index)| (waits_for_its_sending(index), evidence.packets[index].t_ns));
        let Some((host, index)) = next else { break };
        captures.get_mut(host).and_then(Vec::pop);
        is_done[index] = true;
        order.push(index);
    }
    order
}
