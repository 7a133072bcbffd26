//! Evidence to timeline: gathers the events of every recorder and puts them in order.

use super::calls::Calls;
use super::ends;
use super::event::Timeline;
use super::flight::Flight;
use super::flights::flights;
use super::flows::Flows;
use super::names::Names;
use super::objects::Objects;
use super::order::in_order;
use super::packets::Packets;
use super::sockets::Sockets;
use super::waits::Waits;
use crate::evidence::Evidence;

/// The story of a run.
pub fn build(evidence: &Evidence) -> Timeline {
    build_from(evidence, &flights(evidence))
}

/// The story of a run whose packets have been paired.
pub fn build_from(evidence: &Evidence, flights: &[Flight]) -> Timeline {
    let names = Names::new(evidence);
    let objects = Objects::new(evidence);
    let sockets = Sockets::new(evidence, &objects);
    let flows = Flows::new(evidence, flights, &sockets, &names);
    let waits = Waits::new(evidence, &objects);
    let calls = Calls { evidence, flights, names: &names, sockets: &sockets, flows: &flows, waits: &waits }.events();
    let packets =
        Packets { evidence, flights, names: &names, sockets: &sockets, flows: &flows, waits: &waits }.events();
    let mut placed = ends::setup(evidence);
    placed.extend(ends::processes(evidence, &names));
    placed.extend(calls);
    placed.extend(packets);
    placed.extend(ends::signals(evidence, &names, &sockets));
    placed.push(ends::end(evidence, &waits, &placed));
    Timeline { events: in_order(placed) }
}
