//! A scenario as its author wrote it, typed: every name, number and fault with its place in the file.
//!
//! Nothing is decided here that the text does not say, except the addresses of the links, which other values refer to.

use std::net::IpAddr;
use std::sync::Arc;

use miette::SourceSpan;

use super::address::{Family, Prefix};
use super::caused::CausedFault;
use super::daemon::{Daemon, File};
use super::fault::{Hook, Netem, PortRange, Protocol, RuleAction, RuleMatch, TcpFlagsMatch, Which};
use super::name_service::{ExtraName, Resolver};
use super::peer::Peer;
use super::program::Program;
use super::source::SourceFile;
use super::span::Spanned;

/// One file, or one combination of the values of its sweeps: a lab and the runs in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The text it was read from.
    pub source: Arc<SourceFile>,
    /// The values that the file's sweeps have in it, the outermost first.
    pub sweep: Vec<SweepValue>,
    /// What it asks and teaches.
    pub about: Option<Spanned<String>>,
    /// `source`: where the behaviour is documented, each as its author names it.
    pub documented: Vec<Spanned<String>>,
    /// `quick`, `slow`, and whatever else its author sorts by.
    pub tags: Vec<Spanned<String>>,
    /// What the machine must have.
    pub requires: Vec<Spanned<Requires>>,
    /// Memory of the virtual machine that runs it, in bytes; a multiple of a MiB.
    pub memory_bytes: Option<Spanned<u64>>,
    /// The hosts, in the order of the file.
    pub hosts: Vec<Host>,
    /// The links, in the order of the file.
    pub links: Vec<Link>,
    /// Who is asked for names that are not in `/etc/hosts`.
    pub resolver: Option<Resolver>,
    /// Names beside those of the hosts, in the order of the file.
    pub extra_names: Vec<ExtraName>,
    /// The socket programs, in the order of the file.
    pub programs: Vec<Program>,
    /// The runs, in the order of the file.
    pub runs: Vec<Run>,
}

/// A variable of a sweep and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepValue {
    /// The variable.
    pub name: String,
    /// The value, as it stands inside a text.
    pub value: String,
}

/// Something the machine must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requires {
    /// The netem qdisc.
    Netem,
    /// A program in PATH.
    Tool(String),
    /// At least this kernel.
    Kernel(String),
    /// A sysctl that exists.
    Sysctl(String),
}

/// A `namespace` or a `router`.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its name.
    pub name: Spanned<String>,
    /// Declared as `router`: passes packets on.
    pub is_router: bool,
    /// Its sysctls, in order.
    pub sysctls: Vec<Sysctl>,
    /// Its packet rules, in order.
    pub rules: Vec<Rule>,
    /// Its routes, in order.
    pub routes: Vec<Route>,
    /// Its pinned neighbours, in order.
    pub neighbours: Vec<Neighbour>,
    /// Its daemons, in the order of their start.
    pub daemons: Vec<Daemon>,
    /// Faults with a cause, in order.
    pub faults: Vec<CausedFault>,
    /// Its peers, in order.
    pub peers: Vec<Peer>,
}

/// `sysctl NAME VALUE or=OTHER if-present=#true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Dotted name.
    pub name: Spanned<String>,
    /// The value; several are joined by a space.
    pub value: String,
    /// Second choice, for a kernel that refuses the first.
    pub or: Option<Spanned<String>>,
    /// A kernel without it is fine.
    pub if_present: bool,
    /// The node.
    pub span: SourceSpan,
}

/// `drop` and `reject`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it does.
    pub action: RuleAction,
    /// Where in the host; `None` on a link, where it acts on the wire.
    pub hook: Option<Hook>,
    /// Protocol.
    pub protocol: Spanned<Protocol>,
    /// Source port.
    pub sport: Option<Spanned<PortRange>>,
    /// Destination port.
    pub dport: Option<Spanned<PortRange>>,
    /// TCP flags.
    pub flags: Option<Spanned<TcpFlagsMatch>>,
    /// Whose packets; `None` on a link, where `from` is the end that sends.
    pub from: Option<Spanned<Party>>,
    /// Packets for whom.
    pub to: Option<Spanned<Party>>,
    /// Which of those that match.
    pub which: Which,
    /// As the scenario writes it, in one line.
    pub text: String,
    /// The node.
    pub span: SourceSpan,
}

impl Rule {
    /// What a packet must look like, without the places in the file.
    pub fn matching(&self) -> RuleMatch {
        RuleMatch {
            protocol: self.protocol.value,
            sport: self.sport.map(|port| port.value),
            dport: self.dport.map(|port| port.value),
            flags: self.flags.map(|flags| flags.value),
            from: self.from.as_ref().map(|party| party.value.to_string()),
            to: self.to.as_ref().map(|party| party.value.to_string()),
            which: self.which,
        }
    }
}

/// A host by its name, or a network or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// By name.
    Host(String),
    /// By address.
    Prefix(Prefix),
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Prefix(prefix) if *prefix == Prefix::host(prefix.address) => write!(f, "{}", prefix.address),
            Self::Prefix(prefix) => write!(f, "{prefix}"),
        }
    }
}

/// `route DESTINATION …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which packets.
    pub destination: Spanned<Destination>,
    /// What happens to them.
    pub to: Spanned<RouteTo>,
    /// The node.
    pub span: SourceSpan,
}

/// The packets that a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `default`: all that no other route is for.
    Default,
    /// Those for a host or a network.
    Party(Party),
}

/// What a route does with its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTo {
    /// `via=HOST`.
    ViaHost(String),
    /// `via="ADDRESS"`.
    ViaAddress(IpAddr),
    /// `dev=INTERFACE`.
    Dev(String),
    /// `blackhole`.
    Blackhole,
    /// `unreachable`.
    Unreachable,
    /// `prohibit`.
    Prohibit,
    /// `throw`.
    Throw,
}

/// `neighbour ADDRESS mac=MAC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Address.
    pub address: Spanned<IpAddr>,
    /// Its MAC, right or wrong.
    pub mac: Spanned<[u8; 6]>,
    /// The node.
    pub span: SourceSpan,
}

/// `link A B …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// `A-B`, or the name given.
    pub name: Spanned<String>,
    /// The name was given.
    pub is_named: bool,
    /// Its two ends.
    pub ends: [End; 2],
    /// Families that its hosts get addresses of.
    pub families: Vec<Family>,
    /// IPv4 network, where given.
    pub subnet: Option<Spanned<Prefix>>,
    /// IPv6 network, where given.
    pub subnet6: Option<Spanned<Prefix>>,
    /// The networks in use, given or by rule: one of each family, filled in once the whole file is read.
    pub networks: Vec<Prefix>,
    /// MTU, where given.
    pub mtu: Option<Spanned<u32>>,
    /// One-way delay of the cable.
    pub delay_ns: Option<Spanned<u64>>,
    /// Neighbours are found by asking, not pinned.
    pub learns_neighbours: bool,
    /// Hosts that have an address here and are not there.
    pub absent: Vec<Absent>,
    /// The cable is pulled.
    pub is_cut: bool,
    /// Faults with a cause, in order.
    pub faults: Vec<CausedFault>,
    /// The node.
    pub span: SourceSpan,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The host.
    pub host: Spanned<String>,
    /// Addresses: the given ones first, then those by rule, filled in once the whole file is read.
    pub addresses: Vec<Address>,
    /// Interface name, where given.
    pub interface: Option<Spanned<String>>,
    /// MAC, where given.
    pub mac: Option<Spanned<[u8; 6]>>,
    /// Administratively down.
    pub is_down: bool,
    /// netem for what it sends.
    pub netem: Option<Spanned<Netem>>,
    /// Drops on the wire of what it sends.
    pub drops: Vec<Rule>,
}

/// An address of a host on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length, where given.
    pub len: Option<u8>,
    /// Where it is given, or the link that it follows from.
    pub span: SourceSpan,
}

/// A host that has a name and an address and does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub name: Spanned<String>,
    /// Its addresses, as those of an [`End`].
    pub addresses: Vec<Address>,
}

/// `run NAME in=HOST COMMAND`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name.
    pub name: Spanned<String>,
    /// The name as the file has it, where a sweep made another of it.
    pub template: Option<String>,
    /// The host it runs in; empty for a socket program, which has its own.
    pub host: Spanned<String>,
    /// Program and arguments; of a socket program: its name.
    pub argv: Vec<String>,
    /// The socket program that it is, and then nothing is executed.
    pub program: Option<Spanned<String>>,
    /// Added to the environment.
    pub env: Vec<(Spanned<String>, String)>,
    /// What it finds in its working directory.
    pub files: Vec<File>,
    /// Standard input.
    pub stdin: Stdin,
    /// When it is ended, if it has not ended itself. `None`: never.
    pub deadline_ns: Option<u64>,
    /// The scenario does not say it.
    pub has_default_deadline: bool,
    /// What it claims.
    pub expect: Expect,
    /// From which kernels on it goes otherwise.
    pub differs: Vec<Differs>,
    /// The node.
    pub span: SourceSpan,
}

/// `differs since="VERSION" REASON`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// The first kernel that does otherwise than the one before.
    pub since: Spanned<String>,
    /// Why.
    pub why: String,
    /// The node.
    pub span: SourceSpan,
}

/// What a command reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Stdin {
    /// End of file at once.
    #[default]
    Empty,
    /// Open and never readable.
    Silent,
    /// A text, then end of file.
    Text(String),
    /// A file's content, then end of file.
    File(String),
}

/// What a scenario claims about a run, beside its snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// Exit code.
    pub exit: Option<Spanned<i32>>,
    /// Name of the signal that ends it.
    pub signal: Option<Spanned<String>>,
    /// Ends after this long.
    pub after_ns: Option<Spanned<u64>>,
    /// Allowed lateness of `after_ns`.
    pub within_ns: Option<Spanned<u64>>,
    /// Texts in standard output.
    pub stdout: Vec<Spanned<String>>,
    /// Texts in standard error.
    pub stderr: Vec<Spanned<String>>,
}

impl Scenario {
    /// Its name: the file's stem.
    pub fn name(&self) -> &str {
        self.source.stem()
    }

    /// Every name that has an address: hosts in their order, then absent ones.
    pub fn names(&self) -> impl Iterator<Item = &Spanned<String>> {
        let absent = self.links.iter().flat_map(|link| &link.absent);
        self.hosts.iter().map(|host| &host.name).chain(absent.map(|absent| &absent.name))
    }

    /// The ends that a host has, with their links, in the order of the links.
    pub fn ends_of<'a>(&'a self, host: &str) -> impl Iterator<Item = (&'a Link, &'a End)> {
        self.links
            .iter()
            .flat_map(|link| link.ends.iter().map(move |end| (link, end)))
            .filter(move |(_, end)| end.host.value == host)
    }

    /// Addresses of a host or an absent one, in the order of its links.
    pub fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        let of_ends = self.ends_of(name).flat_map(|(_, end)| &end.addresses);
        let of_absent = self.links.iter().flat_map(|link| &link.absent).filter(|absent| absent.name.value == name);
        of_ends.chain(of_absent.flat_map(|absent| &absent.addresses)).map(|address| address.address).collect()
    }
}
