//! What a fault does to a link: drops behind a gate and netem on the wire, the cable pulled, another MTU, an end that is
//! down; and what takes it back.

use super::cable::Cable;
use super::error::LabError;
use super::fault::{Gate, Socket, Step, Steps, Way, ask};
use super::fault_host::{push_state, restore_end};
use super::link;
use super::netlink::Batch;
use super::qdisc;
use super::rules::Scope;
use crate::plan::{Action, FaultPlan, HostPlan, NetemPlan};

/// Prepares a fault of a link; `ways` lead into the hosts of its ends, `wire` to the wire, on which the thread is.
pub(super) fn prepare(
    cable: &Cable<'_>,
    fault: &FaultPlan,
    ways: Vec<(&HostPlan, Way)>,
    wire: Way,
    steps: &mut Steps,
) -> Result<(), LabError> {
    for (side, end) in cable.plan.ends.iter().enumerate() {
        let is_of_end = |action: &Action| matches!(action, Action::Drop { from, .. } if *from == end.host);
        if let Some(ports) = cable.wire.as_ref().filter(|_| fault.actions.iter().any(is_of_end)) {
            let gate = Gate::of(fault, &ports[side].name);
            steps.push_gate(&wire.filter, Scope::Wire, &gate, fault);
        }
    }
    for action in &fault.actions {
        match action {
            Action::Netem { from, netem } => push_netem(cable, fault, from, netem, &wire, steps),
            Action::Cut(_) => push_cut(cable, fault, &wire, steps),
            Action::Mtu(mtu, _) => push_mtu(cable, fault, *mtu, &ways, &wire, steps),
            Action::Down(host, _) => push_down(cable, fault, host, &ways, steps)?,
            _ => {}
        }
    }
    Ok(())
}

/// Both are said in full: the kernel changes the qdisc that is there, and leaves what it is not told as it was. Nothing
/// that is under way is lost so, and where there was none, one that does nothing stays behind.
fn push_netem(cable: &Cable<'_>, fault: &FaultPlan, from: &str, netem: &NetemPlan, wire: &Way, steps: &mut Steps) {
    let Some(ports) = &cable.wire else { return };
    for (side, end) in cable.plan.ends.iter().enumerate().filter(|(_, end)| end.host == from) {
        let index = ports[1 - side].index;
        let delay_ns = cable.plan.delay_ns;
        let (mut begin, mut heal) = (Batch::default(), Batch::default());
        let asked = || ask(&cable.plan.name, &format!("netem for what {from} sends"), fault);
        qdisc::push_change(&mut begin, index, Some(&netem.netem), delay_ns, asked());
        qdisc::push_change(&mut heal, index, end.netem.as_ref().map(|netem| &netem.netem), delay_ns, asked());
        steps.push(Step::Route(Socket::clone(&wire.route), begin), Step::Route(Socket::clone(&wire.route), heal));
    }
}

/// The far ends on the wire go down, so that both hosts lose their carrier.
fn push_cut(cable: &Cable<'_>, fault: &FaultPlan, wire: &Way, steps: &mut Steps) {
    let Some(ports) = &cable.wire else { return };
    let (mut begin, mut heal) = (Batch::default(), Batch::default());
    for port in ports {
        link::push_down(&mut begin, port.index, ask(&cable.plan.name, "cut", fault));
        link::push_up(&mut heal, port.index, ask(&cable.plan.name, "plugged in again", fault));
    }
    steps.push(Step::Route(Socket::clone(&wire.route), begin), Step::Route(Socket::clone(&wire.route), heal));
}

fn push_mtu(cable: &Cable<'_>, fault: &FaultPlan, mtu: u32, ways: &[(&HostPlan, Way)], wire: &Way, steps: &mut Steps) {
    let ends = cable.indices.into_iter().zip(ways.iter().map(|(_, way)| way));
    let ports = cable.wire.iter().flatten().map(|port| (port.index, wire));
    // What a port takes must not be less than what is sent to it, so the wire's are changed only where that is more.
    for (index, way) in ends.chain(ports.filter(|_| mtu > cable.plan.mtu)) {
        let (mut begin, mut heal) = (Batch::default(), Batch::default());
        link::push_mtu(&mut begin, index, mtu, ask(&cable.plan.name, &format!("mtu {mtu}"), fault));
        let before = cable.plan.mtu;
        link::push_mtu(&mut heal, index, before, ask(&cable.plan.name, &format!("mtu {before}"), fault));
        steps.push(Step::Route(Socket::clone(&way.route), begin), Step::Route(Socket::clone(&way.route), heal));
    }
}

/// An interface that goes down takes its routes, its IPv6 addresses and its neighbours with it.
fn push_down(
    cable: &Cable<'_>,
    fault: &FaultPlan,
    name: &str,
    ways: &[(&HostPlan, Way)],
    steps: &mut Steps,
) -> Result<(), LabError> {
    for ((index, end), (host, way)) in cable.indices.into_iter().zip(&cable.plan.ends).zip(ways) {
        if end.host != name {
            continue;
        }
        let (mut begin, mut heal) = (Batch::default(), Batch::default());
        push_state(&mut begin, host, index, false, fault);
        push_state(&mut heal, host, index, true, fault);
        restore_end(&mut heal, host, end, index, fault)?;
        steps.push(Step::Route(Socket::clone(&way.route), begin), Step::Route(Socket::clone(&way.route), heal));
    }
    Ok(())
}
