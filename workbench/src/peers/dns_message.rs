//! As much of a DNS message (RFC 1035, 4) as a name server for one lab needs: one question in, addresses out.

use std::net::IpAddr;

/// A header's length.
const HEADER_BYTES: usize = 12;

/// TYPE and CLASS values (RFC 1035, 3.2.2 and 3.2.4; RFC 3596; RFC 6891).
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;

/// How long an answer may be kept, in seconds.
const TTL_S: u32 = 60;

/// The largest message over UDP without EDNS (RFC 1035, 4.2.1), and what is offered with it.
const PLAIN_BYTES: usize = 512;
const OFFERED_BYTES: u16 = 1232;

/// RCODE values (RFC 1035, 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub id: u16,
    opcode: u8,
    is_recursion_desired: bool,
    /// The name in lower case, without the last point; empty for the root.
    pub name: String,
    kind: u16,
    class: u16,
    /// The question section as it came: upper and lower case are kept in an answer.
    section: Vec<u8>,
    /// How much the asker takes over UDP, if it says so (EDNS, RFC 6891).
    edns_bytes: Option<u16>,
}

impl Question {
    /// Reads a question. `None` where there is none to answer: no header, or an answer.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let header = message.get(..HEADER_BYTES)?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let is_answer = header[2] & 0x80 != 0;
        if is_answer {
            return None;
        }
        let mut question = Self {
            id: number(0),
            opcode: header[2] >> 3 & 0xf,
            is_recursion_desired: header[2] & 1 != 0,
            name: String::new(),
            kind: 0,
            class: 0,
            section: Vec::new(),
            edns_bytes: None,
        };
        if number(4) == 1 {
            question.read_section(&message[HEADER_BYTES..], number(10));
        }
        Some(question)
    }

    /// What follows the header. A section that cannot be read stays empty.
    fn read_section(&mut self, rest: &[u8], additional: u16) {
        let Some((name, name_bytes)) = read_name(rest) else { return };
        let Some(fields) = rest.get(name_bytes..name_bytes + 4) else { return };
        self.name = name;
        self.kind = u16::from_be_bytes([fields[0], fields[1]]);
        self.class = u16::from_be_bytes([fields[2], fields[3]]);
        self.section = rest[..name_bytes + 4].to_vec();
        // An OPT record belongs to the root, whose name is one zero byte; its CLASS is a size.
        if let Some([0, kind_high, kind_low, size_high, size_low, ..]) = rest.get(name_bytes + 4..)
            && additional > 0
            && u16::from_be_bytes([*kind_high, *kind_low]) == TYPE_OPT
        {
            self.edns_bytes = Some(u16::from_be_bytes([*size_high, *size_low]));
        }
    }

    /// Why it cannot be answered, if it cannot.
    pub(super) fn fault(&self) -> Option<Rcode> {
        match (self.section.is_empty(), self.opcode) {
            (_, 1..) => Some(Rcode::NotImp),
            (true, _) => Some(Rcode::FormErr),
            _ => None,
        }
    }

    /// Those addresses that it asks for.
    pub(super) fn wanted<'a>(&self, addresses: &'a [IpAddr]) -> Vec<&'a IpAddr> {
        let is_wanted = |address: &&IpAddr| match address {
            IpAddr::V4(_) => self.kind == TYPE_A,
            IpAddr::V6(_) => self.kind == TYPE_AAAA,
        };
        addresses.iter().filter(is_wanted).filter(|_| self.class == CLASS_IN).collect()
    }

    /// The answer, of any length.
    pub(super) fn answer(&self, rcode: Rcode, addresses: &[&IpAddr]) -> Vec<u8> {
        self.message(self.id, rcode, addresses, false)
    }

    /// The answer under another id.
    pub(super) fn answer_with_id(&self, id: u16, rcode: Rcode, addresses: &[&IpAddr]) -> Vec<u8> {
        self.message(id, rcode, addresses, false)
    }

    /// An answer that says that it lacks something (TC).
    pub(super) fn truncated(&self, rcode: Rcode) -> Vec<u8> {
        self.message(self.id, rcode, &[], true)
    }

    /// The longest answer that the asker takes over UDP.
    pub(super) fn limit_bytes(&self) -> usize {
        self.edns_bytes.map_or(PLAIN_BYTES, |bytes| usize::from(bytes.min(OFFERED_BYTES)).max(PLAIN_BYTES))
    }

    fn message(&self, id: u16, rcode: Rcode, addresses: &[&IpAddr], is_truncated: bool) -> Vec<u8> {
        // QR, AA and RA: with neither of the latter an empty answer would be a referral to nobody, and glibc would ask the
        // next server (res_send.c).
        let flags = 0x8480
            | u16::from(self.opcode) << 11
            | u16::from(is_truncated) << 9
            | u16::from(self.is_recursion_desired) << 8
            | rcode as u16;
        let has_question = !self.section.is_empty();
        let counts = [u16::from(has_question), addresses.len() as u16, 0, u16::from(self.edns_bytes.is_some())];
        let mut message: Vec<u8> = [id, flags]
            .into_iter()
            .chain(counts)
            .flat_map(u16::to_be_bytes)
            .chain(self.section.iter().copied())
            .collect();
        for address in addresses {
            let (kind, data) = match address {
                IpAddr::V4(ip) => (TYPE_A, ip.octets().to_vec()),
                IpAddr::V6(ip) => (TYPE_AAAA, ip.octets().to_vec()),
            };
            // The question's name, which stands right behind the header (RFC 1035, 4.1.4).
            message.extend([0xc0, HEADER_BYTES as u8]);
            message.extend([kind, CLASS_IN].into_iter().flat_map(u16::to_be_bytes));
            message.extend(TTL_S.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        if self.edns_bytes.is_some() {
            message.push(0);
            message.extend([TYPE_OPT, OFFERED_BYTES, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes));
        }
        message
    }
}

/// A name in lower case and its length in the message; a question's is never compressed.
fn read_name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut labels: Vec<String> = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        match length {
            0 => return (at <= 255).then(|| (labels.join("."), at)),
            1..=63 => labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_lowercase()),
            _ => return None,
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `WwW.example`, as a resolver would ask for it.
    fn question(kind: u16, edns: bool) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        message.extend(b"\x03WwW\x07example\x00");
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        if edns {
            message.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        }
        message
    }

    #[test]
    fn an_answer_repeats_the_question_and_points_at_its_name() {
        let asked = Question::read(&question(TYPE_A, false)).expect("a question");
        assert_eq!(asked.name, "www.example");
        let addresses = ["10.9.0.1".parse().expect("v4"), "fd09::1".parse().expect("v6")];
        let answer = asked.answer(Rcode::NoError, &asked.wanted(&addresses));
        assert_eq!(answer[..12], [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..29], question(TYPE_A, false)[12..]);
        assert_eq!(answer[29..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 0, 1]);
    }

    #[test]
    fn a_question_for_the_other_family_gets_no_address() {
        let asked = Question::read(&question(TYPE_AAAA, false)).expect("a question");
        assert_eq!(asked.wanted(&["10.9.0.1".parse().expect("v4")]).len(), 0);
    }

    #[test]
    fn edns_is_answered_with_edns_and_raises_the_limit() {
        let asked = Question::read(&question(TYPE_A, true)).expect("a question");
        assert_eq!(asked.limit_bytes(), 1232);
        let answer = asked.answer(Rcode::NoError, &[]);
        assert_eq!(answer[10..12], [0, 1]);
        assert_eq!(answer[answer.len() - 11..], [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Question::read(&question(TYPE_A, false)).expect("a question").limit_bytes(), 512);
    }

    #[test]
    fn what_is_cut_off_or_is_no_question_is_never_a_panic() {
        let whole = question(TYPE_A, true);
        for length in 0..whole.len() {
            if let Some(asked) = Question::read(&whole[..length]) {
                assert_eq!(asked.fault().is_some(), length < 29, "{length}");
                asked.answer(Rcode::FormErr, &[]);
            }
        }
        let mut answer = whole.clone();
        answer[2] |= 0x80;
        assert_eq!(Question::read(&answer), None);
        let mut compressed = whole;
        compressed[12] = 0xc0;
        assert_eq!(Question::read(&compressed).expect("a question").fault(), Some(Rcode::FormErr));
    }

    #[test]
    fn other_opcodes_are_not_implemented() {
        let mut notify = question(TYPE_A, false);
        notify[2] = 0x20;
        assert_eq!(Question::read(&notify).expect("a question").fault(), Some(Rcode::NotImp));
    }
}
