//! What ended the wait: the types. Who decides is next door.

use crate::timeline::EvidenceRef;

/// What ended a command, or a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedBy {
    /// Who gave up, or had the last word.
    pub party: Party,
    /// By what.
    pub mechanism: Mechanism,
    /// The process or host that it was, by name.
    pub who: String,
    /// When the timer was armed, since zero; `None` where no timer did it.
    pub armed_at_ns: Option<i64>,
    /// For how long; for a sum of several timers, the sum.
    pub armed_for_ns: Option<u64>,
    /// When it fired, or when the last word came, since zero.
    pub fired_at_ns: i64,
    /// What it rests on.
    pub evidence: Vec<EvidenceRef>,
    /// How sure that is.
    pub confidence: Confidence,
    /// The same in words, one sentence or two.
    pub words: String,
    /// What would have ended it otherwise, and when.
    pub next: Option<Next>,
    /// Other explanations that fit as well.
    pub also: Vec<EndedBy>,
}

/// What would have come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// By what; `None`: by nothing.
    pub mechanism: Option<Mechanism>,
    /// Not before, since zero; `None`: never.
    pub earliest_ns: Option<i64>,
    /// Not after.
    pub latest_ns: Option<i64>,
    /// In words: "the kernel would have gone on until between 133.3 and 135.3 s (tcp_syn_retries=6, 4 linear, HZ=250)".
    pub words: String,
}

/// Who gave up, or had the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// A program of the command's.
    Tool,
    /// The kernel of the command's host.
    Kernel,
    /// The C library's resolver, or another that asks a name server.
    Resolver,
    /// Somebody else on the network.
    Peer,
    /// The deadline of the run: nothing had ended it yet.
    Deadline,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Another explanation fits as well; see `also`.
    Ambiguous,
    /// Reckoned from several observations, none of which says it by itself.
    Likely,
    /// The evidence says it: a call that ran out, an errno with the timer that was seen running, a packet.
    Certain,
}

/// By what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// One wait ran out, named by its system call: `poll`, `ppoll`, `select`, `pselect6`, `epoll_wait`, `epoll_pwait`,
    /// `epoll_pwait2`, `nanosleep`, `clock_nanosleep`, `futex`, `rt_sigtimedwait`, `io_uring`, `recvmmsg`.
    Wait(String),
    /// A deadline of the program's own, kept by several waits of this kind.
    KeptDeadline {
        /// The system call of the last.
        by: String,
        /// How many.
        waits: usize,
    },
    /// A timer of the program, named by the call that armed or made it: `alarm`, `setitimer`, `timer_create`, `timerfd`.
    Timer(String),
    /// SO_RCVTIMEO.
    ReceiveTimeout,
    /// SO_SNDTIMEO.
    SendTimeout,
    /// SYN retries were used up (`tcp_syn_retries`, TCP_SYNCNT).
    SynRetries,
    /// Retransmissions were used up (`tcp_retries2`).
    Retransmissions,
    /// As [`Self::Retransmissions`], for a socket that no process has any more (`tcp_orphan_retries`).
    OrphanLimit,
    /// FIN_WAIT2 of a socket that no process has any more was over (`tcp_fin_timeout`, TCP_LINGER2).
    FinWait2,
    /// TIME_WAIT was over, RFC 9293, 3.6.1.
    TimeWait,
    /// TCP_USER_TIMEOUT, RFC 5482.
    UserTimeout,
    /// Keepalive probes were not answered (RFC 9293, 3.8.4).
    Keepalive,
    /// Zero-window probes were not answered, or the window never opened (RFC 9293, 3.8.6.1).
    Persist,
    /// ARP or neighbour discovery got no answer.
    Neighbour,
    /// A route says no, or there is none; no packet left. With the errno.
    Route(String),
    /// The kernel refused a call at once, and it was no matter of routes. With the errno.
    Refused(String),
    /// A reset, RFC 9293, 3.10.7.
    Reset,
    /// The peer's FIN.
    Fin,
    /// The peer's data: what was asked for came.
    Data,
    /// An ICMP error, in the timeline's words: `port unreachable`.
    Icmp(String),
    /// The resolver's timeout, as often as it tries.
    ResolverTimeout,
    /// A name server's answer that says no, by name: `NXDOMAIN`.
    ResolverAnswer(String),
    /// `execve` failed, with the errno.
    Exec(String),
    /// A signal that no timer sent, by name.
    Signal(String),
    /// Nothing yet at the deadline of the run.
    RunDeadline,
    /// The program came to its end without having waited for anything.
    Exit,
}

impl Mechanism {
    /// As it stands in reports.
    pub fn name(&self) -> String {
        match self {
            Self::Wait(call) | Self::Timer(call) => call.clone(),
            Self::KeptDeadline { .. } => "deadline kept by many waits".into(),
            Self::ReceiveTimeout => "SO_RCVTIMEO".into(),
            Self::SendTimeout => "SO_SNDTIMEO".into(),
            Self::SynRetries => "SYN retries".into(),
            Self::Retransmissions => "retransmissions".into(),
            Self::OrphanLimit => "orphan limit".into(),
            Self::FinWait2 => "FIN_WAIT2".into(),
            Self::TimeWait => "TIME_WAIT".into(),
            Self::UserTimeout => "TCP_USER_TIMEOUT".into(),
            Self::Keepalive => "keepalive".into(),
            Self::Persist => "persist timer".into(),
            Self::Neighbour => "neighbour".into(),
            Self::Route(_) => "no route".into(),
            Self::Refused(_) => "refused at once".into(),
            Self::Reset => "RST".into(),
            Self::Fin => "FIN".into(),
            Self::Data => "data".into(),
            Self::Icmp(kind) => format!("ICMP {kind}"),
            Self::ResolverTimeout => "resolver timeout x attempts".into(),
            Self::ResolverAnswer(code) => format!("DNS {code}"),
            Self::Exec(_) => "exec failure".into(),
            Self::Signal(name) => name.clone(),
            Self::RunDeadline => "nothing yet at the deadline".into(),
            Self::Exit => "exit".into(),
        }
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.name())
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Tool => "tool",
            Self::Kernel => "kernel",
            Self::Resolver => "resolver",
            Self::Peer => "peer",
            Self::Deadline => "deadline",
        })
    }
}
