//! Queueing disciplines on the wire: netem as the root of a device, and how a kernel says that it has none.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::errno::Errno;

use super::error::{Ask, Refusal};
use super::netem;
use super::netlink::Batch;
use crate::plan::{Netem, NetemPlan};

/// TCA_OPTIONS (include/uapi/linux/rtnetlink.h). Sent as it is: the crate's own variant would nest it once more.
const TCA_OPTIONS: u16 = 2;

/// `1:`, the root, and `2:`, below its only class.
const ROOT: TcHandle = TcHandle { major: 1, minor: 0 };
const CHILD: TcHandle = TcHandle { major: 2, minor: 0 };
const CLASS: TcHandle = TcHandle { major: 1, minor: 1 };

/// Packets that a cable may hold: as good as no limit, because a cable drops nothing.
const CABLE_LIMIT_PACKETS: u32 = 1_000_000;

/// Asks for what acts on the packets that leave the device `index`: the declared netem and the cable's own delay.
///
/// They are one qdisc with the sum of the delays, unless packets overtake each other: those that netem sends at once
/// must still travel the cable, which is then a netem of its own. It stands above: what overtakes in a netem never meets
/// the qdisc below it (net/sched/sch_netem.c: `netem_dequeue` hands on what is at the head of its own queue).
pub(super) fn push_netem(batch: &mut Batch, index: u32, declared: Option<&NetemPlan>, cable_delay_ns: u64, ask: Ask) {
    let cable = Netem { delay_ns: Some(cable_delay_ns), limit_packets: Some(CABLE_LIMIT_PACKETS), ..Netem::default() };
    let Some(declared) = declared.map(|plan| &plan.netem) else {
        return push(batch, index, TcHandle::ROOT, ROOT, &cable, ask);
    };
    let overtakes = declared.reorder.is_some() || declared.gap.is_some();
    if overtakes && cable_delay_ns > 0 {
        push(batch, index, TcHandle::ROOT, ROOT, &cable, ask.clone());
        push(batch, index, CLASS, CHILD, declared, ask);
    } else {
        let delay_ns = declared.delay_ns.unwrap_or(0) + cable_delay_ns;
        push(batch, index, TcHandle::ROOT, ROOT, &Netem { delay_ns: Some(delay_ns), ..declared.clone() }, ask);
    }
}

fn push(batch: &mut Batch, index: u32, parent: TcHandle, handle: TcHandle, netem: &Netem, ask: Ask) {
    push_bytes(batch, index, parent, handle, netem::encode(netem), ask);
}

fn push_bytes(batch: &mut Batch, index: u32, parent: TcHandle, handle: TcHandle, options: Vec<u8>, ask: Ask) {
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = parent;
    message.header.handle = handle;
    message.attributes =
        vec![TcAttribute::Kind("netem".to_owned()), TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, options))];
    batch.push(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_REPLACE, ask);
}

/// Asks for what acts on the packets that leave the device `index` from now on, in place of what is there, which loses
/// nothing: the kernel changes a netem that has the same handle, and makes one where there is none.
pub(super) fn push_change(batch: &mut Batch, index: u32, netem: Option<&Netem>, cable_delay_ns: u64, ask: Ask) {
    // A cable drops nothing.
    let cable = Netem { limit_packets: Some(CABLE_LIMIT_PACKETS), ..Netem::default() };
    let netem = netem.cloned().unwrap_or(cable);
    let whole = Netem { delay_ns: Some(netem.delay_ns.unwrap_or(0) + cable_delay_ns), ..netem };
    push_bytes(batch, index, TcHandle::ROOT, ROOT, netem::encode_change(&whole), ask);
}

/// Whether the kernel refused because it has no such qdisc: ENOENT (net/sched/sch_api.c, `qdisc_create`).
pub(super) fn is_unknown(refusal: &Refusal) -> bool {
    refusal.errno == Errno::ENOENT
}
