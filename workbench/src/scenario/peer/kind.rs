//! What each peer does, as plain values: no spans, nothing decided. The plan carries them on unchanged.

use serde::{Deserialize, Serialize};

/// What a peer listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A TCP port.
    Tcp,
    /// A UDP port.
    Udp,
    /// The port of both: a name server's.
    Both,
}

/// What a peer says, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speech {
    /// What the bytes are, repeated as often as needed; `None` is filler.
    pub text: Option<String>,
    /// How many bytes.
    pub bytes: u64,
    /// Not before so many have been received; 0 is at once.
    pub received: u64,
    /// How long after the last byte (or after what it waits for, if it says nothing) the end comes.
    pub after_ns: u64,
}

/// The kinds of peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerKind {
    /// Nobody listens.
    Refuse,
    /// Accepts, reads, says nothing, never closes.
    Silent,
    /// Listens and never accepts; its queue is full.
    Backlog,
    /// Accepts and never reads.
    Hoard,
    /// Sends back what it receives.
    Echo,
    /// Says so much, then nothing; never closes.
    Stall(Speech),
    /// Says so much every so often.
    Drip {
        /// What is said each time, and when it begins.
        speech: Speech,
        /// From one time to the next.
        every_ns: u64,
        /// Closes after so many bytes; `None` is never.
        total: Option<u64>,
    },
    /// Says so much, then resets.
    Reset(Speech),
    /// Says so much, then closes.
    Close(Speech),
    /// Says so much, then shuts its side down and goes on reading.
    HalfClose(Speech),
    /// An HTTP/1.1 server.
    Http(Http),
    /// A name server.
    Dns {
        /// How it answers.
        mode: DnsMode,
        /// How long after the question.
        delay_ns: u64,
    },
}

/// What an HTTP server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// Status code.
    pub status: u16,
    /// What the body's bytes are, repeated as often as needed; `None` is filler.
    pub text: Option<String>,
    /// Length of the body in bytes, as Content-Length says it.
    pub size: u64,
    /// From the end of a request to the first byte of the response.
    pub delay_ns: u64,
    /// So many bytes of the body at a time, and how long from one time to the next; `None` is all at once.
    pub pace: Option<(u64, u64)>,
    /// What ends the body before its end.
    pub end: Option<BodyEnd>,
}

/// What ends a body too early: after so many bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyEnd {
    /// Nothing more comes.
    Stall(u64),
    /// A RST.
    Reset(u64),
    /// A FIN.
    Close(u64),
}

/// How a name server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsMode {
    /// As it should.
    Answers,
    /// Not at all.
    Silent,
    /// SERVFAIL (RFC 1035, 4.1.1: RCODE 2).
    Servfail,
    /// REFUSED (RCODE 5).
    Refused,
    /// NXDOMAIN (RCODE 3) for every name.
    Nxdomain,
    /// Over UDP without answers and with TC, over TCP as it should.
    Truncated,
    /// As it should, under another id than the question's.
    WrongId,
}

impl PeerKind {
    /// The node's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Silent => "silent",
            Self::Backlog => "backlog",
            Self::Hoard => "hoard",
            Self::Echo => "echo",
            Self::Stall(_) => "stall",
            Self::Drip { .. } => "drip",
            Self::Reset(_) => "reset",
            Self::Close(_) => "close",
            Self::HalfClose(_) => "half-close",
            Self::Http(_) => "http",
            Self::Dns { .. } => "dns",
        }
    }
}
