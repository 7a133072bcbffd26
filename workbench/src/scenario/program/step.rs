//! One step of a socket program: which call, with what, and what should come of it.

use kdl::KdlNode;

use super::decode::{Sockets, own_name};
use super::errno;
use super::model::{Call, Direction, Endpoint, Expected, Readiness, SocketKind, Step};
use super::option::{self, Kind};
use crate::scenario::address::{Family, address};
use crate::scenario::cause::{Cause, host_state_or_step};
use crate::scenario::error::{Problem, quoted};
use crate::scenario::fields::{Fields, one_line, unknown_node};
use crate::scenario::span::Spanned;
use crate::scenario::value::{Reading, Value};

/// What a step may be.
const STEPS: &[&str] = &[
    "socket",
    "setsockopt",
    "getsockopt",
    "bind",
    "listen",
    "accept",
    "connect",
    "send",
    "recv",
    "drain",
    "shutdown",
    "close",
    "dup",
    "poll",
    "sleep",
    "signal",
    "step",
    "wait",
];

/// listen(2): no more than `net.core.somaxconn`, which is this by default.
const DEFAULT_BACKLOG: i32 = 4096;

/// More than this in one call no buffer takes, and the program would have to hold it.
const MOST_BYTES: u64 = 64 << 20;

/// One step; `None` where it could not be read.
pub(super) fn step(node: &KdlNode, sockets: &mut Sockets, problems: &mut Vec<Problem>) -> Option<Step> {
    let name = node.name().value();
    if !STEPS.contains(&name) {
        problems.push(unknown_node(node, "a program", STEPS));
        return None;
    }
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let call = call(name, &mut fields, sockets);
    let expected = expected(node, &mut fields, call.as_ref());
    // What is left over of a call that could not be read, nobody looked for.
    if call.is_some() {
        fields.finish();
    }
    Some(Step { call: call?, expected, text: one_line(node), span })
}

fn call(name: &str, fields: &mut Fields<'_, '_>, sockets: &mut Sockets) -> Option<Call> {
    match name {
        "socket" => make(fields, sockets),
        "setsockopt" => set_option(fields, sockets),
        "getsockopt" => {
            let (socket, _) = socket(fields, sockets, "getsockopt s SO_ERROR")?;
            let option = fields.required_argument("an option", "getsockopt s SO_ERROR", option::named)?.value;
            if option.kind == Kind::Text {
                let problem = Problem::new(format!("{} is no number", quoted(option.name)));
                fields.problem(problem.help("only options whose value is a number can be read"));
                return None;
            }
            Some(Call::GetOption { socket, level: option.level, name: option.number })
        }
        "bind" => bind(fields, sockets),
        "listen" => {
            let socket = tcp(fields, sockets, "listen s")?;
            let backlog = fields.argument(|value| value.integer("a backlog", 0..=i128::from(i32::MAX)));
            Some(Call::Listen { socket, backlog: backlog.map_or(DEFAULT_BACKLOG, |backlog| backlog.value) })
        }
        "accept" | "dup" => copy(name, fields, sockets),
        "connect" => connect(fields, sockets),
        "send" => send(fields, sockets),
        "recv" => {
            const REMEDY: &str = "recv s 1024";
            let (socket, _) = socket(fields, sockets, REMEDY)?;
            let bytes = fields.required_argument("how many bytes there is room for", REMEDY, bytes)?;
            Some(Call::Receive { socket, bytes: bytes.value })
        }
        "drain" => socket(fields, sockets, "drain s").map(|(socket, _)| Call::Drain { socket }),
        "shutdown" => {
            const REMEDY: &str = "shutdown s wr";
            let (socket, _) = socket(fields, sockets, REMEDY)?;
            let words = &[("rd", Direction::Read), ("wr", Direction::Write), ("rdwr", Direction::Both)];
            let direction = fields.required_argument("a direction", REMEDY, |v| v.one_of("rd, wr or rdwr", words))?;
            Some(Call::Shutdown { socket, direction: direction.value })
        }
        "close" => {
            let name = fields.required_argument("a socket", "close s", own_name)?;
            told(fields, sockets.close(&name)).map(|socket| Call::Close { socket })
        }
        "poll" => poll(fields, sockets),
        "sleep" => {
            let length = fields.required_argument("how long", "sleep \"2s\"", Value::duration_ns)?;
            Some(Call::Sleep { duration_ns: length.value })
        }
        "signal" => signal(fields),
        "step" => {
            let name = fields.required_argument("a name", "step listening", step_name)?;
            Some(Call::Reach { name: name.value })
        }
        _ => wait(fields),
    }
}

fn told<T>(fields: &mut Fields<'_, '_>, found: Result<T, Problem>) -> Option<T> {
    found.map_err(|problem| fields.problem(problem)).ok()
}

/// The socket that a call is made on.
fn socket(fields: &mut Fields<'_, '_>, sockets: &Sockets, remedy: &str) -> Option<(usize, SocketKind)> {
    let name = fields.required_argument("a socket", remedy, own_name)?;
    told(fields, sockets.find(&name))
}

fn tcp(fields: &mut Fields<'_, '_>, sockets: &Sockets, remedy: &str) -> Option<usize> {
    let (socket, kind) = socket(fields, sockets, remedy)?;
    if kind.is_udp {
        let call = fields.node_name();
        let problem = Problem::new(format!("{} needs a TCP socket, and this one is UDP", quoted(call)));
        fields.problem(problem.help("a UDP socket receives once it is bound: `bind s 53`, `recv s 512`"));
        return None;
    }
    Some(socket)
}

fn make(fields: &mut Fields<'_, '_>, sockets: &mut Sockets) -> Option<Call> {
    const REMEDY: &str = "socket s tcp";
    let is_nonblocking = fields.flag("nonblock").is_some();
    let name = fields.required_argument("a name", REMEDY, own_name)?;
    let is_udp = fields.required_argument("a protocol", REMEDY, |value| {
        value.one_of("tcp or udp", &[("tcp", false), ("udp", true)])
    })?;
    let family = fields.argument(|value| value.one_of("v4, v6 or nonblock", &[("v4", Family::V4), ("v6", Family::V6)]));
    let kind = SocketKind { is_udp: is_udp.value, family: family.map_or(Family::V4, |family| family.value) };
    told(fields, sockets.make(&name, kind)).map(|socket| Call::Socket { socket, kind, is_nonblocking })
}

fn set_option(fields: &mut Fields<'_, '_>, sockets: &Sockets) -> Option<Call> {
    const REMEDY: &str = "setsockopt s SO_REUSEADDR 1";
    let (socket, _) = socket(fields, sockets, REMEDY)?;
    let option = fields.required_argument("an option", REMEDY, option::named)?.value;
    let value = fields.required_argument("a value", REMEDY, |value| option.value(value))?.value;
    Some(Call::SetOption { socket, level: option.level, name: option.number, value })
}

fn bind(fields: &mut Fields<'_, '_>, sockets: &Sockets) -> Option<Call> {
    const REMEDY: &str = "bind s 80, or bind s \"10.9.0.2\" 80";
    let (socket, kind) = socket(fields, sockets, REMEDY)?;
    let mut rest = fields.rest();
    let Some(port) = rest.pop() else {
        fields.problem(Problem::new("`bind` lacks a port").label("missing here").help(REMEDY));
        return None;
    };
    let port = fields.read(port, |value| value.integer("a port", 0..=65535))?.value;
    let to = match &rest[..] {
        [] => Endpoint { host: None, address: None, port, family: kind.family },
        [host, rest @ ..] => {
            if let Some(more) = rest.first() {
                let problem = Problem::new("`bind` takes an address and a port").at(more.span());
                fields.problem(problem.label("one too many").help(REMEDY));
            }
            let host = *host;
            fields.read(host, |value| endpoint(value, port, kind.family))?.value
        }
    };
    Some(Call::Bind { socket, to })
}

fn connect(fields: &mut Fields<'_, '_>, sockets: &Sockets) -> Option<Call> {
    const REMEDY: &str = "connect s server 80";
    let (socket, kind) = socket(fields, sockets, REMEDY)?;
    let rest = fields.rest();
    let [host, port] = rest[..] else {
        fields.problem(Problem::new("`connect` takes a host or an address, and a port").help(REMEDY));
        return None;
    };
    let port = fields.read(port, |value| value.integer("a port", 0..=65535))?.value;
    let to = fields.read(host, |value| endpoint(value, port, kind.family))?.value;
    Some(Call::Connect { socket, to })
}

/// A host by name or an address; an address has to be of the socket's family.
fn endpoint(value: Value<'_>, port: u16, family: Family) -> Reading<Endpoint> {
    let text =
        value.text().map_err(|_| value.expected("a host or an address").help("as in server, or \"10.9.0.2\""))?;
    if !text.contains([':', '.']) {
        return Ok(Endpoint { host: Some(text.to_owned()), address: None, port, family });
    }
    let address = address(text)?;
    if Family::of(address) != family {
        let (is, other) = if family == Family::V4 { ("IPv4", "v6") } else { ("IPv6", "v4") };
        return Err(Problem::new(format!("the socket is of {is}, and {} is not", quoted(text)))
            .help(format!("make the socket with {other}, as in `socket s tcp {other}`")));
    }
    Ok(Endpoint { host: None, address: Some(address), port, family })
}

fn copy(name: &str, fields: &mut Fields<'_, '_>, sockets: &mut Sockets) -> Option<Call> {
    let is_accept = name == "accept";
    let remedy = if is_accept { "accept listener as=conn" } else { "dup s as=t" };
    let original = fields.required_argument("a socket", remedy, own_name);
    let made = fields.required("as", || format!("name what it makes: {remedy}"), own_name);
    let (socket, kind) = told(fields, sockets.find(&original?))?;
    if is_accept && kind.is_udp {
        let problem = Problem::new("`accept` needs a TCP socket, and this one is UDP");
        fields.problem(problem.help("a UDP socket receives once it is bound: `bind s 53`, `recv s 512`"));
        return None;
    }
    let made = told(fields, sockets.make(&made?, kind))?;
    Some(if is_accept { Call::Accept { socket, made } } else { Call::Duplicate { socket, made } })
}

fn send(fields: &mut Fields<'_, '_>, sockets: &Sockets) -> Option<Call> {
    const REMEDY: &str = "send s text=\"hello\", or send s bytes=\"64KiB\"";
    let is_without_signal = fields.flag("MSG_NOSIGNAL").is_some();
    let (socket, _) = socket(fields, sockets, REMEDY)?;
    let has_any = fields.has("text") || fields.has("bytes");
    let text = fields.property("text", Value::any_text);
    let size = fields.property("bytes", bytes);
    match (text, size) {
        (Some(text), None) => {
            let bytes = text.value.len() as u64;
            Some(Call::Send { socket, text: Some(text.value), bytes, is_without_signal })
        }
        (None, Some(bytes)) => Some(Call::Send { socket, text: None, bytes: bytes.value, is_without_signal }),
        (Some(_), Some(_)) => {
            fields.problem(Problem::new("`send` sends one thing").help(REMEDY));
            None
        }
        (None, None) => {
            if !has_any {
                fields.problem(Problem::new("`send` lacks what it sends").label("missing here").help(REMEDY));
            }
            None
        }
    }
}

fn bytes(value: Value<'_>) -> Reading<u64> {
    match value.size_bytes()? {
        bytes if bytes <= MOST_BYTES => Ok(bytes),
        _ => Err(value.expected("a size").help("at most \"64MiB\" in one call")),
    }
}

fn poll(fields: &mut Fields<'_, '_>, sockets: &Sockets) -> Option<Call> {
    const REMEDY: &str = "poll s in timeout=\"2s\"";
    let (socket, _) = socket(fields, sockets, REMEDY)?;
    let words = &[("in", Readiness::In), ("out", Readiness::Out)];
    let readiness = fields.required_argument("in or out", REMEDY, |value| value.one_of("in or out", words));
    let timeout = fields.property("timeout", |value| {
        let ms = i32::try_from(value.duration_ns()? / 1_000_000);
        ms.map_err(|_| value.expected("a timeout").help("poll(2) counts milliseconds in an int: 24 days at most"))
    });
    Some(Call::Poll { socket, readiness: readiness?.value, timeout_ms: timeout.map(|timeout| timeout.value) })
}

fn signal(fields: &mut Fields<'_, '_>) -> Option<Call> {
    const REMEDY: &str = "signal SIGPIPE ignore";
    fields.required_argument("a signal", REMEDY, |value| value.one_of("SIGPIPE", &[("SIGPIPE", ())]))?;
    let words = &[("ignore", true), ("default", false)];
    let is_ignored = fields.required_argument("a disposition", REMEDY, |v| v.one_of("ignore or default", words))?;
    Some(Call::Sigpipe { is_ignored: is_ignored.value })
}

fn step_name(value: Value<'_>) -> Reading<String> {
    let name = own_name(value)?;
    match crate::scenario::cause::SocketState::of(&name) {
        Some(_) => Err(Problem::new(format!("{} is a socket's state", quoted(&name)))
            .help("a wait for it would be one for the state: give the step another name")),
        None => Ok(name),
    }
}

fn wait(fields: &mut Fields<'_, '_>) -> Option<Call> {
    const REMEDY: &str = "wait server.listening, or wait client.time-wait port=80";
    let port: Option<Spanned<u16>> = fields.property("port", |value| value.integer("a port", 1..=65535));
    let port = port.map(|port| port.value);
    let cause =
        fields.required_argument("what is waited for", REMEDY, |value| host_state_or_step(value.text()?, port))?;
    if let (Cause::Step { .. }, Some(_)) = (&cause.value, port) {
        let problem =
            Problem::new("a step has no port").help("port= goes with a socket's state: wait client.time-wait port=80");
        fields.problem(problem);
        return None;
    }
    Some(Call::Wait { cause: cause.value })
}

/// The step's block: one `expect`, or nothing.
fn expected(node: &KdlNode, fields: &mut Fields<'_, '_>, call: Option<&Call>) -> Expected {
    let mut expected = Expected::Success;
    for (i, child) in node.children().map_or(&[][..], |block| block.nodes()).iter().enumerate() {
        if child.name().value() != "expect" {
            fields.problems().push(unknown_node(child, "a step", &["expect"]));
            continue;
        }
        let mut inner = Fields::new(child, fields.problems());
        if i > 0 {
            inner.problem(Problem::new("a step has one result").label("a second `expect`").help("keep one of them"));
        }
        if matches!(call, Some(Call::Reach { .. } | Call::Wait { .. } | Call::Sigpipe { .. })) {
            inner.problem(
                Problem::new(format!("{} has no result", quoted(node.name().value()))).help("remove the `expect`"),
            );
        }
        if let Some(value) = inner.required_argument("an errno or a value", "expect EADDRINUSE", errno::expected) {
            expected = value.value;
        }
        inner.finish_leaf();
    }
    expected
}
