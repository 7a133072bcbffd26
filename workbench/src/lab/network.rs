//! The network of a plan, built in namespaces and held as long as this value lives. See [`Lab`].
//!
//! The order is: namespaces, interfaces, sysctls and rules, the wire, and only then up, so that no packet leaves before
//! everything that could touch it is in place. Starting anything in the hosts is the agent's business.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::cable::Cable;
use super::error::{Ask, LabError};
use super::fault::{self, Fault};
use super::namespace::{Namespace, WayBack};
use super::netlink::{Batch, Connection};
use super::rules::Ruleset;
use super::wire::{self, Wire};
use super::{address, counters, link, requires, route, sysctl};
use crate::evidence::{RuleCounter, SetupNote};
use crate::plan::{HostPlan, LinkEnd, Plan, RouteTarget};

/// A built network. Dropping it takes it down, as far as no process holds on to it.
pub struct Lab {
    hosts: Vec<Host>,
    notes: Vec<SetupNote>,
    wire: Option<Wire>,
    wire_keeper: Option<&'static str>,
    faults: Vec<Fault>,
}

/// A host of the lab.
struct Host {
    plan: HostPlan,
    namespace: Namespace,
    /// Open where it has rules.
    netfilter: Option<Connection>,
}

impl Lab {
    /// Builds everything the plan says.
    ///
    /// The calling thread's network namespace, a fresh and empty one, becomes the wire and is the current one again on
    /// return. The process has one thread and `/proc` belongs to it.
    ///
    /// # Errors
    ///
    /// [`LabError::Unsupported`] where this kernel lacks what the plan needs, [`LabError::Refused`] with the kernel's
    /// words where it refuses something. What was built by then goes when the caller's namespace does.
    pub fn build(plan: &Plan) -> Result<Self, LabError> {
        Self::build_watched(plan, |_| {})
    }

    /// As [`Lab::build`], and shows the hosts' namespaces to `watch` as soon as they exist, still empty: opening a
    /// capture takes longer than all the rest, and need not wait for it.
    ///
    /// Threads that `watch` starts have to end by themselves: where the wire needs a process, it is forked only then.
    ///
    /// # Errors
    ///
    /// As [`Lab::build`].
    pub fn build_watched(plan: &Plan, watch: impl FnOnce(&[(&str, BorrowedFd<'_>)])) -> Result<Self, LabError> {
        let _way_back = WayBack::remember()?;
        let wire = Namespace::current()?;
        requires::check(plan, &wire)?;
        let mut hosts = Vec::new();
        for host in &plan.hosts {
            hosts.push(Host { plan: host.clone(), namespace: Namespace::create()?, netfilter: None });
        }
        wire.enter()?;
        let seen: Vec<_> = hosts.iter().map(|host| (host.plan.name.as_str(), host.namespace.as_fd())).collect();
        watch(&seen);

        let cables = Cable::number(plan);
        if cables.iter().any(|cable| cable.wire.is_some()) {
            wire::prepare()?;
        }
        make_interfaces(&cables, &hosts, &wire)?;
        let mut notes = Vec::new();
        for host in &mut hosts {
            notes.extend(host.configure(plan, &cables)?);
        }
        wire.enter()?;
        let joined = wire::join(plan, &cables, &wire)?;
        for host in &hosts {
            host.bring_up(&cables)?;
        }
        wait_until_usable(&cables, &hosts, &wire)?;
        let host_of = |name: &str| {
            let host = hosts.iter().find(|host| host.plan.name == name);
            host.map(|host| (&host.plan, &host.namespace))
        };
        let faults = fault::prepare(plan, &cables, &host_of, &wire)?;

        let has_delay = plan.links.iter().any(|link| link.delay_ns > 0 && !link.is_cut);
        let is_relayed = joined.as_ref().is_some_and(|wire| wire.relay.is_some());
        let wire_keeper = has_delay.then_some(if is_relayed { "relay" } else { "netem" });
        Ok(Self { hosts, notes, wire: joined, wire_keeper, faults })
    }

    /// A host's network namespace, for setns(2).
    pub fn netns(&self, host: &str) -> Option<BorrowedFd<'_>> {
        self.hosts.iter().find(|each| each.plan.name == host).map(|host| host.namespace.as_fd())
    }

    /// The hosts' names, in the order of the plan.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.plan.name.as_str())
    }

    /// What the kernel refused, and what was done instead.
    pub fn notes(&self) -> &[SetupNote] {
        &self.notes
    }

    /// All `net.ipv4.tcp_*`, `icmp_*` and `conf.*`, and those that the plan sets, by host, as they are now.
    ///
    /// Hundreds of files for each host: a thread for each, which ends before this returns.
    pub fn sysctls(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, LabError> {
        let read = |host: &Host| {
            host.namespace.enter()?;
            Ok((host.plan.name.clone(), sysctl::read(&host.plan)))
        };
        thread::scope(|scope| {
            let readers: Vec<_> = self.hosts.iter().map(|host| scope.spawn(move || read(host))).collect();
            readers.into_iter().map(|reader| reader.join().expect("a thread that reads files does not panic")).collect()
        })
    }

    /// Packets and bytes that each rule has acted on so far, by the rule's id. A cut link's rules are not there.
    pub fn rule_counters(&self) -> Result<BTreeMap<String, RuleCounter>, LabError> {
        let hosts = self.hosts.iter().filter_map(|host| host.netfilter.as_ref());
        let tables = hosts.chain(self.wire.as_ref().map(|wire| &wire.netfilter));
        let mut all = BTreeMap::new();
        for table in tables {
            all.append(&mut counters::read(table)?);
        }
        Ok(all)
    }

    /// The faults with a cause, prepared, in the order of the plan; once.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// What keeps the delays of the plan's links: `netem` or `relay`; `None` where no link has one.
    pub fn wire(&self) -> Option<&str> {
        self.wire_keeper
    }

    /// Frames that the relay was too slow to take, since the last time this was asked: any makes a run inconclusive.
    pub fn take_lost_on_wire(&self) -> Result<u64, LabError> {
        self.wire.as_ref().and_then(|wire| wire.relay.as_ref()).map_or(Ok(0), |relay| relay.take_lost())
    }
}

impl Host {
    /// Its ends of the cables, with the cable and the side.
    fn ends<'a>(&self, cables: &'a [Cable<'a>]) -> impl Iterator<Item = (&'a Cable<'a>, usize, &'a LinkEnd)> {
        let ends = cables.iter().flat_map(|cable| [0, 1].map(|side| (cable, side, &cable.plan.ends[side])));
        ends.filter(|(_, _, end)| end.host == self.plan.name)
    }

    /// Sysctls and rules, with the calling thread inside.
    fn configure(&mut self, plan: &Plan, cables: &[Cable<'_>]) -> Result<Vec<SetupNote>, LabError> {
        self.namespace.enter()?;
        let mut has_ipv6 = false;
        for (_, _, end) in self.ends(cables) {
            let end_has_ipv6 = end.addresses.iter().any(|(address, _)| address.is_ipv6());
            sysctl::quieten(&end.interface, end_has_ipv6)?;
            has_ipv6 |= end_has_ipv6;
        }
        if self.plan.is_router {
            sysctl::forward(has_ipv6)?;
        }
        let notes = sysctl::apply(&self.plan)?;
        if let Some(rules) = Ruleset::for_host(plan, &self.plan, has_ipv6) {
            let netfilter = Connection::open(NETLINK_NETFILTER)?;
            rules.commit(&netfilter)?;
            self.netfilter = Some(netfilter);
        }
        Ok(notes)
    }

    /// Interfaces up, addresses, neighbours, routes: in one datagram.
    fn bring_up(&self, cables: &[Cable<'_>]) -> Result<(), LabError> {
        let mut batch = Batch::default();
        let host = &self.plan;
        link::push_up(&mut batch, link::LOOPBACK, Ask::new(&host.name, "lo up", &host.origin));
        for (cable, side, end) in self.ends(cables) {
            let index = cable.indices[side];
            if !end.is_down {
                let ask = Ask::new(&host.name, format!("{} up", end.interface), &cable.plan.origin);
                link::push_up(&mut batch, index, ask);
            }
            address::push_end(&mut batch, end, index, &cable.plan.origin);
        }
        for route in &host.routes {
            let mut ends = self.ends(cables).filter(|(_, _, end)| address::leads_to(end, &route.target));
            let end = ends.next();
            // The kernel would refuse it, and taking an interface down would have removed it.
            if end.is_some_and(|(_, _, end)| end.is_down) {
                continue;
            }
            let index = match route.target {
                RouteTarget::Dev(_) => end.map(|(cable, side, _)| cable.indices[side]),
                _ => None,
            };
            route::push_route(&mut batch, &host.name, route, index)?;
        }
        self.namespace.route.demand(batch)
    }
}

fn make_interfaces(cables: &[Cable<'_>], hosts: &[Host], wire: &Namespace) -> Result<(), LabError> {
    let mut batch = Batch::default();
    let mut namespaces = Vec::new();
    for cable in cables {
        let [one, other] = &cable.plan.ends;
        let pair = [namespace_of(cable, one, hosts)?, namespace_of(cable, other, hosts)?];
        cable.push(&mut batch, pair, wire);
        namespaces.push(pair);
    }
    wire.route.demand(batch)?;
    cables.iter().zip(namespaces).try_for_each(|(cable, pair)| cable.disable_offloads(pair))
}

fn namespace_of<'a>(cable: &Cable<'_>, end: &LinkEnd, hosts: &'a [Host]) -> Result<&'a Namespace, LabError> {
    let host = hosts.iter().find(|host| host.plan.name == end.host);
    host.map(|host| &host.namespace).ok_or_else(|| LabError::Plan {
        what: format!("link `{}` ends at host `{}`, which is not among the hosts", cable.plan.name, end.host),
        origin: Box::new(cable.plan.origin.clone()),
    })
}

/// Every interface that is up knows whether it has carrier, and so do the routes through it and its addresses.
fn wait_until_usable(cables: &[Cable<'_>], hosts: &[Host], wire: &Namespace) -> Result<(), LabError> {
    for cable in cables {
        for (side, end) in cable.plan.ends.iter().enumerate().filter(|(_, end)| !end.is_down) {
            let expected = cable.has_carrier(side);
            let host = namespace_of(cable, end, hosts)?;
            link::wait_for_carrier(host, cable.indices[side], &end.interface, expected)?;
            if let (Some(ports), true) = (&cable.wire, expected) {
                link::wait_for_carrier(wire, ports[side].index, &ports[side].name, true)?;
            }
            address::wait_for_ipv6(host, end)?;
        }
    }
    Ok(())
}
