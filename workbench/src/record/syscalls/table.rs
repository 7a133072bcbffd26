//! The calls that are recorded: when the filter stops at them, what decides whether they matter, how they are decoded.

use super::decode::{
    CallStop, Outcome, descriptor, message, option, process, ring, signal, socket, time, transfer, wait,
};
use crate::evidence::Arg;

/// When the filter stops at a call. It sees numbers only, never what they point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Each time.
    Always,
    /// When this argument is above 2: the standard descriptors carry a command's bulk data and are no sockets here.
    Above2(usize),
    /// When this argument is one of these.
    OneOf(usize, &'static [u32]),
    /// When a futex is waited for with a timeout.
    TimedFutex,
}

/// Descriptors that a call makes free, after which another file may have their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frees {
    /// None.
    Nothing,
    /// The one in this argument.
    Argument(usize),
    /// All from argument 0 to argument 1.
    Range,
}

/// A call that is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Traced {
    /// The kernel's name.
    pub name: &'static str,
    /// The kernel's number on this architecture.
    pub number: i64,
    /// When the filter stops at it.
    pub condition: Condition,
    /// Arguments that are descriptors, one of which must be worth recording; empty: recorded whatever they are.
    pub descriptors: &'static [usize],
    /// What it makes free.
    pub frees: Frees,
    /// Its arguments at the entry.
    pub enter: fn(&CallStop) -> Vec<Arg>,
    /// What the kernel wrote into them, at the return.
    pub leave: fn(&CallStop, Outcome, &mut [Arg]),
}

impl Traced {
    const fn new(name: &'static str, number: i64, enter: fn(&CallStop) -> Vec<Arg>) -> Self {
        Self {
            name,
            number,
            condition: Condition::Always,
            descriptors: &[],
            frees: Frees::Nothing,
            enter,
            leave: descriptor::nothing,
        }
    }

    const fn returning(self, leave: fn(&CallStop, Outcome, &mut [Arg])) -> Self {
        Self { leave, ..self }
    }

    const fn when(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    const fn on(self, descriptors: &'static [usize]) -> Self {
        Self { descriptors, ..self }
    }

    const fn frees(self, frees: Frees) -> Self {
        Self { frees, ..self }
    }
}

use Condition::{Above2, OneOf, TimedFutex};

/// The call with this number, if it is recorded.
pub fn traced(number: u64) -> Option<&'static Traced> {
    all().find(|traced| u64::try_from(traced.number) == Ok(number))
}

/// All recorded calls.
pub fn all() -> impl Iterator<Item = &'static Traced> {
    TABLES.iter().copied().flatten()
}

/// The names of all recorded calls.
pub fn traced_names() -> impl Iterator<Item = &'static str> {
    all().map(|traced| traced.name)
}

const TABLES: &[&[Traced]] = &[DATA, SOCKETS, WAITS, TIMERS, DESCRIPTORS, PROCESSES, OLD];

/// Moving data. `read` and `write` stand first: they are by far the most frequent to be looked up.
const DATA: &[Traced] = &[
    Traced::new("read", libc::SYS_read, transfer::read).returning(transfer::read_return).when(Above2(0)).on(&[0]),
    Traced::new("write", libc::SYS_write, transfer::write).when(Above2(0)).on(&[0]),
    Traced::new("readv", libc::SYS_readv, transfer::readv).returning(transfer::readv_return).when(Above2(0)).on(&[0]),
    Traced::new("writev", libc::SYS_writev, transfer::writev).when(Above2(0)).on(&[0]),
    Traced::new("sendto", libc::SYS_sendto, transfer::sendto),
    Traced::new("recvfrom", libc::SYS_recvfrom, transfer::recvfrom).returning(transfer::recvfrom_return),
    Traced::new("sendmsg", libc::SYS_sendmsg, message::sendmsg),
    Traced::new("recvmsg", libc::SYS_recvmsg, message::recvmsg).returning(message::recvmsg_return),
    Traced::new("sendmmsg", libc::SYS_sendmmsg, message::sendmmsg).returning(message::sendmmsg_return),
    Traced::new("recvmmsg", libc::SYS_recvmmsg, message::recvmmsg).returning(message::recvmmsg_return),
    Traced::new("sendfile", libc::SYS_sendfile, transfer::sendfile).returning(transfer::sendfile_return).on(&[0, 1]),
    Traced::new("splice", libc::SYS_splice, transfer::splice).on(&[0, 2]),
];

const SOCKETS: &[Traced] = &[
    Traced::new("socket", libc::SYS_socket, socket::socket),
    Traced::new("socketpair", libc::SYS_socketpair, socket::socketpair).returning(socket::socketpair_return),
    Traced::new("bind", libc::SYS_bind, socket::bind),
    Traced::new("listen", libc::SYS_listen, socket::listen),
    Traced::new("accept", libc::SYS_accept, socket::name).returning(socket::name_return),
    Traced::new("accept4", libc::SYS_accept4, socket::accept4).returning(socket::name_return),
    Traced::new("connect", libc::SYS_connect, socket::bind),
    Traced::new("getsockname", libc::SYS_getsockname, socket::name).returning(socket::name_return),
    Traced::new("getpeername", libc::SYS_getpeername, socket::name).returning(socket::name_return),
    Traced::new("getsockopt", libc::SYS_getsockopt, option::getsockopt).returning(option::getsockopt_return),
    Traced::new("setsockopt", libc::SYS_setsockopt, option::setsockopt),
    Traced::new("shutdown", libc::SYS_shutdown, socket::shutdown),
];

const WAITS: &[Traced] = &[
    Traced::new("ppoll", libc::SYS_ppoll, wait::ppoll).returning(wait::ppoll_return),
    Traced::new("pselect6", libc::SYS_pselect6, wait::pselect6).returning(wait::select_return),
    Traced::new("epoll_create1", libc::SYS_epoll_create1, wait::epoll_create1),
    Traced::new("epoll_ctl", libc::SYS_epoll_ctl, wait::epoll_ctl),
    Traced::new("epoll_pwait", libc::SYS_epoll_pwait, wait::epoll_pwait).returning(wait::epoll_wait_return),
    Traced::new("epoll_pwait2", libc::SYS_epoll_pwait2, wait::epoll_pwait2).returning(wait::epoll_wait_return),
    Traced::new("io_uring_setup", libc::SYS_io_uring_setup, ring::setup).returning(ring::setup_return),
    Traced::new("io_uring_enter", libc::SYS_io_uring_enter, ring::enter),
    Traced::new("futex", libc::SYS_futex, time::futex).when(TimedFutex),
    Traced::new("restart_syscall", libc::SYS_restart_syscall, process::restart_syscall),
];

const TIMERS: &[Traced] = &[
    Traced::new("setitimer", libc::SYS_setitimer, time::setitimer).returning(time::setitimer_return),
    Traced::new("timer_create", libc::SYS_timer_create, time::timer_create).returning(time::timer_create_return),
    Traced::new("timer_settime", libc::SYS_timer_settime, time::timer_settime).returning(time::settime_return),
    Traced::new("timer_delete", libc::SYS_timer_delete, time::timer_delete),
    Traced::new("timerfd_create", libc::SYS_timerfd_create, time::timerfd_create),
    Traced::new("timerfd_settime", libc::SYS_timerfd_settime, time::timerfd_settime).returning(time::settime_return),
    Traced::new("nanosleep", libc::SYS_nanosleep, time::nanosleep).returning(time::nanosleep_return),
    Traced::new("clock_nanosleep", libc::SYS_clock_nanosleep, time::clock_nanosleep)
        .returning(time::clock_nanosleep_return),
];

const DESCRIPTORS: &[Traced] = &[
    Traced::new("close", libc::SYS_close, descriptor::close).when(Above2(0)).on(&[0]).frees(Frees::Argument(0)),
    Traced::new("close_range", libc::SYS_close_range, descriptor::close_range).when(Above2(1)).frees(Frees::Range),
    Traced::new("dup", libc::SYS_dup, descriptor::close).on(&[0]),
    Traced::new("dup3", libc::SYS_dup3, descriptor::dup3).on(&[0, 1]).frees(Frees::Argument(1)),
    Traced::new("fcntl", libc::SYS_fcntl, descriptor::fcntl)
        .when(OneOf(1, &[libc::F_DUPFD as u32, libc::F_DUPFD_CLOEXEC as u32, libc::F_SETFL as u32]))
        .on(&[0]),
    Traced::new("ioctl", libc::SYS_ioctl, descriptor::ioctl).when(OneOf(1, &[libc::FIONBIO as u32])).on(&[0]),
];

const PROCESSES: &[Traced] = &[
    Traced::new("execve", libc::SYS_execve, process::execve),
    Traced::new("execveat", libc::SYS_execveat, process::execveat),
    Traced::new("exit_group", libc::SYS_exit_group, process::exit_group),
    Traced::new("kill", libc::SYS_kill, signal::kill),
    Traced::new("tkill", libc::SYS_tkill, signal::kill),
    Traced::new("tgkill", libc::SYS_tgkill, signal::tgkill),
    Traced::new("rt_sigsuspend", libc::SYS_rt_sigsuspend, signal::rt_sigsuspend),
    Traced::new("rt_sigtimedwait", libc::SYS_rt_sigtimedwait, signal::rt_sigtimedwait)
        .returning(signal::rt_sigtimedwait_return),
];

/// Calls that newer architectures leave out, because others do the same.
#[cfg(target_arch = "x86_64")]
const OLD: &[Traced] = &[
    Traced::new("poll", libc::SYS_poll, wait::poll).returning(wait::poll_return),
    Traced::new("select", libc::SYS_select, wait::select).returning(wait::select_return),
    Traced::new("epoll_create", libc::SYS_epoll_create, wait::epoll_create),
    Traced::new("epoll_wait", libc::SYS_epoll_wait, wait::epoll_wait).returning(wait::epoll_wait_return),
    Traced::new("alarm", libc::SYS_alarm, time::alarm),
    Traced::new("pause", libc::SYS_pause, signal::pause),
    Traced::new("dup2", libc::SYS_dup2, descriptor::dup2).on(&[0, 1]).frees(Frees::Argument(1)),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Traced] = &[];
