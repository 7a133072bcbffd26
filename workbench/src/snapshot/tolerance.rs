//! How far a wait may lie from its snapshot, made from what armed it. Each band carries its reason in words.
//!
//! The kinds of timer and what the kernel promises about them:
//!
//! - *Timer wheel* (kernel/time/timer.c): a timer is put into a bucket of its level and fires when the bucket does.
//!   `calc_index()` rounds up, by at most one step of the level. Level *n* has steps of 8ⁿ jiffies and takes lengths
//!   from 63·8ⁿ⁻¹ jiffies on (`LVL_START`), so a step is at most 8/63 = 12.7 % of the length (the comment in the file,
//!   and packetdrill's `config.c`, say 12.5 %). The start is taken from the jiffies clock, which may be up to one jiffy
//!   behind: that early, too.
//! - *Slack* (fs/select.c, `select_estimate_accuracy`): 0.1 % of the length, at most 100 ms, never early.
//! - *High resolution* (kernel/time/hrtimer.c): never early; the default slack of 50 µs is below what is kept here.
//! - *Own clock*: a deadline that a program keeps by several waits. Late as the last of them, which has slack; and as
//!   the trace does not show when the program read its clock, the length it asked for is only known to
//!   [`DEADLINE_GRAIN_NS`], in both directions, and a slow start of the program makes the whole look short.
//!
//! A range that was measured over the phases of the wheel takes the place of its formula on a kernel of the same HZ: then
//! the wheel does not leave anything to chance but what lies between two phases.
//!
//! To each comes [`SCHEDULING_NS`], because the process that is woken still has to get a processor.

use crate::evidence::{EngineKind, Machine};
use crate::timeline::{Timer, TimerClass, sampling_ns};

use super::claims::{GapRange, MS};
use super::recording::Phases;
use super::render::seconds;

/// How late a process that is ready, and its recorder, may be on a machine that runs other labs at the same time.
pub const SCHEDULING_NS: u64 = 60_000_000;

/// How long the command may take from its start to its first event: loading a program is no claim about a network.
pub const START_NS: u64 = 1_000_000_000;

/// How far two lengths may differ and count as armed alike: what a tool has left of a deadline depends on when it got
/// the processor, and the kernel makes an RTO from a measured round trip (RFC 6298).
pub const ARMED_NS: u64 = SCHEDULING_NS;

/// Longest slack of `select`, `poll` and `epoll_wait` (`MAX_SLACK` in fs/select.c).
const MAX_SLACK_NS: u64 = 100_000_000;

/// How well the length of a deadline can be told from the waits that keep it.
const DEADLINE_GRAIN_NS: u64 = 25_000_000;

/// Stamps are kept to the millisecond.
const ROUNDING_NS: i64 = MS;

/// What the machine of the observed run adds to the timers' own bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Length of a jiffy of the kernel that ran it.
    pub tick_ns: u64,
    /// How late the machine itself was, as its heartbeat measured it; 0 where nobody looked. Widens no band: a
    /// difference that it explains makes the comparison inconclusive.
    pub lateness_ns: u64,
    /// Where it ran. In virtual time everybody gets a processor at once.
    pub engine: EngineKind,
}

/// The range in which a wait agrees, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// Shortest.
    pub low_ns: i64,
    /// Longest.
    pub high_ns: i64,
    /// Why this range, in words.
    pub reason: String,
}

impl Tolerance {
    /// The tolerance for a run on `machine`, whose heartbeat was at most `lateness_ns` late.
    pub fn of(machine: &Machine, lateness_ns: u64) -> Self {
        Self { tick_ns: machine.tick_ns, lateness_ns, engine: machine.engine }
    }

    /// The range for a wait that `timer` ended. A sum of several timers of one class has the same shares of its sum.
    pub fn timer(&self, timer: &Timer) -> Band {
        let armed_ns = timer.armed_ns;
        let slack_ns = (armed_ns / 1000).min(MAX_SLACK_NS);
        let (early_ns, late_ns, words) = match timer.class {
            TimerClass::Wheel => (
                self.tick_ns,
                (armed_ns / 63).saturating_mul(8).saturating_add(self.tick_ns),
                format!("is on the timer wheel: at most a jiffy ({}) early, up to 12.7 % late", ms(self.tick_ns)),
            ),
            TimerClass::Slack => (0, slack_ns, "has a slack of 0.1 %, at most 100 ms: never early".to_owned()),
            TimerClass::HighResolution => (0, 0, "is of high resolution: never early".to_owned()),
            TimerClass::Deadline => (
                SCHEDULING_NS + DEADLINE_GRAIN_NS,
                slack_ns + DEADLINE_GRAIN_NS,
                format!("is kept by the program's own clock, known to {}", ms(DEADLINE_GRAIN_NS)),
            ),
        };
        Band::around(
            signed(armed_ns).saturating_sub(signed(early_ns)),
            signed(armed_ns.saturating_add(late_ns).saturating_add(SCHEDULING_NS)),
            format!("{} {words}; {} for scheduling", timer.name, ms(SCHEDULING_NS)),
        )
    }

    /// The range for a wait that `timer` ended, on a kernel of the HZ for which it was measured over `phases`.
    ///
    /// On a real machine the *start* may be late as well: a retransmission that was due at a bucket's end and left later,
    /// with the next one on time. So it may be as much too short, but never below what the wheel allows by itself.
    pub fn measured(&self, timer: &Timer, range: &GapRange, phases: Phases) -> Band {
        let sampling_ns = sampling_ns(phases.step_ns, phases.count);
        let scheduling_ns = if self.engine == EngineKind::Host { SCHEDULING_NS } else { 0 };
        let low_ns = range.low_ns.saturating_sub(signed(sampling_ns + scheduling_ns));
        let never_before_ns = signed(timer.armed_ns).saturating_sub(signed(self.tick_ns));
        let high_ns = range.high_ns.saturating_add(signed(sampling_ns + scheduling_ns));
        let mut reason = format!(
            "measured over {} phases: {} to {}, {} between two of them",
            range.phases,
            seconds(range.low_ns),
            seconds(range.high_ns),
            ms(sampling_ns)
        );
        if scheduling_ns > 0 {
            reason.push_str(&format!("; {} for scheduling", ms(scheduling_ns)));
        }
        Band::around(low_ns.max(never_before_ns.min(range.low_ns)), high_ns, reason)
    }

    /// The range of lengths that count as armed alike.
    pub fn armed(&self, armed_ns: u64) -> Band {
        let (armed_ns, width_ns) = (signed(armed_ns), signed(ARMED_NS));
        Band::around(
            armed_ns.saturating_sub(width_ns),
            armed_ns.saturating_add(width_ns),
            format!("lengths within {} count as the same", ms(ARMED_NS)),
        )
    }

    /// The range for a wait that no known timer ended and that was `recorded_ns` long: a prompt reaction, or somebody
    /// else's pause, which may itself have stood on a wheel in both runs, so by as much in both directions.
    pub fn untimed(&self, recorded_ns: i64) -> Band {
        let width_ns = (recorded_ns.saturating_abs() / 63 * 8).saturating_add(signed(SCHEDULING_NS));
        Band::around(
            recorded_ns.saturating_sub(width_ns),
            recorded_ns.saturating_add(width_ns),
            format!("no timer is known here: 12.7 % either way, and {} for scheduling", ms(SCHEDULING_NS)),
        )
    }

    /// The range for a distance in time that should not have changed at all.
    pub fn same(&self, recorded_ns: i64) -> Band {
        let width_ns = signed(SCHEDULING_NS);
        Band::around(
            recorded_ns.saturating_sub(width_ns),
            recorded_ns.saturating_add(width_ns),
            format!("{} for scheduling", ms(SCHEDULING_NS)),
        )
    }

    /// The range from the command's start to its first event.
    pub fn start(&self, recorded_ns: i64) -> Band {
        let width_ns = signed(START_NS);
        Band::around(
            recorded_ns.saturating_sub(width_ns),
            recorded_ns.saturating_add(width_ns),
            format!("loading the program: {} either way", seconds(width_ns)),
        )
    }
}

impl Band {
    /// A range a little wider, in whole milliseconds as the times that it is held against.
    fn around(low_ns: i64, high_ns: i64, reason: String) -> Self {
        let low_ms = low_ns.saturating_sub(ROUNDING_NS).div_euclid(MS);
        let high_ms = high_ns.saturating_add(ROUNDING_NS + MS - 1).div_euclid(MS);
        Self { low_ns: low_ms.saturating_mul(MS), high_ns: high_ms.saturating_mul(MS), reason }
    }

    /// How far `observed_ns` is outside: negative for early, positive for late, 0 inside.
    pub fn excess_ns(&self, observed_ns: i64) -> i64 {
        observed_ns.saturating_sub(self.low_ns).min(0).saturating_add(observed_ns.saturating_sub(self.high_ns).max(0))
    }
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// A short length in whole milliseconds, rounded up.
fn ms(ns: u64) -> String {
    format!("{} ms", ns.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ_250: Tolerance = Tolerance { tick_ns: 4_000_000, lateness_ns: 0, engine: EngineKind::Host };

    fn band(class: TimerClass, armed_ms: u64) -> (i64, i64) {
        let timer = Timer { name: "RTO".to_owned(), class, armed_ns: armed_ms * 1_000_000 };
        let band = HZ_250.timer(&timer);
        (band.low_ns / MS, band.high_ns / MS)
    }

    #[test]
    fn a_band_is_asymmetric_and_follows_the_class_of_timer() {
        assert_eq!(band(TimerClass::Wheel, 63_000), (62_995, 63_000 + 8_000 + 4 + 60 + 1));
        assert_eq!(band(TimerClass::Slack, 10_000), (9_999, 10_000 + 10 + 60 + 1));
        assert_eq!(band(TimerClass::Slack, 500_000), (499_999, 500_000 + 100 + 60 + 1));
        assert_eq!(band(TimerClass::HighResolution, 10_000), (9_999, 10_000 + 60 + 1));
    }

    #[test]
    fn a_measured_range_is_as_wide_as_what_lies_between_two_phases_and_on_a_host_as_scheduling() {
        let timer = Timer { name: "SYN retries".into(), class: TimerClass::Wheel, armed_ns: 127_000 * 1_000_000 };
        let range = GapRange { low_ns: 129_181 * MS, high_ns: 131_196 * MS, phases: 64 };
        let phases = Phases { count: 64, step_ns: 2_048_000_000 };
        let host = HZ_250.measured(&timer, &range, phases);
        assert_eq!((host.low_ns / MS, host.high_ns / MS), (129_077, 131_300));
        assert!(host.reason.starts_with("measured over 64 phases: 129.181 s to 131.196 s, 43 ms"), "{}", host.reason);
        let virtual_time = Tolerance { engine: EngineKind::Virtual, ..HZ_250 }.measured(&timer, &range, phases);
        assert_eq!((virtual_time.low_ns / MS, virtual_time.high_ns / MS), (129_137, 131_240));
    }

    #[test]
    fn a_measured_range_lets_no_timer_fire_before_it_was_due() {
        let timer = Timer { name: "RTO".into(), class: TimerClass::Wheel, armed_ns: 1_000 * 1_000_000 };
        let range = GapRange { low_ns: 1_024 * MS, high_ns: 1_024 * MS, phases: 64 };
        let band = HZ_250.measured(&timer, &range, Phases { count: 64, step_ns: 2_048_000_000 });
        assert_eq!(band.low_ns / MS, 995);
    }

    #[test]
    fn a_deadline_of_the_programs_own_may_look_short() {
        assert_eq!(band(TimerClass::Deadline, 2_000), (2_000 - 85 - 1, 2_000 + 2 + 25 + 60 + 1));
    }

    #[test]
    fn the_wheels_step_at_each_level_lies_inside_the_share_of_its_shortest_length() {
        for level in 1..8 {
            let (step, shortest) = (8u64.pow(level), 63 * 8u64.pow(level - 1));
            assert!(shortest / 63 * 8 >= step, "level {level}");
        }
    }

    #[test]
    fn excess_is_negative_for_early_and_positive_for_late() {
        let band = Band { low_ns: 10, high_ns: 20, reason: String::new() };
        assert_eq!([9, 10, 20, 22].map(|t| band.excess_ns(t)), [-1, 0, 0, 2]);
    }

    #[test]
    fn an_absurd_length_saturates() {
        let timer = Timer { name: "RTO".to_owned(), class: TimerClass::Wheel, armed_ns: u64::MAX };
        assert!(HZ_250.timer(&timer).excess_ns(i64::MAX / 2) < 0);
        assert_eq!(HZ_250.untimed(i64::MAX / 2).excess_ns(i64::MAX / 2), 0);
    }
}
