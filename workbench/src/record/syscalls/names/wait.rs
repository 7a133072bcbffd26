//! Names for waiting: poll and epoll events, clocks, timers, futexes, and the descriptor flags beside them.

use super::{Names, names};

/// `poll`'s events.
pub const POLL_EVENTS: Names = &[
    ("POLLIN", libc::POLLIN as u32),
    ("POLLPRI", libc::POLLPRI as u32),
    ("POLLOUT", libc::POLLOUT as u32),
    ("POLLERR", libc::POLLERR as u32),
    ("POLLHUP", libc::POLLHUP as u32),
    ("POLLNVAL", libc::POLLNVAL as u32),
    ("POLLRDNORM", libc::POLLRDNORM as u32),
    ("POLLRDBAND", libc::POLLRDBAND as u32),
    ("POLLWRNORM", libc::POLLWRNORM as u32),
    ("POLLWRBAND", libc::POLLWRBAND as u32),
    ("POLLMSG", 0x400),
    ("POLLREMOVE", 0x1000),
    ("POLLRDHUP", libc::POLLRDHUP as u32),
];
/// `epoll`'s events.
pub const EPOLL_EVENTS: Names = names![
    EPOLLIN,
    EPOLLPRI,
    EPOLLOUT,
    EPOLLERR,
    EPOLLHUP,
    EPOLLRDNORM,
    EPOLLRDBAND,
    EPOLLWRNORM,
    EPOLLWRBAND,
    EPOLLMSG,
    EPOLLRDHUP,
    EPOLLEXCLUSIVE,
    EPOLLWAKEUP,
    EPOLLONESHOT,
    EPOLLET,
];
/// `epoll_ctl`'s operations.
pub const EPOLL_OPERATIONS: Names = names![EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD];
/// `epoll_create1`'s flags.
pub const EPOLL_FLAGS: Names = names![EPOLL_CLOEXEC];
/// Clocks.
pub const CLOCKS: Names = names![
    CLOCK_REALTIME,
    CLOCK_MONOTONIC,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_THREAD_CPUTIME_ID,
    CLOCK_MONOTONIC_RAW,
    CLOCK_REALTIME_COARSE,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_TAI,
];
/// Flags of `clock_nanosleep` and `timer_settime`.
pub const CLOCK_FLAGS: Names = names![TIMER_ABSTIME];
/// Flags of `timerfd_settime`.
pub const TIMERFD_SET_FLAGS: Names = names![TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET];
/// Flags of `timerfd_create`.
pub const TIMERFD_FLAGS: Names = names![TFD_CLOEXEC, TFD_NONBLOCK];
/// Interval timers.
pub const INTERVAL_TIMERS: Names = names![ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF];
/// How a `timer_create`d timer tells.
pub const SIGEV_KINDS: Names = names![SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID];
/// Futex operations that wait, without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME.
pub const FUTEX_WAITS: Names =
    names![FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2];
/// `fcntl` commands that the filter stops at.
pub const FCNTL_COMMANDS: Names = names![F_DUPFD, F_SETFL, F_DUPFD_CLOEXEC];
/// Status flags that `fcntl(F_SETFL)` can set, after the access mode.
pub const STATUS_FLAGS: Names = names![O_CREAT, O_APPEND, O_NONBLOCK, O_DSYNC, O_ASYNC, O_DIRECT, O_NOATIME];
/// Flags of `dup3`.
pub const DUP3_FLAGS: Names = names![O_CLOEXEC];
/// Flags of `close_range`.
pub const CLOSE_RANGE_FLAGS: Names = &[("CLOSE_RANGE_UNSHARE", 1 << 1), ("CLOSE_RANGE_CLOEXEC", 1 << 2)];
/// Flags of `splice`.
pub const SPLICE_FLAGS: Names = names![SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT];
/// Flags of `execveat`.
pub const EXECVEAT_FLAGS: Names = names![AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH];
