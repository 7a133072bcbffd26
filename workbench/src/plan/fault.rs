//! Faults with a cause, with everything in them decided: where they are, what they begin and end with, what they do.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::build::rule_plan;
use super::model::{Cause, LinkPlan, NetemPlan, Origin, Plan, RoutePlan, RulePlan, SysctlPlan};
use super::origin::origin;
use super::routing;
pub use crate::scenario::Heal;
use crate::scenario::{CausedFault, FaultAction, Host, Link, Scenario, Sysctl};

/// A fault that begins when its cause comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// A short name, unique in the plan: `server-fault-1`.
    pub id: String,
    /// Where it is.
    pub at: FaultPlace,
    /// What it begins with.
    pub cause: Cause,
    /// What ends it; `None` if it lasts until the end of the run.
    pub heals: Option<Heal>,
    /// What it does, in order.
    pub actions: Vec<Action>,
    /// What it does, in one line: `drop tcp dport=80; route default blackhole`.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultPlace {
    /// In this host.
    Host(String),
    /// On this link.
    Link(String),
}

/// One thing that a fault does; healing takes it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A packet rule of the host, behind those that are always there.
    Rule(RulePlan),
    /// A route of the host, in place of the one to the same destination.
    Route(RoutePlan),
    /// A sysctl of the host.
    Sysctl(SysctlPlan),
    /// An address of the host goes away, and with it what hangs on it.
    RemoveAddress {
        /// The link it is on.
        link: String,
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix_len: u8,
        /// Where it stands.
        origin: Origin,
    },
    /// A drop on the wire, for what this host sends.
    Drop {
        /// The end that sends.
        from: String,
        /// The rule.
        rule: RulePlan,
    },
    /// netem for what this host sends, in place of the link's own.
    Netem {
        /// The end that sends.
        from: String,
        /// Its parameters.
        netem: NetemPlan,
    },
    /// The cable is pulled.
    Cut(Origin),
    /// Another MTU for both ends.
    Mtu(u32, Origin),
    /// This host's end is administratively down.
    Down(String, Origin),
}

impl FaultPlan {
    /// Its packet rules.
    pub fn rules(&self) -> impl Iterator<Item = &RulePlan> {
        self.actions.iter().filter_map(|action| match action {
            Action::Rule(rule) | Action::Drop { rule, .. } => Some(rule),
            _ => None,
        })
    }

    /// Whether it acts on the wire of a link.
    pub fn acts_on_wire(&self, link: &LinkPlan) -> bool {
        let acts = |action: &Action| matches!(action, Action::Drop { .. } | Action::Netem { .. } | Action::Cut(_));
        self.at == FaultPlace::Link(link.name.clone()) && self.actions.iter().any(acts)
    }

    /// It in one line: `when client.established for 3s: drop tcp`.
    pub fn sentence(&self) -> String {
        let heals = self.heals.as_ref().map_or(String::new(), |heal| format!(" {heal}"));
        format!("{}{heals}: {}", self.cause, self.text)
    }
}

impl Plan {
    /// Whether a link needs a namespace of its own between its ends: something acts on the wire, or will.
    pub fn has_wire(&self, link: &LinkPlan) -> bool {
        link.has_wire() || self.faults.iter().any(|fault| fault.acts_on_wire(link))
    }
}

/// All faults with a cause of a scenario: those of the hosts, then those of the links, in the order of the file.
pub(super) fn faults(scenario: &Scenario) -> Vec<FaultPlan> {
    let of_hosts = scenario.hosts.iter().flat_map(|host| {
        (1..).zip(&host.faults).map(move |(n, fault)| {
            let id = format!("{}-fault-{n}", host.name.value);
            let actions = host_actions(scenario, host, &id, fault);
            plan(scenario, id, FaultPlace::Host(host.name.value.clone()), fault, actions)
        })
    });
    let of_links = scenario.links.iter().flat_map(|link| {
        (1..).zip(&link.faults).map(move |(n, fault)| {
            let id = format!("{}-fault-{n}", link.name.value);
            let actions = link_actions(scenario, link, &id, fault);
            plan(scenario, id, FaultPlace::Link(link.name.value.clone()), fault, actions)
        })
    });
    of_hosts.chain(of_links).collect()
}

fn plan(scenario: &Scenario, id: String, at: FaultPlace, fault: &CausedFault, actions: Vec<Action>) -> FaultPlan {
    FaultPlan {
        id,
        at,
        cause: fault.cause.value.clone(),
        heals: fault.heals.as_ref().map(|heals| heals.value.clone()),
        actions,
        text: fault.doing.clone(),
        origin: origin(&scenario.source, fault.span),
    }
}

fn host_actions(scenario: &Scenario, host: &Host, id: &str, fault: &CausedFault) -> Vec<Action> {
    let mut actions = Vec::new();
    for action in &fault.actions {
        match action {
            FaultAction::Rule(rule) => {
                actions.push(Action::Rule(rule_plan(scenario, id, actions.len() + 1, rule)));
            }
            FaultAction::Route(route) => {
                actions.extend(routing::of_route(scenario, host, route).into_iter().map(Action::Route));
            }
            FaultAction::Sysctl(sysctl) => actions.push(Action::Sysctl(sysctl_plan(scenario, sysctl))),
            FaultAction::RemoveAddress(address) => {
                let Some((link, prefix_len)) = scenario.link_of_address(&host.name.value, address.value) else {
                    unreachable!("a scenario that takes a foreign address away does not parse");
                };
                actions.push(Action::RemoveAddress {
                    link: scenario.links[link].name.value.clone(),
                    address: address.value,
                    prefix_len,
                    origin: origin(&scenario.source, address.span),
                });
            }
            _ => {}
        }
    }
    actions
}

fn link_actions(scenario: &Scenario, link: &Link, id: &str, fault: &CausedFault) -> Vec<Action> {
    let mut actions = Vec::new();
    let host = |end: usize| link.ends[end].host.value.clone();
    for action in &fault.actions {
        match action {
            FaultAction::Drop(ends, rule) => {
                for &end in ends {
                    let rule = rule_plan(scenario, id, actions.len() + 1, rule);
                    actions.push(Action::Drop { from: host(end), rule });
                }
            }
            FaultAction::Netem(ends, netem) => actions.extend(ends.iter().map(|&end| Action::Netem {
                from: host(end),
                netem: NetemPlan { netem: netem.value.clone(), origin: origin(&scenario.source, netem.span) },
            })),
            FaultAction::Cut(span) => actions.push(Action::Cut(origin(&scenario.source, *span))),
            FaultAction::Mtu(mtu) => actions.push(Action::Mtu(mtu.value, origin(&scenario.source, mtu.span))),
            FaultAction::Down(end, span) => actions.push(Action::Down(host(*end), origin(&scenario.source, *span))),
            _ => {}
        }
    }
    actions
}

/// A sysctl that a scenario sets.
pub(super) fn sysctl_plan(scenario: &Scenario, sysctl: &Sysctl) -> SysctlPlan {
    SysctlPlan {
        name: sysctl.name.value.clone(),
        value: sysctl.value.clone(),
        or: sysctl.or.as_ref().map(|or| or.value.clone()),
        if_present: sysctl.if_present,
        origin: origin(&scenario.source, sysctl.span),
    }
}
