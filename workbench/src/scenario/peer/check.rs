//! Peers of one host that want the same port, and addresses that the host does not have.

use super::super::error::{Problem, quoted};
use super::super::model::{Host, Scenario};
use super::kind::Transport;
use super::model::Peer;

/// Checks the peers of all hosts.
pub(in super::super) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    for host in &scenario.hosts {
        for (index, peer) in host.peers.iter().enumerate() {
            if let Some(first) = host.peers[..index].iter().find(|other| collide(other, peer)) {
                problems.push(taken(host, first, peer));
            }
            address(scenario, host, peer, problems);
            answers(peer, problems);
        }
    }
}

fn collide(one: &Peer, other: &Peer) -> bool {
    let is_same_transport =
        one.transport == other.transport || one.transport == Transport::Both || other.transport == Transport::Both;
    let is_apart = match (&one.address, &other.address) {
        (Some(one), Some(other)) => one.value != other.value,
        _ => false,
    };
    one.port.value == other.port.value && is_same_transport && !is_apart
}

fn taken(host: &Host, first: &Peer, second: &Peer) -> Problem {
    let port = second.port.value;
    let message = format!("two peers of {} are on port {port}", quoted(&host.name.value));
    let problem = Problem::new(message).at(second.span).label("again").also(first.span, "first here");
    problem.help("give one of them another port=, or each an address= of its own")
}

fn address(scenario: &Scenario, host: &Host, peer: &Peer, problems: &mut Vec<Problem>) {
    let Some(address) = &peer.address else { return };
    let own = scenario.addresses_of(&host.name.value);
    if !own.contains(&address.value) && !address.value.is_loopback() {
        let message = format!("{} does not have the address {}", quoted(&host.name.value), address.value);
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        let help = match own.is_empty() {
            true => "it has none: no link ends there".to_owned(),
            false => format!("it has {}; without address= a peer is on all of them", own.join(" and ")),
        };
        problems.push(Problem::new(message).at(address.span).label("not its own").help(help));
    }
}

/// A name that one server is to answer twice.
fn answers(peer: &Peer, problems: &mut Vec<Problem>) {
    for (index, answer) in peer.answers.iter().enumerate() {
        let first = peer.answers[..index].iter().find(|other| other.name.value == answer.name.value);
        if let Some(first) = first {
            let problem = Problem::new(format!("{} is answered twice", quoted(&answer.name.value)));
            let problem = problem.at(answer.name.span).label("again").also(first.name.span, "first here");
            problems.push(
                problem.help("an answer may have several addresses: answer \"a.example\" \"10.9.0.5\" \"10.9.0.6\""),
            );
        }
    }
}
