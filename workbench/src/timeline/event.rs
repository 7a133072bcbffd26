//! The timeline: one ordered list of events, each with its place, its stamp and what it waited for.

/// One ordered story of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Events, ordered by stamp and, within one stamp, by cause: call entry, sent, arrived, dropped, call exit.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, since zero. Setup events stand at 0.
    pub t_ns: i64,
    /// Where: a host's name, `client -> server` for a packet, `lab` for the setup.
    pub at: String,
    /// What kind.
    pub kind: EventKind,
    /// In words: names, not addresses; roles, not ports, pids and sequence numbers. Identical from run to run.
    pub text: String,
    /// The wait that ended with this event.
    pub wait: Option<Wait>,
    /// Whether it is a claim about the world (stands in the snapshot) or a detail of how a tool is written.
    pub is_claim: bool,
    /// What it rests on.
    pub evidence: Vec<EvidenceRef>,
}

/// The kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The kernel refused or changed something while the lab was built.
    Setup,
    /// A system call.
    Call,
    /// A packet.
    Packet,
    /// A signal.
    Signal,
    /// A process or a daemon started or ended.
    Process,
    /// A fault with a cause began or healed.
    Fault,
    /// A socket of a socket program came to a state in which it stayed.
    State,
    /// The command's end.
    End,
}

/// The wait that ended with an event: how long, since what, and what armed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// From the event that matters (the previous transmission, the call's entry) to this one.
    pub gap_ns: i64,
    /// What armed it, if a timer did.
    pub timer: Option<Timer>,
}

/// A timer that ended a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// As the field calls it: `RTO`, `poll`, `alarm`, `SYN retries`.
    pub name: String,
    /// How exactly such a timer fires.
    pub class: TimerClass,
    /// Armed for this long. For a sum of several timers (a connect's whole wait), the sum.
    pub armed_ns: u64,
}

/// How exactly a timer fires, which is what a tolerance is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimerClass {
    /// The kernel's timer wheel (kernel/time/timer.c): never early by more than a jiffy, late by up to 12.5 %.
    Wheel,
    /// High resolution with the select/poll slack of 0.1 %, at most 100 ms (fs/select.c).
    Slack,
    /// High resolution: `alarm`, `setitimer`, `nanosleep`, `timerfd`, `timer_create`.
    HighResolution,
    /// A deadline that a program reckons by its own clock and keeps with several waits. No trace shows when it read
    /// that clock, so besides being as late as [`TimerClass::Slack`] it may look as early as a machine may be slow
    /// between two of its calls.
    Deadline,
}

/// A pointer into the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceRef {
    /// Index into `Evidence::calls`.
    Call(usize),
    /// Index into `Evidence::packets`.
    Packet(usize),
    /// Index into `Evidence::signals`.
    Signal(usize),
    /// Index into `Evidence::setup`.
    Setup(usize),
    /// Index into `Evidence::processes`.
    Process(usize),
    /// Index into `Evidence::sockets`.
    Sample(usize),
    /// Index into `Evidence::destroyed`.
    Destroyed(usize),
    /// Index into `Evidence::faults`.
    Fault(usize),
    /// Index into `Evidence::daemons`.
    Daemon(usize),
    /// Index into `Evidence::steps`.
    Step(usize),
}
