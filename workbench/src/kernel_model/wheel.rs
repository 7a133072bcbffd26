//! The timer wheel: at which jiffy a timer fires that was armed for so many. Knows nothing of what a timer is for.
//!
//! As `calc_wheel_index()` and `calc_index()` in kernel/time/timer.c, the same from Linux 4.8 (when the wheel stopped to
//! cascade) to 7.2. 5.10 adds a step before it shifts where later kernels add one after: the same number.

/// LVL_CLK_SHIFT: each level's steps are 8 times those of the level below.
const LEVEL_SHIFT: u32 = 3;
/// LVL_SIZE - 1: a level takes what the one below it cannot reach with 64 buckets.
const LAST_BUCKET: u64 = 63;
/// LVL_DEPTH where HZ is above 100. The deepest level begins after 36 hours at HZ=1000; no network timer is as long.
const LEVELS: u32 = 9;
/// WHEEL_TIMEOUT_CUTOFF, LVL_START(LVL_DEPTH): what is longer fires at the end of the wheel.
const CUTOFF: u64 = LAST_BUCKET << (LEVEL_SHIFT * (LEVELS - 1)) << LEVEL_SHIFT >> LEVEL_SHIFT;

/// When a timer fires that a program's system call armed in the jiffy `armed_at`, for `delta` jiffies.
pub fn fires_at(armed_at: u64, delta: u64) -> u64 {
    bucket_end(armed_at + delta, delta)
}

/// The same for one that a timer's own handler armed, as most timers of TCP are: while handlers run, the wheel's clock
/// is one jiffy ahead (`__run_timers()`), so that a length just at the edge still belongs to the finer level.
pub fn fires_again_at(armed_at: u64, delta: u64) -> u64 {
    bucket_end(armed_at + delta, delta.saturating_sub(1))
}

/// The wheel's step for a timer of so many jiffies: level *n* takes lengths from LVL_START(n) = 63 * 8^(n-1) on and has
/// steps of LVL_GRAN(n) = 8^n.
pub fn step_jiffies(delta: u64) -> u64 {
    1 << (LEVEL_SHIFT * level(delta))
}

fn level(delta: u64) -> u32 {
    (1..LEVELS).find(|level| delta < LAST_BUCKET << (LEVEL_SHIFT * (level - 1))).map_or(LEVELS - 1, |above| above - 1)
}

/// The end of the bucket that a timer lies in: rounded up to the level's step, and always by at least a jiffy, since it
/// must not fire early although it was armed late in its jiffy.
fn bucket_end(expires: u64, delta: u64) -> u64 {
    let shift = LEVEL_SHIFT * level(delta);
    let expires = expires.min(expires - delta + delta.min(CUTOFF));
    ((expires >> shift) + 1) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk over lengths and phases without a library for random numbers (Knuth's MMIX constants).
    fn scattered(count: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        (0..count).map(move |_| {
            let bits = next() % 27;
            (4_294_892_296 + next() % (1 << 20), next() % (1 << bits))
        })
    }

    #[test]
    fn a_timer_never_fires_early_and_at_most_an_eighth_and_a_jiffy_late() {
        for (armed_at, delta) in scattered(200_000) {
            for fires in [fires_at(armed_at, delta), fires_again_at(armed_at, delta)] {
                let late = fires - armed_at - delta;
                assert!(late >= 1, "armed at {armed_at} for {delta}: {late}");
                assert!(late <= delta / 7 + 1, "armed at {armed_at} for {delta}: {late}");
            }
        }
    }

    #[test]
    fn a_timer_armed_later_never_fires_earlier() {
        for (armed_at, delta) in scattered(50_000) {
            assert!(fires_at(armed_at, delta) <= fires_at(armed_at + 1, delta));
        }
    }

    #[test]
    fn steps_are_those_of_the_kernels_own_table() {
        // The comment at the top of kernel/time/timer.c, for HZ 1000: level, offset, granularity, range.
        for (first, last, step) in
            [(0, 62, 1), (63, 503, 8), (504, 4_031, 64), (4_032, 32_255, 512), (32_256, 258_047, 4_096)]
        {
            assert_eq!([first, last].map(step_jiffies), [step, step]);
        }
    }

    #[test]
    fn a_second_at_250_ticks_takes_up_to_32_ms_more() {
        let late_ms = |phase: u64| (fires_at(phase, 250) - phase - 250) * 4;
        let all: Vec<u64> = (0..64).map(late_ms).collect();
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&4), Some(&32)));
    }

    #[test]
    fn a_length_at_the_edge_of_a_level_is_rounded_less_when_a_handler_arms_it() {
        assert_eq!(fires_at(0, 63), 64);
        assert_eq!(fires_at(1, 63), 72);
        assert_eq!(fires_again_at(1, 63), 65);
        assert_eq!(fires_again_at(1, 64), 72);
    }
}
