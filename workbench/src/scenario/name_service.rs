//! `resolver` and `name`: who is asked for names, and names beside those of the hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kdl::KdlNode;
use miette::SourceSpan;

use super::address::prefix_or_address;
use super::decode_host::party;
use super::error::{Problem, quoted};
use super::fields::Fields;
use super::model::{Party, Scenario};
use super::span::Spanned;
use super::suggest::did_you_mean;
use super::value::{Reading, Value};

/// glibc reads no more (resolv.conf(5), MAXNS).
const SERVERS_LIMIT: usize = 3;

/// `resolver HOST… timeout= attempts= rotate=`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolver {
    /// Name servers, in the order they are asked.
    pub servers: Vec<Spanned<Party>>,
    /// resolv.conf's `timeout`, in seconds.
    pub timeout_s: Option<u32>,
    /// resolv.conf's `attempts`.
    pub attempts: Option<u32>,
    /// resolv.conf's `rotate`.
    pub rotate: bool,
    /// The node.
    pub span: SourceSpan,
}

/// `name NAME HOST-OR-ADDRESS…`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraName {
    /// The name.
    pub name: Spanned<String>,
    /// What it stands for, in order.
    pub addresses: Vec<Spanned<Party>>,
}

/// `resolver HOST… timeout= attempts= rotate=`.
pub(super) fn resolver(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Resolver> {
    const REMEDY: &str = "resolver server timeout=\"1s\" attempts=2";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let mut servers: Vec<Spanned<Party>> =
        fields.required_argument("a name server", REMEDY, host_or_address).into_iter().collect();
    for value in fields.rest() {
        servers.extend(fields.read(value, host_or_address));
    }
    if let Some(fourth) = servers.get(SERVERS_LIMIT) {
        let problem = Problem::new("more than three name servers").at(fourth.span).label("never asked");
        fields.problem(problem.help("glibc reads the first three of resolv.conf(5)"));
    }
    let timeout_s = fields.property("timeout", seconds).map(|timeout| timeout.value);
    let attempts = fields.property("attempts", |value| value.integer("attempts", 1..=5)).map(|a| a.value);
    let rotate = fields.property("rotate", Value::boolean).is_some_and(|rotate| rotate.value);
    fields.finish_leaf();
    (!servers.is_empty()).then_some(Resolver { servers, timeout_s, attempts, rotate, span })
}

/// Whole seconds, as the option's figure is one.
fn seconds(value: Value<'_>) -> Reading<u32> {
    let ns = value.duration_ns()?;
    let is_fine = ns % 1_000_000_000 == 0 && (1..=30).contains(&(ns / 1_000_000_000));
    match is_fine {
        true => Ok((ns / 1_000_000_000) as u32),
        false => {
            Err(value.expected("whole seconds, from 1 to 30").help("resolv.conf(5) has no others: timeout=\"1s\""))
        }
    }
}

/// `name NAME HOST-OR-ADDRESS…`.
pub(super) fn name(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<ExtraName> {
    const REMEDY: &str = "name \"www.example\" server \"10.9.0.9\"";
    let mut fields = Fields::new(node, problems);
    let name = fields.required_argument("a name", REMEDY, dns_name);
    let mut addresses: Vec<Spanned<Party>> = Vec::new();
    if name.is_some() || !node.entries().is_empty() {
        addresses.extend(fields.required_argument("an address", REMEDY, host_or_address));
    }
    for value in fields.rest() {
        addresses.extend(fields.read(value, host_or_address));
    }
    fields.finish_leaf();
    Some(ExtraName { name: name?, addresses })
}

/// A host's name or a plain address.
fn host_or_address(value: Value<'_>) -> Reading<Party> {
    match party(value)? {
        Party::Prefix(prefix) if prefix.len != prefix.family().bits() => {
            Err(value.expected("a host or an address").help(format!("without the prefix: \"{}\"", prefix.address)))
        }
        party => Ok(party),
    }
}

/// A name of RFC 1123 in lower case: labels of letters, digits and `-`, joined by points.
pub(super) fn dns_name(value: Value<'_>) -> Reading<String> {
    let name = value.text()?;
    if prefix_or_address(name).is_ok() {
        return Err(value
            .expected("a name")
            .help("the name comes first, its addresses follow: \"db.example\" \"10.9.0.5\""));
    }
    let is_label = |label: &str| {
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len())
            && label.chars().all(is_fine)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.ends_with('.') {
        return Err(value
            .expected("a name")
            .help(format!("without the last point: \"{}\"", name.trim_end_matches('.'))));
    }
    match name.len() <= 253 && name.split('.').all(is_label) {
        true => Ok(name.to_owned()),
        false => Err(Problem::new(format!("{} cannot be a name", quoted(name)))
            .help("labels of lower case letters, digits and `-`, joined by points: \"db.example\"")),
    }
}

/// Checks that hosts are there, and that a name is nobody else's.
pub(super) fn check(scenario: &Scenario, problems: &mut Vec<Problem>) {
    let servers = scenario.resolver.iter().flat_map(|resolver| &resolver.servers);
    for party in servers.chain(scenario.extra_names.iter().flat_map(|name| &name.addresses)) {
        if let Party::Host(host) = &party.value {
            is_host(scenario, host, party.span, problems);
        }
    }
    let mut seen: BTreeMap<&str, SourceSpan> = BTreeMap::new();
    seen.extend(scenario.names().map(|name| (name.value.as_str(), name.span)));
    for name in scenario.extra_names.iter().map(|extra| &extra.name) {
        if matches!(name.value.as_str(), "localhost" | "ip6-localhost" | "ip6-loopback") {
            let problem = Problem::new(format!("the name {} is reserved", quoted(&name.value))).at(name.span);
            problems.push(problem.help("it is the host itself, on `lo`"));
        } else if let Some(first) = seen.insert(&name.value, name.span) {
            let problem = Problem::new(format!("{} is somebody's name already", quoted(&name.value))).at(name.span);
            let problem = problem.label("again").also(first, "first here");
            problems.push(problem.help("one `name` may have several addresses, in this order"));
        }
    }
}

fn is_host(scenario: &Scenario, host: &str, span: SourceSpan, problems: &mut Vec<Problem>) {
    let names: Vec<&str> = scenario.names().map(|name| name.value.as_str()).collect();
    if !names.contains(&host) {
        let problem = Problem::new(format!("no host is called {}", quoted(host))).at(span).label("not declared");
        let declare = format!("declare it: `namespace {host}`, or `absent {host}` in a link");
        problems.push(problem.help(did_you_mean(host, &names).unwrap_or(declare)));
    } else if scenario.addresses_of(host).is_empty() {
        let problem = Problem::new(format!("{} has no address", quoted(host))).at(span).label("no link ends there");
        problems.push(problem.help("link it to another host"));
    }
}

impl Scenario {
    /// A host's addresses on its first link, or an absent one's: those that its name stands for.
    pub fn addresses_under(&self, name: &str) -> Vec<IpAddr> {
        let on_end = self.ends_of(name).next().map(|(_, end)| &end.addresses);
        let mut absent = self.links.iter().flat_map(|link| &link.absent);
        let as_absent = || absent.find(|absent| absent.name.value == name).map(|absent| &absent.addresses);
        on_end.or_else(as_absent).into_iter().flatten().map(|address| address.address).collect()
    }

    /// What a host or an address of `name` stands for.
    pub fn addresses_of_party(&self, party: &Party) -> Vec<IpAddr> {
        match party {
            Party::Host(host) => self.addresses_under(host),
            Party::Prefix(prefix) => vec![prefix.address],
        }
    }
}
