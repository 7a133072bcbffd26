//! The plan: everything a run needs, decided. Names, addresses, MACs, rules, sysctls, the command, its deadline.
//!
//! A plan is pure data. It does not say *where* it is carried out (that is the engine's business) and nothing in it
//! was read from this machine, so the same scenario gives the same plan everywhere. It is serialised into the agent
//! and kept in the evidence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::daemon::{DaemonPlan, FilePlan};
use super::differs::DiffersPlan;
use super::fault::FaultPlan;
use super::peer::PeerPlan;
use super::program::ProgramPlan;
pub use crate::scenario::{
    BodyEnd, Cause, Distribution, DnsMode, Hook, Http, Netem, PeerKind, PortRange, Protocol, RejectWith, RuleAction,
    RuleMatch, SocketState, Speech, TcpFlagsMatch, Which,
};

/// Version of the serialised form; raised whenever a field changes its meaning or its name.
pub const PLAN_FORMAT_VERSION: u32 = 1;

/// The place in a scenario that asked for something, so that a refusal can point at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// File, as named on the command line.
    pub file: String,
    /// Line, from 1. 0 when nothing in a file asked for it (the baseline).
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset in the file.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
    /// The line's text, trimmed.
    pub text: String,
}

/// One run of one scenario: one lab, one command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT_VERSION`].
    pub format_version: u32,
    /// The scenario's name: its file's stem.
    pub scenario: String,
    /// The scenario's file, as named on the command line.
    pub file: String,
    /// What the scenario is about.
    pub about: Option<String>,
    /// Where the behaviour is documented: man pages, RFC sections, files of the kernel.
    #[serde(default)]
    pub documented: Vec<String>,
    /// The run's name, unique in its scenario.
    pub run: String,
    /// The values that the scenario's sweeps have in this run, the outermost first; none for a run outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<SweepPlan>,
    /// The run's name as the scenario has it, where a sweep made another of it: all of its runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the kernel or machine must have, beyond what the plan itself implies.
    pub requires: Vec<Requirement>,
    /// The hosts, in the order of the scenario.
    pub hosts: Vec<HostPlan>,
    /// The links, in the order of the scenario.
    pub links: Vec<LinkPlan>,
    /// Files of the lab's private `/etc`, by name below `/etc`: `hosts`, `resolv.conf`, `nsswitch.conf`, …
    pub etc: BTreeMap<String, String>,
    /// Memory that a virtual machine needs for this run, its file systems included. A multiple of a MiB.
    pub memory_bytes: u64,
    /// The command whose end is the question.
    pub command: CommandPlan,
    /// Socket programs that take part, in the order of the scenario; the command's own among them where it is one.
    #[serde(default)]
    pub programs: Vec<ProgramPlan>,
    /// Daemons, in the order of their start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub daemons: Vec<DaemonPlan>,
    /// Faults with a cause: those of the hosts, then those of the links.
    #[serde(default)]
    pub faults: Vec<FaultPlan>,
    /// What the scenario itself claims.
    pub expect: Expectations,
    /// From which kernels on it goes otherwise, in the order of the scenario.
    #[serde(default)]
    pub differs: Vec<DiffersPlan>,
}

/// A variable of a sweep and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// The variable.
    pub name: String,
    /// The value, as it stands inside a text.
    pub value: String,
}

/// A host: a network namespace with a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostPlan {
    /// The name other hosts know it by.
    pub name: String,
    /// Passes packets on between its links.
    pub is_router: bool,
    /// Baseline first, then the scenario's own, in order; later ones win.
    pub sysctls: Vec<SysctlPlan>,
    /// Routes beyond the connected ones.
    pub routes: Vec<RoutePlan>,
    /// Packet rules, in order.
    pub rules: Vec<RulePlan>,
    /// Its peers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerPlan>,
    /// Where it stands.
    pub origin: Origin,
}

/// A sysctl to set in a host, after the links are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlPlan {
    /// Dotted name, `net.ipv4.tcp_syn_retries`. An interface name in it may stand as `{link}`-free plain text.
    pub name: String,
    /// The value to write.
    pub value: String,
    /// Written when the kernel refuses `value`; the refusal is evidence.
    pub or: Option<String>,
    /// A kernel without this sysctl is fine: nothing is written.
    pub if_present: bool,
    /// Where it stands; line 0 for the baseline.
    pub origin: Origin,
}

/// What a route does with the packets it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteTarget {
    /// Through this neighbour address.
    Via(IpAddr),
    /// Onto this interface, without a gateway.
    Dev(String),
    /// Dropped silently; `connect` gets EINVAL.
    Blackhole,
    /// ICMP host unreachable; `connect` gets EHOSTUNREACH.
    Unreachable,
    /// ICMP administratively prohibited; `connect` gets EACCES.
    Prohibit,
    /// Lookup ends; ENETUNREACH.
    Throw,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePlan {
    /// Destination network.
    pub destination: IpAddr,
    /// Prefix length; 0 with an all-zero address is the default route.
    pub prefix_len: u8,
    /// What happens.
    pub target: RouteTarget,
    /// Added by the planner so that every host reaches every other one.
    pub is_automatic: bool,
    /// Where it stands.
    pub origin: Origin,
}

/// A packet rule with the addresses it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulePlan {
    /// A short name, unique in the plan, kept as the rule's comment in the kernel: `server-drop-1`.
    pub id: String,
    /// As the scenario writes it: `drop tcp dport=80`.
    pub text: String,
    /// Hook (host rules) or `None` (rules on a link, which act on the wire).
    pub hook: Option<Hook>,
    /// What it matches.
    pub matching: RuleMatch,
    /// Addresses of `matching.from`, with prefix length; empty is "whatever".
    pub from: Vec<(IpAddr, u8)>,
    /// Addresses of `matching.to`, with prefix length; empty is "whatever".
    pub to: Vec<(IpAddr, u8)>,
    /// What it does.
    pub action: RuleAction,
    /// Where it stands.
    pub origin: Origin,
}

/// How an end of a link knows the other end's MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourPlan {
    /// Address of the neighbour.
    pub address: IpAddr,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Where it stands; line 0 when the planner pinned it.
    pub origin: Origin,
}

/// One end of a link: an interface of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkEnd {
    /// Host.
    pub host: String,
    /// Interface name in the host: `eth0`, `eth1`, in the order of the host's links.
    pub interface: String,
    /// MAC, fixed at creation.
    pub mac: [u8; 6],
    /// Addresses with prefix length; at most one of each family.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Neighbours pinned here; empty where they are learnt by ARP and neighbour discovery.
    pub neighbours: Vec<NeighbourPlan>,
    /// netem for what this end *sends*, acting on the wire.
    pub netem: Option<NetemPlan>,
    /// Drops for what this end *sends*, acting on the wire.
    pub drops: Vec<RulePlan>,
    /// Administratively down: its routes are gone, `connect` gets ENETUNREACH.
    pub is_down: bool,
}

/// netem on the wire with its place in the scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetemPlan {
    /// The parameters.
    pub netem: Netem,
    /// Where it stands.
    pub origin: Origin,
}

/// A cable between two hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// `client-server`, or the name given.
    pub name: String,
    /// The two ends, in the order of the scenario.
    pub ends: [LinkEnd; 2],
    /// MTU of both ends.
    pub mtu: u32,
    /// One-way propagation delay of the cable, both directions; 0 is none. Unlike netem it needs no kernel feature.
    pub delay_ns: u64,
    /// The cable is pulled: both ends lose carrier.
    pub is_cut: bool,
    /// Where it stands.
    pub origin: Origin,
}

impl LinkPlan {
    /// Whether something acts on the wire from the beginning, so that the link needs a namespace of its own between its ends.
    pub fn has_wire(&self) -> bool {
        self.delay_ns > 0 || self.ends.iter().any(|e| e.netem.is_some() || !e.drops.is_empty())
    }
}

/// What a command reads on descriptor 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdinPlan {
    /// End of file at once. The default.
    Empty,
    /// Open and never readable.
    Silent,
    /// These bytes, then end of file.
    Text(String),
    /// A file's bytes, then end of file; the path is absolute or relative to the scenario's folder.
    File(String),
}

/// The command whose end is the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandPlan {
    /// Host it runs in.
    pub host: String,
    /// Program and arguments; never empty. The program is looked up in the lab's PATH. Of a socket program: its name.
    pub argv: Vec<String>,
    /// It is the socket program of this name, and nothing is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Added to the clean environment.
    pub env: BTreeMap<String, String>,
    /// What it finds in its working directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilePlan>,
    /// Descriptor 0.
    pub stdin: StdinPlan,
    /// After this long the command is killed and the outcome is "nothing yet". `None`: as long as it takes.
    pub deadline_ns: Option<u64>,
    /// Nobody chose the deadline: in virtual time, where waiting is free, it need not be kept.
    pub has_default_deadline: bool,
    /// The deadline is how long it is worth waiting for an end that may never come: it says nothing about the scenario.
    #[serde(default)]
    pub is_horizon: bool,
    /// Where it stands.
    pub origin: Origin,
}

/// Something the machine must have, or the run is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What.
    pub what: RequirementKind,
    /// Where it stands.
    pub origin: Origin,
}

/// The kinds of requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequirementKind {
    /// The netem qdisc.
    Netem,
    /// A program in PATH.
    Tool(String),
    /// At least this kernel, as `6.5`.
    Kernel(String),
    /// A sysctl that must exist.
    Sysctl(String),
}

/// What the scenario claims about the end, beside its snapshot. Unset is no claim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectations {
    /// Exit code.
    pub exit: Option<Expected<i32>>,
    /// Ended by this signal, `SIGTERM`.
    pub signal: Option<Expected<String>>,
    /// Ends after this long: never earlier, and later only by `within_ns` or, without it, by what the timers allow.
    pub after_ns: Option<Expected<u64>>,
    /// Allowed lateness for `after_ns`.
    pub within_ns: Option<Expected<u64>>,
    /// Standard output holds these.
    pub stdout_contains: Vec<Expected<String>>,
    /// Standard error holds these.
    pub stderr_contains: Vec<Expected<String>>,
}

/// A claim with the place that makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected<T> {
    /// The claim.
    pub value: T,
    /// Where it stands.
    pub origin: Origin,
}
