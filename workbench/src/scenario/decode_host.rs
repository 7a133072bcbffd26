//! `namespace` and `router`: sysctls, packet rules, routes, pinned neighbours.

use kdl::KdlNode;

use super::address::{address, mac, network, prefix_or_address};
use super::daemon;
use super::decode_caused::{self, CAUSES, Place};
use super::error::{Problem, quoted};
use super::fields::{Fields, unknown_node};
use super::model::{Destination, Host, Neighbour, Party, Route, RouteTo, Sysctl};
use super::span::Spanned;
use super::value::{Reading, Value};
use super::{peer, rule};

const NODES: &[&str] = &["sysctl", "drop", "reject", "route", "neighbour", "at", "when", "after", "daemon"];

/// Names that mean something else where a host's name may stand.
const RESERVED: &[&str] = &[
    "absent",
    "after",
    "all",
    "any",
    "at",
    "cut",
    "default",
    "drop",
    "ip6-localhost",
    "ip6-loopback",
    "lo",
    "localhost",
    "mtu",
    "netem",
    "reject",
    "when",
];

/// One host.
pub(super) fn host(node: &KdlNode, is_router: bool, problems: &mut Vec<Problem>) -> Option<Host> {
    let mut fields = Fields::new(node, problems);
    let remedy = format!("{} client", fields.node_name());
    let name = declared_name(&mut fields, &remedy);
    let mut host = Host {
        name: name.unwrap_or_else(|| Spanned::new(String::new(), fields.span())),
        is_router,
        sysctls: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
        neighbours: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        peers: Vec::new(),
    };
    for child in fields.children() {
        match child.name().value() {
            "sysctl" => host.sysctls.extend(sysctl(child, fields.problems())),
            "drop" | "reject" => host.rules.extend(rule::in_host(child, is_router, fields.problems())),
            "route" => host.routes.extend(route(child, fields.problems())),
            "daemon" => host.daemons.extend(daemon::daemon(child, fields.problems())),
            "neighbour" => host.neighbours.extend(neighbour(child, fields.problems())),
            name if CAUSES.contains(&name) => {
                host.faults.extend(decode_caused::fault(child, &Place::Host { is_router }, fields.problems()));
            }
            name if peer::NODES.contains(&name) => host.peers.extend(peer::peer(child, fields.problems())),
            _ => {
                let known = [NODES, peer::NODES].concat();
                let problem = unknown_node(child, &format!("a {}", fields.node_name()), &known);
                fields.problem(problem);
            }
        }
    }
    fields.finish();
    (!host.name.value.is_empty()).then_some(host)
}

/// The name that a host or an absent one is given. One that it cannot have is kept all the same, so that those who refer
/// to it are not told that it is unknown.
pub(super) fn declared_name(fields: &mut Fields<'_, '_>, remedy: &str) -> Option<Spanned<String>> {
    let value = fields.required_argument("a name", remedy, Ok)?.value;
    fields.read(value, host_name);
    Some(Spanned::new(value.any_text().ok()?, value.span()))
}

/// A name that a host can have: a label of RFC 1123 in lower case, not reserved.
fn host_name(value: Value<'_>) -> Reading<String> {
    let name = value.name("-", 32)?;
    match RESERVED.contains(&name.as_str()) {
        true => Err(Problem::new(format!("the name {} is reserved", quoted(&name)))
            .help(format!("it means something else here; so do {}", RESERVED.join(", ")))),
        false => Ok(name),
    }
}

/// A dotted sysctl name that belongs to a network namespace.
pub(super) fn sysctl_name(value: Value<'_>) -> Reading<String> {
    let name = value.text()?;
    if name.contains('/') {
        let dotted = name.trim_start_matches("/proc/sys/").replace('/', ".");
        return Err(Problem::new(format!("{} is a path, not a sysctl's name", quoted(name)))
            .help(format!("write it with dots: \"{dotted}\"")));
    }
    if !name.starts_with("net.") {
        return Err(Problem::new(format!("{} does not belong to a network namespace", quoted(name)))
            .help("only sysctls below `net.` do; all others are the whole machine's and stay as they are"));
    }
    let is_fine = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '@'))
    };
    match name.split('.').all(is_fine) {
        true => Ok(name.to_owned()),
        false => Err(value.expected("a sysctl's name").help("as in \"net.ipv4.tcp_syn_retries\"")),
    }
}

pub(super) fn sysctl(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Sysctl> {
    const REMEDY: &str = "sysctl \"net.ipv4.tcp_syn_retries\" 2";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let name = fields.required_argument("a name", REMEDY, sysctl_name);
    let mut values: Vec<Option<Spanned<String>>> = Vec::new();
    if name.is_some() || !node.entries().is_empty() {
        values.push(fields.required_argument("a value", REMEDY, sysctl_value));
    }
    for value in fields.rest() {
        values.push(fields.read(value, sysctl_value));
    }
    let or = fields.property("or", sysctl_value);
    let if_present = fields.property("if-present", Value::boolean).is_some_and(|flag| flag.value);
    fields.finish_leaf();
    let values: Option<Vec<String>> = values.into_iter().map(|value| value.map(|v| v.value)).collect();
    Some(Sysctl { name: name?, value: values?.join(" "), or, if_present, span })
}

fn sysctl_value(value: Value<'_>) -> Reading<String> {
    let text = value.text_or_number()?;
    match text.contains(char::is_control) {
        true => Err(value.expected("one line").help("several figures stand side by side: 4096 16384 4194304")),
        false => Ok(text),
    }
}

pub(super) fn route(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Route> {
    const REMEDY: &str = "route \"10.9.9.0/24\" via=server, or route \"10.9.9.0/24\" blackhole";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let destination = fields.required_argument("a destination", REMEDY, destination);
    let word = fields.argument(|value| {
        value.one_of("a kind of route", &["blackhole", "unreachable", "prohibit", "throw"].map(|w| (w, w)))
    });
    let word = word.map(|word| {
        let to = match word.value {
            "blackhole" => RouteTo::Blackhole,
            "unreachable" => RouteTo::Unreachable,
            "prohibit" => RouteTo::Prohibit,
            _ => RouteTo::Throw,
        };
        Spanned::new(to, word.span)
    });
    let via = fields.property("via", |value| {
        Ok(match party(value)? {
            Party::Host(name) => RouteTo::ViaHost(name),
            Party::Prefix(prefix) if prefix.len == prefix.family().bits() => RouteTo::ViaAddress(prefix.address),
            Party::Prefix(_) => {
                return Err(value.expected("a host or an address").help("via=server or via=\"10.9.0.2\""));
            }
        })
    });
    let dev = fields.property("dev", |value| interface_name(value).map(RouteTo::Dev));
    let given: Vec<Spanned<RouteTo>> = [word, via, dev].into_iter().flatten().collect();
    if let [first, second, ..] = &given[..] {
        let problem = Problem::new("a route does one thing").at(second.span).label("and this");
        fields.problem(problem.also(first.span, "this").help("keep one of via=, dev= or a word such as blackhole"));
    }
    if given.is_empty() && node.entries().len() == 1 {
        fields.problem(Problem::new("`route` does not say where to").label("missing here").help(REMEDY));
    }
    fields.finish_leaf();
    Some(Route { destination: destination?, to: given.into_iter().next()?, span })
}

fn destination(value: Value<'_>) -> Reading<Destination> {
    match value.text()? {
        "default" => Ok(Destination::Default),
        _ => party(value).map(Destination::Party),
    }
}

/// A host's name, an address or a network.
pub(super) fn party(value: Value<'_>) -> Reading<Party> {
    let text = value.text()?;
    if text.contains('/') {
        return network(text).map(Party::Prefix);
    }
    if text.contains(':') || text.starts_with(|c: char| c.is_ascii_digit()) {
        return address(text).map(|address| Party::Prefix(super::address::Prefix::host(address)));
    }
    Ok(Party::Host(text.to_owned()))
}

/// A name that the kernel takes for an interface (`dev_valid_name`), without the dots that would hide it in a sysctl.
pub(super) fn interface_name(value: Value<'_>) -> Reading<String> {
    let text = value.text()?;
    let is_fine = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !is_fine || text.len() > 15 || ["lo", "all", "default"].contains(&text) {
        return Err(Problem::new(format!("{} cannot be an interface", quoted(text)))
            .help("at most 15 letters, digits, - and _, as in \"eth0\"; lo, all and default are taken"));
    }
    Ok(text.to_owned())
}

fn neighbour(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Neighbour> {
    const REMEDY: &str = "neighbour \"10.9.0.9\" mac=\"02:09:00:00:00:09\"";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let address = fields.required_argument("an address", REMEDY, |value| match prefix_or_address(value.text()?)? {
        (address, None) => Ok(address),
        (address, Some(_)) => Err(value.expected("an address").help(format!("without the prefix: \"{address}\""))),
    });
    let mac = fields.required("mac", || REMEDY.into(), |value| mac(value.text()?));
    fields.finish_leaf();
    Some(Neighbour { address: address?, mac: mac?, span })
}
