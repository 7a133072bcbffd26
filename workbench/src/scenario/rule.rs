//! `drop` and `reject`: which packets, which of them, and what they get for an answer.

use kdl::KdlNode;

use super::decode_host::party;
use super::error::{Problem, quoted};
use super::fault::{Hook, PortRange, Protocol, RejectWith, RuleAction, TcpFlagsMatch, Which};
use super::fields::{Fields, one_line};
use super::model::Rule;
use super::span::Spanned;
use super::value::{Reading, Value};

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("icmp", Protocol::Icmp),
    ("icmpv6", Protocol::Icmpv6),
    ("any", Protocol::Any),
];

const ANSWERS: &[(&str, RejectWith)] = &[
    ("tcp-reset", RejectWith::TcpReset),
    ("net-unreachable", RejectWith::NetUnreachable),
    ("host-unreachable", RejectWith::HostUnreachable),
    ("protocol-unreachable", RejectWith::ProtocolUnreachable),
    ("port-unreachable", RejectWith::PortUnreachable),
    ("net-prohibited", RejectWith::NetProhibited),
    ("host-prohibited", RejectWith::HostProhibited),
    ("admin-prohibited", RejectWith::AdminProhibited),
];

const HOOKS: &[(&str, Hook)] = &[("input", Hook::Input), ("forward", Hook::Forward), ("output", Hook::Output)];

/// Bits of the TCP header (RFC 9293, 3.1).
const FLAGS: &[(&str, u8)] = &[("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32)];

/// A rule in a `namespace` or a `router`.
pub(super) fn in_host(node: &KdlNode, is_router: bool, problems: &mut Vec<Problem>) -> Option<Rule> {
    let mut fields = Fields::new(node, problems);
    let protocol = protocol(&mut fields);
    let from = fields.property("from", party);
    let hook = fields.property("at", |value| value.one_of("a hook", HOOKS));
    if let Some(hook) = hook.filter(|hook| hook.value == Hook::Forward && !is_router) {
        let problem = Problem::new("a `namespace` passes no packets on").at(hook.span).label("never reached");
        fields.problem(problem.help("declare the host as `router`, or use at=input or at=output"));
    }
    let default_hook = if is_router { Hook::Forward } else { Hook::Input };
    let action = match fields.node_name() {
        "reject" => RuleAction::Reject(answer(&mut fields, protocol)),
        _ => {
            refuse(&mut fields, "with", "`drop` answers nobody", "use `reject` for a packet that gets an answer");
            RuleAction::Drop
        }
    };
    let mut rule = matching(node, fields, protocol, action)?;
    rule.from = from;
    rule.hook = Some(hook.map_or(default_hook, |hook| hook.value));
    Some(rule)
}

/// A `drop` on a link, with the end whose packets it is for.
pub(super) fn on_wire(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<(Option<Spanned<String>>, Rule)> {
    let mut fields = Fields::new(node, problems);
    let protocol = protocol(&mut fields);
    let from = fields.property("from", |value| value.text().map(str::to_owned));
    refuse(&mut fields, "at", "a wire has no hooks", "a rule with at= stands in a `namespace` or a `router`");
    refuse(&mut fields, "with", "`drop` answers nobody", "a `reject` stands in a `namespace` or a `router`");
    Some((from, matching(node, fields, protocol, RuleAction::Drop)?))
}

/// A property that would mean something elsewhere.
fn refuse(fields: &mut Fields<'_, '_>, name: &'static str, why: &str, help: &str) {
    if fields.has(name) {
        let value = fields.property(name, |value| Ok(value.spelling()));
        let problem = Problem::new(format!("{why}: no {} here", quoted(&format!("{name}="))));
        let problem = value.map_or(problem.clone(), |value| problem.at(value.span).label("not here"));
        fields.problem(problem.help(help));
    }
}

fn protocol(fields: &mut Fields<'_, '_>) -> Option<Spanned<Protocol>> {
    let remedy = format!("{} tcp dport=80; tcp, udp, icmp, icmpv6 or any", fields.node_name());
    fields.required_argument("a protocol", &remedy, |value| value.one_of("a protocol", PROTOCOLS))
}

/// What `with=` says, or what a host would answer by itself where nothing listens.
fn answer(fields: &mut Fields<'_, '_>, protocol: Option<Spanned<Protocol>>) -> RejectWith {
    let given = fields.property("with", |value| value.one_of("an answer", ANSWERS));
    let default = match protocol.map(|protocol| protocol.value) {
        Some(Protocol::Tcp) => RejectWith::TcpReset,
        _ => RejectWith::PortUnreachable,
    };
    let (Some(given), Some(protocol)) = (given, protocol) else { return default };
    let is_v4_only =
        matches!(given.value, RejectWith::ProtocolUnreachable | RejectWith::NetProhibited | RejectWith::HostProhibited);
    if given.value == RejectWith::TcpReset && protocol.value != Protocol::Tcp {
        let problem = Problem::new("only TCP is answered with a reset").at(given.span).label("needs tcp");
        fields.problem(problem.also(protocol.span, "this is not").help("with=port-unreachable is what UDP gets"));
    }
    if is_v4_only && protocol.value == Protocol::Icmpv6 {
        let problem = Problem::new("ICMPv6 has no such answer").at(given.span).label("IPv4 only");
        fields.problem(problem.help("RFC 4443 has net-, host-, port-unreachable and admin-prohibited"));
    }
    given.value
}

/// The rest of a rule: what packets must look like, and which of them.
fn matching(
    node: &KdlNode,
    mut fields: Fields<'_, '_>,
    protocol: Option<Spanned<Protocol>>,
    action: RuleAction,
) -> Option<Rule> {
    let span = fields.span();
    let sport = fields.property("sport", ports);
    let dport = fields.property("dport", ports);
    let flags = fields.property("flags", flags);
    let to = fields.property("to", party);
    let which = which(&mut fields);
    for (name, place) in [("sport", sport.map(|port| port.span)), ("dport", dport.map(|port| port.span))] {
        if let (Some(place), Some(protocol)) = (place, protocol)
            && !matches!(protocol.value, Protocol::Tcp | Protocol::Udp)
        {
            let problem = Problem::new(format!("only TCP and UDP have ports: no {}", quoted(name))).at(place);
            fields.problem(problem.label("no ports here").also(protocol.span, "because of this"));
        }
    }
    if let (Some(flags), Some(protocol)) = (flags, protocol)
        && protocol.value != Protocol::Tcp
    {
        let problem = Problem::new("only TCP has flags").at(flags.span).label("no flags here");
        fields.problem(problem.also(protocol.span, "because of this"));
    }
    fields.finish_leaf();
    let text = one_line(node);
    Some(Rule { action, hook: None, protocol: protocol?, sport, dport, flags, from: None, to, which, text, span })
}

fn ports(value: Value<'_>) -> Reading<PortRange> {
    const REMEDY: &str = "a number from 1 to 65535, or a range in quotes: \"8000-8080\"";
    let problem = || value.expected("a port").help(REMEDY);
    let Ok(text) = value.text() else {
        return value
            .integer("a port", 1..=65535)
            .map(|port| PortRange { first: port, last: port })
            .map_err(|_| problem());
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(PortRange { first, last }),
        (Some(first), Some(last)) => {
            Err(value.expected("a range of ports").help(format!("the lower one comes first: \"{last}-{first}\"")))
        }
        _ => Err(problem()),
    }
}

fn flags(value: Value<'_>) -> Reading<TcpFlagsMatch> {
    let mut matched = TcpFlagsMatch { set: 0, clear: 0 };
    for word in value.text()?.split(',').map(str::trim) {
        let (name, is_clear) = word.strip_prefix('!').map_or((word, false), |name| (name, true));
        let Some((_, bit)) = FLAGS.iter().find(|(known, _)| *known == name) else {
            return Err(Problem::new(format!("{} is not a TCP flag", quoted(word)))
                .help("a list of fin, syn, rst, psh, ack, urg; `!` before one that must be clear: \"syn,!ack\""));
        };
        if (matched.set | matched.clear) & bit != 0 {
            return Err(Problem::new(format!("{} is named twice", quoted(name))).help("name each flag once"));
        }
        if is_clear { matched.clear |= bit } else { matched.set |= bit }
    }
    Ok(matched)
}

/// Which of the matching packets: all, unless one property says otherwise.
fn which(fields: &mut Fields<'_, '_>) -> Which {
    let count = |value: Value<'_>| value.integer::<u32>("a number of packets", 1..=i128::from(u32::MAX));
    let given = [
        ("first", fields.property("first", |v| count(v).map(Which::First))),
        ("after", fields.property("after", |v| count(v).map(Which::After))),
        ("every", fields.property("every", |v| count(v).map(Which::Every))),
        ("after-bytes", fields.property("after-bytes", |v| v.size_bytes().map(Which::AfterBytes))),
        ("chance", fields.property("chance", |v| v.chance().map(Which::Chance))),
    ];
    let mut given = given.into_iter().filter_map(|(name, which)| which.map(|which| (name, which)));
    let Some((name, which)) = given.next() else { return Which::All };
    if let Some((other, second)) = given.next() {
        let problem = Problem::new(format!("{} and {} cannot both choose the packets", quoted(name), quoted(other)));
        let problem = problem.at(second.span).label("and this").also(which.span, "this");
        fields.problem(problem.help("keep one, or write two rules"));
    }
    which.value
}
