//! Reads the jiffies clock of the running kernel, without privileges and without /proc.
//!
//! times(2) counts jiffies in hundredths of a second. When its value has just changed, the jiffy that just began is the
//! first one that rounds to the new value; CLOCK_MONOTONIC_COARSE, which stands still between ticks, tells when it began.

use std::time::Duration;

use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use super::clock::{monotonic_ns, read_ns, tick_ns};
use crate::evidence::JiffiesClock;
use crate::sys::times::{USER_HZ, clock_ticks};

/// Far shorter than a jiffy; in virtual time it costs nothing.
const LOOK: Duration = Duration::from_micros(50);

/// A change is at most a few jiffies away. A machine that makes us miss it so often is too busy to tell.
const LOOKS_AT_MOST: u32 = 2_000;

/// Waits for the next change of times(2), at most a few jiffies, and says what the clock is; `None` on a machine that is
/// too busy to tell, or whose ticks have an odd length.
pub fn read() -> Option<JiffiesClock> {
    let tick_ns = tick_ns();
    let hz = 1_000_000_000u64.checked_div(tick_ns)?;
    let mut before = (monotonic_ns(), clock_ticks());
    for _ in 0..LOOKS_AT_MOST {
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::empty(), &LOOK.into()).ok()?;
        let tick_at_ns = read_ns(ClockId::CLOCK_MONOTONIC_COARSE);
        let now = (monotonic_ns(), clock_ticks());
        // Only a change that was seen as it happened says which tick it was.
        if now.1 == before.1 + 1 && tick_at_ns >= before.0 && now.0 - before.0 < tick_ns as i64 / 2 {
            return Some(JiffiesClock { tick_at_ns, jiffies: (now.1 * hz).div_ceil(USER_HZ), tick_ns });
        }
        before = now;
    }
    None
}
