//! Backwards from an end to its cause: the last thing that let the process go on, and what lies behind that.

use std::collections::BTreeSet;

use super::case::Case;
use super::happenings::{Happening, RanOut, What};
use super::kernel::orphaned;
use super::network::{came_back, plain};
use super::waits::{alarmed, gave_up};
use crate::evidence::{Arg, Call};
use crate::timeline::EvidenceRef;
use crate::timeline::objects::{Kind, ObjectId};
use crate::timeline::tcp_flags::{self, FIN, RST};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// A wait shorter than this that ran out is how a program is written (a runtime's scheduler, a spin with pauses), unless
/// there is nothing else.
const NOTABLE_NS: i64 = 25_000_000;

/// What was armed for less gave the processor away and waited for nothing.
const NO_WAIT_NS: u64 = 100_000;

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

/// How many of the others' news are looked at for what woke a thread, the newest first.
const NEWS: usize = 64;

/// Where the search has been. What led nowhere once is not gone into again: threads that wake each other by turns would
/// double the ways at every step.
#[derive(Debug, Default)]
pub struct Trail {
    depth: usize,
    tried: BTreeSet<(i64, u32, Option<usize>)>,
}

impl Trail {
    /// One step further back, if that is not too far.
    fn deeper<T>(&mut self, search: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH {
            return None;
        }
        self.depth += 1;
        let found = search(self);
        self.depth -= 1;
        found
    }
}

/// What ended process `pid` at `t_ns`.
pub fn end_of(case: &Case<'_>, pid: u32, t_ns: i64, trail: &mut Trail) -> Option<EndedBy> {
    let process = case.evidence.processes.iter().find(|p| p.tid == pid)?;
    if let Some(name) = &process.killed_by {
        let of_process = case.happenings.iter().rev().filter(|h| h.pid == pid && h.t_ns <= t_ns);
        let lethal = of_process.filter_map(Delivered::of).find(|d| case.evidence.signals[d.index].name == *name);
        return Some(match lethal {
            Some(delivered) => signalled(case, &delivered, trail),
            None => killed_unseen(case, pid, name, t_ns, trail),
        });
    }
    before(case, pid, t_ns, trail)
}

/// SIGKILL shows in no stop of its victim, and what a process sends itself is no news: who sent it shows in the sender's
/// call. SIGPIPE answers a call of the process itself (write(2), EPIPE).
fn killed_unseen(case: &Case<'_>, pid: u32, name: &str, t_ns: i64, trail: &mut Trail) -> EndedBy {
    let sent = case
        .evidence
        .calls
        .iter()
        .enumerate()
        .rev()
        .find(|(_, call)| (0..=HANDED_ON_NS).contains(&(t_ns - call.entry_ns)) && is_kill(call, pid, name));
    let behind = match sent {
        Some((index, call)) => {
            let behind = trail.deeper(|trail| before(case, call.pid, call.entry_ns, trail));
            behind.map(|mut found| {
                found.evidence.push(EvidenceRef::Call(index));
                found
            })
        }
        None if name == "SIGPIPE" => trail.deeper(|trail| before(case, pid, t_ns, trail)),
        None => None,
    };
    behind.unwrap_or_else(|| {
        let who = case.process(pid);
        let by_itself = sent.is_some_and(|(_, call)| call.pid == pid);
        let (from, confidence) = match sent {
            _ if by_itself => (", which it sent itself".to_owned(), Confidence::Certain),
            Some((_, call)) => (format!(" from {}", case.process(call.pid)), Confidence::Certain),
            None if name == "SIGKILL" => (", and nobody of the command's sent it".to_owned(), Confidence::Likely),
            None => (String::new(), Confidence::Certain),
        };
        let words = format!("{who} was killed by {name}{from}");
        let mut found = plain(Party::Tool, Mechanism::Signal(name.to_owned()), who, t_ns, words);
        found.confidence = confidence;
        found.evidence = sent.map(|(index, _)| EvidenceRef::Call(index)).into_iter().collect();
        found
    })
}

/// Whether a call sends this signal to a process, or to a group that it may be in (kill(2)).
fn is_kill(call: &Call, pid: u32, name: &str) -> bool {
    let is_kill = matches!(call.name.as_str(), "kill" | "tkill" | "tgkill");
    let to = call.args.first().and_then(|arg| match arg {
        Arg::Int(to) => Some(*to),
        _ => None,
    });
    is_kill && call.error().is_none() && call.has_symbol(name) && to.is_some_and(|to| to <= 0 || to == i64::from(pid))
}

/// What let process `pid` go on last before `t_ns`.
pub fn before(case: &Case<'_>, pid: u32, t_ns: i64, trail: &mut Trail) -> Option<EndedBy> {
    let mut weak: Option<&Happening> = None;
    for happening in case.until(t_ns).iter().rev().filter(|h| h.pid == pid) {
        if let What::RanOut(ran_out) = &happening.what
            && happening.t_ns - happening.since_ns < NOTABLE_NS
        {
            if ran_out.armed_for_ns < NO_WAIT_NS {
                continue;
            }
            weak = weak.or(Some(happening));
            continue;
        }
        if let Some(found) = explain(case, beside(case, happening), t_ns, trail) {
            return Some(found);
        }
    }
    let weak = weak.and_then(|happening| explain(case, happening, t_ns, trail));
    weak.or_else(|| last_child(case, pid, t_ns, trail))
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
    case.until(happening.t_ns)
        .iter()
        .rev()
        .take_while(|h| happening.t_ns - h.t_ns < NOTABLE_NS)
        .filter(near)
        .filter(as_long)
        .find(|h| is_network(h))
        .unwrap_or(happening)
}

/// A process that waited for nothing else may have waited for a child in a way that is not recorded.
fn last_child(case: &Case<'_>, pid: u32, t_ns: i64, trail: &mut Trail) -> Option<EndedBy> {
    let processes = case.evidence.processes.iter();
    let own: Vec<u32> = processes.clone().filter(|p| p.pid == pid).map(|p| p.tid).collect();
    let children = processes.filter(|p| p.tid == p.pid && p.pid != pid && own.contains(&p.parent_tid));
    let ended = children.filter_map(|p| Some((p.end_ns.filter(|end| *end <= t_ns)?, p.pid)));
    let (end_ns, child) = ended.max()?;
    trail.deeper(|trail| end_of(case, child, end_ns, trail))
}

fn explain(case: &Case<'_>, happening: &Happening, limit_ns: i64, trail: &mut Trail) -> Option<EndedBy> {
    if !trail.tried.insert((happening.t_ns, happening.tid, happening.call)) {
        return None;
    }
    match &happening.what {
        What::RanOut(ran_out) => Some(gave_up(case, happening, ran_out)),
        What::Signal(..) => Delivered::of(happening).map(|delivered| signalled(case, &delivered, trail)),
        What::Child(pid) => trail.deeper(|trail| end_of(case, *pid, happening.t_ns, trail)),
        What::Woken => handed_on(case, happening, trail),
        What::Refused(errno) => refused(case, happening, errno, limit_ns),
        What::Ready(ready) => answered(case, happening, ready, limit_ns, trail),
    }
}

fn answered(
    case: &Case<'_>,
    happening: &Happening,
    ready: &[ObjectId],
    limit_ns: i64,
    trail: &mut Trail,
) -> Option<EndedBy> {
    let is_network = |id: &&ObjectId| matches!(case.objects.get(**id).kind, Kind::Tcp | Kind::Udp);
    let shut = ready.iter().filter(is_network).find_map(|id| shut_down(case, *id, happening));
    if let Some(found) = shut.and_then(|(tid, t_ns)| of_thread(case, tid, t_ns, trail)) {
        return Some(found);
    }
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
            is_internal.then(|| handed_on(case, happening, trail)).flatten()
        })
}

/// Another thread of the command shut a socket down (shutdown(2)) that this one waited for, and its peer had said
/// nothing: which thread, and when.
fn shut_down(case: &Case<'_>, id: ObjectId, happening: &Happening) -> Option<(u32, i64)> {
    let has_ended =
        || case.last_arrived(id, happening.t_ns, |flight| tcp_flags::of(flight) & (FIN | RST) != 0).is_some();
    let calls = case.objects.calls_on(id).iter().rev().map(|index| &case.evidence.calls[*index]);
    let mut shuts = calls.filter(|call| call.name == "shutdown" && call.error().is_none());
    let call = shuts.find(|call| (happening.since_ns..=happening.t_ns).contains(&call.entry_ns))?;
    (call.tid != happening.tid && !has_ended()).then_some((call.tid, call.entry_ns))
}

/// What let one thread go on last.
fn of_thread(case: &Case<'_>, tid: u32, t_ns: i64, trail: &mut Trail) -> Option<EndedBy> {
    let mut news = case.until(t_ns).iter().rev().filter(|h| h.tid == tid);
    news.find_map(|h| trail.deeper(|trail| explain(case, h, t_ns, trail)))
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
fn handed_on(case: &Case<'_>, woken: &Happening, trail: &mut Trail) -> Option<EndedBy> {
    let recent = case.until(woken.t_ns).iter().rev().take_while(|h| woken.t_ns - h.t_ns <= HANDED_ON_NS);
    let news =
        recent.filter(|h| h.tid != woken.tid && !matches!(h.what, What::Woken | What::Refused(_)) && !is_short(h));
    let mut others = news.take(NEWS);
    others.find_map(|h| trail.deeper(|trail| explain(case, h, woken.t_ns, trail)))
}

fn is_short(happening: &Happening) -> bool {
    matches!(happening.what, What::RanOut(_)) && happening.t_ns - happening.since_ns < NOTABLE_NS
}

/// A signal: a timer's, or another process's, which had its own reason.
fn signalled(case: &Case<'_>, delivered: &Delivered<'_>, trail: &mut Trail) -> EndedBy {
    let Delivered { happening, index, timer } = *delivered;
    let signal = &case.evidence.signals[index];
    if let Some(timer) = timer {
        return alarmed(case, happening, timer);
    }
    let sender = signal.sender_pid.filter(|sender| *sender != signal.pid && *sender != 0);
    let behind = sender.and_then(|sender| trail.deeper(|trail| before(case, sender, happening.t_ns, trail)));
    if let Some(mut found) = behind {
        found.evidence.push(EvidenceRef::Signal(index));
        return found;
    }
    let who = case.process(signal.pid);
    let from = sender.map_or(String::new(), |sender| format!(" from {}", case.process(sender)));
    let words = format!("{who} got {}{from}", signal.name);
    let mut found = plain(Party::Tool, Mechanism::Signal(signal.name.clone()), who, happening.t_ns, words);
    found.evidence = vec![EvidenceRef::Signal(index)];
    // A fault's code says so itself (sigaction(2), si_code).
    let is_fault = ["SEGV_", "BUS_", "FPE_", "ILL_", "TRAP_"].iter().any(|fault| signal.code.starts_with(fault));
    found.confidence = if sender.is_some() || is_fault { Confidence::Certain } else { Confidence::Likely };
    found
}
