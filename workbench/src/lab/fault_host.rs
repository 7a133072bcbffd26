//! What a fault does in a host: rules behind a gate, routes, sysctls, addresses that go away; and what takes it back.

use std::net::IpAddr;
use std::sync::Arc;

use super::cable::Cable;
use super::error::LabError;
use super::fault::{Gate, Socket, Step, Steps, Way, ask};
use super::netlink::Batch;
use super::rules::{Scope, chain_name};
use super::sysctl::OpenSysctl;
use super::{address, link, route};
use crate::plan::{Action, FaultPlan, Hook, HostPlan, LinkEnd, RoutePlan, RouteTarget, SysctlPlan};

/// A host as it stands before any fault.
pub(super) struct HostState<'a> {
    /// What the plan says.
    pub host: &'a HostPlan,
    /// All links.
    pub cables: &'a [Cable<'a>],
    /// Connections into it.
    pub way: Way,
}

/// Prepares a fault of a host, in which the calling thread is.
pub(super) fn prepare(state: &HostState<'_>, fault: &FaultPlan, steps: &mut Steps) -> Result<(), LabError> {
    for hook in [Hook::Input, Hook::Forward, Hook::Output] {
        if fault.rules().any(|rule| rule.hook == Some(hook)) {
            steps.push_gate(&state.way.filter, Scope::Host, &Gate::of(fault, chain_name(hook)), fault);
        }
    }
    for action in &fault.actions {
        match action {
            Action::Route(route) => push_route(state, route, steps)?,
            Action::Sysctl(sysctl) => push_sysctl(state, sysctl, steps)?,
            Action::RemoveAddress { link, address, .. } => push_address(state, link, *address, fault, steps)?,
            _ => {}
        }
    }
    Ok(())
}

fn push_route(state: &HostState<'_>, plan: &RoutePlan, steps: &mut Steps) -> Result<(), LabError> {
    let HostState { host, cables, way } = state;
    let mut begin = Batch::default();
    route::push_replacing(&mut begin, &host.name, plan, index_of(host, cables, plan))?;
    let mut heal = Batch::default();
    let is_same = |other: &&RoutePlan| (other.destination, other.prefix_len) == (plan.destination, plan.prefix_len);
    match host.routes.iter().find(is_same) {
        Some(before) => route::push_replacing(&mut heal, &host.name, before, index_of(host, cables, before))?,
        None => route::push_removal(&mut heal, &host.name, plan, index_of(host, cables, plan))?,
    }
    steps.push(Step::Route(Socket::clone(&way.route), begin), Step::Route(Socket::clone(&way.route), heal));
    Ok(())
}

/// The interface that a route names.
fn index_of(host: &HostPlan, cables: &[Cable<'_>], route: &RoutePlan) -> Option<u32> {
    let RouteTarget::Dev(_) = route.target else { return None };
    ends(host, cables).find(|(_, end)| address::leads_to(end, &route.target)).map(|(index, _)| index)
}

/// A host's ends of links, with the indices of its interfaces.
fn ends<'a>(host: &'a HostPlan, cables: &'a [Cable<'a>]) -> impl Iterator<Item = (u32, &'a LinkEnd)> {
    let ends = cables.iter().flat_map(|cable| cable.indices.into_iter().zip(&cable.plan.ends));
    ends.filter(move |(_, end)| end.host == host.name)
}

/// The file is opened now, while `/proc/sys` can be written: a descriptor outlasts the mount's becoming read-only.
fn push_sysctl(state: &HostState<'_>, plan: &SysctlPlan, steps: &mut Steps) -> Result<(), LabError> {
    let Some(file) = OpenSysctl::open(&state.host.name, plan)?.map(Arc::new) else { return Ok(()) };
    let before = file.read()?;
    steps.push(Step::Sysctl(Arc::clone(&file), plan.value.clone()), Step::Sysctl(file, before));
    Ok(())
}

/// With the last address of a family on an interface go its routes and all it knows of its neighbours
/// (net/ipv4/fib_frontend.c, `fib_disable_ip`).
fn push_address(
    state: &HostState<'_>,
    link: &str,
    removed: IpAddr,
    fault: &FaultPlan,
    steps: &mut Steps,
) -> Result<(), LabError> {
    let HostState { host, cables, way } = state;
    for cable in cables.iter().filter(|cable| cable.plan.name == link) {
        for (index, end) in cable.indices.into_iter().zip(&cable.plan.ends).filter(|(_, end)| end.host == host.name) {
            for &(own, prefix_len) in end.addresses.iter().filter(|(own, _)| *own == removed) {
                let mut begin = Batch::default();
                address::push_removal(&mut begin, index, own, prefix_len, ask(&host.name, &fault.text, fault));
                let mut heal = Batch::default();
                restore_end(&mut heal, host, end, index, fault)?;
                let begin = Step::Route(Socket::clone(&way.route), begin);
                steps.push(begin, Step::Route(Socket::clone(&way.route), heal));
            }
        }
    }
    Ok(())
}

/// Asks again for all that an interface of a host had: addresses, neighbours, the routes through it. What is still there
/// stays.
pub(super) fn restore_end(
    batch: &mut Batch,
    host: &HostPlan,
    end: &LinkEnd,
    index: u32,
    fault: &FaultPlan,
) -> Result<(), LabError> {
    address::push_end_again(batch, end, index, &fault.origin);
    for plan in host.routes.iter().filter(|plan| address::leads_to(end, &plan.target)) {
        let dev = matches!(plan.target, RouteTarget::Dev(_)).then_some(index);
        route::push_replacing(batch, &host.name, plan, dev)?;
    }
    Ok(())
}

/// Asks for a host's interface to be up with all it had, or down.
pub(super) fn push_state(batch: &mut Batch, host: &HostPlan, index: u32, is_up: bool, fault: &FaultPlan) {
    let ask = ask(&host.name, &fault.text, fault);
    if is_up { link::push_up(batch, index, ask) } else { link::push_down(batch, index, ask) }
}
