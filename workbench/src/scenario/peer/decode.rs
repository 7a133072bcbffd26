//! The nodes of peers but for `http` and `dns`: transport, port, and what is said when.

use std::net::IpAddr;

use kdl::KdlNode;
use miette::SourceSpan;

use super::super::address::prefix_or_address;
use super::super::error::{Problem, quoted};
use super::super::fields::{Fields, one_line};
use super::super::span::Spanned;
use super::super::value::{Reading, Value};
use super::kind::{PeerKind, Speech, Transport};
use super::model::Peer;
use super::{dns, http};

/// Names of all peers, in the order of the documentation.
pub(in super::super) const NODES: &[&str] =
    &["refuse", "silent", "backlog", "stall", "drip", "reset", "close", "half-close", "hoard", "echo", "http", "dns"];

/// Those that have something to do on a UDP port.
const ON_UDP: &[&str] = &["refuse", "silent", "stall", "drip", "echo"];

/// More than any real transfer; what is added to it stays a number.
const BYTES_LIMIT: u64 = 1 << 50;

/// More than anybody waits for: a hundred years.
const DURATION_LIMIT_NS: u64 = 100 * 366 * 86_400 * 1_000_000_000;

/// A peer.
pub(in super::super) fn peer(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Peer> {
    match node.name().value() {
        "http" => http::peer(node, problems),
        "dns" => dns::peer(node, problems),
        _ => plain(node, problems),
    }
}

fn plain(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Peer> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let name = fields.node_name();
    let transport = transport(&mut fields);
    let remedy = example(name);
    let port = fields.required("port", || remedy.to_owned(), port);
    let address = fields.property("address", address);
    let is_udp = transport == Some(Transport::Udp);
    let kind = match name {
        "refuse" => Some(PeerKind::Refuse),
        "silent" => Some(PeerKind::Silent),
        "backlog" => Some(PeerKind::Backlog),
        "hoard" => Some(PeerKind::Hoard),
        "echo" => Some(PeerKind::Echo),
        "stall" => stall(&mut fields, is_udp),
        "drip" => Some(drip(&mut fields, is_udp)),
        "reset" => Some(PeerKind::Reset(ending(&mut fields))),
        "close" => Some(PeerKind::Close(ending(&mut fields))),
        _ => Some(PeerKind::HalfClose(ending(&mut fields))),
    };
    fields.finish_leaf();
    let (transport, port) = (transport?, port?);
    Some(Peer { kind: kind?, transport, port, address, answers: Vec::new(), text: one_line(node), span })
}

/// How each is written, for those who left something out.
fn example(name: &str) -> &'static str {
    match name {
        "refuse" => "refuse port=80, or refuse udp port=53",
        "silent" => "silent port=80, or silent udp port=53",
        "backlog" => "backlog port=80",
        "stall" => "stall port=80 bytes=\"1KiB\"",
        "drip" => "drip port=80 bytes=1 every=\"1s\"",
        "reset" => "reset port=80 bytes=\"10KiB\"",
        "close" => "close port=80",
        "half-close" => "half-close port=80",
        "hoard" => "hoard port=80",
        "http" => "http port=80 size=\"1MiB\"",
        _ => "echo port=7",
    }
}

/// `tcp`, which may be left out, or `udp`; a port that stands there is told where it belongs.
pub(super) fn transport(fields: &mut Fields<'_, '_>) -> Option<Transport> {
    let name = fields.node_name();
    let words = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
    let is_given = !fields.node_arguments().is_empty();
    let given = fields.argument(|value| match value.any_text().ok().filter(|_| !value.is_number()) {
        None => Err(value.expected("`tcp` or `udp`").help(format!("the port is a property: {}", example(name)))),
        Some(_) => value.one_of("`tcp` or `udp`", &words),
    });
    match given {
        None if is_given => None,
        Some(udp) if udp.value == Transport::Udp && !ON_UDP.contains(&name) => {
            let problem = Problem::new(format!("{} is about TCP connections", quoted(name))).at(udp.span);
            let help = format!("leave `udp` out; on a UDP port there are {}", ON_UDP.join(", "));
            fields.problem(problem.label("UDP has none").help(help));
            None
        }
        given => Some(given.map_or(Transport::Tcp, |given| given.value)),
    }
}

/// One port.
pub(super) fn port(value: Value<'_>) -> Reading<u16> {
    let problem = value.expected("a port").help("a number from 1 to 65535; a range would need a node for each");
    value.integer("a port", 1..=65_535).map_err(|_| problem)
}

/// One of the host's own addresses.
pub(super) fn address(value: Value<'_>) -> Reading<IpAddr> {
    match prefix_or_address(value.text()?)? {
        (address, None) => Ok(address),
        (address, Some(_)) => Err(value.expected("an address").help(format!("without the prefix: \"{address}\""))),
    }
}

/// A number of bytes.
pub(super) fn bytes(value: Value<'_>) -> Reading<u64> {
    match value.size_bytes()? {
        bytes if bytes <= BYTES_LIMIT => Ok(bytes),
        _ => Err(value.expected("a size that can be sent").help("at most \"1048576GiB\"")),
    }
}

/// A length of time that somebody may wait.
pub(super) fn duration(value: Value<'_>) -> Reading<u64> {
    match value.duration_ns()? {
        ns if ns <= DURATION_LIMIT_NS => Ok(ns),
        _ => Err(value.expected("a duration that somebody waits").help("at most \"36600d\"")),
    }
}

/// A length of time between two things, which cannot be none.
pub(super) fn interval(value: Value<'_>) -> Reading<u64> {
    match duration(value)? {
        ns if ns >= 1_000_000 => Ok(ns),
        _ => Err(value.expected("a pause").help("at least \"1ms\": all at once needs no pause")),
    }
}

/// A number of bytes that is some.
pub(super) fn some_bytes(value: Value<'_>) -> Reading<u64> {
    match bytes(value)? {
        0 => Err(value.expected("at least one byte").help("a peer that says nothing is `silent`")),
        bytes => Ok(bytes),
    }
}

fn text(value: Value<'_>) -> Reading<String> {
    value.text().map(str::to_owned)
}

/// `text=`, `received=` and `when=`; the number of bytes is the text's unless something else is said.
fn speech(fields: &mut Fields<'_, '_>, is_udp: bool) -> Speech {
    let text = fields.property("text", text).map(|text| text.value);
    let received = fields.property("received", some_bytes);
    let when = fields.property("when", |value| value.one_of("a moment", &[("connected", 0), ("asked", 1)]));
    if let (Some(received), Some(when)) = (&received, &when) {
        let problem = Problem::new("`received=` and `when=` both say when it begins").at(when.span).label("this");
        fields.problem(problem.also(received.span, "and this").help("`when=asked` is `received=1`; keep one"));
    }
    if is_udp && let Some(place) = of_connections(&received, &when) {
        let problem = Problem::new("a UDP peer begins with the first datagram").at(place).label("not here");
        fields.problem(problem.help("leave it out: nobody is connected, so only `when=asked` can be"));
    }
    let bytes = text.as_ref().map_or(0, |text| text.len() as u64);
    let received = received.or(when).map_or(0, |received| received.value);
    Speech { text, bytes, received, after_ns: 0 }
}

/// What is said of when to begin that a datagram cannot keep.
fn of_connections(received: &Option<Spanned<u64>>, when: &Option<Spanned<u64>>) -> Option<SourceSpan> {
    let connected = when.as_ref().filter(|when| when.value == 0).map(|when| when.span);
    received.as_ref().map(|received| received.span).or(connected)
}

fn stall(fields: &mut Fields<'_, '_>, is_udp: bool) -> Option<PeerKind> {
    let mut speech = speech(fields, is_udp);
    let says = fields.says("bytes");
    let bytes = fields.property("bytes", |value| if is_udp { datagram(value) } else { some_bytes(value) });
    if !says && speech.text.is_none() {
        let problem = Problem::new("`stall` does not say after how many bytes").label("missing here");
        fields.problem(problem.help("stall port=80 bytes=\"1KiB\", or text=\"…\"; saying nothing at all is `silent`"));
        return None;
    }
    speech.bytes = bytes.map_or(speech.bytes, |bytes| bytes.value);
    Some(PeerKind::Stall(speech))
}

fn drip(fields: &mut Fields<'_, '_>, is_udp: bool) -> PeerKind {
    let mut speech = speech(fields, is_udp);
    let each = fields.property("bytes", |value| if is_udp { datagram(value) } else { some_bytes(value) });
    let every = fields.required("every", || example("drip").to_owned(), interval);
    let total = fields.property("total", some_bytes);
    speech.bytes = each.map_or(1, |each| each.value);
    PeerKind::Drip { speech, every_ns: every.map_or(1, |every| every.value), total: total.map(|total| total.value) }
}

/// What fits into a datagram of IPv4 (RFC 768, RFC 791).
fn datagram(value: Value<'_>) -> Reading<u64> {
    match some_bytes(value)? {
        bytes if bytes <= 65_507 => Ok(bytes),
        _ => Err(value.expected("a datagram's size").help("at most 65507 bytes fit into one")),
    }
}

/// `reset`, `close`, `half-close`: what is said before the end, and how long before.
fn ending(fields: &mut Fields<'_, '_>) -> Speech {
    let mut speech = speech(fields, false);
    let bytes = fields.property("bytes", bytes);
    speech.bytes = bytes.map_or(speech.bytes, |bytes| bytes.value);
    speech.after_ns = fields.property("after", duration).map_or(0, |after| after.value);
    speech
}
