//! What only the whole file shows of socket programs: names, hosts, addresses, and waits that can never end.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Call, Endpoint, Program, Step};
use crate::scenario::address::Family;
use crate::scenario::cause::Cause;
use crate::scenario::error::{Problem, quoted};
use crate::scenario::model::Scenario;
use crate::scenario::span::Spanned;
use crate::scenario::suggest::did_you_mean;

/// Checks all programs of a file, and the runs that name one.
pub(in crate::scenario) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    let before = problems.len();
    for program in &scenario.programs {
        host(scenario, &program.host, problems);
        named_twice(program, problems);
        for step in &program.steps {
            match &step.call {
                Call::Connect { to, .. } | Call::Bind { to, .. } => endpoint(scenario, program, step, to, problems),
                Call::Wait { cause } => wait(scenario, program, step, cause, problems),
                _ => {}
            }
        }
    }
    for run in &scenario.runs {
        let Some(name) = run.program.as_ref().filter(|name| !name.value.is_empty()) else { continue };
        let names: Vec<&str> = scenario.programs.iter().map(|program| program.name.value.as_str()).collect();
        if !names.contains(&name.value.as_str()) {
            let declare = format!("declare it: `program {} in=HOST {{ … }}`", name.value);
            let problem = Problem::new(format!("no program is called {}", quoted(&name.value))).at(name.span);
            problems.push(problem.label("not declared").help(did_you_mean(&name.value, &names).unwrap_or(declare)));
        }
    }
    if problems.len() == before {
        circles(scenario, problems);
    }
}

fn host(scenario: &Scenario, name: &Spanned<String>, problems: &mut Vec<Problem>) {
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.value.as_str()).collect();
    if !name.value.is_empty() && !hosts.contains(&name.value.as_str()) {
        let problem = Problem::new(format!("no namespace is called {}", quoted(&name.value))).at(name.span);
        let declare = format!("declare it: `namespace {}`", name.value);
        problems.push(problem.label("not declared").help(did_you_mean(&name.value, &hosts).unwrap_or(declare)));
    }
}

fn named_twice(program: &Program, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for step in &program.steps {
        let Call::Reach { name } = &step.call else { continue };
        if let Some(first) = seen.insert(name.as_str(), step.span) {
            let problem = Problem::new(format!("two steps are called {}", quoted(name))).at(step.span).label("again");
            problems.push(problem.also(first, "first here").help("whoever waits for it must know which: rename one"));
        }
    }
}

fn endpoint(scenario: &Scenario, program: &Program, step: &Step, to: &Endpoint, problems: &mut Vec<Problem>) {
    let Some(name) = &to.host else { return };
    let names: Vec<&str> = scenario.names().map(|name| name.value.as_str()).collect();
    if !names.contains(&name.as_str()) {
        let problem = Problem::new(format!("no host is called {}", quoted(name))).at(step.span).label("not declared");
        let help = did_you_mean(name, &names).unwrap_or_else(|| "a host's name, or an address in quotes".to_owned());
        problems.push(problem.help(help));
        return;
    }
    let (family, other) = match to.family {
        Family::V4 => ("IPv4", "v6"),
        Family::V6 => ("IPv6", "v4"),
    };
    let is_here = *name == program.host.value;
    if !scenario.addresses_of(name).into_iter().any(|address| Family::of(address) == to.family) {
        let problem = Problem::new(format!("{} has no {family} address", quoted(name))).at(step.span);
        problems.push(problem.label(format!("the socket is of {family}")).help(format!(
            "make the socket with {other}, or link the host{}",
            if is_here { "" } else { " with both families" }
        )));
    }
}

fn wait(scenario: &Scenario, program: &Program, step: &Step, cause: &Cause, problems: &mut Vec<Problem>) {
    match cause {
        Cause::Socket { host: name, .. } => {
            let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.value.as_str()).collect();
            if !hosts.contains(&name.as_str()) {
                let problem = Problem::new(format!("no namespace is called {}", quoted(name))).at(step.span);
                let help = did_you_mean(name, &hosts);
                problems.push(problem.label("a socket's state is a host's").help_if(help));
            }
        }
        Cause::Step { program: name, step: wanted } => {
            let Some(other) = scenario.programs.iter().find(|other| other.name.value == *name) else {
                let names: Vec<&str> = scenario.programs.iter().map(|other| other.name.value.as_str()).collect();
                let problem = Problem::new(format!("no program is called {}", quoted(name))).at(step.span);
                let is_host = scenario.hosts.iter().any(|host| host.name.value == *name);
                let states = "of a host a socket's state is waited for: established, time-wait, gone, …".to_owned();
                let help = if is_host { Some(states) } else { did_you_mean(name, &names) };
                problems.push(problem.label("not declared").help_if(help));
                return;
            };
            if std::ptr::eq(other, program) {
                let problem = Problem::new("a program that waits for itself").at(step.span);
                problems.push(problem.label("its own step").help("its steps come in order: remove the wait"));
                return;
            }
            let steps: Vec<&str> = named_steps(other).collect();
            if !steps.contains(&wanted.as_str()) {
                let message = format!("the program {} has no step {}", quoted(name), quoted(wanted));
                let declare = format!("name the place in it: `step {wanted}`");
                let near = did_you_mean(wanted, &steps).unwrap_or(declare);
                let problem = Problem::new(message).at(step.span).label("waits for it").also(other.span, "the program");
                problems.push(problem.help(near));
            }
        }
        Cause::At { .. } | Cause::Bytes { .. } => {}
    }
}

/// The names of its named steps, in order.
pub(in crate::scenario) fn named_steps(program: &Program) -> impl Iterator<Item = &str> {
    program.steps.iter().filter_map(|step| match &step.call {
        Call::Reach { name } => Some(name.as_str()),
        _ => None,
    })
}

/// Programs that wait for each other: each is taken as far as it comes if every call returns, until none comes further.
fn circles(scenario: &Scenario, problems: &mut Vec<Problem>) {
    let programs = &scenario.programs;
    let mut at = vec![0; programs.len()];
    let mut reached: BTreeSet<(&str, &str)> = BTreeSet::new();
    loop {
        let before = at.clone();
        for (program, at) in programs.iter().zip(&mut at) {
            while let Some(step) = program.steps.get(*at) {
                match &step.call {
                    Call::Wait { cause: Cause::Step { program: other, step } }
                        if !reached.contains(&(other.as_str(), step.as_str())) =>
                    {
                        break;
                    }
                    Call::Reach { name } => drop(reached.insert((&program.name.value, name))),
                    _ => {}
                }
                *at += 1;
            }
        }
        if before == at {
            break;
        }
    }
    let stuck: Vec<&Step> = programs.iter().zip(&at).filter_map(|(program, at)| program.steps.get(*at)).collect();
    if let [first, rest @ ..] = &stuck[..] {
        let mut problem = Problem::new("programs that wait for each other").at(first.span).label("waits for ever");
        for other in rest {
            problem = problem.also(other.span, "and so does this");
        }
        problems.push(problem.help("a step that is waited for has to come before the wait that waits for its waiter"));
    }
}
