//! The agent's clocks: CLOCK_MONOTONIC for everything, its offset to CLOCK_REALTIME for packet stamps.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_getres, clock_gettime, clock_nanosleep};

use crate::evidence::ClockPair;

/// CLOCK_MONOTONIC now, in nanoseconds since boot.
pub fn monotonic_ns() -> i64 {
    read_ns(ClockId::CLOCK_MONOTONIC)
}

/// Sleeps until CLOCK_MONOTONIC is `at_ns`. Without the slack of 50 us that a process begins with (PR_SET_TIMERSLACK in
/// prctl(2)).
///
/// # Errors
///
/// `clock_nanosleep`'s or `prctl`'s errno.
pub fn sleep_until(at_ns: i64) -> nix::Result<()> {
    set_timerslack(1)?;
    let at = TimeSpec::from_duration(Duration::from_nanos(at_ns.max(0) as u64));
    while let Err(errno) = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &at) {
        if errno != Errno::EINTR {
            return Err(errno);
        }
    }
    Ok(())
}

/// The length of a jiffy: CLOCK_MONOTONIC_COARSE advances once a tick, and its resolution says so (clock_getres(2)).
pub fn tick_ns() -> u64 {
    clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)
        .map(|t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
        .unwrap_or(0)
}

pub(super) fn read_ns(clock: ClockId) -> i64 {
    // Neither clock can fail on Linux: both always exist.
    clock_gettime(clock).map(|t| t.tv_sec() * 1_000_000_000 + t.tv_nsec()).unwrap_or(0)
}

/// Readings of CLOCK_REALTIME minus CLOCK_MONOTONIC over a run. They drift apart while NTP slews (up to 500 ppm: 67 ms
/// in 134 s), so a stamp is converted with the offset interpolated at its time.
#[derive(Debug, Default)]
pub struct RealtimeOffsets {
    /// (CLOCK_MONOTONIC, offset), in order.
    readings: Vec<(i64, i64)>,
}

impl RealtimeOffsets {
    /// Reads both clocks: monotonic before and after, and the middle of the two beside the realtime between.
    pub fn read(&mut self) {
        let before = monotonic_ns();
        let realtime = read_ns(ClockId::CLOCK_REALTIME);
        let after = monotonic_ns();
        let middle = before + (after - before) / 2;
        self.readings.push((middle, realtime - middle));
    }

    /// CLOCK_MONOTONIC for a CLOCK_REALTIME stamp.
    pub fn to_monotonic_ns(&self, realtime_ns: i64) -> i64 {
        let first = self.readings.first().copied().unwrap_or((0, 0));
        let last = self.readings.last().copied().unwrap_or(first);
        let at = realtime_ns - first.1;
        let next = self.readings.partition_point(|&(t, _)| t <= at);
        let (a, b) = match next {
            0 => (first, first),
            n if n == self.readings.len() => (last, last),
            n => (self.readings[n - 1], self.readings[n]),
        };
        let span = (b.0 - a.0).max(1);
        let offset = a.1 + ((b.1 - a.1) as i128 * (at - a.0).clamp(0, span) as i128 / span as i128) as i64;
        realtime_ns - offset
    }

    /// CLOCK_REALTIME for a CLOCK_MONOTONIC stamp near the first reading.
    pub fn to_realtime_ns(&self, monotonic_ns: i64) -> i64 {
        monotonic_ns + self.readings.first().map_or(0, |&(_, offset)| offset)
    }

    /// The readings as evidence, since zero.
    pub fn pairs(&self, zero_ns: i64) -> Vec<ClockPair> {
        self.readings.iter().map(|&(t, offset_ns)| ClockPair { t_ns: t - zero_ns, offset_ns }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_between_two_readings_gets_the_offset_between_them() {
        let offsets = RealtimeOffsets { readings: vec![(0, 1_000), (1_000_000, 2_000)] };
        assert_eq!(offsets.to_monotonic_ns(1_000), 0);
        assert_eq!(offsets.to_monotonic_ns(1_002_000), 1_000_000);
        let middle = offsets.to_monotonic_ns(501_500);
        assert!((499_999..=500_001).contains(&middle), "{middle}");
    }

    #[test]
    fn a_stamp_outside_the_readings_gets_the_nearest_offset() {
        let offsets = RealtimeOffsets { readings: vec![(100, 1_000), (200, 2_000)] };
        assert_eq!(offsets.to_monotonic_ns(1_050), 50);
        assert_eq!(offsets.to_monotonic_ns(2_300), 300);
    }
}
