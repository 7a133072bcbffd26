//! Names instead of addresses and pids: hosts, places (`server:80`), processes (`curl`, `curl[2]`), rules.
//!
//! Everything here comes from the plan and from what ran, nothing from the order of events.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::escape::escape;
use super::flight::Fate;
use crate::evidence::Evidence;
use crate::plan::{Action, Plan, RuleAction, RulePlan};

/// Everything that has a name in one run.
pub struct Names<'a> {
    addresses: BTreeMap<IpAddr, String>,
    owners: BTreeMap<IpAddr, &'a str>,
    plan: &'a Plan,
    processes: BTreeMap<u32, String>,
    /// By process: what a line about it begins with.
    speakers: BTreeMap<u32, String>,
    hosts: BTreeMap<u32, &'a str>,
    programs: BTreeSet<u32>,
    command_host: &'a str,
}

impl<'a> Names<'a> {
    /// The names of a run.
    pub fn new(evidence: &'a Evidence) -> Self {
        let plan = &evidence.plan;
        let processes = process_names(evidence);
        Self {
            addresses: address_names(plan),
            owners: ends(plan).map(|end| (end.address, end.host)).collect(),
            plan,
            speakers: speakers(evidence, &processes),
            processes,
            hosts: evidence.processes.iter().map(|p| (p.pid, evidence.host_of(p.pid))).collect(),
            programs: evidence.processes.iter().filter(|p| p.program.is_some()).map(|p| p.pid).collect(),
            command_host: &plan.command.host,
        }
    }

    /// A host's name, or the address itself where no host of the plan has it.
    pub fn address(&self, ip: IpAddr) -> String {
        self.addresses.get(&ip).cloned().unwrap_or_else(|| ip.to_string())
    }

    /// The host that has this address.
    pub fn owner(&self, ip: IpAddr) -> Option<&'a str> {
        self.owners.get(&ip).copied()
    }

    /// `server:80`; an address that is no host's as `192.0.2.1:80` or `[2001:db8::1]:80`.
    pub fn place(&self, ip: IpAddr, port: u16) -> String {
        match (self.addresses.get(&ip), ip) {
            (Some(name), _) => format!("{name}:{port}"),
            (None, IpAddr::V4(ip)) => format!("{ip}:{port}"),
            (None, IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        }
    }

    /// A process's name; one that is not the command's is somebody outside.
    pub fn process(&self, pid: u32) -> &str {
        self.processes.get(&pid).map_or("outside", String::as_str)
    }

    /// What a line about this process begins with: nothing for the command itself and for a socket program that is alone
    /// in its host, `curl: ` for any other.
    pub fn speaker(&self, pid: u32) -> &str {
        self.speakers.get(&pid).map_or("outside: ", String::as_str)
    }

    /// Whether a process carries out a socket program.
    pub fn is_program(&self, pid: u32) -> bool {
        self.programs.contains(&pid)
    }

    /// The host in which a process runs.
    pub fn host(&self, pid: u32) -> &'a str {
        self.hosts.get(&pid).copied().unwrap_or(self.command_host)
    }

    /// What became of a packet, as the end of a line: empty if it arrived.
    pub fn fate(&self, what: &Fate) -> String {
        fate(self.plan, what).map_or_else(String::new, |words| format!(", {words}"))
    }
}

/// What is said of a packet that the run's end overtook.
pub const IN_FLIGHT: &str = "still on its way at the end";

/// What became of a packet: `dropped at server by "drop tcp dport=80"`. `None` if it arrived.
pub fn fate(plan: &Plan, fate: &Fate) -> Option<String> {
    match fate {
        Fate::Arrived => None,
        Fate::Lost => Some("lost on the wire".into()),
        Fate::InFlight => Some(IN_FLIGHT.into()),
        Fate::TakenByRule { rule, at } => Some(match rules(plan).find(|known| known.id == *rule) {
            Some(rule) => {
                let verb = match rule.action {
                    RuleAction::Drop => "dropped",
                    RuleAction::Reject(_) => "rejected",
                };
                format!("{verb} at {at} by \"{}\"", escape(&rule.text))
            }
            None => format!("taken at {at} by {}", escape(rule)),
        }),
    }
}

/// One address of the plan.
struct AddressOfPlan<'a> {
    host: &'a str,
    interface: &'a str,
    address: IpAddr,
}

fn ends(plan: &Plan) -> impl Iterator<Item = AddressOfPlan<'_>> {
    plan.links.iter().flat_map(|link| &link.ends).flat_map(|end| {
        end.addresses.iter().map(|(address, _)| AddressOfPlan {
            host: &end.host,
            interface: &end.interface,
            address: *address,
        })
    })
}

fn rules(plan: &Plan) -> impl Iterator<Item = &RulePlan> {
    let of_hosts = plan.hosts.iter().flat_map(|host| &host.rules);
    let of_links = plan.links.iter().flat_map(|link| &link.ends).flat_map(|end| &end.drops);
    let of_faults = plan.faults.iter().flat_map(|fault| &fault.actions).filter_map(|action| match action {
        Action::Rule(rule) | Action::Drop { rule, .. } => Some(rule),
        _ => None,
    });
    of_hosts.chain(of_links).chain(of_faults)
}

/// The host's name alone where that is enough; `server/v6` where it has both families, `server/eth1` where several
/// addresses of one family, so that two addresses never share a name.
fn address_names(plan: &Plan) -> BTreeMap<IpAddr, String> {
    let mut names = absent_names(plan);
    names.extend(ends_names(plan));
    names
}

/// Hosts that are declared and not there have a name as well, in the lab's `/etc/hosts` (hosts(5)).
fn absent_names(plan: &Plan) -> BTreeMap<IpAddr, String> {
    let lines = plan.etc.get("hosts").map(String::as_str).unwrap_or_default().lines();
    let entry = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    lines.filter_map(entry).filter(|(ip, _): &(IpAddr, String)| !ip.is_loopback()).collect()
}

fn ends_names(plan: &Plan) -> BTreeMap<IpAddr, String> {
    ends(plan)
        .map(|end| {
            let siblings = ends(plan).filter(|other| other.host == end.host);
            let (same, other): (Vec<_>, Vec<_>) =
                siblings.partition(|sibling| sibling.address.is_ipv4() == end.address.is_ipv4());
            let mut name = end.host.to_owned();
            if same.len() > 1 {
                name = format!("{name}/{}", end.interface);
            }
            if !other.is_empty() {
                name.push_str(if end.address.is_ipv4() { "/v4" } else { "/v6" });
            }
            (end.address, name)
        })
        .collect()
}

fn speakers(evidence: &Evidence, names: &BTreeMap<u32, String>) -> BTreeMap<u32, String> {
    let command = evidence.command().map_or(0, |(_, process)| process.pid);
    let plan = &evidence.plan;
    let is_beside = |program: &&str| plan.command.program.as_deref() != Some(*program);
    let companions: Vec<&str> = plan.programs.iter().map(|program| program.name.as_str()).filter(is_beside).collect();
    let is_alone = |program: &str| {
        let host = evidence.host_of_program(program);
        let there = companions.iter().filter(|other| evidence.host_of_program(other) == host).count();
        there == 1 && host != plan.command.host
    };
    let speaker = |pid: u32, name: &str| match evidence.program_of(pid) {
        _ if pid == command => String::new(),
        Some(program) if is_alone(program) => String::new(),
        _ => format!("{name}: "),
    };
    names.iter().map(|(pid, name)| (*pid, speaker(*pid, name))).collect()
}

/// The program's base name, a socket program's own; the second process of one name is `curl[2]`. Threads are their process.
fn process_names(evidence: &Evidence) -> BTreeMap<u32, String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for process in evidence.processes.iter().filter(|p| p.tid == p.pid) {
        let executed = process.argv.first().map_or("process", |path| path.rsplit('/').next().unwrap_or(path));
        let program = escape(process.program.as_deref().unwrap_or(executed));
        let count = seen.entry(program.clone()).or_default();
        *count += 1;
        names.insert(process.pid, if *count == 1 { program } else { format!("{program}[{count}]") });
    }
    names
}
