//! A program's timers that send signals: which of them a signal came from, and for how long it had been armed by then.

use std::collections::BTreeMap;

use super::happenings::RanOut;
use crate::evidence::{Arg, Call, Evidence, Signal};
use crate::verdict::Mechanism;

/// A jiffy at most: how much earlier than due a timer can be seen, where the clocks are read apart.
const EARLY_NS: i64 = 10_000_000;

/// What a timer is known by in its process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Of setitimer(2): `ITIMER_REAL`, which is alarm(2)'s too.
    Interval(String),
    /// Of timer_create(2), by its number.
    Posix(i64),
}

/// Every call that set a timer.
#[derive(Debug, Default)]
pub struct Timers {
    /// By process and timer: the calls that armed or disarmed it, in order.
    set: BTreeMap<(u32, Timer), Vec<usize>>,
}

impl Timers {
    /// Walks over all calls.
    pub fn new(evidence: &Evidence) -> Self {
        let mut set: BTreeMap<(u32, Timer), Vec<usize>> = BTreeMap::new();
        for (index, call) in evidence.calls.iter().enumerate().filter(|(_, call)| call.error().is_none()) {
            if let Some(timer) = timer(call) {
                set.entry((call.pid, timer)).or_default().push(index);
            }
        }
        Self { set }
    }

    /// The timer that sent a signal, if one did: of those that can have, the one that was due last before it.
    pub fn behind(&self, evidence: &Evidence, signal: &Signal) -> Option<RanOut> {
        let interval = match signal.name.as_str() {
            "SIGALRM" => "ITIMER_REAL",
            "SIGVTALRM" => "ITIMER_VIRTUAL",
            "SIGPROF" => "ITIMER_PROF",
            _ => "",
        };
        let is_sent_by = |timer: &Timer| match (timer, signal.code.as_str()) {
            (Timer::Interval(name), "SI_KERNEL") => name == interval,
            (Timer::Posix(_), "SI_TIMER") => true,
            _ => false,
        };
        self.due(evidence, signal.pid, signal.t_ns, is_sent_by)
    }

    /// The timer of `timer_create`, or the real one of setitimer(2), whose signal a process took instead of having it
    /// delivered.
    pub fn taken(&self, evidence: &Evidence, pid: u32, t_ns: i64, is_posix: bool) -> Option<RanOut> {
        self.due(evidence, pid, t_ns, |timer| match timer {
            Timer::Posix(_) => is_posix,
            Timer::Interval(name) => !is_posix && name == "ITIMER_REAL",
        })
    }

    fn due(&self, evidence: &Evidence, pid: u32, t_ns: i64, wanted: impl Fn(&Timer) -> bool) -> Option<RanOut> {
        let of_process = self.set.iter().filter(|((owner, timer), _)| *owner == pid && wanted(timer));
        let fired = of_process.filter_map(|(_, calls)| {
            let last = calls.partition_point(|index| evidence.calls[*index].entry_ns <= t_ns).checked_sub(1)?;
            let armed_by = calls[last];
            let call = &evidence.calls[armed_by];
            let (value_ns, interval_ns) = call.timer_setting().filter(|(value_ns, _)| *value_ns > 0)?;
            let armed_for_ns = fired_after(value_ns, interval_ns, t_ns - call.entry_ns)?;
            let name = if call.name == "timer_settime" { "timer_create" } else { &call.name };
            let mechanism = Mechanism::Timer(name.to_owned());
            let armed_at_ns = call.entry_ns;
            Some(RanOut { mechanism, armed_at_ns, armed_for_ns, armed_by, waited_for: Vec::new() })
        });
        fired.max_by_key(|fired| fired.armed_at_ns.saturating_add_unsigned(fired.armed_for_ns))
    }
}

fn timer(call: &Call) -> Option<Timer> {
    let first = call.args.first();
    match (call.name.as_str(), first) {
        ("alarm", _) => Some(Timer::Interval("ITIMER_REAL".into())),
        ("setitimer", Some(Arg::Symbol(which))) => Some(Timer::Interval(which.clone())),
        ("timer_settime", Some(Arg::Int(number))) => Some(Timer::Posix(*number)),
        _ => None,
    }
}

/// How long after it was armed a timer fired last: its value, and all whole intervals that have gone since. `None` if it
/// was not due yet.
pub fn fired_after(value_ns: u64, interval_ns: u64, gone_ns: i64) -> Option<u64> {
    let gone_ns = u64::try_from(gone_ns.saturating_add(EARLY_NS)).ok()?;
    let later_ns = gone_ns.checked_sub(value_ns)?;
    let early_ns = EARLY_NS.unsigned_abs().min(interval_ns / 2);
    let rounds = later_ns.saturating_sub(EARLY_NS.unsigned_abs() - early_ns).checked_div(interval_ns).unwrap_or(0);
    Some(value_ns + rounds * interval_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_timer_that_goes_on_is_told_by_the_firing_that_it_was() {
        let fired = |gone_ms: i64| fired_after(700 * MS, 500 * MS, gone_ms * MS as i64);
        assert_eq!(fired(600), None);
        assert_eq!(fired(700), Some(700 * MS));
        assert_eq!(fired(1_180), Some(700 * MS));
        assert_eq!(fired(1_701), Some(1_700 * MS));
    }

    #[test]
    fn a_timer_that_fires_once_was_armed_for_what_it_was_set_to_however_late_its_signal_is() {
        assert_eq!(fired_after(700 * MS, 0, 5_000 * MS as i64), Some(700 * MS));
    }
}
