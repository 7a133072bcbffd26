//! The heartbeat of a host run: how late this machine itself was. In virtual time there is none.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::clock::monotonic_ns;
use crate::evidence::Lateness;

/// Often enough to notice a stall that matters for a gap of a second, rarely enough to cost nothing.
const BEAT_NS: i64 = 25_000_000;

/// A timer that beats, and how late it was heard.
pub struct Heartbeat {
    timer: TimerFd,
    next_ns: i64,
    lateness: Lateness,
}

impl Heartbeat {
    /// Starts beating.
    ///
    /// # Errors
    ///
    /// `timerfd_create`'s or `timerfd_settime`'s errno.
    pub fn start() -> nix::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let next_ns = monotonic_ns() + BEAT_NS;
        let heartbeat = Self { timer, next_ns, lateness: Lateness::default() };
        heartbeat.arm()?;
        Ok(heartbeat)
    }

    fn arm(&self) -> nix::Result<()> {
        let at = TimeSpec::from_duration(Duration::from_nanos(self.next_ns as u64));
        self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
    }

    /// To poll for reading.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Takes a beat that is due, as late as it is heard now, and waits for the next.
    ///
    /// # Errors
    ///
    /// The timer's errno.
    pub fn hear(&mut self) -> nix::Result<()> {
        match self.timer.wait() {
            Ok(()) => {}
            Err(nix::Error::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        let now = monotonic_ns();
        let late = u64::try_from(now - self.next_ns).unwrap_or(0);
        self.lateness = Lateness { beats: self.lateness.beats + 1, max_ns: self.lateness.max_ns.max(late) };
        self.next_ns = now + BEAT_NS;
        self.arm()
    }

    /// What was heard.
    pub fn lateness(&self) -> Lateness {
        self.lateness
    }
}
