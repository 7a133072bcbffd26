//! What made processes go on: waits that ran out or were answered, signals, children that ended. In order.

use std::collections::BTreeSet;

use super::timers::{Timers, fired_after};
use crate::evidence::{Arg, Call, Evidence, Signal};
use crate::timeline::objects::{Completed, Fired, Kind, Name, ObjectId, Objects};
use crate::verdict::Mechanism;

/// Something that let a process go on.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When.
    pub t_ns: i64,
    /// Since when the thread had waited for it.
    pub since_ns: i64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Index of the call that returned, if one did.
    pub call: Option<usize>,
    /// What.
    pub what: What,
}

/// The ways to go on.
#[derive(Debug, Clone)]
pub enum What {
    /// A timer of the program, or one that it set on a socket, ran out.
    RanOut(RanOut),
    /// Descriptors were ready, or a blocking call on one came back.
    Ready(Vec<ObjectId>),
    /// Another thread woke this one.
    Woken,
    /// A call was refused at once.
    Refused(String),
    /// A child ended.
    Child(u32),
    /// A signal was delivered: index into the evidence, and the timer that sent it, if one did.
    Signal(usize, Option<RanOut>),
}

/// A timer that ran out.
#[derive(Debug, Clone)]
pub struct RanOut {
    /// Which.
    pub mechanism: Mechanism,
    /// When it was armed.
    pub armed_at_ns: i64,
    /// For how long.
    pub armed_for_ns: u64,
    /// Index of the call that armed it.
    pub armed_by: usize,
    /// What was waited for at the same time.
    pub waited_for: Vec<ObjectId>,
}

/// Signals that stop a process for a while (signal(7)): they end no wait of ours.
const STOPS: [&str; 4] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];

/// What the walk looks things up in.
struct Seen<'a> {
    evidence: &'a Evidence,
    objects: &'a Objects,
    timers: Timers,
}

/// Everything that happened to the command's processes, in order.
pub fn happenings(evidence: &Evidence, objects: &Objects) -> Vec<Happening> {
    let seen = &Seen { evidence, objects, timers: Timers::new(evidence) };
    let calls = evidence.calls.iter().enumerate().filter_map(|(index, call)| of_call(seen, index, call));
    let signals = evidence.signals.iter().enumerate().filter_map(|(index, signal)| of_signal(seen, index, signal));
    let processes = evidence.processes.iter().filter(|process| !evidence.is_commands(process));
    let companions: BTreeSet<u32> = processes.map(|process| process.pid).collect();
    let mut all: Vec<Happening> = calls.chain(signals).filter(|h| !companions.contains(&h.pid)).collect();
    all.sort_by_key(|h| (h.t_ns, h.call));
    all
}

fn of_call(seen: &Seen<'_>, index: usize, call: &Call) -> Option<Happening> {
    let t_ns = call.exit_ns?;
    let what = what(seen, index, call, t_ns)?;
    let since_ns = match (&what, call.name.as_str()) {
        (What::RanOut(RanOut { mechanism: Mechanism::Wait(_), armed_at_ns, .. }), _) => *armed_at_ns,
        _ => call.entry_ns,
    };
    Some(Happening { t_ns, since_ns, pid: call.pid, tid: call.tid, call: Some(index), what })
}

fn what(seen: &Seen<'_>, index: usize, call: &Call, t_ns: i64) -> Option<What> {
    let Seen { evidence, objects, .. } = seen;
    if call.is_interrupted() {
        return None;
    }
    if let Some(fired) = timerfd(evidence, objects, index) {
        return Some(What::RanOut(fired));
    }
    match call.name.as_str() {
        "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => {
            looked(evidence, objects, index, call)
        }
        "nanosleep" | "clock_nanosleep" => call.value().and(ran_out(evidence, objects, index, call)),
        "futex" | "futex_wait" | "futex_waitv" | "mq_timedreceive" | "mq_timedsend" | "semtimedop" => {
            match call.error() {
                Some("ETIMEDOUT") => ran_out(evidence, objects, index, call),
                Some("EAGAIN") if call.name == "semtimedop" => ran_out(evidence, objects, index, call),
                Some(_) => None,
                None => Some(What::Woken),
            }
        }
        "io_uring_enter" => ring(evidence, objects, index, call),
        "recvmmsg" if is_over(call, t_ns) => ran_out(evidence, objects, index, call),
        "rt_sigtimedwait" => match call.error() {
            Some("EAGAIN") => ran_out(evidence, objects, index, call),
            Some(_) => None,
            None => taken(seen, call),
        },
        "restart_syscall" => resumed(evidence, objects, index, call),
        "wait4" | "waitid" => child(call),
        "read" | "readv" | "recvfrom" | "recvmsg" | "recvmmsg" | "accept" | "accept4" | "connect" | "sendto"
        | "sendmsg" | "sendmmsg" | "write" | "writev" | "sendfile" | "splice" => {
            on_descriptor(objects, index, call, t_ns)
        }
        "bind" | "listen" | "socket" | "execve" | "execveat" => {
            call.error().map(|errno| What::Refused(errno.to_owned()))
        }
        _ => None,
    }
}

/// A look at descriptors. One that found nothing at once was no wait.
fn looked(evidence: &Evidence, objects: &Objects, index: usize, call: &Call) -> Option<What> {
    match call.value()? {
        0 if call.timeout_ns() == Some(Some(0)) => None,
        0 => ran_out(evidence, objects, index, call),
        _ => Some(What::Ready(objects.ready(index).iter().map(|ready| ready.object).collect())),
    }
}

/// What an io_uring had done: a timeout that ran out, or operations on descriptors.
fn ring(evidence: &Evidence, objects: &Objects, index: usize, call: &Call) -> Option<What> {
    if call.error() == Some("ETIME") {
        return ran_out(evidence, objects, index, call);
    }
    let completed = objects.completed(index);
    let ready: Vec<ObjectId> = completed.iter().filter_map(|completed| completed.op.object).collect();
    timed_out(completed).map(What::RanOut).or_else(|| (!ready.is_empty()).then_some(What::Ready(ready)))
}

/// The timeout among what a call found completed, if one ran out.
fn timed_out(completed: &[Completed]) -> Option<RanOut> {
    let timeout = completed.iter().find(|c| c.error.as_deref() == Some("ETIME") && c.op.timeout_ns.is_some())?;
    let (armed_by, armed_at_ns) = timeout.op.submitted;
    Some(RanOut {
        mechanism: Mechanism::Wait("io_uring".into()),
        armed_at_ns,
        armed_for_ns: timeout.op.timeout_ns?,
        armed_by,
        waited_for: timeout.op.object.into_iter().collect(),
    })
}

/// `recvmmsg` looks at its timeout when a datagram has come, and returns what there is (recvmmsg(2), BUGS).
fn is_over(call: &Call, t_ns: i64) -> bool {
    let is_after = |ns: u64| t_ns - call.entry_ns >= i64::try_from(ns).unwrap_or(i64::MAX);
    call.timeout_ns().flatten().is_some_and(is_after) && call.value().is_some()
}

/// What a reader knows a wait by: the call's name, and for what goes through a ring the ring's.
pub fn waited_in(call: &Call) -> &str {
    if call.name == "io_uring_enter" { "io_uring" } else { &call.name }
}

/// A call's own timeout ran out.
fn ran_out(evidence: &Evidence, objects: &Objects, index: usize, call: &Call) -> Option<What> {
    let armed_for_ns = call.timeout_ns()??;
    let (armed_by, begun_ns) = begun(evidence, index, call);
    let armed_for_ns = armed_for_ns.saturating_add(call.entry_ns.abs_diff(begun_ns));
    Some(What::RanOut(RanOut {
        mechanism: Mechanism::Wait(waited_in(call).to_owned()),
        armed_at_ns: begun_ns,
        armed_for_ns,
        armed_by,
        waited_for: objects.waited_for(index),
    }))
}

/// The call that began a wait until an instant: a signal may have ended it, and the kernel made the same call again.
fn begun(evidence: &Evidence, index: usize, call: &Call) -> (usize, i64) {
    let instant = |call: &Call| {
        call.args.iter().find_map(|arg| match arg {
            Arg::Timeout { at_ns, .. } => *at_ns,
            _ => None,
        })
    };
    let Some(at_ns) = instant(call) else { return (index, call.entry_ns) };
    let of_thread = evidence.calls[..index].iter().enumerate().rev().filter(|(_, earlier)| earlier.tid == call.tid);
    let same = of_thread.take_while(|(_, earlier)| earlier.is_interrupted() && instant(earlier) == Some(at_ns));
    same.last().map_or((index, call.entry_ns), |(index, earlier)| (index, earlier.entry_ns))
}

/// A timerfd was among what was ready, or was read.
fn timerfd(evidence: &Evidence, objects: &Objects, index: usize) -> Option<RanOut> {
    let Fired { timer, armed_by, armed_for_ns } = objects.fired(index)?;
    let setting = &evidence.calls[armed_by];
    let armed_at_ns = setting.entry_ns;
    let gone_ns = evidence.calls[index].exit_ns? - armed_at_ns;
    let interval_ns = setting.timer_setting().map_or(0, |(_, interval_ns)| interval_ns);
    let armed_for_ns = fired_after(armed_for_ns, interval_ns, gone_ns)?;
    let waited_for = objects.waited_for(index).into_iter().filter(|id| *id != timer).collect();
    Some(RanOut { mechanism: Mechanism::Timer("timerfd".into()), armed_at_ns, armed_for_ns, armed_by, waited_for })
}

/// `wait4` and `waitid`: which child.
fn child(call: &Call) -> Option<What> {
    let pid = match call.name.as_str() {
        "wait4" => call.value().filter(|pid| *pid > 0)?,
        _ => call.args.iter().find_map(|arg| match arg {
            Arg::Struct(members) => members.iter().find_map(|(name, value)| match value {
                Arg::Int(pid) if name == "si_pid" => Some(*pid),
                _ => None,
            }),
            _ => None,
        })?,
    };
    u32::try_from(pid).ok().map(What::Child)
}

/// A signal that was waited for instead of being delivered.
fn taken(seen: &Seen<'_>, call: &Call) -> Option<What> {
    let code = call.args.iter().find_map(|arg| match arg {
        Arg::Struct(members) => members.iter().find_map(|(name, value)| match value {
            Arg::Symbol(code) if name == "si_code" => Some(code.as_str()),
            _ => None,
        }),
        _ => None,
    });
    let is_timer = code == Some("SI_TIMER");
    // Without `siginfo_t` there is only the signal's number.
    let is_kernel_s = code.is_none_or(|code| code == "SI_KERNEL");
    let is_alarm = call.value() == Some(i64::from(libc::SIGALRM)) && is_kernel_s;
    let is_any = is_timer || is_alarm;
    let timer = is_any.then(|| seen.timers.taken(seen.evidence, call.pid, call.exit_ns?, is_timer)).flatten();
    Some(timer.map_or(What::Woken, What::RanOut))
}

/// Calls of a thread between an interrupted one and its resumption: those of a signal's handler, and resumptions.
const RESTARTS: usize = 1_000;

/// A wait that was stopped and taken up again: what is left of it counts with its beginning.
fn resumed(evidence: &Evidence, objects: &Objects, index: usize, call: &Call) -> Option<What> {
    let of_thread = (0..index).rev().filter(|earlier| evidence.calls[*earlier].tid == call.tid);
    let earlier = of_thread.map(|earlier| (earlier, &evidence.calls[earlier]));
    // It may have been stopped more than once.
    let (earlier, _) = earlier.take(RESTARTS).find(|(_, c)| c.name != "restart_syscall" && c.is_interrupted())?;
    let first = &evidence.calls[earlier];
    match call.value() {
        Some(0) => ran_out(evidence, objects, earlier, first),
        Some(_) => Some(What::Ready(objects.waited_for(earlier))),
        None => (call.error() == Some("ETIMEDOUT")).then(|| ran_out(evidence, objects, earlier, first)).flatten(),
    }
}

/// Calls that SO_SNDTIMEO bounds (socket(7)).
const SENDING: [&str; 7] = ["connect", "sendto", "sendmsg", "sendmmsg", "write", "writev", "sendfile"];

/// A call on one descriptor that may have blocked.
fn on_descriptor(objects: &Objects, index: usize, call: &Call, t_ns: i64) -> Option<What> {
    let id = objects.first_of(index)?;
    let object = objects.get(id);
    let took_ns = t_ns - call.entry_ns;
    let is_sending = SENDING.contains(&call.name.as_str());
    let (name, mechanism) = match is_sending {
        true => (Name::SendTimeout, Mechanism::SendTimeout),
        false => (Name::ReceiveTimeout, Mechanism::ReceiveTimeout),
    };
    // Never early by more than a jiffy, which is 10 ms at most; what found nothing at once did not wait.
    let is_over = |ns: u64| took_ns >= i64::try_from(ns.saturating_sub(10_000_000).max(ns / 2)).unwrap_or(i64::MAX);
    let set = object.options.at(name, index).filter(|(ns, _)| is_over(*ns));
    let found_nothing = matches!(call.error(), Some("EAGAIN" | "EINPROGRESS" | "EALREADY"));
    match (set, found_nothing) {
        (Some((armed_for_ns, _)), true) => {
            let waited_for = vec![id];
            let armed_at_ns = call.entry_ns;
            return Some(What::RanOut(RanOut { mechanism, armed_at_ns, armed_for_ns, armed_by: index, waited_for }));
        }
        (_, true) => return None,
        _ => {}
    }
    match (object.kind, call.name.as_str()) {
        (Kind::Unknown, _) => None,
        // Sends nothing and waits for nothing (udp(7)).
        (Kind::Udp, "connect") if call.error().is_none() => None,
        // Sending comes back at once, as a rule, and says nothing.
        (_, "sendto" | "sendmsg" | "sendmmsg" | "write" | "writev" | "sendfile" | "splice")
            if call.error().is_none() =>
        {
            None
        }
        _ => Some(What::Ready(vec![id])),
    }
}

fn of_signal(seen: &Seen<'_>, index: usize, signal: &Signal) -> Option<Happening> {
    if signal.is_housekeeping() || STOPS.contains(&signal.name.as_str()) {
        return None;
    }
    let timer = seen.timers.behind(seen.evidence, signal);
    let (t_ns, pid, tid) = (signal.t_ns, signal.pid, signal.tid);
    Some(Happening { t_ns, since_ns: t_ns, pid, tid, call: None, what: What::Signal(index, timer) })
}
