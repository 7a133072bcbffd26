//! When a timer was armed, and what is known of where in the timer wheel that was.

use crate::evidence::{JiffiesClock, Machine};

/// When a timer was armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Since zero of the run.
    pub at_ns: i64,
    /// The jiffies clock on the run's own time, if it could be told.
    pub clock: Option<JiffiesClock>,
}

impl Start {
    /// A timer armed at `at_ns` since zero, on the machine of a run.
    pub fn of(machine: &Machine, at_ns: i64) -> Self {
        let clock = machine.phase.map(|phase| JiffiesClock {
            tick_at_ns: -(phase.since_tick_ns as i64),
            jiffies: phase.jiffies,
            tick_ns: machine.tick_ns,
        });
        Self { at_ns, clock }
    }

    /// A timer of which nothing is known but that it was armed.
    pub fn unknown() -> Self {
        Self { at_ns: 0, clock: None }
    }
}
