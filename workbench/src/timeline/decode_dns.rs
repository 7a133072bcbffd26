//! DNS messages (RFC 1035), as far as a timeline needs them: the header and the first question.
//!
//! Written for messages that want to harm: whatever a length or a pointer says, reading ends.

use super::flight::Dns;

/// Bytes of a message's header (RFC 1035, 4.1.1).
const HEADER_BYTES: usize = 12;
/// Bytes of a name at most, lengths and the final zero included (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 255;

/// Reads a message; `None` if its header or its first question is cut or broken.
pub(super) fn dns(message: &[u8]) -> Option<Dns> {
    let flags = u16_at(message, 2)?;
    let (questions, answers) = (u16_at(message, 4)?, u16_at(message, 6)?);
    message.get(..HEADER_BYTES)?;
    let question = match questions {
        0 => String::new(),
        _ => {
            let (name, end) = name(message, HEADER_BYTES)?;
            format!("{} {name}", type_name(u16_at(message, end)?))
        }
    };
    Some(Dns {
        is_query: flags & 0x8000 == 0,
        id: u16_at(message, 0)?,
        question,
        rcode: rcode_name(flags & 0x000f),
        answers,
        is_truncated: flags & 0x0200 != 0,
    })
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]))
}

/// The name that starts at `at`, with its final dot, and where the bytes behind it start.
///
/// Pointers (RFC 1035, 4.1.4) have to point before the part of the name that they stand in, which ends every loop.
fn name(message: &[u8], at: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut part_start, mut end, mut bytes) = (String::new(), at, at, None, 1);
    while bytes <= NAME_BYTES {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => {
                let text = if text.is_empty() { ".".to_owned() } else { text };
                return Some((text, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                message.get(at + 1..at + 1 + length)?.iter().for_each(|&byte| push_byte(&mut text, byte));
                text.push('.');
                at += 1 + length;
                bytes += 1 + length;
            }
            0xc0.. => {
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                end = end.or(Some(at + 2));
                if target >= part_start {
                    return None;
                }
                (at, part_start) = (target, target);
            }
            _ => return None,
        }
    }
    None
}

/// One byte of a label, escaped as in RFC 1035, 5.1, so that a name is one word of printable text.
fn push_byte(text: &mut String, byte: u8) {
    match byte {
        b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
        b'!'..=b'~' => text.push(char::from(byte)),
        _ => text.push_str(&format!("\\{byte:03}")),
    }
}

/// RFC 1035 3.2.2, RFC 3596, RFC 2782, RFC 6891, RFC 9460; the others as in RFC 3597, 5.
fn type_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        41 => "OPT",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        _ => return format!("TYPE{number}"),
    };
    name.to_owned()
}

/// RFC 1035 4.1.1, with the names of RFC 6895 2.3.
fn rcode_name(number: u16) -> String {
    let name = match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => return format!("RCODE{number}"),
    };
    name.to_owned()
}
