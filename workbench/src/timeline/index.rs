//! What a run's evidence is looked up by, made once: names, objects behind descriptors, connections, flows.

use super::flight::Flight;
use super::flows::Flows;
use super::names::Names;
use super::objects::Objects;
use super::sockets::Sockets;
use crate::evidence::Evidence;

/// Whatever is known by another name than the one it is recorded under.
pub struct Index<'a> {
    /// Names for a reader.
    pub names: Names<'a>,
    /// What is behind descriptors.
    pub objects: Objects,
    /// The command's connections.
    pub sockets: Sockets,
    /// Transport flows among the packets.
    pub flows: Flows,
}

impl<'a> Index<'a> {
    /// From the same evidence as `flights`.
    pub fn new(evidence: &'a Evidence, flights: &[Flight]) -> Self {
        let names = Names::new(evidence);
        let objects = Objects::new(evidence);
        let sockets = Sockets::new(evidence, &objects);
        let flows = Flows::new(evidence, flights, &sockets, &names);
        Self { names, objects, sockets, flows }
    }
}
