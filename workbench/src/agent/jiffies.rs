//! Reads the jiffies clock of the running kernel, without privileges and without /proc.
//!
//! times(2) counts jiffies in hundredths of a second. When its value has just changed, the jiffy that just began is the
//! first one that rounds to the new value. When exactly it began lies between two looks, and is told by
//!
//! - CLOCK_MONOTONIC_COARSE, where it says so. It stands still between ticks, but need not stand at a tick: the kernel
//!   adds whole ticks' worth of its clock source to it (`timekeeping_advance` in kernel/time/timekeeping.c), beginning
//!   when that source was taken, so that on real machines it is up to a tick behind;
//! - else a whole multiple of the tick's length, where ticks lie since Linux 6.4 (`tick_init_jiffy_update` in
//!   kernel/time/tick-sched.c);
//! - else nothing: then it is the middle between the looks, which are 0.1 ms apart.

use std::time::Duration;

use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use super::clock::{monotonic_ns, read_ns, tick_ns};
use crate::evidence::JiffiesClock;
use crate::sys::times::{USER_HZ, clock_ticks};

/// Far shorter than a jiffy; in virtual time it costs nothing.
const LOOK: Duration = Duration::from_micros(50);

/// A change is at most a few jiffies away. A machine that makes us miss it so often is too busy to tell.
const LOOKS_AT_MOST: u32 = 2_000;

/// A tick may itself come late. Of so many changes the earliest counts, unless one of them is exact.
const CHANGES: usize = 3;

/// What is seen at once.
struct Look {
    before_ns: i64,
    ticks: u64,
    after_ns: i64,
}

impl Look {
    fn now() -> Self {
        let before_ns = monotonic_ns();
        Self { before_ns, ticks: clock_ticks(), after_ns: monotonic_ns() }
    }
}

/// Waits for the next changes of times(2), mostly for one, at most a few jiffies each, and says what the clock is;
/// `None` on a machine that is too busy to tell, or whose ticks have an odd length.
pub fn read() -> Option<JiffiesClock> {
    let tick_ns = tick_ns();
    let hz = 1_000_000_000u64.checked_div(tick_ns)?;
    let mut seen: Vec<JiffiesClock> = Vec::new();
    let mut before = Look::now();
    for _ in 0..LOOKS_AT_MOST {
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::empty(), &LOOK.into()).ok()?;
        let coarse_ns = read_ns(ClockId::CLOCK_MONOTONIC_COARSE);
        let now = Look::now();
        // Only a change that was seen as it happened says which tick it was.
        let is_seen = now.ticks == before.ticks + 1 && now.after_ns - before.before_ns < tick_ns as i64 / 8;
        if is_seen {
            let (tick_at_ns, is_exact) = tick_between(before.before_ns, now.after_ns, coarse_ns, tick_ns);
            let clock = JiffiesClock { tick_at_ns, jiffies: (now.ticks * hz).div_ceil(USER_HZ), tick_ns };
            if is_exact {
                return Some(clock);
            }
            seen.push(clock);
        }
        if seen.len() == CHANGES {
            break;
        }
        before = now;
    }
    // How late each tick was, but for what is the same in all.
    let late_ns = |clock: &JiffiesClock| i128::from(clock.tick_at_ns) - i128::from(clock.jiffies) * i128::from(tick_ns);
    seen.into_iter().min_by_key(late_ns)
}

/// When the tick between two looks was, and whether that is exact.
fn tick_between(from_ns: i64, to_ns: i64, coarse_ns: i64, tick_ns: u64) -> (i64, bool) {
    let aligned_ns = to_ns - to_ns.rem_euclid(tick_ns.max(1) as i64);
    let exact = [coarse_ns, aligned_ns].into_iter().find(|at_ns| (from_ns..=to_ns).contains(at_ns));
    (exact.unwrap_or(from_ns + (to_ns - from_ns) / 2), exact.is_some())
}

#[cfg(test)]
mod tests {
    use super::tick_between;

    #[test]
    fn a_coarse_clock_that_stands_elsewhere_is_not_believed() {
        assert_eq!(tick_between(7_950_000, 8_060_000, 4_989_767, 4_000_000), (8_000_000, true));
        assert_eq!(tick_between(7_950_000, 8_060_000, 8_010_000, 4_000_000), (8_010_000, true));
        assert_eq!(tick_between(9_900_000, 10_000_000, 6_989_767, 4_000_000), (9_950_000, false));
    }
}
