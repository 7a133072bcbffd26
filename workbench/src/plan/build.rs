//! Scenario to plans, one for each run. Pure: reads nothing from the machine, and the same scenario gives the same plans.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::baseline;
use super::daemon;
use super::differs::DiffersPlan;
use super::etc_files::etc_files;
use super::fault::{Action, FaultPlan, faults, sysctl_plan};
use super::model::{
    CommandPlan, Expectations, Expected, HostPlan, LinkEnd, LinkPlan, NeighbourPlan, NetemPlan, Origin,
    PLAN_FORMAT_VERSION, Plan, Requirement, RequirementKind, RulePlan, StdinPlan, SweepPlan,
};
use super::origin::{by_rule, origin};
use super::{peer, routing};
use crate::scenario::{
    Differs, End, Host, Link, Party, Prefix, Requires, Rule, RuleAction, Run, Scenario, Spanned, Stdin, SweepValue,
};

/// Ethernet's own MTU, for links that state none.
const DEFAULT_MTU: u32 = 1500;

/// Enough for a kernel and a few small programs; a database needs more.
const DEFAULT_MEMORY_BYTES: u64 = 128 << 20;

/// One plan for each run of a scenario's instances, in their order.
pub fn build(instances: &[Scenario]) -> Vec<Plan> {
    instances.iter().flat_map(of_instance).collect()
}

fn of_instance(scenario: &Scenario) -> Vec<Plan> {
    let hosts: Vec<HostPlan> = scenario.hosts.iter().map(|host| host_plan(scenario, host)).collect();
    let links: Vec<LinkPlan> =
        (0..).zip(&scenario.links).map(|(index, link)| link_plan(scenario, index, link)).collect();
    let faults = faults(scenario);
    let plan = |run: &Run| Plan {
        format_version: PLAN_FORMAT_VERSION,
        scenario: scenario.name().to_owned(),
        file: scenario.source.name.clone(),
        about: scenario.about.as_ref().map(|about| about.value.clone()),
        documented: scenario.documented.iter().map(|document| document.value.clone()).collect(),
        run: run.name.value.clone(),
        sweep: scenario.sweep.iter().map(sweep_plan).collect(),
        template: run.template.clone(),
        requires: requirements(scenario, &faults),
        hosts: hosts.clone(),
        links: links.clone(),
        etc: etc_files(scenario),
        memory_bytes: memory_bytes(scenario, run),
        command: command(scenario, run),
        programs: super::program::programs(scenario),
        faults: faults.clone(),
        daemons: daemon::daemons(scenario),
        expect: expectations(scenario, run),
        differs: differs(scenario, run),
    };
    scenario.runs.iter().map(plan).collect()
}

/// What the scenario says, or enough for the files that are made: each of them, a copy of it, and as much again, because a
/// tmpfs takes half of the memory at most (tmpfs(5)).
fn memory_bytes(scenario: &Scenario, run: &Run) -> u64 {
    let given = scenario.memory_bytes.as_ref().map(|memory| memory.value);
    let files_bytes = daemon::files_bytes(scenario, run);
    given.unwrap_or_else(|| (DEFAULT_MEMORY_BYTES + 4 * files_bytes).next_multiple_of(1 << 20))
}

fn sweep_plan(value: &SweepValue) -> SweepPlan {
    SweepPlan { name: value.name.clone(), value: value.value.clone() }
}

/// What the scenario says, and the netem that a fault brings only later: whether there is one must be known before.
fn requirements(scenario: &Scenario, faults: &[FaultPlan]) -> Vec<Requirement> {
    let mut all: Vec<_> = scenario.requires.iter().map(|requires| requirement(scenario, requires)).collect();
    let later = faults.iter().flat_map(|fault| &fault.actions).find_map(|action| match action {
        Action::Netem { netem, .. } => Some(netem.origin.clone()),
        _ => None,
    });
    let is_said = all.iter().any(|requirement| requirement.what == RequirementKind::Netem);
    let later = later.filter(|_| !is_said);
    all.extend(later.map(|origin| Requirement { what: RequirementKind::Netem, origin }));
    all
}

fn requirement(scenario: &Scenario, requires: &Spanned<Requires>) -> Requirement {
    let what = match &requires.value {
        Requires::Netem => RequirementKind::Netem,
        Requires::Tool(name) => RequirementKind::Tool(name.clone()),
        Requires::Kernel(version) => RequirementKind::Kernel(version.clone()),
        Requires::Sysctl(name) => RequirementKind::Sysctl(name.clone()),
    };
    Requirement { what, origin: origin(&scenario.source, requires.span) }
}

fn host_plan(scenario: &Scenario, host: &Host) -> HostPlan {
    let name = &host.name.value;
    let mut sysctls = baseline::sysctls(&baseline::Facts {
        is_router: host.is_router,
        interfaces: &scenario.interfaces_of(name),
        addresses: &scenario.addresses_of(name),
        has_daemon_of_nobody: host.daemons.iter().any(|daemon| !daemon.is_root),
    });
    sysctls.extend(host.sysctls.iter().map(|sysctl| sysctl_plan(scenario, sysctl)));
    HostPlan {
        name: name.clone(),
        is_router: host.is_router,
        sysctls,
        routes: routing::routes(scenario, host),
        rules: (1..).zip(&host.rules).map(|(n, rule)| rule_plan(scenario, name, n, rule)).collect(),
        peers: peer::peers(scenario, host),
        origin: origin(&scenario.source, host.name.span),
    }
}

/// A rule with an id that begins with its place.
pub(super) fn rule_plan(scenario: &Scenario, place: &str, number: usize, rule: &Rule) -> RulePlan {
    let addresses = |party: &Option<Spanned<Party>>| match party.as_ref().map(|party| &party.value) {
        None => Vec::new(),
        Some(Party::Prefix(prefix)) => vec![(prefix.address, prefix.len)],
        Some(Party::Host(name)) => {
            scenario.addresses_of(name).into_iter().map(|address| (address, Prefix::host(address).len)).collect()
        }
    };
    let verb = match rule.action {
        RuleAction::Drop => "drop",
        RuleAction::Reject(_) => "reject",
    };
    RulePlan {
        id: format!("{place}-{verb}-{number}"),
        text: rule.text.clone(),
        hook: rule.hook,
        matching: rule.matching(),
        from: addresses(&rule.from),
        to: addresses(&rule.to),
        action: rule.action,
        origin: origin(&scenario.source, rule.span),
    }
}

fn link_plan(scenario: &Scenario, index: u8, link: &Link) -> LinkPlan {
    let mac = |end: usize| link.ends[end].mac.map_or([0x02, 0x09, 0, index, 0, end as u8 + 1], |mac| mac.value);
    let end_plan = |own: usize| {
        let (end, far) = (&link.ends[own], &link.ends[1 - own]);
        // Rules of both directions are counted through, so that each has an id of its own.
        let first_drop = if own == 0 { 1 } else { 1 + link.ends[0].drops.len() };
        LinkEnd {
            host: end.host.value.clone(),
            interface: interface(scenario, link, end),
            mac: mac(own),
            addresses: end
                .addresses
                .iter()
                .map(|a| (a.address, a.len.unwrap_or(Prefix::host(a.address).len)))
                .collect(),
            neighbours: neighbours(scenario, link, end, far, mac(1 - own)),
            netem: end
                .netem
                .as_ref()
                .map(|netem| NetemPlan { netem: netem.value.clone(), origin: origin(&scenario.source, netem.span) }),
            drops: (first_drop..)
                .zip(&end.drops)
                .map(|(n, rule)| rule_plan(scenario, &link.name.value, n, rule))
                .collect(),
            is_down: end.is_down,
        }
    };
    LinkPlan {
        name: link.name.value.clone(),
        ends: [end_plan(0), end_plan(1)],
        mtu: link.mtu.map_or(DEFAULT_MTU, |mtu| mtu.value),
        delay_ns: link.delay_ns.map_or(0, |delay| delay.value),
        is_cut: link.is_cut,
        origin: origin(&scenario.source, link.span),
    }
}

fn interface(scenario: &Scenario, link: &Link, end: &End) -> String {
    let host = &end.host.value;
    let mut names = scenario.interfaces_of(host).into_iter().zip(scenario.ends_of(host));
    let own = names.find(|(_, (other, _))| std::ptr::eq(*other, link));
    own.map_or_else(String::new, |(name, _)| name)
}

/// What an end knows without asking: the far end, unless the link learns, and whatever its host pins on this link.
fn neighbours(scenario: &Scenario, link: &Link, end: &End, far: &End, far_mac: [u8; 6]) -> Vec<NeighbourPlan> {
    let mut known: BTreeMap<IpAddr, NeighbourPlan> = BTreeMap::new();
    if !link.learns_neighbours {
        for address in far.addresses.iter().map(|address| address.address) {
            let origin = by_rule("pinned, so that no ARP precedes a packet");
            known.insert(address, NeighbourPlan { address, mac: far_mac, origin });
        }
    }
    let host = scenario.hosts.iter().find(|host| host.name.value == end.host.value);
    for neighbour in host.into_iter().flat_map(|host| &host.neighbours) {
        let address = neighbour.address.value;
        if link.networks.iter().any(|network| network.contains(address)) {
            let origin: Origin = origin(&scenario.source, neighbour.span);
            known.insert(address, NeighbourPlan { address, mac: neighbour.mac.value, origin });
        }
    }
    known.into_values().collect()
}

fn command(scenario: &Scenario, run: &Run) -> CommandPlan {
    let program = run.program.as_ref().and_then(|name| scenario.programs.iter().find(|p| p.name.value == name.value));
    CommandPlan {
        host: program.map_or(&run.host, |program| &program.host).value.clone(),
        argv: run.argv.clone(),
        program: run.program.as_ref().map(|name| name.value.clone()),
        env: run.env.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect(),
        files: daemon::files(scenario, &run.files),
        stdin: match &run.stdin {
            Stdin::Empty => StdinPlan::Empty,
            Stdin::Silent => StdinPlan::Silent,
            Stdin::Text(text) => StdinPlan::Text(text.clone()),
            Stdin::File(path) => StdinPlan::File(path.clone()),
        },
        deadline_ns: run.deadline_ns,
        has_default_deadline: run.has_default_deadline,
        is_horizon: false,
        origin: origin(&scenario.source, run.span),
    }
}

fn expectations(scenario: &Scenario, run: &Run) -> Expectations {
    fn expected<T: Clone>(scenario: &Scenario, claim: &Spanned<T>) -> Expected<T> {
        Expected { value: claim.value.clone(), origin: origin(&scenario.source, claim.span) }
    }
    let expect = &run.expect;
    Expectations {
        exit: expect.exit.as_ref().map(|claim| expected(scenario, claim)),
        signal: expect.signal.as_ref().map(|claim| expected(scenario, claim)),
        after_ns: expect.after_ns.as_ref().map(|claim| expected(scenario, claim)),
        within_ns: expect.within_ns.as_ref().map(|claim| expected(scenario, claim)),
        stdout_contains: expect.stdout.iter().map(|claim| expected(scenario, claim)).collect(),
        stderr_contains: expect.stderr.iter().map(|claim| expected(scenario, claim)).collect(),
    }
}

fn differs(scenario: &Scenario, run: &Run) -> Vec<DiffersPlan> {
    let plan = |differs: &Differs| DiffersPlan {
        since: differs.since.value.clone(),
        why: differs.why.clone(),
        origin: origin(&scenario.source, differs.span),
    };
    run.differs.iter().map(plan).collect()
}
