//! The search's beginning: how the command ended, and what to say where there is nothing to search for.

use super::case::Case;
use super::declared::gone;
use super::happenings::What;
use super::network::plain;
use super::next::next;
use super::trace::{Trail, end_of};
use super::words::seconds;
use crate::evidence::{Call, Ending, Evidence};
use crate::timeline::objects::Kind;
use crate::timeline::{EvidenceRef, Flight, duration};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// What lies longer before the end may not be why.
const SOON_NS: i64 = 500_000_000;

/// What ended the command.
pub fn ended_by(evidence: &Evidence, flights: &[Flight]) -> EndedBy {
    let t_ns = evidence.end.t_ns;
    let command = evidence.command().map_or(0, |(_, process)| process.pid);
    let case = Case::new(evidence, flights);
    match &evidence.end.how {
        Ending::ExecFailed(errno) => {
            let words = format!("the kernel did not start the program: {errno}");
            plain(Party::Kernel, Mechanism::Exec(errno.clone()), case.host().to_owned(), t_ns, words)
        }
        Ending::Deadline => at_the_deadline(&case, t_ns),
        Ending::Exit(_) | Ending::Signal(_) => {
            let found = gone(&case, command, t_ns).or_else(|| end_of(&case, command, t_ns, &mut Trail::default()));
            // A socket program does what it was told to; that something came or that it had slept long enough ends it no
            // more than any other of its steps. What came long before did not end it either: it waited for a step or a state.
            let is_step = |found: &EndedBy| match &found.mechanism {
                _ if t_ns.saturating_sub(found.fired_at_ns) > SOON_NS => true,
                Mechanism::Data => true,
                Mechanism::Wait(call) => call.ends_with("nanosleep"),
                // Its own shutdown(2) ends a stream as well.
                Mechanism::Fin => evidence.calls.iter().any(|call| {
                    let has_ended = call.has_symbol("SHUT_RD") || call.has_symbol("SHUT_RDWR");
                    call.pid == command && call.name == "shutdown" && has_ended && call.error().is_none()
                }),
                _ => false,
            };
            let is_made = evidence.plan.command.program.is_some() && evidence.end.how == Ending::Exit(0);
            let found = found.filter(|found| !(is_made && is_step(found)));
            if is_made && found.is_none() {
                return all_made(&case, command, t_ns);
            }
            found.map_or_else(|| by_itself(&case, command, t_ns), |found| marked(found, t_ns))
        }
    }
}

/// A cause with a long time after it, in which nothing was recorded, may not be the last word: the program may have
/// waited on a descriptor below 3, or computed.
fn marked(mut found: EndedBy, t_ns: i64) -> EndedBy {
    let silent_ns = t_ns.saturating_sub(found.fired_at_ns);
    if silent_ns > SOON_NS {
        found.confidence = found.confidence.min(Confidence::Likely);
        found.words.push_str(&format!("; it ended {} later, and why not at once was not recorded", seconds(silent_ns)));
    }
    found
}

/// Nothing had ended it yet.
fn at_the_deadline(case: &Case<'_>, t_ns: i64) -> EndedBy {
    let armed_ns = case.evidence.plan.command.deadline_ns.unwrap_or(t_ns.unsigned_abs());
    let waiting = waiting(case);
    let wait = waiting.map_or(String::new(), |index| format!("; {}", in_words(case, index)));
    let words = format!("nothing had ended it yet at the deadline of {}{wait}", duration(armed_ns));
    let mut found = plain(Party::Deadline, Mechanism::RunDeadline, "the run".into(), t_ns, words);
    found.armed_at_ns = Some(0);
    found.armed_for_ns = Some(armed_ns);
    found.evidence = waiting.map(EvidenceRef::Call).into_iter().collect();
    found.next = waiting.and_then(|index| next(case, &case.objects.waited_for(index), t_ns));
    found
}

/// A socket program made all its steps.
fn all_made(case: &Case<'_>, command: u32, t_ns: i64) -> EndedBy {
    let who = case.process(command);
    let words = format!("{who} made all its steps, each with the result that was expected");
    let mut found = plain(Party::Tool, Mechanism::Exit, who, t_ns, words);
    found.evidence = case.evidence.command().map(|(index, _)| EvidenceRef::Process(index)).into_iter().collect();
    found
}

fn by_itself(case: &Case<'_>, command: u32, t_ns: i64) -> EndedBy {
    let who = case.process(command);
    let has_waited = case.happenings.iter().any(|h| h.pid == command && !matches!(h.what, What::Refused(_)));
    let (why, confidence) = match has_waited {
        true => ("nothing that it had waited for says why", Confidence::Likely),
        false => ("it had waited for nothing", Confidence::Certain),
    };
    let words = format!("{who} came to its end; {why}");
    let mut found = plain(Party::Tool, Mechanism::Exit, who, t_ns, words);
    found.confidence = confidence;
    found.evidence = case.evidence.command().map(|(index, _)| EvidenceRef::Process(index)).into_iter().collect();
    found
}

/// The wait that the command was in at the deadline: for the network, if any thread waited for that.
fn waiting(case: &Case<'_>) -> Option<usize> {
    let is_network = |index: &usize| {
        case.objects.waited_for(*index).iter().any(|id| matches!(case.objects.get(*id).kind, Kind::Tcp | Kind::Udp))
    };
    let is_open = |call: &Call| call.exit_ns.is_none() && case.evidence.is_of_command(call.pid);
    let open = case.evidence.calls.iter().enumerate().filter(|(_, call)| is_open(call));
    let open: Vec<usize> = open.map(|(index, _)| index).collect();
    open.iter().rev().find(|index| is_network(index)).or(open.last()).copied()
}

/// `nc was in a poll without a timeout, for server:80`.
fn in_words(case: &Case<'_>, index: usize) -> String {
    let call = &case.evidence.calls[index];
    let waited_for = case.objects.waited_for(index);
    let places = waited_for.iter().filter(|id| case.objects.get(**id).remote.is_some()).map(|id| case.place(*id));
    let mut places: Vec<String> = places.collect();
    places.dedup();
    let limit = match call.timeout_ns() {
        Some(Some(ns)) => format!(" of {}", duration(ns)),
        Some(None) => " without a timeout".into(),
        None => String::new(),
    };
    let what = if places.is_empty() { String::new() } else { format!(", for {}", places.join(" and ")) };
    format!("{} was in {}{limit}{what}", case.process(call.pid), call.name)
}
