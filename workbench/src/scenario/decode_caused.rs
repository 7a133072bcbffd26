//! `at`, `when` and `after`: what a fault with a cause begins and ends with, and what it does. Names are looked up later.

use kdl::KdlNode;

use super::address::prefix_or_address;
use super::cause::{Cause, host_state_or_step};
use super::caused::{CausedFault, FaultAction, Heal};
use super::error::{Problem, quoted};
use super::fields::{Fields, head, one_line, unknown_node};
use super::span::Spanned;
use super::value::{Reading, Value};
use super::{decode_host, decode_link, netem, rule};

/// The nodes that begin a fault with a cause.
pub(super) const CAUSES: &[&str] = &["at", "when", "after"];

const IN_HOST: &[&str] = &["drop", "reject", "route", "sysctl", "address"];

/// Where a fault stands.
pub(super) enum Place<'a> {
    /// In a host.
    Host {
        /// It is a router.
        is_router: bool,
    },
    /// On a link between these two.
    Link {
        /// Its ends.
        ends: [&'a str; 2],
    },
}

/// One fault with a cause.
pub(super) fn fault(node: &KdlNode, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<CausedFault> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let port = fields.property("port", |value| value.integer("a port", 1..=65535));
    let cause = cause(&mut fields, port.map(|port| port.value));
    let heals = heals(&mut fields, port.map(|port| port.value));
    if let Some(port) = port {
        check_port(&mut fields, &port, cause.as_ref(), heals.as_ref());
    }
    let before = fields.problems().len();
    let mut actions = Vec::new();
    for child in fields.children() {
        actions.extend(action(child, place, fields.problems()));
    }
    if actions.is_empty() && fields.problems().len() == before {
        let example = match place {
            Place::Host { .. } => "drop tcp dport=80",
            Place::Link { .. } => "cut",
        };
        let head = one_line(node);
        let problem = Problem::new(format!("{} does nothing", quoted(&head))).label("no faults in it");
        fields.problem(problem.help(format!("say what goes wrong then: {head} {{ {example}; }}")));
    }
    let doing = fields.children().iter().map(one_line).collect::<Vec<_>>().join("; ");
    fields.finish();
    Some(CausedFault { cause: cause?, heals, actions, doing, span })
}

fn cause(fields: &mut Fields<'_, '_>, port: Option<u16>) -> Option<Spanned<Cause>> {
    match fields.node_name() {
        "at" => {
            let after = fields.required_argument("a time", "at \"2s\" { … }", time)?;
            Some(Spanned::new(Cause::At { after_ns: after.value }, after.span))
        }
        "when" => {
            let remedy = "when client.established { … }";
            let cause = fields
                .required_argument("what it waits for", remedy, |value| host_state_or_step(value.text()?, port))?;
            Some(cause)
        }
        _ => {
            let remedy = || "after bytes=\"64KiB\" { … }".to_owned();
            let bytes = fields.required("bytes", remedy, Value::size_bytes);
            let from = fields.property("from", |value| value.text().map(str::to_owned));
            let bytes = bytes?;
            Some(Spanned::new(Cause::Bytes { bytes: bytes.value, from: from.map(|from| from.value) }, fields.span()))
        }
    }
}

/// A time since zero, by its length; whoever names an event wants `when`.
fn time(value: Value<'_>) -> Reading<u64> {
    match value.text() {
        Ok(text) if text.contains('.') && text.starts_with(|c: char| c.is_ascii_lowercase()) => {
            Err(value.expected("a time").help(format!("what happens is waited for with `when {text}`")))
        }
        _ => value.duration_ns(),
    }
}

/// `for=` or `until=`, of which the second is a time or what `when` takes.
fn heals(fields: &mut Fields<'_, '_>, port: Option<u16>) -> Option<Spanned<Heal>> {
    let for_ns = fields.property("for", |value| match value.duration_ns()? {
        0 => Err(Problem::new("a fault that heals as it begins").help("give it some time: for=\"3s\"")),
        for_ns => Ok(Heal::After { for_ns }),
    });
    let until = fields.property("until", |value| {
        let is_event = value.text().is_ok_and(|text| text.contains('.') && text.starts_with(char::is_alphabetic));
        let cause = match is_event {
            true => host_state_or_step(value.text()?, port)?,
            false => Cause::At { after_ns: value.duration_ns()? },
        };
        Ok(Heal::Until(cause))
    });
    if let (Some(first), Some(second)) = (&for_ns, &until) {
        let problem = Problem::new("`for` and `until` cannot both say when it heals").at(second.span);
        let problem = problem.label("and this").also(first.span, "this");
        fields
            .problem(problem.help("for= counts from its beginning, until= is a time since zero or an event; keep one"));
    }
    if let ("at", Some(until)) = (fields.node_name(), &until) {
        check_order(fields, until);
    }
    for_ns.or(until)
}

/// A fault that would heal before it begins.
fn check_order(fields: &mut Fields<'_, '_>, until: &Spanned<Heal>) {
    let Heal::Until(Cause::At { after_ns: end_ns }) = &until.value else { return };
    let begin = fields.first_text().and_then(|text| super::units::parse_duration(text).ok());
    if let Some(begin_ns) = begin.filter(|begin_ns| end_ns <= begin_ns) {
        let problem = Problem::new("this fault would heal before it begins").at(until.span).label("not later");
        let help = "until= is a time since zero; for= is how long it lasts";
        let begin = super::units::format_duration(begin_ns);
        fields.problem(problem.help(format!("it begins at {begin}; {help}")));
    }
}

/// A port narrows sockets, and nothing else.
fn check_port(
    fields: &mut Fields<'_, '_>,
    port: &Spanned<u16>,
    cause: Option<&Spanned<Cause>>,
    heals: Option<&Spanned<Heal>>,
) {
    let is_socket = |cause: &Cause| matches!(cause, Cause::Socket { .. });
    let begins = cause.is_none_or(|cause| is_socket(&cause.value));
    let ends = heals.is_some_and(|heal| matches!(&heal.value, Heal::Until(cause) if is_socket(cause)));
    if !begins && !ends {
        let problem = Problem::new("only a socket's state has a port: no `port` here").at(port.span);
        fields.problem(problem.label("narrows nothing").help("as in when client.established port=80 { … }"));
    }
}

fn action(node: &KdlNode, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<FaultAction> {
    let name = node.name().value();
    if CAUSES.contains(&name) {
        let problem = Problem::new(format!("{} stands in another fault", quoted(name))).at(head(node));
        let help = "faults with a cause are not nested: let each stand by itself, with a cause of its own";
        problems.push(problem.label("not here").help(help));
        return None;
    }
    match place {
        Place::Host { is_router } => in_host(node, *is_router, problems),
        Place::Link { ends } => on_link(node, ends, problems),
    }
}

fn in_host(node: &KdlNode, is_router: bool, problems: &mut Vec<Problem>) -> Option<FaultAction> {
    let name = node.name().value();
    match name {
        "drop" | "reject" => rule::in_host(node, is_router, problems).map(FaultAction::Rule),
        "route" => decode_host::route(node, problems).map(FaultAction::Route),
        "sysctl" => decode_host::sysctl(node, problems).map(FaultAction::Sysctl),
        "address" => address(node, problems).map(FaultAction::RemoveAddress),
        "down" | "cut" | "netem" | "mtu" => {
            let problem = Problem::new(format!("{} is no fault of a host", quoted(name))).at(node.name().span());
            problems.push(problem.label("not here").help(format!("put it into the link: {}", on_link_example(name))));
            None
        }
        _ => {
            problems.push(unknown_node(node, "a fault of a host", IN_HOST));
            None
        }
    }
}

fn on_link_example(name: &str) -> &'static str {
    match name {
        "down" => "link client server { at \"2s\" { client down; } }",
        "netem" => "link client server { at \"2s\" { netem delay=\"100ms\"; } }",
        "mtu" => "link client server { at \"2s\" { mtu 1400; } }",
        _ => "link client server { at \"2s\" { cut; } }",
    }
}

/// `address remove="10.9.0.2"`.
fn address(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Spanned<std::net::IpAddr>> {
    let mut fields = Fields::new(node, problems);
    let remedy = || "address remove=\"10.9.0.2\"".to_owned();
    let address = fields.required("remove", remedy, |value| match prefix_or_address(value.text()?)? {
        (address, None) => Ok(address),
        (address, Some(_)) => Err(value.expected("an address").help(format!("without the prefix: \"{address}\""))),
    });
    fields.finish_leaf();
    address
}

fn on_link(node: &KdlNode, ends: &[&str; 2], problems: &mut Vec<Problem>) -> Option<FaultAction> {
    let name = node.name().value();
    if let Some(end) = ends.iter().position(|end| *end == name) {
        return down(node, end, problems);
    }
    match name {
        "drop" => {
            let (from, rule) = rule::on_wire(node, problems)?;
            Some(FaultAction::Drop(ends_meant(node, ends, &from, problems), rule))
        }
        "netem" => {
            let (from, netem) = netem::netem(node, problems);
            Some(FaultAction::Netem(ends_meant(node, ends, &from, problems), netem))
        }
        "cut" => {
            let fields = Fields::new(node, problems);
            let span = fields.span();
            fields.finish_leaf();
            Some(FaultAction::Cut(span))
        }
        "mtu" => {
            let mut fields = Fields::new(node, problems);
            let mtu = fields.required_argument("a size", "mtu 1400", decode_link::mtu);
            fields.finish_leaf();
            mtu.map(FaultAction::Mtu)
        }
        "reject" => {
            let problem = Problem::new("a wire answers nobody: no `reject` on a link").at(node.name().span());
            let help = "put the fault into the `namespace` or `router` that answers";
            problems.push(problem.label("not here").help(help));
            None
        }
        "route" | "sysctl" | "address" => {
            let problem = Problem::new(format!("{} is no fault of a link", quoted(name))).at(node.name().span());
            let help = "put the fault into the `namespace` or `router` that it is about";
            problems.push(problem.label("not here").help(help));
            None
        }
        _ => {
            let known = ["drop", "netem", "cut", "mtu", ends[0], ends[1]];
            problems.push(unknown_node(node, "a fault of a link", &known));
            None
        }
    }
}

fn ends_meant(
    node: &KdlNode,
    ends: &[&str; 2],
    from: &Option<Spanned<String>>,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let Some(from) = from else { return vec![0, 1] };
    let found = ends.iter().position(|end| *end == from.value);
    if found.is_none() {
        let problem = Problem::new(format!("{} is no end of this link", quoted(&from.value))).at(from.span);
        let problem = problem.label("not an end").also(head(node), "here");
        problems.push(problem.help(format!("on a link `from` is the end that sends: {} or {}", ends[0], ends[1])));
    }
    found.into_iter().collect()
}

/// `client down`: of all that an end has, this alone can come and go.
fn down(node: &KdlNode, end: usize, problems: &mut Vec<Problem>) -> Option<FaultAction> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let is_down = fields.flag("down").is_some();
    if !is_down {
        let name = fields.node_name();
        let problem = Problem::new(format!("nothing happens to {} here", quoted(name))).label("`down` is missing");
        fields.problem(problem.help(format!("{name} down; names and addresses of an end are settled beforehand")));
        return None;
    }
    fields.finish_leaf();
    Some(FaultAction::Down(end, span))
}
