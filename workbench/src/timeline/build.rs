//! Evidence to timeline: gathers the events of every recorder and puts them in order.

use super::calls::Calls;
use super::cast;
use super::ends;
use super::event::Timeline;
use super::flight::Flight;
use super::flights::flights;
use super::index::Index;
use super::order::in_order;
use super::packets::Packets;
use super::programs::Programs;
use super::states::States;
use super::waits::Waits;
use crate::evidence::Evidence;

/// The story of a run.
pub fn build(evidence: &Evidence) -> Timeline {
    build_from(evidence, &flights(evidence))
}

/// The story of a run whose packets have been paired.
pub fn build_from(evidence: &Evidence, flights: &[Flight]) -> Timeline {
    let index = &Index::new(evidence, flights);
    let Index { names, objects, sockets, flows } = index;
    let waits = &Waits::new(evidence, objects);
    let programs = &Programs::new(evidence, flights, index, waits);
    let calls = Calls { evidence, flights, names, sockets, flows, waits, programs }.events();
    let packets = Packets { evidence, flights, names, sockets, flows, waits, objects }.events();
    let mut placed = ends::setup(evidence);
    placed.extend(ends::processes(evidence, names));
    placed.extend(calls);
    placed.extend(programs.events());
    placed.extend(States { evidence, names, flows, flights, last_look_ns: waits.last_look_ns(evidence) }.events());
    placed.extend(cast::daemons(evidence));
    placed.extend(cast::faults(evidence));
    placed.extend(packets);
    placed.extend(ends::signals(evidence, names, sockets));
    placed.push(ends::end(evidence, waits, &placed));
    Timeline { events: in_order(placed) }
}
