//! Waiting until a moment of CLOCK_MONOTONIC, to the microsecond: tokio's own timers have milliseconds (and epoll_wait(2)
//! a slack of a thousandth), a timerfd has neither.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::sys::readiness;

/// CLOCK_MONOTONIC, in nanoseconds.
pub(super) fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Waits until a moment.
pub(super) async fn sleep_until(at_ns: u64) -> io::Result<()> {
    if at_ns <= now_ns() {
        return Ok(());
    }
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    let at = TimeSpec::new((at_ns / 1_000_000_000) as i64, (at_ns % 1_000_000_000) as i64);
    timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    readiness::readable(OwnedFd::from(timer))?.readable().await?.retain_ready();
    Ok(())
}

/// Waits for a while; not at all for 0.
pub(super) async fn sleep(ns: u64) -> io::Result<()> {
    if ns == 0 { Ok(()) } else { sleep_until(now_ns().saturating_add(ns)).await }
}
