//! Faults with a cause, held against the whole file: the hosts, programs, addresses and links that they name, and what
//! cannot come and go.

use super::address::{Family, Prefix};
use super::cause::{Cause, SocketState};
use super::caused::{CausedFault, FaultAction, Heal};
use super::check::{known, parties};
use super::error::{Problem, quoted};
use super::model::{Destination, Host, Link, Party, Route, RouteTo, Rule, Scenario};
use super::program;
use super::span::Spanned;
use super::suggest::did_you_mean;

/// Checks the names in all faults with a cause, and the links they are on.
pub(super) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    for host in &scenario.hosts {
        for fault in &host.faults {
            causes(scenario, fault, problems);
            fault.actions.iter().for_each(|action| of_host(scenario, host, action, problems));
        }
    }
    for link in &scenario.links {
        for fault in &link.faults {
            causes(scenario, fault, problems);
            fault.actions.iter().for_each(|action| of_link(scenario, link, action, problems));
        }
    }
}

/// Checks the routes of faults: of links and hosts that are right.
pub(super) fn routes(scenario: &Scenario, problems: &mut Vec<Problem>) {
    for host in &scenario.hosts {
        for action in host.faults.iter().flat_map(|fault| &fault.actions) {
            if let FaultAction::Route(route) = action {
                problems.extend(scenario.resolve_route(host, route).err());
            }
        }
    }
}

fn causes(scenario: &Scenario, fault: &CausedFault, problems: &mut Vec<Problem>) {
    cause(scenario, &fault.cause.value, fault.cause.span, problems);
    if let Some(Spanned { value: Heal::Until(until), span }) = &fault.heals {
        cause(scenario, until, *span, problems);
    }
}

fn cause(scenario: &Scenario, cause: &Cause, span: miette::SourceSpan, problems: &mut Vec<Problem>) {
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.value.as_str()).collect();
    match cause {
        Cause::At { .. } => {}
        Cause::Socket { host, .. } => {
            known("host", &hosts, &Spanned::new(host.clone(), span), problems);
        }
        Cause::Bytes { from, .. } => {
            if let Some(from) = from {
                known("host", &hosts, &Spanned::new(from.clone(), span), problems);
            }
        }
        Cause::Step { program, step } => problems.extend(step_of(scenario, program, step).map(|p| p.at(span))),
    }
}

/// Why a program's step cannot be waited for.
fn step_of(scenario: &Scenario, name: &str, step: &str) -> Option<Problem> {
    if let Some(program) = scenario.programs.iter().find(|program| program.name.value == name) {
        let steps: Vec<&str> = program::named_steps(program).collect();
        if steps.contains(&step) {
            return None;
        }
        let problem = Problem::new(format!("the program {} has no step {}", quoted(name), quoted(step)));
        let problem = problem.label("waits for it").also(program.span, "the program");
        let declare = format!("name the place in it: `step {step}`");
        return Some(problem.help(did_you_mean(step, &steps).unwrap_or(declare)));
    }
    let hosts = scenario.hosts.iter().map(|host| host.name.value.as_str());
    if hosts.clone().any(|host| host == name) {
        let states: Vec<&str> = SocketState::NAMES.iter().map(|(name, _)| *name).collect();
        let problem = Problem::new(format!("{} is no state of a socket", quoted(step))).label("not known");
        let all = format!("a host's sockets are {}", states.join(", "));
        return Some(problem.help(did_you_mean(step, &states).unwrap_or(all)));
    }
    let names: Vec<&str> = hosts.chain(scenario.programs.iter().map(|program| program.name.value.as_str())).collect();
    let problem = Problem::new(format!("no host or program is called {}", quoted(name))).label("not declared");
    let help = "a host and a state of its sockets, or a program and one of its steps: client.established";
    Some(problem.help(did_you_mean(name, &names).unwrap_or_else(|| help.to_owned())))
}

fn of_host(scenario: &Scenario, host: &Host, action: &FaultAction, problems: &mut Vec<Problem>) {
    match action {
        FaultAction::Rule(rule) => parties(scenario, rule, problems),
        FaultAction::Route(route) => route_names(scenario, route, problems),
        FaultAction::RemoveAddress(address) => {
            let own = scenario.addresses_of(&host.name.value);
            if !own.contains(&address.value) {
                let problem = Problem::new(format!("{} has no address {}", quoted(&host.name.value), address.value));
                let own: Vec<String> = own.iter().map(ToString::to_string).collect();
                let help = if own.is_empty() { "it has none".into() } else { format!("it has {}", own.join(", ")) };
                problems.push(problem.at(address.span).label("not its own").help(help));
            }
        }
        _ => {}
    }
}

fn route_names(scenario: &Scenario, route: &Route, problems: &mut Vec<Problem>) {
    let names: Vec<&str> = scenario.names().map(|name| name.value.as_str()).collect();
    if let Destination::Party(Party::Host(name)) = &route.destination.value {
        known("host", &names, &Spanned::new(name.clone(), route.destination.span), problems);
    }
    if let RouteTo::ViaHost(name) = &route.to.value {
        known("host", &names, &Spanned::new(name.clone(), route.to.span), problems);
    }
}

fn of_link(scenario: &Scenario, link: &Link, action: &FaultAction, problems: &mut Vec<Problem>) {
    match action {
        FaultAction::Cut(span) if link.is_cut => {
            let problem = Problem::new("this cable is cut from the beginning").at(*span).label("nothing left to cut");
            problems.push(problem.also(link.span, "this link").help("remove the `cut` outside, or this one"));
        }
        FaultAction::Drop(_, Rule { span, .. }) | FaultAction::Netem(_, Spanned { span, .. }) if link.is_cut => {
            let problem = Problem::new("this cable is cut from the beginning").at(*span).label("nothing comes by here");
            problems.push(problem.also(link.span, "this link").help("remove the `cut`, or this"));
        }
        FaultAction::Drop(_, rule) => parties(scenario, rule, problems),
        FaultAction::Down(end, span) if link.ends[*end].is_down => {
            let name = quoted(&link.ends[*end].host.value);
            let problem = Problem::new(format!("this end of {name} is down from the beginning")).at(*span);
            problems.push(problem.label("nothing changes").also(link.span, "this link").help("remove one of the two"));
        }
        FaultAction::Mtu(mtu) if mtu.value < 1280 && link.families.contains(&Family::V6) => {
            let problem = Problem::new("IPv6 needs an MTU of 1280 or more").at(mtu.span).label("too small");
            problems.push(problem.help("RFC 8200, section 5"));
        }
        FaultAction::Netem(ends, netem) => {
            // Where packets overtake, the cable's delay is a second netem, and one cannot become two without losing
            // what is under way.
            let has_delay = link.delay_ns.as_ref().is_some_and(|delay| delay.value > 0);
            let overtakes = |netem: &super::fault::Netem| netem.reorder.is_some() || netem.gap.is_some();
            let of_end = |end: &usize| link.ends[*end].netem.as_ref().is_some_and(|netem| overtakes(&netem.value));
            if has_delay && (overtakes(&netem.value) || ends.iter().any(of_end)) {
                let problem = Problem::new("a `netem` that reorders cannot come and go on a link with a `delay`");
                let problem = problem.at(netem.span).label("here").also(link.span, "this link");
                problems.push(problem.help("give the delay to the netem instead of the link"));
            }
        }
        _ => {}
    }
}

impl Scenario {
    /// The link of a host that has this address, by its index, with the address's prefix length.
    pub fn link_of_address(&self, host: &str, address: std::net::IpAddr) -> Option<(usize, u8)> {
        let found = self.links.iter().enumerate().flat_map(|(index, link)| {
            let ends = link.ends.iter().filter(|end| end.host.value == host);
            ends.flat_map(move |end| &end.addresses).map(move |own| (index, own))
        });
        let found = found.into_iter().find(|(_, own)| own.address == address);
        found.map(|(index, own)| (index, own.len.unwrap_or(Prefix::host(address).len)))
    }
}
