//! `http`: status, body, pace, and what ends the body before its end.

use kdl::KdlNode;

use super::super::error::{Problem, quoted};
use super::super::fields::{Fields, one_line};
use super::super::span::Spanned;
use super::super::value::{Reading, Value};
use super::decode::{address, bytes, duration, interval, port, some_bytes, transport};
use super::kind::{BodyEnd, Http, PeerKind};
use super::model::Peer;

/// A body of a given rate comes in tenths of a second's worth.
const PACE_NS: u64 = 100_000_000;

/// The body, where nothing is said of it.
const DEFAULT_TEXT: &str = "ok\n";

/// An HTTP server.
pub(super) fn peer(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Peer> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let transport = transport(&mut fields);
    let port = match fields.says("port") {
        true => fields.property("port", port)?,
        false => Spanned::new(80, span),
    };
    let address = fields.property("address", address);
    let text = fields.property("text", |value| value.text().map(str::to_owned)).map(|text| text.value);
    let size = fields.property("size", bytes).map(|size| size.value);
    let text = if size.is_none() { Some(text.unwrap_or_else(|| DEFAULT_TEXT.to_owned())) } else { text };
    let size = size.unwrap_or_else(|| text.as_ref().map_or(0, |text| text.len() as u64));
    let http = Http {
        status: fields.property("status", status).map_or(200, |status| status.value),
        delay_ns: fields.property("delay", duration).map_or(0, |delay| delay.value),
        pace: pace(&mut fields),
        end: end(&mut fields, size),
        text,
        size,
    };
    if matches!(http.status, 204 | 304) && http.size > 0 && (fields.says("size") || fields.says("text")) {
        let problem = Problem::new(format!("a response with status {} has no body", http.status));
        fields.problem(problem.help("leave size= and text= out (RFC 9110, 15.3.5 and 15.4.5)"));
    }
    fields.finish_leaf();
    let transport = transport?;
    Some(Peer { kind: PeerKind::Http(http), transport, port, address, answers: Vec::new(), text: one_line(node), span })
}

fn status(value: Value<'_>) -> Reading<u16> {
    let problem = value.expected("a final status code").help("a number from 200 to 599, as in status=503");
    value.integer("a status", 200..=599).map_err(|_| problem)
}

/// `rate=`, or `bytes=` and `every=`.
fn pace(fields: &mut Fields<'_, '_>) -> Option<(u64, u64)> {
    let rate = fields.property("rate", rate);
    let (has_bytes, has_every) = (fields.says("bytes"), fields.says("every"));
    let each = fields.property("bytes", some_bytes);
    let every = fields.property("every", interval);
    if let (Some(rate), true) = (&rate, has_bytes || has_every) {
        let problem = Problem::new("`rate=` and `bytes=`, `every=` both say how fast the body is").at(rate.span);
        fields.problem(problem.label("this too").help("keep rate=\"100KiB\", or bytes=1 every=\"1s\""));
        return None;
    }
    if has_bytes != has_every {
        let (given, missing) = if has_bytes { ("bytes", "every") } else { ("every", "bytes") };
        let message = format!("`http` has {} without {}", quoted(&format!("{given}=")), quoted(&format!("{missing}=")));
        fields.problem(Problem::new(message).help("bytes=1 every=\"1s\"; the length of the body is size="));
        return None;
    }
    if let Some(rate) = rate {
        // Not less than a byte at a time: a slow rate is a byte every so often.
        return Some(match rate.value {
            slow @ 0..10 => (1, 1_000_000_000 / slow.max(1)),
            fast => (fast / 10, PACE_NS),
        });
    }
    Some((each?.value, every?.value))
}

/// Bytes in a second: as a size, or as the rate of a link.
fn rate(value: Value<'_>) -> Reading<u64> {
    let rate = value.size_bytes().or_else(|_| value.rate_bits_per_s().map(|bits| bits / 8));
    match rate {
        Ok(rate) if rate > 0 && !value.is_number() => Ok(rate),
        _ => {
            Err(value.expected("a rate").help("bytes in a second, as in \"100KiB\", or a link's rate, as in \"1mbit\""))
        }
    }
}

/// At most one of `stall=`, `reset=`, `close=`, inside the body.
fn end(fields: &mut Fields<'_, '_>, size: u64) -> Option<BodyEnd> {
    let given = [
        fields.property("stall", |value| bytes(value).map(BodyEnd::Stall)),
        fields.property("reset", |value| bytes(value).map(BodyEnd::Reset)),
        fields.property("close", |value| bytes(value).map(BodyEnd::Close)),
    ];
    let given: Vec<Spanned<BodyEnd>> = given.into_iter().flatten().collect();
    if let [first, second, ..] = &given[..] {
        let problem = Problem::new("a body ends too early in one way").at(second.span).label("and this");
        fields.problem(problem.also(first.span, "this").help("keep one of stall=, reset= and close="));
    }
    let end = given.into_iter().next()?;
    let (BodyEnd::Stall(at) | BodyEnd::Reset(at) | BodyEnd::Close(at)) = end.value;
    if at > size {
        let problem = Problem::new(format!("the body has {size} bytes: it never comes to byte {at}")).at(end.span);
        fields.problem(problem.label("beyond the end").help("as in http port=80 size=\"1MiB\" stall=\"10KiB\""));
    }
    Some(end.value)
}
