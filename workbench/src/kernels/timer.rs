//! This machine's own HZ: the virtual engine wants a kernel with the same, because timers are rounded to its ticks.

use nix::time::{ClockId, clock_getres};

/// Ticks a second. CLOCK_MONOTONIC_COARSE advances once a tick, and its resolution says so (clock_getres(2)).
pub fn host_hz() -> u64 {
    // The clock always exists on Linux; 250 is what distributions' kernels mostly have.
    let tick_ns = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map_or(4_000_000, |tick| tick.tv_nsec());
    // The resolution is rounded to nanoseconds: 3,333,333 for HZ=300.
    (1_000_000_000 + tick_ns as u64 / 2) / (tick_ns as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_ticks_as_often_as_some_kernel_can() {
        assert!((24..=1200).contains(&host_hz()), "{}", host_hz());
    }
}
