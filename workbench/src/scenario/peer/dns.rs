//! `dns` and its `answer`s.

use kdl::KdlNode;

use super::super::error::Problem;
use super::super::fields::{Fields, one_line, unknown_node};
use super::super::name_service::dns_name;
use super::super::span::Spanned;
use super::decode::{address, duration, port};
use super::kind::{DnsMode, PeerKind, Transport};
use super::model::{Answer, Peer};

const MODES: &[(&str, DnsMode)] = &[
    ("answers", DnsMode::Answers),
    ("silent", DnsMode::Silent),
    ("servfail", DnsMode::Servfail),
    ("refused", DnsMode::Refused),
    ("nxdomain", DnsMode::Nxdomain),
    ("truncated", DnsMode::Truncated),
    ("wrong-id", DnsMode::WrongId),
];

/// A name server.
pub(super) fn peer(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Peer> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let is_given = !fields.node_arguments().is_empty();
    let mode = fields.argument(|value| match value.any_text().as_deref() {
        Ok("tcp" | "udp") => {
            Err(value.expected("a way to answer").help("a name server is on both UDP and TCP: leave it out"))
        }
        _ => value.one_of("a way to answer", MODES),
    });
    let port = match fields.says("port") {
        true => fields.property("port", port)?,
        false => Spanned::new(53, span),
    };
    let address = fields.property("address", address);
    let delay = fields.property("delay", duration);
    if let (Some(mode), Some(delay)) = (&mode, &delay)
        && mode.value == DnsMode::Silent
    {
        let problem = Problem::new("`dns silent` never answers, so nothing is delayed").at(delay.span);
        fields.problem(problem.also(mode.span, "silent").help("keep one of `silent` and delay="));
    }
    let mut answers: Vec<Answer> = Vec::new();
    for child in fields.children() {
        match child.name().value() {
            "answer" => answers.extend(answer(child, fields.problems())),
            _ => fields.problem(unknown_node(child, "a dns", &["answer"])),
        }
    }
    let useless = |mode| matches!(mode, DnsMode::Silent | DnsMode::Servfail | DnsMode::Refused | DnsMode::Nxdomain);
    if let (Some(mode), Some(answer)) = (mode.filter(|mode| useless(mode.value)), answers.first()) {
        let problem = Problem::new("a name server that never gives an answer has no use for one");
        let problem = problem.at(answer.name.span).label("never given").also(mode.span, "because of this");
        fields.problem(problem.help("leave the word out, or the `answer`"));
    }
    fields.finish();
    if is_given && mode.is_none() {
        return None;
    }
    let mode = mode.map_or(DnsMode::Answers, |mode| mode.value);
    let kind = PeerKind::Dns { mode, delay_ns: delay.map_or(0, |delay| delay.value) };
    Some(Peer { kind, transport: Transport::Both, port, address, answers, text: one_line(node), span })
}

fn answer(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Answer> {
    const REMEDY: &str = "answer \"db.example\" \"10.9.0.5\"";
    let mut fields = Fields::new(node, problems);
    let name = fields.required_argument("a name", REMEDY, dns_name);
    let mut addresses = Vec::new();
    if name.is_some() || !node.entries().is_empty() {
        addresses.extend(fields.required_argument("an address", REMEDY, address));
    }
    for value in fields.rest() {
        addresses.extend(fields.read(value, address));
    }
    fields.finish_leaf();
    Some(Answer { name: name?, addresses: addresses.into_iter().map(|address| address.value).collect() })
}
