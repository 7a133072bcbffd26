//! The jiffies clock, and where in the timer wheel's steps a moment lies. Reads no clock.
//!
//! A timer of the wheel fires when its bucket does, and buckets lie at whole multiples of 8ⁿ *jiffies* (kernel/time/
//! timer.c, `calc_index()`), not at whole multiples after the timer was armed. So when a timer fires depends on how far
//! into a bucket it was armed: its phase. One and the same connect gives up after 129.2 s or after 131.2 s.

use serde::{Deserialize, Serialize};

/// Which jiffy it is at which time of CLOCK_MONOTONIC. The two never drift apart: a tick is an interval of that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JiffiesClock {
    /// CLOCK_MONOTONIC when some jiffy began.
    pub tick_at_ns: i64,
    /// Which one: the kernel's own counter, which does not begin with 0 (`INITIAL_JIFFIES`).
    pub jiffies: u64,
    /// Length of a jiffy.
    pub tick_ns: u64,
}

/// A moment on the jiffies clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The jiffy.
    pub jiffies: u64,
    /// How long it had lasted.
    pub since_tick_ns: u64,
}

impl JiffiesClock {
    /// The levels of the wheel that phases are chosen in: five make steps of up to 8⁵ jiffies, 131 s at HZ=250, which is
    /// what a timer of two hours has.
    pub const LEVELS: u32 = 5;

    /// Jiffies after which all steps of [`Self::LEVELS`] begin together again.
    pub const CYCLE_JIFFIES: u64 = 8u64.pow(Self::LEVELS);

    /// Where a virtual run begins unless it is told: 3/7 into a step of every level at once (33333 in octal), neither at
    /// an edge, where timers armed one after the other would all be, nor in the middle, which is an edge of the level
    /// below.
    pub const DEFAULT_PHASE_JIFFIES: u64 = 0o33333;

    /// Length of [`Self::CYCLE_JIFFIES`].
    pub fn cycle_ns(&self) -> u64 {
        Self::CYCLE_JIFFIES * self.tick_ns
    }

    /// The moment `at_ns` of CLOCK_MONOTONIC.
    pub fn phase_at(&self, at_ns: i64) -> Phase {
        let tick_ns = i64::try_from(self.tick_ns.max(1)).unwrap_or(i64::MAX);
        let since_ns = at_ns - self.tick_at_ns;
        let ticks = since_ns.div_euclid(tick_ns);
        Phase { jiffies: self.jiffies.wrapping_add_signed(ticks), since_tick_ns: since_ns.rem_euclid(tick_ns) as u64 }
    }

    /// The first moment of CLOCK_MONOTONIC, not before `from_ns`, that lies `phase_ns` into a cycle.
    pub fn next_ns(&self, phase_ns: u64, from_ns: i64) -> i64 {
        let cycle_ns = self.cycle_ns().max(1);
        let into_ns = self.phase_at(from_ns).into_step_ns(Self::CYCLE_JIFFIES, self.tick_ns);
        let wait_ns = (phase_ns % cycle_ns + cycle_ns - into_ns) % cycle_ns;
        from_ns + wait_ns as i64
    }
}

impl Phase {
    /// How far into a step of `step_jiffies` the moment lies.
    pub fn into_step_ns(&self, step_jiffies: u64, tick_ns: u64) -> u64 {
        self.jiffies % step_jiffies.max(1) * tick_ns + self.since_tick_ns
    }
}

/// The wheel's step for a timer of this length, in jiffies: level *n* takes lengths from 63·8ⁿ⁻¹ jiffies on and has
/// steps of 8ⁿ (`LVL_START` and `LVL_GRAN` in kernel/time/timer.c).
pub fn wheel_step_jiffies(armed_ns: u64, tick_ns: u64) -> u64 {
    let jiffies = armed_ns.div_ceil(tick_ns.max(1));
    let mut step = 1;
    while step < JiffiesClock::CYCLE_JIFFIES && jiffies >= 63 * step {
        step *= 8;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: JiffiesClock = JiffiesClock { tick_at_ns: 1_000_000, jiffies: (1 << 32) - 75_000, tick_ns: 4_000_000 };

    #[test]
    fn a_moment_before_the_known_tick_lies_in_an_earlier_jiffy() {
        assert_eq!(CLOCK.phase_at(999_999), Phase { jiffies: (1 << 32) - 75_001, since_tick_ns: 3_999_999 });
        assert_eq!(CLOCK.phase_at(9_000_001), Phase { jiffies: (1 << 32) - 74_998, since_tick_ns: 1 });
    }

    #[test]
    fn the_next_moment_of_a_phase_is_at_that_phase_and_less_than_a_cycle_away() {
        for phase_ns in [0, 1, 56_172_000_000, CLOCK.cycle_ns() - 1] {
            for from_ns in [0, 1_000_000, 77_123_456_789] {
                let at_ns = CLOCK.next_ns(phase_ns, from_ns);
                assert!((from_ns..from_ns + CLOCK.cycle_ns() as i64).contains(&at_ns));
                let into = CLOCK.phase_at(at_ns).into_step_ns(JiffiesClock::CYCLE_JIFFIES, CLOCK.tick_ns);
                assert_eq!(into, phase_ns);
            }
        }
    }

    #[test]
    fn the_default_phase_is_at_no_edge_of_any_level() {
        for level in 1..=JiffiesClock::LEVELS {
            let step = 8u64.pow(level);
            let share = (JiffiesClock::DEFAULT_PHASE_JIFFIES % step) as f64 / step as f64;
            assert!((0.375..0.43).contains(&share), "level {level}: {share}");
        }
    }

    #[test]
    fn steps_are_those_that_were_measured_at_250_ticks() {
        let step_ms = |armed_ms: u64| wheel_step_jiffies(armed_ms * 1_000_000, 4_000_000) * 4;
        assert_eq!(
            [1_000, 4_000, 32_000, 64_000, 924_000, 7_200_000].map(step_ms),
            [32, 256, 2_048, 2_048, 16_384, 131_072]
        );
    }
}
