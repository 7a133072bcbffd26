//! One run at many phases of the timer wheel: which phases, and how far its waits range over them. Runs nothing.
//!
//! Where a timer fires depends on how far into a bucket it was armed (see `JiffiesClock`), so a single run shows one of
//! many lengths of the same wait. A timer of the longest step repeats after that step, and all shorter steps divide it:
//! phases spread over it are all that there are.

use super::event::{Event, EventKind, Timeline, TimerClass};

/// What a run told at several phases.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// How many phases, besides the one of the run that stands for all.
    pub count: u32,
    /// What they are spread over.
    pub step_ns: u64,
    /// For each claim of the run that stands for all, in its order.
    pub ranges: Vec<Range>,
    /// Runs that told something else, one entry for each thing told.
    pub strays: Vec<Stray>,
}

/// How far a claim ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Shortest and longest wait before it, if there is one.
    pub gap_ns: Option<(i64, i64)>,
    /// Earliest and latest time since zero.
    pub t_ns: (i64, i64),
}

/// Runs that told the same, and not what the others told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Which, in order.
    pub runs: Vec<usize>,
    /// Their phases, in order.
    pub phases_ns: Vec<u64>,
}

/// The longest single timer of the wheel that a run waited for. `None` where none is known.
///
/// A sum of several timers, as the whole wait of a connect, counts by its last one: what the waits before the packets
/// that the host sent meanwhile leave of it, if that explains the time since the last of them, else that time. The time
/// is longer than the timer and may take the next level's step for its own: then phases are spread over too much, and
/// none is missed.
pub fn longest_wheel_ns(timeline: &Timeline, tick_ns: u64) -> Option<u64> {
    let waits = timeline.events.iter().enumerate();
    waits
        .filter_map(|(index, event)| Some((index, event, wheel(event)?)))
        .map(|(index, event, armed_ns)| {
            let since_ns = event.t_ns - event.wait.as_ref().map_or(0, |wait| wait.gap_ns);
            let is_inside = |earlier: &&Event| {
                earlier.kind == EventKind::Packet && sender(earlier) == sender(event) && earlier.t_ns > since_ns
            };
            let inside: Vec<&Event> = timeline.events[..index].iter().filter(is_inside).collect();
            let Some(last) = inside.last().filter(|_| event.kind != EventKind::Packet) else { return armed_ns };
            let passed_ns = event.t_ns.abs_diff(last.t_ns);
            let left_ns = armed_ns.saturating_sub(inside.iter().filter_map(|event| wheel(event)).sum());
            let is_explained = left_ns <= passed_ns + tick_ns && passed_ns <= left_ns + left_ns / 63 * 8 + 2 * tick_ns;
            if is_explained { left_ns } else { armed_ns.min(passed_ns) }
        })
        .max()
}

/// How long the timer of the wheel was armed that ended the wait before an event.
fn wheel(event: &Event) -> Option<u64> {
    let timer = event.wait.as_ref()?.timer.as_ref()?;
    (timer.class == TimerClass::Wheel).then_some(timer.armed_ns)
}

/// The host that an event is of, or that a packet is from.
fn sender(event: &Event) -> &str {
    event.at.split(' ').next().unwrap_or_default()
}

/// `count` phases spread evenly over a step: one in each of as many equal parts.
///
/// They do not stand at the edges of their parts: 2.048 s in 64 parts are 32 ms each, which is itself the step of a
/// shorter timer, for which all phases would be one. Inside the parts they follow the radical inverse (van der Corput)
/// to base 3: steps are powers of 2, and every second, fourth, eighth, … of these places is spread as evenly as all.
pub fn phases_ns(step_ns: u64, count: u32) -> impl Iterator<Item = u64> {
    (0..count).map(move |part| {
        let part_ns = |place: u64| u128::from(step_ns) * u128::from(place) / u128::from(count.max(1));
        let (digits, scale) = radical_inverse(part);
        let phase_ns = part_ns(part.into()) + part_ns(digits) / u128::from(scale);
        u64::try_from(phase_ns).unwrap_or(u64::MAX)
    })
}

/// The digits of `n` to base 3 in reverse behind the point, as a fraction: 5 is 12, so 0.21, which is 7/9.
fn radical_inverse(n: u32) -> (u64, u64) {
    let (mut rest, mut digits, mut scale) = (u64::from(n), 0, 1);
    while rest > 0 {
        digits = digits * 3 + rest % 3;
        scale *= 3;
        rest /= 3;
    }
    (digits, scale)
}

/// How far a range over these phases may fall short of the true one at either end: the widest space between two
/// neighbours. Within it a wait grows as much shorter as it begins later, and then is a step longer at once.
pub fn sampling_ns(step_ns: u64, count: u32) -> u64 {
    let phases: Vec<u64> = phases_ns(step_ns, count).collect();
    let around = phases.first().zip(phases.last()).map_or(step_ns, |(first, last)| step_ns + first - last);
    phases.windows(2).map(|pair| pair[1] - pair[0]).fold(around, u64::max)
}

impl Spread {
    /// What `runs`, each with its phase, tell besides `reference`. It counts itself.
    pub fn of(reference: &Timeline, runs: &[(u64, &Timeline)], step_ns: u64) -> Self {
        let claims = claims(reference);
        let mut ranges: Vec<Range> = claims.iter().map(|(_, event)| Range::of(event)).collect();
        let mut strays: Vec<Stray> = Vec::new();
        for (run, (phase_ns, timeline)) in runs.iter().enumerate() {
            let told = self::claims(timeline);
            if is_same_story(&claims, &told) {
                ranges.iter_mut().zip(&told).for_each(|(range, (_, event))| range.widen(event));
                continue;
            }
            let is_told = |stray: &&mut Stray| is_same_story(&self::claims(runs[stray.runs[0]].1), &told);
            match strays.iter_mut().find(is_told) {
                Some(stray) => {
                    stray.runs.push(run);
                    stray.phases_ns.push(*phase_ns);
                }
                None => strays.push(Stray { runs: vec![run], phases_ns: vec![*phase_ns] }),
            }
        }
        let mut in_order: Vec<(usize, Range)> = claims.iter().map(|(index, _)| *index).zip(ranges).collect();
        in_order.sort_by_key(|(index, _)| *index);
        let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        Self { count, step_ns, ranges: in_order.into_iter().map(|(_, range)| range).collect(), strays }
    }
}

impl Range {
    fn of(event: &Event) -> Self {
        let gap_ns = event.wait.as_ref().map(|wait| (wait.gap_ns, wait.gap_ns));
        Self { gap_ns, t_ns: (event.t_ns, event.t_ns) }
    }

    fn widen(&mut self, event: &Event) {
        let wider = |(low, high): (i64, i64), ns: i64| (low.min(ns), high.max(ns));
        self.t_ns = wider(self.t_ns, event.t_ns);
        self.gap_ns = self.gap_ns.zip(event.wait.as_ref()).map(|(range, wait)| wider(range, wait.gap_ns));
    }
}

impl Stray {
    /// `at 3 of 64 phases, 0.400 s to 0.500 s into the step`.
    pub fn in_words(&self, count: u32) -> String {
        let seconds = |ns: Option<&u64>| std::time::Duration::from_nanos(ns.copied().unwrap_or(0)).as_secs_f64();
        let (first, last) = (seconds(self.phases_ns.first()), seconds(self.phases_ns.last()));
        let number = self.phases_ns.len();
        match number {
            1 => format!("at 1 of {count} phases, {first:.3} s into the step"),
            _ => format!("at {number} of {count} phases, {first:.3} s to {last:.3} s into the step"),
        }
    }
}

/// The claims, those of one place together and in their order, each with its number in the run. Which of two places
/// comes first may depend on the phase; what happens in one place is a story.
fn claims(timeline: &Timeline) -> Vec<(usize, &Event)> {
    let mut claims: Vec<(usize, &Event)> = timeline.events.iter().filter(|event| event.is_claim).enumerate().collect();
    claims.sort_by(|(_, a), (_, b)| a.at.cmp(&b.at));
    claims
}

fn is_same_story(one: &[(usize, &Event)], other: &[(usize, &Event)]) -> bool {
    let timer = |event: &Event| {
        let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
        timer.map(|timer| (timer.name.clone(), timer.class))
    };
    let is_same = |a: &Event, b: &Event| a.at == b.at && a.text == b.text && timer(a) == timer(b);
    one.len() == other.len() && one.iter().zip(other).all(|((_, a), (_, b))| is_same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Timer, Wait};

    const MS: i64 = 1_000_000;

    fn event(t_ms: i64, at: &str, text: &str, wait: Option<(i64, u64)>) -> Event {
        let timer = |armed_ms| Timer { name: "RTO".into(), class: TimerClass::Wheel, armed_ns: armed_ms * 1_000_000 };
        Event {
            t_ns: t_ms * MS,
            at: at.into(),
            kind: if at.contains("->") { EventKind::Packet } else { EventKind::Call },
            text: text.into(),
            wait: wait.map(|(gap_ms, armed_ms)| Wait { gap_ns: gap_ms * MS, timer: Some(timer(armed_ms)) }),
            is_claim: true,
            evidence: Vec::new(),
        }
    }

    fn connect(again_ms: i64, end_ms: i64) -> Timeline {
        let events = vec![
            event(0, "client", "connect", None),
            event(0, "client -> server", "SYN", None),
            event(again_ms, "client -> server", "SYN, retransmission 1", Some((again_ms, 1_000))),
            event(end_ms, "client", "connect failed", Some((end_ms, 3_000))),
        ];
        Timeline { events }
    }

    #[test]
    fn a_sum_of_timers_counts_by_its_last_one() {
        let longest_ns = |timeline: &Timeline| longest_wheel_ns(timeline, 4_000_000);
        assert_eq!(longest_ns(&connect(1_020, 3_044)), Some(2_000_000_000));
        // Another connect's packet came between.
        assert_eq!(longest_ns(&connect(1_500, 3_044)), Some(1_544_000_000));
        let unseen = Timeline { events: vec![event(3_044, "client", "connect failed", Some((3_044, 3_000)))] };
        assert_eq!(longest_ns(&unseen), Some(3_000_000_000));
        assert_eq!(longest_ns(&Timeline { events: Vec::new() }), None);
    }

    #[test]
    fn phases_are_one_in_each_part_and_apart_in_every_shorter_step() {
        let widest_within = |step_ms: u64, shorter_ms: u64| {
            let (step_ns, shorter_ns) = (step_ms * 1_000_000, shorter_ms * 1_000_000);
            let phases: Vec<u64> = phases_ns(step_ns, 64).collect();
            assert!((0..).zip(&phases).all(|(part, phase)| phase / (step_ns / 64) == part));
            let mut within: Vec<u64> = phases.iter().map(|phase| phase % shorter_ns).collect();
            within.sort_unstable();
            within.push(within[0] + shorter_ns);
            within.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap() / 1_000
        };
        // Of 64 phases in 32 ms none is further from the next than 1.6 ms, whichever step they are spread over.
        for step_ms in [32, 256, 2_048, 16_384] {
            assert!(widest_within(step_ms, 32) <= 1_600, "{step_ms}: {} us", widest_within(step_ms, 32));
        }
    }

    #[test]
    fn neighbours_are_at_most_one_and_a_third_parts_apart() {
        for count in [2, 7, 8, 64, 4_096] {
            let part_ns = 2_048_000_000 / u64::from(count);
            assert!((part_ns..=part_ns * 4 / 3 + 3).contains(&sampling_ns(2_048_000_000, count)), "{count}");
        }
        assert_eq!(phases_ns(4, 0).count(), 0);
        assert_eq!([0, 1, 2, 3, 5].map(radical_inverse), [(0, 1), (1, 3), (2, 3), (1, 9), (7, 9)]);
    }

    #[test]
    fn ranges_are_over_the_runs_that_tell_the_same() {
        let (reference, early, late) = (connect(1_020, 3_044), connect(1_004, 3_020), connect(1_031, 3_040));
        let mut stray = connect(500, 9_000);
        stray.events.remove(2);
        let runs = [(0, &early), (10 * MS as u64, &stray), (20 * MS as u64, &late), (30 * MS as u64, &stray)];
        let spread = Spread::of(&reference, &runs, 32_000_000);
        assert_eq!(spread.ranges[2].gap_ns, Some((1_004 * MS, 1_031 * MS)));
        assert_eq!(spread.ranges[3], Range { gap_ns: Some((3_020 * MS, 3_044 * MS)), t_ns: (3_020 * MS, 3_044 * MS) });
        assert_eq!(spread.strays.len(), 1);
        assert_eq!(spread.strays[0].runs, [1, 3]);
        assert_eq!(spread.strays[0].in_words(4), "at 2 of 4 phases, 0.010 s to 0.030 s into the step");
    }

    #[test]
    fn two_places_may_change_their_order_and_one_may_not() {
        let reference = Timeline { events: vec![event(5, "a", "x", None), event(9, "b", "y", None)] };
        let swapped = Timeline { events: vec![event(6, "b", "y", None), event(8, "a", "x", None)] };
        let spread = Spread::of(&reference, &[(0, &swapped)], 1);
        assert_eq!(
            spread.ranges.iter().map(|range| range.t_ns).collect::<Vec<_>>(),
            [(5 * MS, 8 * MS), (6 * MS, 9 * MS)]
        );
        let one = Timeline { events: vec![event(5, "a", "x", None), event(9, "a", "y", None)] };
        let other = Timeline { events: vec![event(6, "a", "y", None), event(8, "a", "x", None)] };
        assert_eq!(Spread::of(&one, &[(0, &other)], 1).strays.len(), 1);
    }
}
