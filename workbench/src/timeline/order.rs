//! The order of a timeline: by stamp and, where stamps are equal or two processors raced, by cause.
//!
//! Only places events that are made; what an event says is decided where it is made.

use super::event::Event;

/// What stands first when two events have one stamp. In virtual time many have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The lab, before anything ran.
    Setup,
    /// A process began.
    Start,
    /// A fault began or healed: what the network does next, it does with it.
    Fault,
    /// A system call began.
    CallEntry,
    /// A packet left, and what became of it.
    Packet,
    /// A system call returned.
    CallExit,
    /// A signal was delivered.
    Signal,
    /// A call ended because of a signal: after the signal, although the tracer sees it first.
    Interrupted,
    /// A socket was seen in another state.
    State,
    /// A process was gone.
    ProcessEnd,
    /// The command's end.
    End,
}

/// An event with its place in the order.
#[derive(Debug)]
pub(super) struct Placed {
    /// Stamp it is placed by: its own, or that of the packet it follows from.
    pub anchor_ns: i64,
    /// How many of the command's connections had begun. Keeps two attempts within one stamp one after the other.
    pub turn: usize,
    /// Rank within a turn.
    pub cause: Cause,
    /// Order within a rank: the recorder's own.
    pub seq: usize,
    /// The event.
    pub event: Event,
}

/// How long after a packet a call that waited for it may return and still stand right behind it.
///
/// A packet is stamped by the softirq that handles it, a return by the tracer on whatever processor woke up; in
/// between, the other side may already have answered. 20 ms is more than a wake-up takes on a busy machine, and an
/// answer that a tool fetched later than that was fetched later.
pub(super) const WAKE_UP_NS: i64 = 20_000_000;

/// Where a call stands that returned at `exit_ns` because of a packet that arrived at `arrived_ns`.
pub(super) fn anchor_of_return(exit_ns: i64, arrived_ns: Option<i64>) -> i64 {
    match arrived_ns {
        Some(arrived) if arrived <= exit_ns && exit_ns - arrived <= WAKE_UP_NS => arrived,
        _ => exit_ns,
    }
}

/// The events in their order.
pub(super) fn in_order(mut placed: Vec<Placed>) -> Vec<Event> {
    placed.sort_by_key(|p| (p.cause > Cause::Setup, p.anchor_ns, p.turn, p.cause, p.seq));
    placed.into_iter().map(|p| p.event).collect()
}
