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

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.example`, type A, id 7.
    const QUESTION: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";

    /// Id, TC, RCODE and how many answers.
    fn told(mode: DnsMode, over: Over) -> Option<(u8, bool, u8, u8)> {
        let zone = BTreeMap::from([("a.example".to_owned(), vec!["10.9.0.5".parse().expect("an address")])]);
        answer(QUESTION, &zone, mode, over).map(|a| (a[1], a[2] & 2 != 0, a[3] & 15, a[7]))
    }

    #[test]
    fn each_mode_answers_in_its_own_way() {
        for (mode, over, expected) in [
            (DnsMode::Answers, Over::Udp, Some((7, false, 0, 1))),
            (DnsMode::Silent, Over::Udp, None),
            (DnsMode::Servfail, Over::Udp, Some((7, false, 2, 0))),
            (DnsMode::Refused, Over::Udp, Some((7, false, 5, 0))),
            (DnsMode::Nxdomain, Over::Udp, Some((7, false, 3, 0))),
            (DnsMode::Truncated, Over::Udp, Some((7, true, 0, 0))),
            (DnsMode::Truncated, Over::Tcp, Some((7, false, 0, 1))),
            (DnsMode::WrongId, Over::Udp, Some((8, false, 0, 1))),
        ] {
            assert_eq!(told(mode, over), expected, "{mode:?}");
        }
    }

    #[test]
    fn what_does_not_fit_into_a_datagram_is_truncated() {
        let many = (0..40).map(|n| std::net::Ipv4Addr::new(10, 9, 0, n).into()).collect();
        let zone = BTreeMap::from([("a.example".to_owned(), many)]);
        let over = |over| answer(QUESTION, &zone, DnsMode::Answers, over).expect("an answer");
        assert_eq!((over(Over::Udp)[2] & 2, over(Over::Tcp)[7]), (2, 40));
    }
}
