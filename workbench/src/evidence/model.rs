//! Evidence: what was seen in one run, raw and complete, with one zero for all stamps.
//!
//! Everything after this point (timeline, verdict, report, snapshot) is a pure function of it. All times are
//! nanoseconds since zero on CLOCK_MONOTONIC; zero is the moment the command was let go. Times before it are negative.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::cast::{DaemonRecord, FaultRecord, StepRecord};
use super::jiffies::{JiffiesClock, Phase};
use super::packet::{CaptureLoss, Packet};
use super::process::{Process, Signal};
use super::socket::{CounterChange, DestroyedSocket, SocketSample};
use crate::plan::{Origin, Plan};

/// Version of the serialised form; raised whenever a field changes its meaning or its name.
pub const EVIDENCE_FORMAT_VERSION: u32 = 1;

/// One run, as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`EVIDENCE_FORMAT_VERSION`].
    pub format_version: u32,
    /// Where it ran and whose clock stamped it.
    pub machine: Machine,
    /// What was carried out.
    pub plan: Plan,
    /// What the kernel said while the lab was built: refusals and second choices. Successes are not listed.
    pub setup: Vec<SetupNote>,
    /// Values of all `net.ipv4.tcp_*` and the baseline's other sysctls, by host, as the run saw them.
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// Versions of the programs that ran, by program name: the first line of their `--version`.
    pub tools: BTreeMap<String, String>,
    /// System calls, in the order of their entry.
    pub calls: Vec<Call>,
    /// Signals delivered to the command's processes, in order.
    pub signals: Vec<Signal>,
    /// Processes of the command and of socket programs, in the order of their start: [`Evidence::command`] is the first
    /// of the command's.
    pub processes: Vec<Process>,
    /// Packets at every end of every link and on `lo`, in the order of their stamps.
    pub packets: Vec<Packet>,
    /// Packets that a capture lost: any makes the run inconclusive.
    pub capture_loss: Vec<CaptureLoss>,
    /// What the recorders could not see, in words: any makes the run inconclusive.
    pub blind_spots: Vec<String>,
    /// TCP sockets of every host, whenever something happened or a timer was due, in the order of their stamps.
    #[serde(default)]
    pub sockets: Vec<SocketSample>,
    /// Sockets as they were destroyed, in order.
    #[serde(default)]
    pub destroyed: Vec<DestroyedSocket>,
    /// Counters of each host's network stack that changed, by host and name: `TcpExt.TCPTimeouts`.
    #[serde(default)]
    pub counters: BTreeMap<String, BTreeMap<String, CounterChange>>,
    /// Packets and bytes that each rule of the plan acted on, by rule id.
    pub rule_counters: BTreeMap<String, RuleCounter>,
    /// The plan's faults with a cause as they began and healed, in order.
    #[serde(default)]
    pub faults: Vec<FaultRecord>,
    /// What became of the plan's daemons, in the order of the plan.
    #[serde(default)]
    pub daemons: Vec<DaemonRecord>,
    /// What the socket programs did, step by step, in the order of their beginnings.
    #[serde(default)]
    pub steps: Vec<StepRecord>,
    /// What the command wrote.
    pub output: Output,
    /// How the command ended.
    pub end: End,
    /// How late this machine itself was.
    pub lateness: Lateness,
}

/// Which engine carried a plan out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// This machine's kernel, in real time.
    Host,
    /// User-Mode Linux with time travel.
    Virtual,
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Virtual => "virtual",
        })
    }
}

/// The kernel and its clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Engine.
    pub engine: EngineKind,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Length of a jiffy: the resolution of CLOCK_MONOTONIC_COARSE (`getconf CLK_TCK` is not it).
    pub tick_ns: u64,
    /// CLOCK_REALTIME at zero, nanoseconds since 1970.
    pub zero_realtime_ns: i64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, at zero and at the end: they drift apart when NTP slews.
    pub realtime_offsets: Vec<ClockPair>,
    /// How the delay of a link was made, where a plan has one: `netem` or `relay`.
    pub wire: Option<String>,
    /// Where in the steps of the timer wheel zero lies, if that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// How a virtual machine was made; `None` on a real one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestMachine>,
}

/// How a virtual machine was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestMachine {
    /// What all its randomness came from.
    pub seed: u64,
    /// How its time went.
    pub time_travel: TimeTravel,
    /// What the engine had to do differently, in words.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How time goes in a virtual machine (`time-travel=` in arch/um/kernel/time.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeTravel {
    /// Computing takes no time at all: everything repeats to the nanosecond.
    InfCpu,
    /// Waiting takes no time, computing as long as it takes: for programs that compute until a time has come. Does not
    /// repeat exactly.
    Basic,
}

impl std::fmt::Display for TimeTravel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InfCpu => "inf-cpu",
            Self::Basic => "basic",
        })
    }
}

impl Machine {
    /// How far into the cycle of the timer wheel zero lies, if that could be told.
    pub fn phase_ns(&self) -> Option<u64> {
        self.phase.map(|phase| phase.into_step_ns(JiffiesClock::CYCLE_JIFFIES, self.tick_ns))
    }

    /// Ticks in a second.
    pub fn hz(&self) -> u64 {
        1_000_000_000u64.checked_div(self.tick_ns).unwrap_or(0)
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPair {
    /// When, since zero.
    pub t_ns: i64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC at that moment.
    pub offset_ns: i64,
}

/// Something the kernel said while the lab was built that the scenario's reader should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetupNote {
    /// Host, or link name.
    pub at: String,
    /// What was asked for: `net.ipv4.tcp_syn_retries = 0`.
    pub asked: String,
    /// What the kernel said: an errno's name, `EINVAL`, with the extended ack's text where there is one.
    pub refused: String,
    /// What was done instead: `net.ipv4.tcp_syn_retries = 1`, or `left as it is`.
    pub instead: String,
    /// Where the scenario asks for it.
    pub origin: Origin,
}

/// What a rule's counter said at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCounter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What the command wrote, at most [`Output::LIMIT_BYTES`] of each stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Standard output; not UTF-8 in general, so lossily decoded for reading only.
    #[serde(with = "super::bytes")]
    pub stdout: Vec<u8>,
    /// Standard error.
    #[serde(with = "super::bytes")]
    pub stderr: Vec<u8>,
    /// Bytes beyond the limit that were read and thrown away.
    pub discarded_bytes: u64,
}

impl Output {
    /// How much of each stream is kept.
    pub const LIMIT_BYTES: usize = 256 * 1024;
}

/// How the command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, since zero.
    pub t_ns: i64,
    /// How.
    pub how: Ending,
}

/// The ways to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// `exit` with this code.
    Exit(i32),
    /// Killed by this signal, by name (`SIGALRM`).
    Signal(String),
    /// Still running at the plan's deadline; killed by the workbench.
    Deadline,
    /// `execve` failed with this errno's name: there is no such program, or it is not executable.
    ExecFailed(String),
}

/// How late the agent's own heartbeat was: the noise floor of a run's times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Beats that were due. 0 in virtual time, where nothing of ours ticks.
    pub beats: u64,
    /// Latest beat.
    pub max_ns: u64,
}
