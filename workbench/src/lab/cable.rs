//! A link as it will stand in the kernel: its interfaces with their indices, and whether it goes through the wire.
//!
//! It makes the interfaces; what acts on the wire is in `wire`, what the ends are called in `address`.

use super::error::{Ask, LabError};
use super::link::{self, Device};
use super::namespace::Namespace;
use super::netlink::Batch;
use crate::plan::{LinkPlan, Plan};
use crate::sys::ethtool;

/// One link.
pub(super) struct Cable<'a> {
    /// What the plan says.
    pub plan: &'a LinkPlan,
    /// Indices of the hosts' interfaces.
    pub indices: [u32; 2],
    /// The interfaces on the wire that face them; `None` where the hosts' interfaces are each other's peers.
    pub wire: Option<[WirePort; 2]>,
}

/// An interface on the wire.
pub(super) struct WirePort {
    /// Name, short enough for the kernel whatever the link is called.
    pub name: String,
    /// Index.
    pub index: u32,
}

impl<'a> Cable<'a> {
    /// Numbers the interfaces of all links, each with an index that no other in the lab has.
    pub fn number(plan: &'a Plan) -> Vec<Self> {
        let mut indices = link::FIRST_INDEX..;
        let mut next = || indices.next().unwrap_or(u32::MAX);
        let cables = plan.links.iter().enumerate().map(|(number, link)| {
            let indices = [next(), next()];
            // A cut cable is one whose far ends are down: with the wire between, both hosts' ends can be up.
            let has_wire = plan.has_wire(link) || link.is_cut;
            let port = |side: &str, index| WirePort { name: format!("w{number}{side}"), index };
            let wire = has_wire.then(|| [port("a", next()), port("b", next())]);
            Self { plan: link, indices, wire }
        });
        cables.collect()
    }

    /// Whether the end `side` gets carrier.
    pub fn has_carrier(&self, side: usize) -> bool {
        let ends = &self.plan.ends;
        !self.plan.is_cut && !ends[side].is_down && (self.wire.is_some() || !ends[1 - side].is_down)
    }

    /// Asks for its interfaces, all down; `hosts` are the namespaces of its ends.
    pub fn push(&self, batch: &mut Batch, hosts: [&Namespace; 2], wire: &Namespace) {
        let ask = Ask::new(&self.plan.name, "veth pair", &self.plan.origin);
        let [one, other] = [0, 1].map(|side| Device {
            namespace: hosts[side],
            name: &self.plan.ends[side].interface,
            index: self.indices[side],
            mac: self.plan.ends[side].mac,
            mtu: self.plan.mtu,
        });
        let Some(ports) = &self.wire else {
            return link::push_veth(batch, &one, &other, ask);
        };
        for (side, end) in [one, other].iter().enumerate() {
            let port = &ports[side];
            let facing = Device {
                namespace: wire,
                name: &port.name,
                index: port.index,
                mac: wire_mac(port.index),
                mtu: self.plan.mtu,
            };
            link::push_veth(batch, end, &facing, ask.clone());
        }
    }

    /// Makes both ends send packets as a wire would carry them.
    pub fn disable_offloads(&self, hosts: [&Namespace; 2]) -> Result<(), LabError> {
        for (end, host) in self.plan.ends.iter().zip(hosts) {
            let doing = format!("switching offloads of {} on {} off", end.interface, end.host);
            ethtool::disable_offloads(std::os::fd::AsFd::as_fd(&host.route), &end.interface)
                .map_err(LabError::machine(doing))?;
        }
        Ok(())
    }
}

/// Locally administered and the same in every run; nothing is ever sent to it.
fn wire_mac(index: u32) -> [u8; 6] {
    let [a, b, c, d] = index.to_be_bytes();
    [0x02, 0xff, a, b, c, d]
}
