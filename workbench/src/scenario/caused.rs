//! Faults with a cause: those that begin, and heal, at a time or when something happens. What a scenario says of them;
//! reading it is `decode_caused`'s, judging it `check_caused`'s.

use std::net::IpAddr;

use miette::SourceSpan;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::fault::Netem;
use super::model::{Route, Rule, Sysctl};
use super::span::Spanned;

/// What ends a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heal {
    /// So long after it began.
    After {
        /// How long.
        for_ns: u64,
    },
    /// Something that comes after it began; a time counts from zero all the same.
    Until(Cause),
}

impl std::fmt::Display for Heal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let condition = |cause: &Cause| match cause.to_string() {
            text if text.starts_with("when ") => text["when ".len()..].to_owned(),
            text => text,
        };
        match self {
            Self::After { for_ns } => write!(f, "for {}", super::units::format_duration(*for_ns)),
            Self::Until(Cause::At { after_ns }) => write!(f, "until {}", super::units::format_duration(*after_ns)),
            Self::Until(cause) => write!(f, "until {}", condition(cause)),
        }
    }
}

/// `at "2s" { … }`, `when client.established { … }`, `after bytes="64KiB" { … }`, in a host or on a link.
#[derive(Debug, Clone, PartialEq)]
pub struct CausedFault {
    /// What it begins with.
    pub cause: Spanned<Cause>,
    /// What ends it; `None` if it lasts.
    pub heals: Option<Spanned<Heal>>,
    /// What is done, in order.
    pub actions: Vec<FaultAction>,
    /// The same in one line, as the scenario writes it: `drop tcp dport=80; route default blackhole`.
    pub doing: String,
    /// The node's first line.
    pub span: SourceSpan,
}

/// One thing that a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultAction {
    /// `drop` or `reject` in a host.
    Rule(Rule),
    /// `route` in a host.
    Route(Route),
    /// `sysctl` in a host.
    Sysctl(Sysctl),
    /// `address remove=` in a host.
    RemoveAddress(Spanned<IpAddr>),
    /// `drop` on the wire, for what these ends send.
    Drop(Vec<usize>, Rule),
    /// `netem` for what these ends send.
    Netem(Vec<usize>, Spanned<Netem>),
    /// `cut`.
    Cut(SourceSpan),
    /// `mtu`.
    Mtu(Spanned<u32>),
    /// This end `down`.
    Down(usize, SourceSpan),
}
