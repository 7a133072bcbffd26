//! When to look at the sockets. Pure: it is told the time, what happened and what was seen.
//!
//! - *Something happened* (a packet, a call, a socket destroyed): look, but not sooner after the last look than a pause,
//!   which grows with the run. What falls into the pause is made up for by one look at its end, so that the state in
//!   which things come to rest is never missed.
//! - *A timer must have fired*: a timer that sends something is noticed by the packet, one that ends something silently
//!   (TIME_WAIT, FIN_WAIT2, a keepalive timer that only sets itself anew) is not. So there is one look when the timer
//!   must have fired: its deadline, and the step of the timer wheel by which the kernel may be later. If the socket then
//!   still has that timer, it is not waited for again. Where nothing happens and no timer is set anew, nothing is asked.

use std::collections::BTreeMap;

use crate::evidence::{SampleReason, SocketSample, TimerKind, wheel_step_jiffies};

/// The pause after a look: at least this long …
const LEAST_PAUSE_NS: i64 = 2_000_000;

/// … at least this part of the run so far, which makes the looks' number grow with the logarithm of its length …
const RUN_PART: i64 = 256;

/// … and this many times what the look took, so that looking takes no more than a small part of the time …
const COST_PART: i64 = 16;

/// … but of that no more than this: a look that takes longer was itself kept waiting by others.
const MOST_COST_PAUSE_NS: i64 = 20_000_000;

/// When to look next, and why.
#[derive(Debug)]
pub struct Schedule {
    tick_ns: u64,
    zero_ns: i64,
    /// The last look's end, and how long it took.
    last: Option<(i64, i64)>,
    /// What happened since the last look began.
    missed: Option<SampleReason>,
    timers: BTreeMap<Timer, Wait>,
    is_hurried: bool,
}

/// One socket of one host.
type Timer = (String, u64);

/// A timer that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    kind: TimerKind,
    deadline_ns: i64,
    /// When to look whether it fired; `None` if that has been done.
    look_ns: Option<i64>,
}

impl Schedule {
    /// For a kernel with this length of a jiffy.
    pub fn new(tick_ns: u64) -> Self {
        Self { tick_ns, zero_ns: 0, last: None, missed: None, timers: BTreeMap::new(), is_hurried: false }
    }

    /// The run began then: pauses are a part of the time since.
    pub fn set_zero(&mut self, zero_ns: i64) {
        self.zero_ns = zero_ns;
    }

    /// Something happened.
    pub fn note(&mut self, reason: SampleReason) {
        self.missed.get_or_insert(reason);
    }

    /// Somebody waits for what the next look may show: the pause is only as long as the last look took. Or nobody does.
    pub fn hurry(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
    }

    /// Why to look now, if there is a reason.
    pub fn reason(&self, now_ns: i64) -> Option<SampleReason> {
        if now_ns < self.pause_end_ns() {
            return None;
        }
        let is_due = || self.first_look_ns().is_some_and(|look_ns| look_ns <= now_ns);
        self.missed.or_else(|| is_due().then_some(SampleReason::Due))
    }

    /// When to ask [`Schedule::reason`] again, if nothing happens until then.
    pub fn next_ns(&self) -> Option<i64> {
        let wanted_ns = if self.missed.is_some() { Some(i64::MIN) } else { self.first_look_ns() };
        wanted_ns.map(|ns| ns.max(self.pause_end_ns()))
    }

    /// All hosts' sockets were looked at; `samples` are theirs, and hosts without a sample have no socket.
    pub fn looked(&mut self, began_ns: i64, ended_ns: i64, samples: &[SocketSample]) {
        self.last = Some((ended_ns, ended_ns - began_ns));
        self.missed = None;
        let before = std::mem::take(&mut self.timers);
        for sample in samples {
            let running = sample.sockets.iter().filter(|socket| socket.timer != TimerKind::Off);
            for socket in running {
                let timer = (sample.host.clone(), socket.cookie);
                let seen = self.wait(sample.t_ns, socket.timer, socket.expires_ms);
                let wait = match before.get(&timer) {
                    Some(known) if self.is_same(known, &seen, sample.t_ns) => {
                        Wait { look_ns: known.look_ns.filter(|look_ns| *look_ns > sample.t_ns), ..*known }
                    }
                    _ => seen,
                };
                self.timers.insert(timer, wait);
            }
        }
    }

    fn wait(&self, t_ns: i64, kind: TimerKind, expires_ms: u32) -> Wait {
        let expires_ns = u64::from(expires_ms) * 1_000_000;
        let late_ns = (wheel_step_jiffies(expires_ns, self.tick_ns) + 1) * self.tick_ns;
        let deadline_ns = t_ns + expires_ns as i64;
        Wait { kind, deadline_ns, look_ns: Some(deadline_ns + late_ns as i64) }
    }

    /// Deadlines are told in jiffies from now, and milliseconds at that: two of the same timer differ by up to one, and
    /// one that is past is told as now.
    fn is_same(&self, known: &Wait, seen: &Wait, now_ns: i64) -> bool {
        let is_past = seen.deadline_ns <= now_ns && known.deadline_ns <= now_ns;
        let differ_ns = (known.deadline_ns - seen.deadline_ns).unsigned_abs();
        known.kind == seen.kind && (is_past || differ_ns <= self.tick_ns + 1_000_000)
    }

    fn first_look_ns(&self) -> Option<i64> {
        self.timers.values().filter_map(|wait| wait.look_ns).min()
    }

    fn pause_end_ns(&self) -> i64 {
        let Some((ended_ns, took_ns)) = self.last else { return i64::MIN };
        if self.is_hurried {
            return ended_ns + took_ns.min(MOST_COST_PAUSE_NS);
        }
        ended_ns
            + LEAST_PAUSE_NS
                .max((ended_ns - self.zero_ns) / RUN_PART)
                .max((took_ns * COST_PART).min(MOST_COST_PAUSE_NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{TcpSocket, TcpState};

    const MS: i64 = 1_000_000;

    fn schedule() -> Schedule {
        let mut schedule = Schedule::new(4_000_000);
        schedule.set_zero(0);
        schedule
    }

    /// One host's sockets, by cookie: which timer, and how long until it fires.
    fn sample(t_ms: i64, sockets: &[(u64, TimerKind, u32)]) -> SocketSample {
        let socket = |&(cookie, timer, expires_ms): &(u64, TimerKind, u32)| TcpSocket {
            local: ([10, 0, 0, 1].into(), 1),
            remote: ([10, 0, 0, 2].into(), 2),
            interface: 0,
            interface_name: None,
            only_v6: false,
            cookie,
            state: TcpState::Established,
            timer,
            expires_ms,
            retransmits: 0,
            recv_queue: 0,
            send_queue: 0,
            uid: 0,
            inode: 0,
            owner: None,
            shutdown: 0,
            congestion: None,
            info: None,
        };
        SocketSample {
            host: "client".to_owned(),
            t_ns: t_ms * MS,
            took_ns: 0,
            because: SampleReason::Packet,
            sockets: sockets.iter().map(socket).collect(),
        }
    }

    fn look(schedule: &mut Schedule, t_ms: i64, sockets: &[(u64, TimerKind, u32)]) {
        schedule.looked(t_ms * MS, t_ms * MS, &[sample(t_ms, sockets)]);
    }

    #[test]
    fn where_nothing_happens_and_no_timer_runs_nothing_is_asked() {
        let mut schedule = schedule();
        look(&mut schedule, 0, &[(1, TimerKind::Off, 0)]);
        assert_eq!((schedule.next_ns(), schedule.reason(3_600_000 * MS)), (None, None));
    }

    #[test]
    fn what_falls_into_the_pause_is_made_up_for_once_at_its_end() {
        let mut schedule = schedule();
        look(&mut schedule, 100, &[]);
        schedule.note(SampleReason::Call);
        schedule.note(SampleReason::Packet);
        assert_eq!((schedule.reason(101 * MS), schedule.next_ns()), (None, Some(102 * MS)));
        assert_eq!(schedule.reason(102 * MS), Some(SampleReason::Call));
        look(&mut schedule, 102, &[]);
        assert_eq!(schedule.next_ns(), None);
    }

    #[test]
    fn the_pause_grows_with_the_run_and_with_what_a_look_takes() {
        let mut schedule = schedule();
        schedule.looked(256_000 * MS, 256_000 * MS, &[]);
        schedule.note(SampleReason::Packet);
        assert_eq!(schedule.next_ns(), Some(257_000 * MS));
        schedule.looked(10 * MS, 11 * MS, &[]);
        schedule.note(SampleReason::Packet);
        assert_eq!(schedule.next_ns(), Some(27 * MS));
        schedule.looked(20 * MS, 100 * MS, &[]);
        schedule.note(SampleReason::Packet);
        assert_eq!(schedule.next_ns(), Some(120 * MS));
    }

    #[test]
    fn who_is_waited_for_pauses_only_as_long_as_a_look_takes() {
        let mut schedule = schedule();
        schedule.hurry(true);
        schedule.looked(256_000 * MS, 256_001 * MS, &[]);
        schedule.note(SampleReason::Packet);
        assert_eq!(schedule.next_ns(), Some(256_002 * MS));
        schedule.hurry(false);
        assert_eq!(schedule.next_ns(), Some(257_001 * MS + 3_906));
    }

    #[test]
    fn a_timer_is_looked_for_once_when_the_wheel_must_have_fired_it() {
        let mut schedule = schedule();
        // 60 s are 15,000 jiffies: steps of 512 jiffies, 2,048 ms.
        look(&mut schedule, 0, &[(1, TimerKind::TimeWait, 60_000)]);
        assert_eq!(schedule.next_ns(), Some(62_052 * MS));
        // Another look meanwhile changes nothing, be it told a jiffy more or less.
        look(&mut schedule, 10_001, &[(1, TimerKind::TimeWait, 50_000)]);
        assert_eq!(schedule.next_ns(), Some(62_052 * MS));
        assert_eq!(schedule.reason(62_052 * MS), Some(SampleReason::Due));
        // Late even so: it is not waited for again.
        look(&mut schedule, 62_052, &[(1, TimerKind::TimeWait, 0)]);
        assert_eq!(schedule.next_ns(), None);
    }

    #[test]
    fn a_timer_that_is_set_anew_is_looked_for_anew() {
        let mut schedule = schedule();
        look(&mut schedule, 0, &[(1, TimerKind::On, 1_000)]);
        look(&mut schedule, 1_024, &[(1, TimerKind::On, 4_000)]);
        assert_eq!(schedule.next_ns(), Some((1_024 + 4_000 + 256 + 4) * MS));
        look(&mut schedule, 1_100, &[(1, TimerKind::Keepalive, 40)]);
        assert_eq!(schedule.next_ns(), Some((1_100 + 40 + 4 + 4) * MS));
        look(&mut schedule, 1_200, &[]);
        assert_eq!(schedule.next_ns(), None);
    }

    #[test]
    fn a_deadline_in_the_pause_waits_for_its_end() {
        let mut schedule = schedule();
        look(&mut schedule, 256_000, &[(1, TimerKind::On, 40)]);
        assert_eq!(schedule.next_ns(), Some(257_000 * MS));
    }
}
