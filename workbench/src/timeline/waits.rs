//! The program's own waits: which call waited, for how long it was armed, and whether it ran out.
//!
//! Knows calls and signals only. What a wait was for (a connection, a name) is decided by who asks.

use std::collections::BTreeMap;

use super::event::{Timer, TimerClass, Wait};
use super::objects::{Kind, ObjectId, Objects};
use crate::evidence::{Call, Ending, Evidence, Signal, StepRecord};
use crate::plan::Call as Step;

/// A wait that ran out.
#[derive(Debug, Clone)]
pub(super) struct Expired {
    /// Index of the call.
    pub call: usize,
    /// When it was armed: the call's entry, or for a timerfd the moment it was set.
    pub since_ns: i64,
    /// When the call returned.
    pub until_ns: i64,
    /// What ran out.
    pub timer: Timer,
    /// What would have ended it as well.
    pub waited_for: Vec<ObjectId>,
}

/// One wait of one thread.
#[derive(Debug)]
struct Waited {
    call: usize,
    until_ns: i64,
    came: Came,
}

/// What a wait came to.
#[derive(Debug)]
enum Came {
    /// It ran out.
    Out(Expired),
    /// Something happened.
    Back,
    /// A connection was begun and not waited for: nothing to wait for was there before.
    Begun,
}

/// All waits of a run.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    evidence: &'a Evidence,
    by_thread: BTreeMap<u32, Vec<Waited>>,
}

/// Waits that ran out one after another, with nothing in between that was waited for.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    evidence: &'a Evidence,
    first: &'a Expired,
    /// The one after which the program gave up.
    pub last: &'a Expired,
    links: usize,
    /// Their lengths added up, if each was a round one.
    whole_ns: Option<u64>,
}

impl Waited {
    fn expired(&self) -> Option<&Expired> {
        match &self.came {
            Came::Out(expired) => Some(expired),
            Came::Back | Came::Begun => None,
        }
    }
}

impl<'a> Waits<'a> {
    pub(super) fn new(evidence: &'a Evidence, objects: &Objects) -> Self {
        let mut by_thread: BTreeMap<u32, Vec<Waited>> = BTreeMap::new();
        for (index, call) in evidence.calls.iter().enumerate() {
            if let (Some(until_ns), true) = (call.exit_ns, is_wait(evidence, objects, index)) {
                let came = match expired(evidence, objects, index, until_ns) {
                    Some(expired) => Came::Out(expired),
                    None if call.error() == Some("EINPROGRESS") => Came::Begun,
                    None => Came::Back,
                };
                by_thread.entry(call.tid).or_default().push(Waited { call: index, until_ns, came });
            }
        }
        Self { evidence, by_thread }
    }

    /// The waits of thread `tid` that ran out last before `t_ns`, if the last thing it waited for ran out.
    pub(super) fn before(&self, tid: u32, t_ns: i64) -> Option<Chain<'_>> {
        let waited = self.by_thread.get(&tid)?;
        let past = waited.partition_point(|w| w.until_ns <= t_ns);
        let looked = waited[..past].iter().rev().skip_while(|w| matches!(w.came, Came::Begun));
        let mut chain = looked.map_while(Waited::expired);
        let last = chain.next()?;
        let mut found = Chain { evidence: self.evidence, first: last, last, links: 1, whole_ns: last.whole_ns() };
        for earlier in chain {
            found.first = earlier;
            found.links += 1;
            found.whole_ns = found.whole_ns.zip(earlier.whole_ns()).map(|(sum, ns)| sum + ns);
        }
        Some(found)
    }

    /// Whether the call at this index was a wait, and if so, what ran out in it.
    pub(super) fn waited(&self, tid: u32, call: usize) -> Option<Option<&Expired>> {
        let waited = self.by_thread.get(&tid)?;
        let found = waited.binary_search_by_key(&call, |w| w.call).ok()?;
        Some(&waited[found]).filter(|w| !matches!(w.came, Came::Begun)).map(Waited::expired)
    }

    /// When a thread last stopped waiting. A program that exits ran from there to its end without looking at anything;
    /// one that is killed was looking until then.
    pub(super) fn last_look_ns(&self, evidence: &Evidence) -> i64 {
        let is_commands = |w: &&Waited| evidence.is_of_command(evidence.calls[w.call].pid);
        let last = self.by_thread.values().filter_map(|waited| waited.last()).filter(is_commands);
        let last = last.map(|w| w.until_ns).max();
        match evidence.end.how {
            _ if evidence.plan.command.program.is_some() => last_step_ns(evidence).unwrap_or(evidence.end.t_ns),
            Ending::Exit(_) => last.unwrap_or(evidence.end.t_ns),
            _ => evidence.end.t_ns,
        }
    }
}

/// When the command, a socket program, last went on with something that came from elsewhere: what others do from there on
/// races with its end. What it waits for may be no call (a step of another, a state).
fn last_step_ns(evidence: &Evidence) -> Option<i64> {
    /// A send that took this long had waited for room.
    const BLOCKED_NS: i64 = 30_000_000;
    let program = evidence.plan.command.program.as_ref()?;
    let steps = &evidence.plan.programs.iter().find(|known| known.name == *program)?.steps;
    let looked = |record: &&StepRecord| match steps.get(record.index).map(|step| &step.call) {
        Some(Step::Wait { .. } | Step::Sleep { .. } | Step::Accept { .. } | Step::Connect { .. }) => true,
        Some(Step::Receive { .. } | Step::Drain { .. } | Step::Poll { .. }) => true,
        _ => record.done_ns.is_none_or(|done_ns| done_ns - record.began_ns >= BLOCKED_NS),
    };
    let mut own = evidence.steps.iter().filter(|record| record.program == *program);
    let last = own.rfind(looked)?;
    Some(last.done_ns.unwrap_or(evidence.end.t_ns))
}

impl Expired {
    /// The wait by itself, if it was armed for a round length of time and not for what was left of another.
    fn exact(&self) -> Option<Wait> {
        let wait = Wait { gap_ns: self.until_ns - self.since_ns, timer: Some(self.timer.clone()) };
        self.whole_ns().map(|_| wait)
    }

    fn whole_ns(&self) -> Option<u64> {
        Some(self.timer.armed_ns).filter(|ns| ns.is_multiple_of(PROGRAMS_GRAIN_NS))
    }
}

/// What programs round their own timeouts to.
pub const PROGRAMS_GRAIN_NS: u64 = 10_000_000;

/// Waits shorter than this are how a program polls itself, not what anybody waits for.
const NOTABLE_NS: i64 = 100_000_000;

impl Chain<'_> {
    /// Whether it is a single wait.
    pub(super) fn is_one(&self) -> bool {
        self.links == 1
    }

    /// The wait before something that the program went on with: a sleep, not a look at descriptors that ran out.
    pub(super) fn sleep(&self) -> Option<Wait> {
        self.last.exact().filter(|wait| self.last.waited_for.is_empty() && wait.gap_ns >= NOTABLE_NS)
    }

    /// The wait as a whole, if it was long enough to be one.
    pub(super) fn notable(&self) -> Option<Wait> {
        Some(self.wait(None)).filter(|wait| wait.gap_ns >= NOTABLE_NS)
    }

    /// The wait as a whole. `begun_ns` is when the thing that was waited for began, if that is known.
    ///
    /// One wait for a round length of time is exact. Several waits, or one for what is left of a deadline, keep a
    /// deadline that the program reckons by a clock of its own: its length is only known to what programs round to.
    pub(super) fn wait(&self, begun_ns: Option<i64>) -> Wait {
        let of_timerfd = self.last.timer.name == "timerfd";
        if let Some(due) = armed_until_then(self.evidence, self.last.call).filter(|_| !of_timerfd) {
            let timer = Timer { name: "deadline".into(), class: TimerClass::Deadline, armed_ns: due.armed_ns };
            return Wait { gap_ns: self.last.until_ns - due.begun_ns, timer: Some(timer) };
        }
        if let (1, Some(exact)) = (self.links, self.last.exact()) {
            return exact;
        }
        let since_ns = begun_ns.unwrap_or(self.first.since_ns).min(self.first.since_ns);
        let due_ns = self.last.since_ns.saturating_add_unsigned(self.last.timer.armed_ns) - since_ns;
        // Equal waits that add up: nobody reckoned, and how late each was is nobody's wish.
        let armed_ns = self.whole_ns.unwrap_or_else(|| asked_for(due_ns));
        let timer = Timer { name: "deadline".into(), class: TimerClass::Deadline, armed_ns };
        Wait { gap_ns: self.last.until_ns - since_ns, timer: Some(timer) }
    }
}

/// A deadline that several waits kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When the first of them was armed.
    pub begun_ns: i64,
    /// How long the deadline is.
    pub armed_ns: u64,
}

/// The deadline behind the wait in call `last`, if earlier ones of the same thread were armed until the same moment,
/// whatever came in between: the first of them says of what length.
pub fn armed_until_then(evidence: &Evidence, last: usize) -> Option<Due> {
    // A program reckons in milliseconds, and reads its clock some time before it waits.
    const SAME_NS: u64 = 6_000_000;
    let (last_call, due) = (&evidence.calls[last], |call: &Call, ns: u64| call.entry_ns.saturating_add_unsigned(ns));
    let left_ns = last_call.timeout_ns()??;
    let due_ns = due(last_call, left_ns);
    let of_thread =
        evidence.calls[..=last].iter().filter(|call| call.tid == last_call.tid && call.name == last_call.name);
    let mut until_then = of_thread.filter_map(|call| {
        let armed_ns = call.timeout_ns().flatten()?;
        (due(call, armed_ns).abs_diff(due_ns) <= SAME_NS).then_some((call.entry_ns, armed_ns))
    });
    let (begun_ns, armed_ns) = until_then.next().filter(|(_, armed_ns)| left_ns < armed_ns / 10 * 9)?;
    let is_chosen = armed_ns.is_multiple_of(PROGRAMS_GRAIN_NS);
    Some(Due { begun_ns, armed_ns: if is_chosen { armed_ns } else { asked_for(due_ns.saturating_sub(begun_ns)) } })
}

/// The length somebody asked for, from what was measured: the roundest one that explains it.
///
/// It is longer than measured by what passed between the program's look at its clock and the call from which it is
/// measured here: 60 ms and more on a busy machine. It is shorter only by what the program rounds up.
pub fn asked_for(measured_ns: i64) -> u64 {
    const GRAINS_MS: [u64; 9] = [60_000, 10_000, 5_000, 1_000, 500, 250, 100, 50, 10];
    const MS: u64 = 1_000_000;
    let measured_ns = u64::try_from(measured_ns).unwrap_or(0);
    let shortest_ns = measured_ns.saturating_sub(2 * MS);
    let longest_ns = measured_ns + (measured_ns / 10).min(60 * MS);
    let rounded = GRAINS_MS.iter().map(|grain_ms| shortest_ns.next_multiple_of(grain_ms * MS));
    let mut fitting = rounded.filter(|asked_ns| (1..=longest_ns).contains(asked_ns));
    fitting.next().unwrap_or(measured_ns / MS * MS)
}

/// The wait that a signal ended, if a timer of the program sent it: the newest one armed before it.
pub(super) fn before_signal(evidence: &Evidence, signal: &Signal) -> Option<Wait> {
    let (call, value_ns, interval_ns) = evidence.calls.iter().rev().find_map(|call| {
        let is_before = call.pid == signal.pid && call.exit_ns.is_some_and(|exit| exit <= signal.t_ns);
        let (value, interval) =
            (is_before && signal.armed_by().contains(&call.name.as_str())).then(|| call.timer_setting())??;
        // Of several timers it was one that was due.
        let due_ns = call.entry_ns.saturating_add_unsigned(value).saturating_sub_unsigned(PROGRAMS_GRAIN_NS);
        (due_ns <= signal.t_ns).then_some((call, value, interval))
    })?;
    let armed_at = call.entry_ns;
    let same = |s: &&Signal| s.pid == signal.pid && s.name == signal.name && s.code == signal.code;
    let earlier = evidence.signals.iter().filter(same).map(|s| s.t_ns).filter(|t| (armed_at..signal.t_ns).contains(t));
    // A repetition is timed from when the one before was due, which shows only as when it was delivered.
    let (since_ns, armed_ns, class) = match earlier.max() {
        None => (armed_at, value_ns, TimerClass::HighResolution),
        Some(previous_ns) => (previous_ns, interval_ns, TimerClass::Deadline),
    };
    let timer = Timer { name: call.name.clone(), class, armed_ns };
    (armed_ns > 0).then_some(Wait { gap_ns: signal.t_ns - since_ns, timer: Some(timer) })
}

/// The name that programs know a wait by. Which of two calls stands behind `poll` or `select` is the C library's
/// choice and differs between its versions and architectures.
fn timer_name(call: &str) -> Option<(&'static str, TimerClass)> {
    Some(match call {
        "poll" | "ppoll" => ("poll", TimerClass::Slack),
        "select" | "pselect6" => ("select", TimerClass::Slack),
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => ("epoll_wait", TimerClass::Slack),
        "nanosleep" | "clock_nanosleep" => ("nanosleep", TimerClass::HighResolution),
        "futex" => ("futex", TimerClass::HighResolution),
        _ => return None,
    })
}

/// Whether a thread waited in this call. A poll that only looks (timeout 0), a read that found nothing at once and a
/// read from a file or from another thread are no waits.
fn is_wait(evidence: &Evidence, objects: &Objects, index: usize) -> bool {
    let call = &evidence.calls[index];
    let is_socket = |id: ObjectId| {
        let object = objects.get(id);
        let made_by = evidence.calls[object.made_by].name.as_str();
        object.kind == Kind::TimerFd || matches!(made_by, "socket" | "accept" | "accept4")
    };
    match call.name.as_str() {
        "recvfrom" | "recvmsg" | "recvmmsg" | "accept" | "accept4" => call.error() != Some("EAGAIN"),
        "read" | "readv" => objects.first_of(index).is_some_and(is_socket) && call.error() != Some("EAGAIN"),
        "connect" => call.address().is_some_and(|address| address.inet().is_some()),
        // Sending waits where there is no room.
        "sendto" | "sendmsg" | "sendmmsg" | "write" | "writev" | "sendfile" | "splice" => {
            call.exit_ns.is_some_and(|exit_ns| exit_ns - call.entry_ns >= NOTABLE_NS)
        }
        "rt_sigtimedwait" | "rt_sigsuspend" | "pause" | "restart_syscall" => true,
        "futex" => call.timeout_ns().is_some(),
        name => timer_name(name).is_some() && call.timeout_ns() != Some(Some(0)),
    }
}

/// What ran out in a wait: its own timeout, or a timerfd among what it waited for.
fn expired(evidence: &Evidence, objects: &Objects, index: usize, until_ns: i64) -> Option<Expired> {
    let call = &evidence.calls[index];
    let waited_for = objects.waited_for(index);
    if let Some(fired) = objects.fired(index) {
        let timer = Timer { name: "timerfd".into(), class: TimerClass::HighResolution, armed_ns: fired.armed_for_ns };
        let since_ns = evidence.calls[fired.armed_by].entry_ns;
        let waited_for = waited_for.into_iter().filter(|id| *id != fired.timer).collect();
        return Some(Expired { call: index, since_ns, until_ns, timer, waited_for });
    }
    let (name, class) = timer_name(&call.name)?;
    let armed_ns = call.timeout_ns()??;
    let ran_out = call.value() == Some(0) || call.error() == Some("ETIMEDOUT");
    let timer = Timer { name: name.into(), class, armed_ns };
    ran_out.then_some(Expired { call: index, since_ns: call.entry_ns, until_ns, timer, waited_for })
}

#[cfg(test)]
mod tests {
    use super::asked_for;

    #[test]
    fn a_deadline_is_the_roundest_length_that_explains_what_was_measured() {
        let asked = |ms: i64| asked_for(ms * 1_000_000) / 1_000_000;
        assert_eq!([1_941, 1_986, 2_000, 2_001].map(asked), [2_000; 4]);
        // 1,050 ms may be what a program sees of 1,100 ms that began 50 ms earlier: nobody can tell.
        assert_eq!([2_086, 1_050, 249, 199, 98].map(asked), [2_100, 1_100, 250, 200, 100]);
        assert_eq!([4_990, 29_950, 299_970].map(asked), [5_000, 30_000, 300_000]);
        assert_eq!([7, 0].map(asked), [7, 0]);
    }
}
