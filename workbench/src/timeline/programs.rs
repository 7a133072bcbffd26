//! The calls of socket programs: each one is a claim with its result, since it is what the scenario is about.
//!
//! Where the scenario gives a program several sockets, a call names its own as the scenario does. Connections are told as
//! everybody's are, by `calls`; what else an interpreter does (`fcntl`, `getsockname`) is no claim.

use std::collections::BTreeMap;

use super::bounds::{self, asked, is_sending, linger};
use super::escape::escape;
use super::event::{Event, EventKind, EvidenceRef, Timer, TimerClass, Wait};
use super::flight::Flight;
use super::flows::Flows;
use super::index::Index;
use super::names::Names;
use super::objects::{Kind, Name, ObjectId, Objects};
use super::order::{Cause, Placed, anchor_of_return};
use super::program_names::called;
use super::render::Renderer;
use super::retries::Retries;
use super::sockets::Sockets;
use super::tcp_flags::{self, RST};
use super::waits::Waits;
use crate::evidence::{Arg, Call, Evidence, SocketAddress};

/// Transfers further apart than this are not one.
const APART_NS: i64 = 350_000_000;

/// A call that took this long stands where it returned.
const LONG_NS: i64 = 100_000_000;

/// How long a call waited is told from here on: less may be the machine's doing.
const NOTABLE_NS: i64 = 30_000_000;

/// Of so many bytes it may matter when each came.
const LITTLE: u64 = 4096;

/// So many sends one after the other are told one by one.
const TOLD_ALONE: usize = 3;

/// What the events of programs' calls are made from.
pub(super) struct Programs<'a> {
    evidence: &'a Evidence,
    flights: &'a [Flight],
    names: &'a Names<'a>,
    objects: &'a Objects,
    sockets: &'a Sockets,
    flows: &'a Flows,
    waits: &'a Waits<'a>,
    /// What the scenario calls the socket that a call is about, where its program has several.
    called: BTreeMap<usize, String>,
    /// The same of the socket that a call makes.
    made: BTreeMap<usize, String>,
}

/// One call in words, or several of one kind.
struct Told {
    calls: Vec<usize>,
    text: String,
    /// A transfer: what it is called, and how much.
    moved: Option<(String, u64)>,
    is_return: bool,
    wait: Option<Wait>,
}

impl<'a> Programs<'a> {
    pub(super) fn new(
        evidence: &'a Evidence,
        flights: &'a [Flight],
        index: &'a Index<'a>,
        waits: &'a Waits<'a>,
    ) -> Self {
        let Index { names, objects, sockets, flows } = index;
        let (called, made) = called(evidence);
        Self { evidence, flights, names, objects, sockets, flows, waits, called, made }
    }

    /// Whether a call is told here.
    pub(super) fn tells(&self, index: usize) -> bool {
        let call = &self.evidence.calls[index];
        self.names.is_program(call.pid) && self.sockets.begun_by(index).is_none() && self.words(index, call).is_some()
    }

    pub(super) fn events(&self) -> Vec<Placed> {
        let mut by_process: BTreeMap<u32, Vec<Vec<Told>>> = BTreeMap::new();
        for (index, call) in self.evidence.calls.iter().enumerate() {
            if !self.names.is_program(call.pid) {
                continue;
            }
            let runs = by_process.entry(call.pid).or_default();
            let told = self.sockets.begun_by(index).is_none().then(|| self.told(index, call)).flatten();
            let Some(told) = told else { continue };
            match runs.last_mut().filter(|run| self.goes_on(run, &told)) {
                Some(run) => run.push(told),
                None => runs.push(vec![told]),
            }
        }
        by_process.into_values().flatten().flat_map(folded).map(|told| self.place(told)).collect()
    }

    /// How long a call took, where a timer ended it or somebody noticed.
    fn waited(&self, index: usize, call: &Call, took_ns: i64) -> Option<Wait> {
        let timer = self.timer(index, call);
        // Since when before zero somebody had been waiting is chance.
        let is_told = timer.is_some() || (took_ns >= NOTABLE_NS && call.entry_ns >= 0);
        is_told.then_some(Wait { gap_ns: took_ns, timer })
    }

    /// Whether a transfer goes on with those before.
    fn goes_on(&self, run: &[Told], told: &Told) -> bool {
        let (Some(last), Some((what, _))) = (run.last(), &told.moved) else { return false };
        let is_same = last.moved.as_ref().is_some_and(|(same, _)| same == what);
        let ended_ns = self.evidence.calls[last.calls[0]].exit_ns;
        let is_little =
            run.iter().filter_map(|told| told.moved.as_ref()).map(|(_, bytes)| bytes).sum::<u64>() <= LITTLE;
        let apart_ns = if is_little && what.starts_with("recv") { NOTABLE_NS } else { APART_NS };
        is_same && ended_ns.is_some_and(|ended_ns| self.t_ns(told) - ended_ns < apart_ns)
    }

    fn told(&self, index: usize, call: &Call) -> Option<Told> {
        let text = self.words(index, call)?;
        let took_ns = call.exit_ns.map_or(0, |exit_ns| exit_ns - call.entry_ns);
        let waits = matches!(call.name.as_str(), "accept" | "accept4" | "poll" | "ppoll" | SLEEP) || is_receiving(call);
        let is_return = call.exit_ns.is_some() && (waits || took_ns >= LONG_NS);
        let wait =
            if is_return { self.timed_out(index, call).or_else(|| self.waited(index, call, took_ns)) } else { None };
        let moved = call.value().and_then(|value| u64::try_from(value).ok()).filter(|bytes| *bytes > 0);
        let what = match () {
            () if is_receiving(call) => Some("recv"),
            () if is_sending(call) => Some("send"),
            () => None,
        };
        let moved = what.zip(moved).map(|(what, bytes)| (format!("{what}{}", self.which(index)), bytes));
        Some(Told { calls: vec![index], text, moved, is_return, wait })
    }

    /// The kernel gave up a connection, and this call says so: since when, and after which of its timers. Without
    /// TCP_USER_TIMEOUT that is the last of many, and the wait is counted from what was sent before it.
    fn timed_out(&self, index: usize, call: &Call) -> Option<Wait> {
        let (until_ns, host) = (call.exit_ns.filter(|_| call.error() == Some("ETIMEDOUT"))?, self.names.host(call.pid));
        let object = self.objects.first_of(index)?;
        let flow = self.sockets.connections.iter().position(|connection| connection.object == object);
        let flow = self.flows.of_connection(flow?)?;
        let about = self.flows.about(flow).iter().map(|flight| &self.flights[*flight]);
        let is_sent = |f: &&Flight| f.from == host && f.t_ns() <= until_ns && tcp_flags::of(f) & RST == 0;
        let sent: Vec<&Flight> = about.filter(is_sent).collect();
        let wait = |since_ns: i64, name: &str, armed_ns: Option<u64>| {
            let timer = armed_ns.map(|armed_ns| Timer { name: name.into(), class: TimerClass::Wheel, armed_ns });
            Some(Wait { gap_ns: until_ns - since_ns, timer })
        };
        let option = |name| self.objects.get(object).options.at(name, index).map(|(value, _)| value);
        let again = sent.iter().rposition(|flight| flight.retransmission > 0);
        let new = again.and_then(|again| sent[..again].iter().rfind(|flight| flight.retransmission == 0));
        if let (Some(ms), Some(new)) = (option(Name::UserTimeout), new) {
            return wait(new.t_ns(), "TCP_USER_TIMEOUT", Some(ms.saturating_mul(1_000_000)));
        }
        let last_ns = sent.last()?.t_ns();
        let retries = Retries::of(self.evidence, host);
        if let Some(again) = again {
            let gap_ns = until_ns - sent[again].t_ns();
            let armed_ns = retries.established_ns(0, gap_ns, self.evidence.machine.tick_ns);
            return wait(sent[again].t_ns(), "RTO", armed_ns);
        }
        let gap_ns = until_ns - last_ns;
        let is_on = option(Name::Keepalive).is_some();
        let timer = is_on.then(|| retries.keepalive(Some(&self.objects.get(object).options), 2, gap_ns)).flatten();
        Some(Wait { gap_ns, timer })
    }

    /// What ended a wait that ran out.
    pub(super) fn timer(&self, index: usize, call: &Call) -> Option<Timer> {
        if let Some(expired) = self.waits.waited(call.tid, index).flatten() {
            return Some(expired.timer.clone());
        }
        bounds::ran_out(self.objects, index, call)
    }

    /// The call in words, if it is one that a scenario declares.
    fn words(&self, index: usize, call: &Call) -> Option<String> {
        let which = self.which(index);
        let renderer = Renderer { names: self.names, sockets: self.sockets, flows: self.flows };
        let done = match call.name.as_str() {
            "socket" => return call.error().map(|errno| format!("socket failed: {errno}")),
            "bind" => format!("bind{which} to {}", call.address().map_or_else(String::new, |to| self.own_place(to))),
            "listen" => match call.args.get(1) {
                Some(Arg::Int(backlog)) => format!("listen{which}, backlog {backlog}"),
                _ => format!("listen{which}"),
            },
            "setsockopt" => format!("setsockopt{which} {} {}", option(call)?, value(&renderer, index, call)),
            "getsockopt" => format!("getsockopt{which} {} = {}", option(call)?, value(&renderer, index, call)),
            "shutdown" => {
                let how = call.args.iter().find_map(|arg| match arg {
                    Arg::Symbol(how) => Some(how.trim_start_matches("SHUT_").to_owned()),
                    _ => None,
                });
                format!("shutdown{which} {}", how?)
            }
            "accept" | "accept4" => return Some(self.accepted(index, call, &which)),
            "connect" => format!("connect{which} to {}", renderer.address(call, call.address()?)),
            "poll" | "ppoll" => return self.polled(index, call),
            SLEEP => "sleep".into(),
            _ if is_receiving(call) && self.is_socket(index) => return Some(received(call, &which)),
            _ if is_sending(call) && self.is_socket(index) => {
                return Some(match call.value() {
                    Some(sent) => match asked(call).filter(|asked| *asked > sent) {
                        Some(asked) => format!("send{which} {} of {}", bytes(sent), bytes(asked)),
                        None => format!("send{which} {}", bytes(sent)),
                    },
                    None => not_done(call, &format!("send{which}")),
                });
            }
            "close" if self.is_socket(index) => format!("close{which}"),
            name @ ("dup" | "dup2" | "dup3") if self.is_socket(index) => format!("{name}{which}{}", self.makes(index)),
            _ => return None,
        };
        Some(match (call.value(), call.error()) {
            (Some(_), _) => done,
            _ => not_done(call, done.split(" = ").next().unwrap_or_default()),
        })
    }

    fn accepted(&self, index: usize, call: &Call, which: &str) -> String {
        if call.value().is_none() {
            return not_done(call, &format!("accept{which}"));
        }
        let made = self.objects.ids().find(|id| self.objects.get(*id).made_by == index);
        let from = call.address().and_then(SocketAddress::inet).map(|from| from.ip());
        let from = from.or_else(|| Some(self.objects.get(made?).remote?.ip()));
        let from = from.map_or_else(String::new, |ip| format!(" from {}", self.names.address(ip.to_canonical())));
        format!("accept{which}{}{from}", self.makes(index))
    }

    fn polled(&self, index: usize, call: &Call) -> Option<String> {
        let entries = call.args.iter().find_map(|arg| match arg {
            Arg::Poll(entries) => Some(entries),
            _ => None,
        })?;
        let is_socket =
            |fd: i64| self.objects.of(index).iter().any(|(of, id)| i64::from(*of) == fd && self.is_kind(*id));
        let entries: Vec<_> = entries.iter().filter(|entry| is_socket(entry.fd)).collect();
        let words: Vec<&str> = entries.iter().map(|entry| entry.events.as_str()).collect();
        let asked = format!("poll{} {}", self.which(index), words.join(", "));
        if entries.is_empty() {
            return None;
        }
        Some(match call.value() {
            Some(0) => format!("{asked}: nothing"),
            Some(_) => {
                let ready = entries.iter().filter(|e| !e.revents.is_empty());
                let ready: Vec<&str> = ready.map(|entry| entry.revents.as_str()).collect();
                format!("{asked}: {}", ready.join(", "))
            }
            None => not_done(call, &asked),
        })
    }

    /// A socket's name with a space before it, where the program has several.
    fn which(&self, index: usize) -> String {
        self.called.get(&index).map_or_else(String::new, |name| format!(" {name}"))
    }

    /// The name of what a call makes.
    fn makes(&self, index: usize) -> String {
        self.made.get(&index).map_or_else(String::new, |name| format!(" -> {name}"))
    }

    fn is_socket(&self, index: usize) -> bool {
        self.objects.first_of(index).is_some_and(|id| self.is_kind(id))
    }

    fn is_kind(&self, id: ObjectId) -> bool {
        matches!(self.objects.get(id).kind, Kind::Tcp | Kind::Udp | Kind::OtherSocket)
    }

    /// `:80` where any address will do.
    fn own_place(&self, address: &SocketAddress) -> String {
        match address.inet() {
            Some(own) if own.ip().is_unspecified() => format!(":{}", own.port()),
            Some(own) => self.names.place(own.ip().to_canonical(), own.port()),
            None => "its address".into(),
        }
    }

    fn t_ns(&self, told: &Told) -> i64 {
        let call = &self.evidence.calls[told.calls[0]];
        call.exit_ns.filter(|_| told.is_return).unwrap_or(call.entry_ns)
    }

    fn place(&self, told: Told) -> Placed {
        let (index, t_ns) = (told.calls[0], self.t_ns(&told));
        let call = &self.evidence.calls[index];
        let event = Event {
            t_ns,
            at: self.names.host(call.pid).to_owned(),
            kind: EventKind::Call,
            text: format!("{}{}", self.names.speaker(call.pid), escape(&told.text)),
            wait: told.wait,
            is_claim: t_ns <= self.until_ns(call.pid),
            evidence: told.calls.iter().map(|call| EvidenceRef::Call(*call)).collect(),
        };
        let cause = if told.is_return { Cause::CallExit } else { Cause::CallEntry };
        let arrived_ns = told.is_return.then(|| self.arrived_ns(index, t_ns)).flatten();
        let turn = self.sockets.begun_before(index + 1);
        Placed { anchor_ns: anchor_of_return(t_ns, arrived_ns), turn, cause, seq: index * 2 + 1, event }
    }

    /// Until when a process's calls are claims: what a companion does while the command ends is chance.
    pub(super) fn until_ns(&self, pid: u32) -> i64 {
        match self.evidence.is_of_command(pid) {
            true => self.evidence.end.t_ns,
            false => self.waits.last_look_ns(self.evidence),
        }
    }

    /// The last packet that came to a call's host while it waited.
    fn arrived_ns(&self, index: usize, t_ns: i64) -> Option<i64> {
        let call = &self.evidence.calls[index];
        let host = self.names.host(call.pid);
        let during = |at: &i64| (call.entry_ns..=t_ns).contains(at);
        self.flights.iter().filter(|f| f.to == host).filter_map(|f| f.arrived_ns).filter(during).max()
    }
}

/// Few sends are told one by one, because it may matter how a program cuts what it sends; how what it receives is cut
/// is chance.
fn folded(run: Vec<Told>) -> Vec<Told> {
    let count = run.len();
    let is_sent = run.first().and_then(|told| told.moved.as_ref()).is_some_and(|(what, _)| what.starts_with("send"));
    if count < 2 || (is_sent && count <= TOLD_ALONE) {
        return run;
    }
    let sum: u64 = run.iter().filter_map(|told| told.moved.as_ref()).map(|(_, bytes)| bytes).sum();
    let calls = run.iter().flat_map(|told| told.calls.iter().copied()).collect();
    let in_calls = if is_sent { format!(" in {count} calls") } else { String::new() };
    let first = run.into_iter().next();
    let fold = |first: Told| {
        let what = first.moved.as_ref().map_or("", |(what, _)| what.as_str());
        let text = format!("{what} {}{in_calls}", bytes(i64::try_from(sum).unwrap_or(i64::MAX)));
        Told { calls, text, ..first }
    };
    first.map(fold).into_iter().collect()
}

/// What the step `sleep` calls.
const SLEEP: &str = "clock_nanosleep";

fn is_receiving(call: &Call) -> bool {
    matches!(call.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg")
}

fn received(call: &Call, which: &str) -> String {
    match call.value() {
        Some(0) => format!("recv{which} 0 bytes: end of stream"),
        Some(received) => format!("recv{which} {}", bytes(received)),
        None => not_done(call, &format!("recv{which}")),
    }
}

/// A call that failed, or that had not come back when the run ended.
fn not_done(call: &Call, what: &str) -> String {
    match call.error() {
        Some("ERESTARTSYS") => format!("{what} interrupted"),
        Some(errno) => format!("{what} failed: {errno}"),
        None => format!("{what}, not over at the end"),
    }
}

/// A socket option's name.
fn option(call: &Call) -> Option<String> {
    match call.args.get(2)? {
        // The number for a time of 32 bits, under which everybody knows the option (asm-generic/socket.h).
        Arg::Symbol(name) => Some(escape(name.trim_end_matches("_OLD"))),
        Arg::Int(number) => Some(format!("option {number}")),
        _ => None,
    }
}

fn value(renderer: &Renderer<'_>, index: usize, call: &Call) -> String {
    if let Some(linger) = call.args.get(3).and_then(linger) {
        return linger;
    }
    let text = call.args.get(3).map_or_else(String::new, |arg| renderer.arg(index, call, arg));
    text.trim_matches(['[', ']']).to_owned()
}

/// Exactly, in the largest unit that loses nothing.
pub(super) fn bytes(count: i64) -> String {
    const KIB: i64 = 1024;
    match count {
        1 => "1 byte".into(),
        _ if count > 0 && count % (KIB * KIB) == 0 => format!("{} MiB", count / (KIB * KIB)),
        _ if count > 0 && count % KIB == 0 => format!("{} KiB", count / KIB),
        _ => format!("{count} bytes"),
    }
}
