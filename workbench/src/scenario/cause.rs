//! What a fault or a socket program waits for: a time, a socket's state, a step of a socket program, so many bytes.
//! Reads them; does not wait for anything.

use serde::{Deserialize, Serialize};

use super::error::{Problem, quoted};
use super::suggest::did_you_mean;

/// What has to come before something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// So long after the command was let go.
    At {
        /// How long.
        after_ns: u64,
    },
    /// A TCP socket of a host is in a state.
    Socket {
        /// The host.
        host: String,
        /// The state.
        state: SocketState,
        /// Only sockets with this port at either end.
        port: Option<u16>,
    },
    /// A socket program has come to one of its named steps.
    Step {
        /// The program.
        program: String,
        /// The step's name.
        step: String,
    },
    /// More than so many bytes of payload have been sent by a host, or by any.
    Bytes {
        /// Bytes of TCP and UDP payload, what is sent again included.
        bytes: u64,
        /// The sender; `None`: all hosts together.
        from: Option<String>,
    },
}

/// The state of a TCP socket as ss(8) names it, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketState {
    /// SYN_SENT.
    SynSent,
    /// SYN_RECV.
    SynRecv,
    /// ESTABLISHED.
    Established,
    /// FIN_WAIT1.
    FinWait1,
    /// FIN_WAIT2.
    FinWait2,
    /// TIME_WAIT.
    TimeWait,
    /// CLOSE_WAIT.
    CloseWait,
    /// LAST_ACK.
    LastAck,
    /// CLOSING.
    Closing,
    /// LISTEN.
    Listening,
    /// There was one, and there is none any more that does not listen.
    Gone,
}

impl SocketState {
    /// Every state with its name.
    pub const NAMES: &[(&str, Self)] = &[
        ("syn-sent", Self::SynSent),
        ("syn-recv", Self::SynRecv),
        ("established", Self::Established),
        ("fin-wait-1", Self::FinWait1),
        ("fin-wait-2", Self::FinWait2),
        ("time-wait", Self::TimeWait),
        ("close-wait", Self::CloseWait),
        ("last-ack", Self::LastAck),
        ("closing", Self::Closing),
        ("listening", Self::Listening),
        ("gone", Self::Gone),
    ];

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, state)| *state == self).map_or("gone", |(name, _)| name)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At { after_ns } => write!(f, "at {}", super::units::format_duration(*after_ns)),
            Self::Socket { host, state, port: None } => write!(f, "when {host}.{}", state.name()),
            Self::Socket { host, state, port: Some(port) } => write!(f, "when {host}.{} port={port}", state.name()),
            Self::Step { program, step } => write!(f, "when {program}.{step}"),
            Self::Bytes { bytes, from: None } => write!(f, "after {bytes} bytes"),
            Self::Bytes { bytes, from: Some(host) } => write!(f, "after {bytes} bytes from {host}"),
        }
    }
}

/// `client.established` and `server.listening-done`: a host with a socket's state, or a program with a step of its own.
/// Which of the two it is, the word behind the dot says.
pub(super) fn host_state_or_step(text: &str, port: Option<u16>) -> Result<Cause, Problem> {
    let Some((who, what)) = text.split_once('.').filter(|(who, what)| !who.is_empty() && !what.is_empty()) else {
        return Err(Problem::new(format!(
            "expected a host and a state, or a program and a step, found {}",
            quoted(text)
        ))
        .help("as in client.established, or server.answered"));
    };
    if let Some(state) = SocketState::of(what) {
        return Ok(Cause::Socket { host: who.to_owned(), state, port });
    }
    let names: Vec<&str> = SocketState::NAMES.iter().map(|(name, _)| *name).collect();
    let spelled = what.to_lowercase().replace('_', "-");
    if SocketState::of(&spelled).is_some() {
        return Err(
            Problem::new(format!("no socket state is called {}", quoted(what))).help_if(did_you_mean(&spelled, &names))
        );
    }
    Ok(Cause::Step { program: who.to_owned(), step: what.to_owned() })
}
