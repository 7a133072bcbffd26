//! Interfaces: veth pairs made in place, brought up, and waited for until a packet can use them.
//!
//! Addresses and routes are not its business.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage, State};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::error::{Ask, LabError};
use super::namespace::Namespace;
use super::netlink::{Batch, Connection};

/// Index of `lo` in every namespace (net/core/net_namespace.c makes it the first device).
pub(super) const LOOPBACK: u32 = 1;

/// First index given out. Kernels with tunnel modules put fallback devices at 2 and up into each new namespace.
pub(super) const FIRST_INDEX: u32 = 100;

/// RTNLGRP_LINK (rtnetlink(7)).
const LINK_GROUP: u32 = 1;

/// One end of a veth pair that is to be.
///
/// Its index is unique in the whole lab. Two ends with the same index in different namespaces look to linkwatch
/// (net/core/link_watch.c, `linkwatch_urgent_event`) like a device without a peer, whose carrier it may tend to a second
/// late.
pub(super) struct Device<'a> {
    pub namespace: &'a Namespace,
    pub name: &'a str,
    pub index: u32,
    pub mac: [u8; 6],
    pub mtu: u32,
}

impl Device<'_> {
    /// What is asked for it, in a request of its own or as the peer in another's.
    fn describe<T>(&self, message: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        let namespace = self.namespace.as_fd().as_raw_fd();
        message.index(self.index).name(self.name).address(self.mac.to_vec()).mtu(self.mtu).setns_by_fd(namespace)
    }
}

/// Asks for a veth pair, each end in its own namespace from the start; both are down.
pub(super) fn push_veth(batch: &mut Batch, one: &Device<'_>, other: &Device<'_>, ask: Ask) {
    let peer = other.describe(LinkMessageBuilder::<LinkUnspec>::default()).build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
    let message = one.describe(pair).build();
    batch.push(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, ask);
}

/// Asks for an interface to be administratively up.
pub(super) fn push_up(batch: &mut Batch, index: u32, ask: Ask) {
    let message = LinkUnspec::new_with_index(index).up().build();
    batch.push(RouteNetlinkMessage::SetLink(message), 0, ask);
}

/// Asks for an interface to be administratively down.
pub(super) fn push_down(batch: &mut Batch, index: u32, ask: Ask) {
    let message = LinkUnspec::new_with_index(index).down().build();
    batch.push(RouteNetlinkMessage::SetLink(message), 0, ask);
}

/// Asks for another MTU.
pub(super) fn push_mtu(batch: &mut Batch, index: u32, mtu: u32, ask: Ask) {
    let message = LinkUnspec::new_with_index(index).mtu(mtu).build();
    batch.push(RouteNetlinkMessage::SetLink(message), 0, ask);
}

/// Blocks until an interface that is administratively up has carrier, or has none, *and* the kernel has acted on it.
///
/// Between the two the device still has the noop qdisc, and a packet sent is a packet lost. Since 6.8 asking is enough
/// (`rtnl_getlink` catches up with linkwatch itself); before, the notification has to be waited for.
pub(super) fn wait_for_carrier(namespace: &Namespace, index: u32, name: &str, expected: bool) -> Result<(), LabError> {
    let what = if expected { "carrier" } else { "no carrier" };
    let is_so = |route: &Connection| has_settled(route, index, expected);
    namespace.wait_until(LINK_GROUP, &format!("{name} to have {what}"), is_so)
}

/// Whether the operational state (RFC 2863) follows the carrier. A new device's is unknown and counts as running.
fn has_settled(route: &Connection, index: u32, expected: bool) -> Result<bool, LabError> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    let answer = route.query(RouteNetlinkMessage::GetLink(question), 0)?;
    Ok(answer.iter().any(|message| match message {
        RouteNetlinkMessage::NewLink(link) if expected => {
            link.header.flags.contains(LinkFlags::LowerUp | LinkFlags::Running)
                && link.attributes.contains(&LinkAttribute::OperState(State::Up))
        }
        RouteNetlinkMessage::NewLink(link) => !link.header.flags.intersects(LinkFlags::LowerUp | LinkFlags::Running),
        _ => false,
    }))
}
