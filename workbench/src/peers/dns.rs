//! A name server: what it answers, and how it does so over TCP. Datagrams are taken by `datagrams`.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dns_message::{Question, Rcode};
use super::{clock, wire};
use crate::plan::DnsMode;

/// What a question came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// The answer to a message, or `None` if it gets none.
pub(super) fn answer(
    message: &[u8],
    zone: &BTreeMap<String, Vec<IpAddr>>,
    mode: DnsMode,
    over: Over,
) -> Option<Vec<u8>> {
    let question = Question::read(message).filter(|_| mode != DnsMode::Silent)?;
    if let Some(fault) = question.fault() {
        return Some(question.answer(fault, &[]));
    }
    let (rcode, addresses) = match zone.get(&question.name) {
        Some(addresses) => (Rcode::NoError, question.wanted(addresses)),
        None => (Rcode::NxDomain, Vec::new()),
    };
    let answer = match mode {
        DnsMode::Servfail => question.answer(Rcode::ServFail, &[]),
        DnsMode::Refused => question.answer(Rcode::Refused, &[]),
        DnsMode::Nxdomain => question.answer(Rcode::NxDomain, &[]),
        DnsMode::WrongId => question.answer_with_id(question.id.wrapping_add(1), rcode, &addresses),
        DnsMode::Truncated if over == Over::Udp => question.truncated(rcode),
        _ => question.answer(rcode, &addresses),
    };
    let is_too_long = over == Over::Udp && answer.len() > question.limit_bytes();
    Some(if is_too_long { question.truncated(rcode) } else { answer })
}

/// Answers the questions of one connection, one after the other, each with its length before it (RFC 1035, 4.2.2).
pub(super) async fn serve(
    mut stream: TcpStream,
    zone: &BTreeMap<String, Vec<IpAddr>>,
    mode: DnsMode,
    delay_ns: u64,
) -> io::Result<()> {
    if mode == DnsMode::Silent {
        return wire::stay(stream).await;
    }
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = answer(&message, zone, mode, Over::Tcp) {
            clock::sleep(delay_ns).await?;
            let length = (answer.len() as u16).to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).await?;
        }
    }
}
