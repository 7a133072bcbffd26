//! The catalogue's timers of the program's own: waits with a timeout, deadlines of many waits, timers, socket options.
//! The kernel's timers stand in `timers.rs`.

use super::entry::{Armed, Entry, Proof};
use super::networks::{ALONE, DROPPED};

/// What the programs wait for, seconds.
const WAIT: Armed = Armed::For(1.5);

/// A wait of [`WAIT`], with a call that returns this.
const fn wait(name: &'static str, command: &'static str, proof: &'static [Proof]) -> Entry {
    Entry::new(name, DROPPED, command).ends(1.499, 1.7).seen(proof).armed(WAIT).who("mechanisms")
}

/// The same with a peer on the loopback.
const fn alone(name: &'static str, command: &'static str, proof: &'static [Proof]) -> Entry {
    Entry { network: ALONE, ..wait(name, command, proof) }
}

pub const WAITS: &[Entry] = &[
    wait("poll", "mechanisms poll", &[Proof::Call("poll", "= 0")]),
    wait("ppoll", "mechanisms ppoll", &[Proof::Call("ppoll", "= 0")]),
    wait("select", "mechanisms select", &[Proof::Call("select", "= 0")]),
    wait("pselect6", "mechanisms pselect6", &[Proof::Call("pselect6", "= 0")]),
    wait("epoll_wait", "mechanisms epoll_wait", &[Proof::Call("epoll_wait", "= 0")]),
    wait("epoll_pwait", "mechanisms epoll_pwait", &[Proof::Call("epoll_pwait", "= 0")]),
    wait("epoll_pwait2", "mechanisms epoll_pwait2", &[Proof::Call("epoll_pwait2", "= 0")]),
    wait("nanosleep", "mechanisms nanosleep", &[Proof::Call("nanosleep", "= 0")]),
    wait("clock_nanosleep", "mechanisms clock_nanosleep", &[Proof::Call("clock_nanosleep", "= 0")]),
    // Until a moment that the program has read from the clock before.
    wait("clock_nanosleep_until", "mechanisms clock_nanosleep_abs", &[Proof::Call("clock_nanosleep", "TIMER_ABSTIME")])
        .ends(1.999, 2.2)
        .by("tool", "clock_nanosleep")
        .armed(Armed::About(2.0)),
    wait("futex", "mechanisms futex", &[Proof::Call("futex", "ETIMEDOUT")]),
    wait("futex_of_pthread_cond_timedwait", "mechanisms cond", &[Proof::Call("futex", "ETIMEDOUT")])
        .by("tool", "futex")
        .armed(Armed::About(1.5)),
    wait("futex_of_sem_timedwait", "mechanisms sem", &[Proof::Call("futex", "ETIMEDOUT")])
        .by("tool", "futex")
        .armed(Armed::About(1.5)),
    wait("rt_sigtimedwait", "mechanisms rt_sigtimedwait", &[Proof::Call("rt_sigtimedwait", "EAGAIN")]),
    alone("recvmmsg", "mechanisms recvmmsg", &[Proof::Call("recvmmsg", "= 4")]).ends(1.599, 1.8),
    wait("io_uring_timeout", "mechanisms uring timeout", &[Proof::Output("Timer expired")]).by("tool", "io_uring"),
    wait("io_uring_link_timeout", "mechanisms uring link-timeout", &[Proof::Output("given up")]).by("tool", "io_uring"),
    wait("io_uring_ext_arg", "mechanisms uring ext-arg", &[Proof::Call("io_uring_enter", "ETIME")])
        .by("tool", "io_uring"),
    kept("many_polls", "mechanisms many-polls", &[Proof::Call("poll", "200")]),
    // Whole sleeps of 100 ms: the last may begin just before the deadline.
    kept("many_sleeps", "mechanisms many-sleeps", &[Proof::Call("clock_nanosleep", "= 0")])
        .armed(Armed::Within(1.99, 2.11)),
    Entry {
        network: ALONE,
        ..kept(
            "many_polls_while_data_drips",
            "mechanisms many-polls-data",
            &[Proof::Call("poll", "= 0"), Proof::Call("recvfrom", "= 1")],
        )
    },
];

/// A deadline of 2 s, kept by many short waits.
const fn kept(name: &'static str, command: &'static str, proof: &'static [Proof]) -> Entry {
    let entry = wait(name, command, proof).ends(1.99, 2.2).armed(Armed::About(2.0));
    entry.by("tool", "deadline kept by many waits")
}

pub const TIMERS: &[Entry] = &[
    wait("alarm", "mechanisms alarm", SIGALRM).ends(1.99, 2.2).armed(Armed::For(2.0)),
    wait("alarm_that_kills", "mechanisms alarm kill", &[Proof::Call("alarm", "2"), Proof::Signal("SIGALRM")])
        .ends(1.99, 2.2)
        .by("tool", "alarm")
        .armed(Armed::For(2.0)),
    wait("setitimer", "mechanisms setitimer", SIGALRM),
    wait("setitimer_that_kills", "mechanisms setitimer kill", &[Proof::Signal("SIGALRM")]).by("tool", "setitimer"),
    wait("timer_create", "mechanisms timer_create", SIGALRM),
    wait("timer_create_with_a_thread", "mechanisms timer_create-thread", &[Proof::Call("timer_settime", "= 0")])
        .by("tool", "timer_create"),
    wait("timerfd", "mechanisms timerfd-read", &[Proof::Call("read", "= 8")]),
    wait("timerfd_in_poll", "mechanisms timerfd-poll", &[Proof::Call("poll", "= 1")]).by("tool", "timerfd"),
    wait("timerfd_in_epoll", "mechanisms timerfd-epoll", &[Proof::Call("epoll_wait", "= 1")]).by("tool", "timerfd"),
];

const SIGALRM: &[Proof] = &[Proof::Signal("SIGALRM"), Proof::Output("Interrupted system call")];

pub const OPTIONS: &[Entry] = &[
    alone("so_rcvtimeo", "mechanisms rcvtimeo recv", &[Proof::Call("recvfrom", "EAGAIN")]).by("tool", "SO_RCVTIMEO"),
    alone("so_rcvtimeo_of_read", "mechanisms rcvtimeo read", &[Proof::Call("read", "EAGAIN")])
        .by("tool", "SO_RCVTIMEO"),
    alone("so_rcvtimeo_of_accept", "mechanisms rcvtimeo accept", &[Proof::Call("accept", "EAGAIN")])
        .by("tool", "SO_RCVTIMEO"),
    wait("so_rcvtimeo_of_a_datagram", "mechanisms rcvtimeo udp", &[Proof::Call("recvfrom", "EAGAIN")])
        .by("tool", "SO_RCVTIMEO"),
    alone("so_sndtimeo", "mechanisms sndtimeo send", &[Proof::Call("sendto", "EAGAIN")])
        .ends(1.79, 2.0)
        .by("tool", "SO_SNDTIMEO"),
    wait("so_sndtimeo_of_connect", "mechanisms sndtimeo connect", &[Proof::Call("connect", "EINPROGRESS")])
        .by("tool", "SO_SNDTIMEO"),
];
