//! Faults with a cause: everything is prepared while the lab is built, so that one begins with a datagram of netlink for
//! each host that it touches, or a write to a file that is open.
//!
//! Packet rules stand in a chain of their own from the beginning, counters and all; between them and the packets is a
//! gate, an empty chain. A rule in the gate that leads on begins the fault, emptying the gate heals it, and the counters
//! stay. When a fault begins is the agent's business.

use std::sync::Arc;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};

use super::cable::Cable;
use super::error::{Ask, LabError};
use super::fault_host::{self, HostState};
use super::fault_wire;
use super::namespace::Namespace;
use super::netlink::{Batch, Connection};
use super::rules::{Ruleset, Scope};
use super::sysctl::OpenSysctl;
use crate::plan::{Action, FaultPlace, FaultPlan, Hook, HostPlan, LinkPlan, Plan};

/// A fault that can begin and heal.
pub struct Fault {
    id: String,
    begin: Vec<Step>,
    heal: Vec<Step>,
}

/// One request to the kernel.
pub(super) enum Step {
    /// Links, addresses, routes and qdiscs.
    Route(Socket, Batch),
    /// A transaction of nf_tables.
    Filter(Socket, Batch),
    /// A sysctl.
    Sysctl(Arc<OpenSysctl>, String),
}

/// A connection that several steps share.
pub(super) type Socket = Arc<Connection>;

impl Fault {
    /// Its id in the plan.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins. What the kernel refuses comes back in its words; the rest is in place all the same.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn begin(&mut self) -> Result<(), String> {
        carry_out(&self.begin)
    }

    /// Takes everything back.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn heal(&mut self) -> Result<(), String> {
        carry_out(&self.heal)
    }
}

fn carry_out(steps: &[Step]) -> Result<(), String> {
    let results = steps.iter().map(|step| {
        let result = match step {
            Step::Route(socket, batch) | Step::Filter(socket, batch) => socket.demand(batch.clone()),
            Step::Sysctl(file, value) => file.write(value),
        };
        result.map_err(|error| error.to_string())
    });
    // All are tried: half a fault is told, and what can be healed is.
    results.fold(Ok(()), Result::and)
}

/// A host's part in the faults, with the connections into it.
pub(super) struct Way {
    /// Links, addresses, routes.
    pub route: Socket,
    /// Packet rules.
    pub filter: Socket,
}

impl Way {
    /// Into the namespace that the calling thread is in.
    pub fn open() -> Result<Self, LabError> {
        Ok(Self { route: Connection::open(NETLINK_ROUTE)?.into(), filter: Connection::open(NETLINK_NETFILTER)?.into() })
    }
}

/// Prepares all faults of a plan, once everything else stands. The calling thread is on the wire, and there again on
/// return.
pub(super) fn prepare<'a>(
    plan: &Plan,
    cables: &[Cable<'_>],
    host_of: &dyn Fn(&str) -> Option<(&'a HostPlan, &'a Namespace)>,
    wire: &Namespace,
) -> Result<Vec<Fault>, LabError> {
    let mut faults = Vec::new();
    for fault in &plan.faults {
        let mut steps = Steps::default();
        match &fault.at {
            FaultPlace::Host(name) => {
                let (host, namespace) = host_of(name).ok_or_else(|| missing(fault))?;
                namespace.enter()?;
                let state = HostState { host, cables, way: Way::open()? };
                fault_host::prepare(&state, fault, &mut steps)?;
                wire.enter()?;
            }
            FaultPlace::Link(name) => {
                let cable = cables.iter().find(|cable| cable.plan.name == *name).ok_or_else(|| missing(fault))?;
                let mut ways = Vec::new();
                for end in &cable.plan.ends {
                    let (host, namespace) = host_of(&end.host).ok_or_else(|| missing(fault))?;
                    namespace.enter()?;
                    ways.push((host, Way::open()?));
                }
                wire.enter()?;
                fault_wire::prepare(cable, fault, ways, Way::open()?, &mut steps)?;
            }
        }
        let Steps { begin, mut heal } = steps;
        heal.reverse();
        faults.push(Fault { id: fault.id.clone(), begin, heal });
    }
    Ok(faults)
}

fn missing(fault: &FaultPlan) -> LabError {
    LabError::Plan {
        what: format!("the fault `{}` is in a place that is not in the plan", fault.id),
        origin: Box::new(fault.origin.clone()),
    }
}

/// What a fault does and what takes it back, as it comes together.
#[derive(Default)]
pub(super) struct Steps {
    begin: Vec<Step>,
    heal: Vec<Step>,
}

impl Steps {
    /// Adds a pair: it is taken back in the opposite order.
    pub fn push(&mut self, begin: Step, heal: Step) {
        self.begin.push(begin);
        self.heal.push(heal);
    }

    /// Adds a gate in a table.
    pub fn push_gate(&mut self, filter: &Socket, scope: Scope, gate: &Gate, fault: &FaultPlan) {
        let begin = Ruleset::open_gate(scope, gate, &fault.text, &fault.origin);
        let heal = Ruleset::close_gate(scope, gate, &fault.text, &fault.origin);
        self.push(Step::Filter(Socket::clone(filter), begin), Step::Filter(Socket::clone(filter), heal));
    }
}

/// Two chains: one that packets come by, and one behind it with a fault's rules.
pub(super) struct Gate {
    /// What the base chain jumps to.
    pub gate: String,
    /// Where the rules are.
    pub behind: String,
}

impl Gate {
    /// That of a fault at a hook or a device.
    pub fn of(fault: &FaultPlan, at: &str) -> Self {
        Self { gate: format!("{}@{at}", fault.id), behind: format!("{}@{at}-rules", fault.id) }
    }
}

/// The rules that the faults of a host have at a hook, by fault.
pub(super) fn of_host<'a>(
    plan: &'a Plan,
    host: &'a str,
    hook: Hook,
) -> impl Iterator<Item = (&'a FaultPlan, Vec<&'a crate::plan::RulePlan>)> {
    let here = plan.faults.iter().filter(move |fault| fault.at == FaultPlace::Host(host.to_owned()));
    let rules = move |fault: &'a FaultPlan| {
        let rules: Vec<_> = fault.rules().filter(|rule| rule.hook == Some(hook)).collect();
        (!rules.is_empty()).then_some((fault, rules))
    };
    here.filter_map(rules)
}

/// The rules that the faults of a link have for what one of its ends sends, by fault.
pub(super) fn of_end<'a>(
    plan: &'a Plan,
    link: &'a LinkPlan,
    host: &'a str,
) -> impl Iterator<Item = (&'a FaultPlan, Vec<&'a crate::plan::RulePlan>)> {
    let here = plan.faults.iter().filter(move |fault| fault.at == FaultPlace::Link(link.name.clone()));
    let rules = move |fault: &'a FaultPlan| {
        let of_end = fault.actions.iter().filter_map(|action| match action {
            Action::Drop { from, rule } if from == host => Some(rule),
            _ => None,
        });
        let rules: Vec<_> = of_end.collect();
        (!rules.is_empty()).then_some((fault, rules))
    };
    here.filter_map(rules)
}

/// Who asks for what a fault does.
pub(super) fn ask(at: &str, what: &str, fault: &FaultPlan) -> Ask {
    Ask::new(at, what, &fault.origin)
}
