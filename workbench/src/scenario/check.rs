//! What only the whole file shows: names that are declared twice or not at all, a scenario without a run.

use std::collections::BTreeMap;

use miette::SourceSpan;

use super::check_caused;
use super::error::{Problem, quoted};
use super::model::{Destination, Host, Link, Party, RouteTo, Rule, Scenario};
use super::span::Spanned;
use super::suggest::did_you_mean;
use super::{name_service, peer, program, routes};

/// Checks names and references.
pub(super) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    if scenario.runs.is_empty() {
        let nothing = scenario.hosts.is_empty() && scenario.links.is_empty();
        let message = if nothing { "nothing is declared here" } else { "a scenario without a `run` asks nothing" };
        problems.push(Problem::new(message).help("run curl in=client \"curl http://server/\""));
    }
    twice("host", scenario.names(), problems);
    twice("link", scenario.links.iter().filter(|link| link.is_named).map(|link| &link.name), problems);
    twice("program", scenario.programs.iter().map(|p| &p.name).filter(|name| !name.value.is_empty()), problems);
    twice("run", scenario.runs.iter().map(|run| &run.name).filter(|name| !name.value.is_empty()), problems);
    twice("tag", scenario.tags.iter(), problems);
    let daemons = scenario.hosts.iter().flat_map(|host| &host.daemons);
    twice("daemon", daemons.map(|daemon| &daemon.name), problems);
    for (index, link) in scenario.links.iter().enumerate() {
        ends(scenario, link, problems);
        same_hosts(&scenario.links[..index], link, problems);
        for drop in link.ends.iter().flat_map(|end| &end.drops) {
            parties(scenario, drop, problems);
        }
    }
    for host in &scenario.hosts {
        host.rules.iter().for_each(|rule| parties(scenario, rule, problems));
        route_names(scenario, host, problems);
        interfaces(scenario, host, problems);
    }
    for run in scenario.runs.iter().filter(|run| !run.host.value.is_empty()) {
        let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.value.as_str()).collect();
        known("namespace", &hosts, &run.host, problems);
    }
    peer::check(scenario, problems);
    name_service::check(scenario, problems);
    program::check(scenario, problems);
    check_caused::check(scenario, problems);
    if problems.is_empty() {
        // A route is judged by links and hosts that are right.
        routes::check(scenario, problems);
        check_caused::routes(scenario, problems);
    }
}

/// Names that are declared more than once.
fn twice<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, SourceSpan> = BTreeMap::new();
    for name in names {
        match seen.get(name.value.as_str()) {
            None => {
                seen.insert(&name.value, name.span);
            }
            Some(first) => {
                let problem = Problem::new(format!("two {what}s are called {}", quoted(&name.value)));
                let problem = problem.at(name.span).label("again").also(*first, "first here");
                problems.push(problem.help("rename one of them"));
            }
        }
    }
}

pub(super) fn known(what: &str, names: &[&str], name: &Spanned<String>, problems: &mut Vec<Problem>) -> bool {
    let is_known = names.contains(&name.value.as_str());
    if !is_known {
        let problem = Problem::new(format!("no {what} is called {}", quoted(&name.value)));
        let declare = format!("declare it: `namespace {}`", name.value);
        let help = did_you_mean(&name.value, names).unwrap_or(declare);
        problems.push(problem.at(name.span).label("not declared").help(help));
    }
    is_known
}

fn ends(scenario: &Scenario, link: &Link, problems: &mut Vec<Problem>) {
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.value.as_str()).collect();
    let [a, b] = &link.ends;
    for end in [a, b] {
        known("namespace", &hosts, &end.host, problems);
    }
    if a.host.value == b.host.value {
        let problem = Problem::new(format!("a link from {} to itself", quoted(&a.host.value)));
        let problem = problem.at(b.host.span).label("again").also(a.host.span, "first here");
        problems.push(problem.help("a link joins two hosts; every host reaches itself through `lo`"));
    }
    if let Some(host) = scenario.hosts.iter().find(|host| host.name.value == link.name.value) {
        let problem = Problem::new(format!("a link and a host are called {}", quoted(&link.name.value)));
        let problem = problem.at(link.name.span).label("the link").also(host.name.span, "the host");
        problems.push(problem.help("rename one of them"));
    }
    if let (Some(first), Some(second)) = (a.mac, b.mac)
        && first.value == second.value
    {
        let problem = Problem::new("both ends of a link have one MAC").at(second.span).label("again");
        problems.push(problem.also(first.span, "first here").help("change one, or leave both to the rule"));
    }
}

/// Two links between the same two hosts need names, or nobody could tell them apart.
fn same_hosts(earlier: &[Link], link: &Link, problems: &mut Vec<Problem>) {
    let [a, b] = link.ends.each_ref().map(|end| &end.host.value);
    let first = earlier.iter().find(|other| {
        let [c, d] = other.ends.each_ref().map(|end| &end.host.value);
        ((a, b) == (c, d) || (a, b) == (d, c)) && !other.is_named && !link.is_named
    });
    if let Some(first) = first.filter(|_| a != b) {
        let problem = Problem::new(format!("{} and {} are linked already", quoted(a), quoted(b)));
        let problem = problem.at(link.span).label("a second link").also(first.span, "the first");
        problems.push(problem.help(format!("if two are meant, name them: link {a} {b} name=second")));
    }
}

/// Hosts that a rule names.
pub(super) fn parties(scenario: &Scenario, rule: &Rule, problems: &mut Vec<Problem>) {
    for party in [&rule.from, &rule.to].into_iter().flatten() {
        if let Party::Host(name) = &party.value {
            known("host", &names(scenario), &Spanned::new(name.clone(), party.span), problems);
        }
    }
}

fn route_names(scenario: &Scenario, host: &Host, problems: &mut Vec<Problem>) {
    for route in &host.routes {
        if let Destination::Party(Party::Host(name)) = &route.destination.value {
            known("host", &names(scenario), &Spanned::new(name.clone(), route.destination.span), problems);
        }
        if let RouteTo::ViaHost(name) = &route.to.value {
            known("host", &names(scenario), &Spanned::new(name.clone(), route.to.span), problems);
        }
    }
}

fn names(scenario: &Scenario) -> Vec<&str> {
    scenario.names().map(|name| name.value.as_str()).collect()
}

/// Two interfaces of a host with one name.
fn interfaces(scenario: &Scenario, host: &Host, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, SourceSpan> = BTreeMap::new();
    let names = scenario.interfaces_of(&host.name.value);
    for (name, (_, end)) in names.into_iter().zip(scenario.ends_of(&host.name.value)) {
        let span = end.interface.as_ref().map_or(end.host.span, |interface| interface.span);
        if let Some(first) = seen.insert(name.clone(), span) {
            let problem =
                Problem::new(format!("two interfaces of {} are called {}", quoted(&host.name.value), quoted(&name)));
            let problem = problem.at(span).label("again").also(first, "first here");
            problems.push(problem.help("without a name= they are eth0, eth1 and so on, in the order of the links"));
        }
    }
}
