//! Backwards from an end to its cause: the last thing that let the process go on, and what lies behind that.

use super::case::Case;
use super::happenings::{Happening, RanOut, What};
use super::kernel::orphaned;
use super::network::{came_back, plain};
use super::waits::{alarmed, gave_up};
use crate::evidence::{Arg, Call};
use crate::timeline::EvidenceRef;
use crate::timeline::objects::{Kind, ObjectId};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// A wait shorter than this that ran out is how a program is written (a runtime's scheduler, a spin with pauses), unless
/// there is nothing else.
const NOTABLE_NS: i64 = 20_000_000;

/// How long after one thread's news another thread may act on it.
const HANDED_ON_NS: i64 = 50_000_000;

/// Steps back at most: from a process to the one that ended it, from a thread to the one that woke it.
const DEPTH: usize = 16;

/// A signal's delivery, among what happened.
struct Delivered<'a> {
    happening: &'a Happening,
    /// Index into the evidence.
    index: usize,
    /// The timer that sent it, if one did.
    timer: Option<&'a RanOut>,
}

impl<'a> Delivered<'a> {
    fn of(happening: &'a Happening) -> Option<Self> {
        match &happening.what {
            What::Signal(index, timer) => Some(Self { happening, index: *index, timer: timer.as_ref() }),
            _ => None,
        }
    }
}

/// What ended process `pid` at `t_ns`.
pub fn end_of(case: &Case<'_>, pid: u32, t_ns: i64, depth: usize) -> Option<EndedBy> {
    let process = case.evidence.processes.iter().find(|p| p.tid == pid)?;
    if let Some(name) = &process.killed_by {
        let of_process = case.happenings.iter().rev().filter(|h| h.pid == pid && h.t_ns <= t_ns);
        let lethal = of_process.filter_map(Delivered::of).find(|d| case.evidence.signals[d.index].name == *name);
        return Some(match lethal {
            Some(delivered) => signalled(case, &delivered, depth),
            None => killed_unseen(case, pid, name, t_ns, depth),
        });
    }
    before(case, pid, t_ns, depth)
}

/// SIGKILL shows in no stop of its victim: who sent it shows in the sender's call. Nor do signals that a process sends to
/// itself count as such: SIGPIPE stands for the EPIPE that its write got (write(2)).
fn killed_unseen(case: &Case<'_>, pid: u32, name: &str, t_ns: i64, depth: usize) -> EndedBy {
    let sent = case.evidence.calls.iter().rev().find(|call| {
        call.pid != pid && call.entry_ns <= t_ns && t_ns - call.entry_ns <= HANDED_ON_NS && is_sent_to(call, pid, name)
    });
    let behind = match sent.filter(|_| depth < DEPTH) {
        Some(call) => before(case, call.pid, call.entry_ns, depth + 1),
        None if name == "SIGPIPE" => before(case, pid, t_ns, depth + 1),
        None => None,
    };
    behind.unwrap_or_else(|| {
        let who = case.process(pid);
        let words = format!("{who} was killed by {name}");
        plain(Party::Tool, Mechanism::Signal(name.to_owned()), who, t_ns, words)
    })
}

/// Whether a call sends this signal to a process, by itself or with its group (kill(2)).
fn is_sent_to(call: &Call, pid: u32, name: &str) -> bool {
    let is_kill = matches!(call.name.as_str(), "kill" | "tkill" | "tgkill");
    let target = call.args.iter().find_map(|arg| match arg {
        Arg::Int(target) => Some(*target),
        _ => None,
    });
    is_kill && call.has_symbol(name) && target.is_none_or(|target| target <= 0 || target == i64::from(pid))
}

/// What let process `pid` go on last before `t_ns`.
pub fn before(case: &Case<'_>, pid: u32, t_ns: i64, depth: usize) -> Option<EndedBy> {
    let mut weak: Option<&Happening> = None;
    for happening in case.happenings.iter().rev().filter(|h| h.pid == pid && h.t_ns <= t_ns) {
        if let What::RanOut(_) = happening.what
            && happening.t_ns - happening.since_ns < NOTABLE_NS
        {
            weak = weak.or(Some(happening));
            continue;
        }
        if let Some(found) = explain(case, beside(case, happening), t_ns, depth) {
            return Some(found);
        }
    }
    weak.and_then(|happening| explain(case, happening, t_ns, depth)).or_else(|| last_child(case, pid, t_ns, depth))
}

/// Runtimes let several threads wait until one moment, and one of them for the network: that one waited for what the
/// program wanted.
fn beside<'a>(case: &'a Case<'_>, happening: &'a Happening) -> &'a Happening {
    let is_network = |h: &Happening| match &h.what {
        What::RanOut(out) => {
            out.waited_for.iter().any(|id| matches!(case.objects.get(*id).kind, Kind::Tcp | Kind::Udp))
        }
        _ => false,
    };
    if is_network(happening) || !matches!(&happening.what, What::RanOut(out) if out.waited_for.is_empty()) {
        return happening;
    }
    let near = |h: &&Happening| h.pid == happening.pid && (0..NOTABLE_NS).contains(&(happening.t_ns - h.t_ns));
    let as_long = |h: &&Happening| (h.t_ns - h.since_ns) * 2 > happening.t_ns - happening.since_ns;
    case.happenings.iter().rev().filter(near).filter(as_long).find(|h| is_network(h)).unwrap_or(happening)
}

/// A process that waited for nothing else may have waited for a child in a way that is not recorded.
fn last_child(case: &Case<'_>, pid: u32, t_ns: i64, depth: usize) -> Option<EndedBy> {
    let processes = case.evidence.processes.iter();
    let own: Vec<u32> = processes.clone().filter(|p| p.pid == pid).map(|p| p.tid).collect();
    let children = processes.filter(|p| p.tid == p.pid && p.pid != pid && own.contains(&p.parent_tid));
    let ended = children.filter_map(|p| Some((p.end_ns.filter(|end| *end <= t_ns)?, p.pid)));
    let (end_ns, child) = ended.max().filter(|_| depth < DEPTH)?;
    end_of(case, child, end_ns, depth + 1)
}

fn explain(case: &Case<'_>, happening: &Happening, limit_ns: i64, depth: usize) -> Option<EndedBy> {
    if depth > DEPTH || !case.ask(happening) {
        return None;
    }
    match &happening.what {
        What::RanOut(ran_out) => Some(gave_up(case, happening, ran_out)),
        What::Signal(..) => Delivered::of(happening).map(|delivered| signalled(case, &delivered, depth)),
        What::Child(pid) => end_of(case, *pid, happening.t_ns, depth + 1),
        What::Woken => handed_on(case, happening, depth),
        What::Refused(errno) => refused(case, happening, errno, limit_ns),
        What::Ready(ready) => answered(case, happening, ready, limit_ns, depth),
    }
}

fn answered(
    case: &Case<'_>,
    happening: &Happening,
    ready: &[ObjectId],
    limit_ns: i64,
    depth: usize,
) -> Option<EndedBy> {
    let is_network = |id: &&ObjectId| matches!(case.objects.get(**id).kind, Kind::Tcp | Kind::Udp);
    let mut found: Vec<EndedBy> =
        ready.iter().filter(is_network).filter_map(|id| came_back(case, *id, happening, limit_ns)).collect();
    // An error says more than an answer.
    found.sort_by_key(|found| found.mechanism == Mechanism::Data);
    let first = (!found.is_empty()).then(|| found.swap_remove(0));
    first
        .or_else(|| {
            // The kernel told a program that watches sockets (sock_diag(7)) that one is gone.
            let is_told = ready.iter().any(|id| case.objects.get(*id).kind == Kind::OtherSocket);
            is_told.then(|| orphaned(case, happening.t_ns)).flatten()
        })
        .or_else(|| {
            let is_internal = ready
                .iter()
                .any(|id| matches!(case.objects.get(*id).kind, Kind::Internal | Kind::SignalFd | Kind::Ring));
            is_internal.then(|| handed_on(case, happening, depth)).flatten()
        })
}

/// The kernel refused a call at once, and the process did nothing more that anybody could see: it did not get the same
/// from another call either (a shell looks for a program in one folder after the other).
fn refused(case: &Case<'_>, happening: &Happening, errno: &str, limit_ns: i64) -> Option<EndedBy> {
    let index = happening.call?;
    let asked = case.evidence.calls[index].name.as_str();
    let is_got = |call: &Call| call.pid == happening.pid && call.name == asked && call.value().is_some();
    let later = &case.evidence.calls[index + 1..];
    if later.iter().any(|call| is_got(call) && call.entry_ns <= limit_ns) {
        return None;
    }
    let mechanism = match asked {
        "execve" | "execveat" => Mechanism::Exec(errno.to_owned()),
        _ => Mechanism::Refused(errno.to_owned()),
    };
    let words = format!("the kernel of {} refused {asked} at once: {errno}", case.host());
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), happening.t_ns, words);
    found.evidence = vec![EvidenceRef::Call(index)];
    Some(found)
}

/// Another thread or process had news, and woke this one.
fn handed_on(case: &Case<'_>, woken: &Happening, depth: usize) -> Option<EndedBy> {
    let recent = case
        .happenings
        .iter()
        .rev()
        .filter(|h| h.tid != woken.tid && h.t_ns <= woken.t_ns && woken.t_ns - h.t_ns <= HANDED_ON_NS);
    let mut others = recent.filter(|h| !matches!(h.what, What::Woken | What::Refused(_)) && !is_short(h));
    others.find_map(|h| explain(case, h, woken.t_ns, depth + 1))
}

fn is_short(happening: &Happening) -> bool {
    matches!(happening.what, What::RanOut(_)) && happening.t_ns - happening.since_ns < NOTABLE_NS
}

/// A signal: a timer's, or another process's, which had its own reason.
fn signalled(case: &Case<'_>, delivered: &Delivered<'_>, depth: usize) -> EndedBy {
    let Delivered { happening, index, timer } = *delivered;
    let signal = &case.evidence.signals[index];
    if let Some(timer) = timer {
        return alarmed(case, happening, timer);
    }
    let sender = signal.sender_pid.filter(|sender| *sender != signal.pid && *sender != 0);
    let behind = sender.filter(|_| depth < DEPTH).and_then(|sender| before(case, sender, happening.t_ns, depth + 1));
    if let Some(mut found) = behind {
        found.evidence.push(EvidenceRef::Signal(index));
        return found;
    }
    let who = case.process(signal.pid);
    let from = sender.map_or(String::new(), |sender| format!(" from {}", case.process(sender)));
    let words = format!("{who} got {}{from}", signal.name);
    let mut found = plain(Party::Tool, Mechanism::Signal(signal.name.clone()), who, happening.t_ns, words);
    found.evidence = vec![EvidenceRef::Signal(index)];
    found.confidence = if sender.is_some() { Confidence::Certain } else { Confidence::Likely };
    found
}
