//! KDL text to a typed scenario, with the span of every value. Parsing never acts.

mod address;
mod addresses;
mod cause;
mod caused;
mod check;
mod check_caused;
mod combine;
mod daemon;
mod decode;
mod decode_caused;
mod decode_host;
mod decode_link;
mod decode_run;
mod error;
mod fault;
mod fields;
mod format;
mod include;
mod kernel_version;
mod model;
mod name_service;
mod netem;
mod parse;
mod peer;
mod placeholder;
mod program;
mod routes;
mod rule;
mod snippets;
mod source;
mod span;
mod structure;
mod suggest;
mod sweep;
mod syntax;
mod tokens;
mod told;
mod units;
mod used;
mod value;
mod words;

pub use address::{Family, Prefix};
pub use cause::{Cause, SocketState};
pub use caused::{CausedFault, FaultAction, Heal};
pub use daemon::{Daemon, File, FileContent, Prepare, Ready};
pub use error::Diagnostics;
pub use fault::{
    Chance, Distribution, Hook, LossModel, Netem, PortRange, Protocol, Rate, RejectWith, RuleAction, RuleMatch, Slot,
    SlotDistribution, TcpFlagsMatch, Which,
};
pub use format::format;
pub use kernel_version::KernelVersion;
pub use model::{
    Absent, Address, Destination, Differs, End, Expect, Host, Link, Neighbour, Party, Requires, Route, RouteTo, Rule,
    Run, Scenario, Stdin, SweepValue, Sysctl,
};
pub use name_service::{ExtraName, Resolver};
pub use parse::parse;
pub use peer::{Answer, BodyEnd, DnsMode, Http, Peer, PeerKind, Speech, Transport};
pub use program::{
    Call, Direction, Endpoint, Expected as ExpectedResult, OptionValue, Program, Readiness, SocketKind, Step,
};
pub use routes::ResolvedRoute;
pub use source::SourceFile;
pub use span::Spanned;
pub use units::{format_duration, parse_duration};
