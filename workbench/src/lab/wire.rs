//! The wire: a namespace between the hosts, where netem, drops declared on a link, and a cable's delay act.
//!
//! Frames come in through one interface and leave through another, so that a capture at the sender shows what left and
//! when, and the sender's own queue never fills. Joining them is a rule that forwards frames (nft_fwd_netdev); where a
//! delay has no netem to keep it, it is the relay's process.

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::cable::{Cable, WirePort};
use super::error::{Ask, LabError};
use super::fault::{self, Gate};
use super::namespace::Namespace;
use super::netlink::{Batch, Connection};
use super::qdisc;
use super::relay::{Direction, Relay};
use super::requires::NETEM_REMEDY;
use super::rules::{Ruleset, WireHook};
use super::sysctl;
use crate::plan::Plan;

/// The wire of a lab that has one.
pub(super) struct Wire {
    /// For reading the drops' counters.
    pub netfilter: Connection,
    /// What keeps the delays, if netem does not.
    pub relay: Option<Relay>,
}

/// Switches IPv6 off for the interfaces to come; the calling thread is on the wire. They are cable, not hosts.
pub(super) fn prepare() -> Result<(), LabError> {
    sysctl::quieten("default", false)
}

/// Joins the interfaces of every cable that goes through the wire, on which the calling thread is, and brings them up.
pub(super) fn join(plan: &Plan, cables: &[Cable<'_>], wire: &Namespace) -> Result<Option<Wire>, LabError> {
    let joined: Vec<_> = cables
        .iter()
        .filter(|cable| !cable.plan.is_cut)
        .filter_map(|cable| Some((cable, cable.wire.as_ref()?)))
        .collect();
    if joined.is_empty() {
        return Ok(None);
    }
    let has_netem = push_netem(&joined, wire)?;
    let is_relayed = |cable: &Cable<'_>| cable.plan.delay_ns > 0 && !has_netem;

    let mut rules = Ruleset::for_wire();
    let mut up = Batch::default();
    let mut directions = Vec::new();
    for &(cable, ports) in &joined {
        let link = cable.plan;
        for (from, end) in link.ends.iter().enumerate() {
            let (near, far) = (&ports[from], &ports[1 - from]);
            if is_relayed(cable) {
                // The relay reads before any rule of the interface sees a frame.
                rules.push_wire(&far.name, WireHook::Egress, &end.drops, &link.name, &link.origin);
                push_gates(&mut rules, plan, cable, from, &far.name);
                directions.push(Direction { from_index: near.index, to_index: far.index, delay_ns: link.delay_ns });
            } else {
                rules.push_wire(&near.name, WireHook::Ingress, &end.drops, &link.name, &link.origin);
                push_gates(&mut rules, plan, cable, from, &near.name);
                rules.push_forward(&near.name, far.index, &link.origin);
            }
            super::link::push_up(&mut up, near.index, Ask::new(&link.name, "interface up", &link.origin));
        }
    }
    let netfilter = Connection::open(NETLINK_NETFILTER)?;
    rules.commit(&netfilter)?;
    wire.route.demand(up)?;
    let relay = if directions.is_empty() { None } else { Some(Relay::start(&directions)?) };
    Ok(Some(Wire { netfilter, relay }))
}

/// Adds the gates of the faults that drop what an end sends to the chain that it comes through.
fn push_gates(rules: &mut Ruleset, plan: &Plan, cable: &Cable<'_>, from: usize, chain: &str) {
    let Some(ports) = &cable.wire else { return };
    for (fault, behind) in fault::of_end(plan, cable.plan, &cable.plan.ends[from].host) {
        rules.push_gate(chain, &Gate::of(fault, &ports[from].name), &behind, fault);
    }
}

/// Puts netem where it is declared and where a cable has a delay. False if this kernel has none and none is declared.
fn push_netem(joined: &[(&Cable<'_>, &[WirePort; 2])], wire: &Namespace) -> Result<bool, LabError> {
    let mut batch = Batch::default();
    for (cable, ports) in joined {
        let plan = cable.plan;
        for (from, end) in plan.ends.iter().enumerate() {
            let declared = end.netem.as_ref();
            if declared.is_some() || plan.delay_ns > 0 {
                let origin = declared.map_or(&plan.origin, |netem| &netem.origin);
                let ask = Ask::new(&plan.name, format!("netem for what {} sends", end.host), origin);
                qdisc::push_netem(&mut batch, ports[1 - from].index, declared, plan.delay_ns, ask);
            }
        }
    }
    let refusal = match wire.route.execute(batch)? {
        None => return Ok(true),
        Some(refusal) if !qdisc::is_unknown(&refusal) => return Err(refusal.into()),
        Some(refusal) => refusal,
    };
    match joined.iter().flat_map(|(cable, _)| &cable.plan.ends).find_map(|end| end.netem.as_ref()) {
        None => Ok(false),
        Some(declared) => Err(LabError::Unsupported {
            feature: "netem".to_owned(),
            why: refusal.kernel(),
            remedy: NETEM_REMEDY.to_owned(),
            origin: Box::new(declared.origin.clone()),
        }),
    }
}
