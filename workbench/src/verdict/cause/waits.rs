//! A wait of the program ran out: one by itself, or the last of several that kept a deadline.

use super::case::Case;
use super::happenings::{Happening, RanOut, What, waited_in};
use super::network::plain;
use super::next::next;
use super::resolver;
use super::words::{seconds, several};
use crate::timeline::objects::Kind;
use crate::timeline::{EvidenceRef, PROGRAMS_GRAIN_NS, armed_until_then, asked_for, duration};
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// How much earlier than its deadline a program's last notable wait may end: shorter waits are left out of account.
const LATE_NS: i64 = 20_000_000;

/// A wait that ended a process's patience.
pub fn gave_up(case: &Case<'_>, at: &Happening, ran_out: &RanOut) -> EndedBy {
    let chain = chain(case, at);
    if ran_out.waited_for.iter().any(|id| resolver::is_name_server(case, *id)) {
        return resolver::gave_up(case, at);
    }
    // A socket program makes the calls that it was told to, and keeps no clock.
    let is_declared = case.evidence.processes.iter().any(|p| p.pid == at.pid && p.program.is_some());
    if is_declared {
        return EndedBy { next: next(case, &ran_out.waited_for, at.t_ns), ..single(case, at, ran_out) };
    }
    if let Some(found) = shared_due(case, at, ran_out) {
        return EndedBy { next: next(case, &ran_out.waited_for, at.t_ns), ..found };
    }
    // Equal waits that add up: nobody reckoned, and how late each was is nobody's wish. Two attempts are two deadlines.
    let same: Vec<&RanOut> = chain.iter().map(|(_, earlier)| *earlier).take_while(|e| is_same(ran_out, e)).collect();
    let are_whole = same.iter().all(|ran_out| ran_out.armed_for_ns.is_multiple_of(PROGRAMS_GRAIN_NS));
    if let (true, [_, .., first]) = (are_whole, same.as_slice()) {
        let asked_ns = same.iter().fold(0, |sum: u64, ran_out| sum.saturating_add(ran_out.armed_for_ns));
        let found = kept(case, at, ran_out, first.armed_at_ns, asked_ns);
        return EndedBy { next: next(case, &ran_out.waited_for, at.t_ns), ..found };
    }
    if let Some(found) = by_beats(case, at, ran_out, &chain) {
        return EndedBy { next: next(case, &ran_out.waited_for, at.t_ns), ..found };
    }
    let is_whole = ran_out.armed_for_ns.is_multiple_of(PROGRAMS_GRAIN_NS) && same.len() == 1;
    let is_wait = matches!(ran_out.mechanism, Mechanism::Wait(_));
    let mut found = if is_whole || !is_wait { single(case, at, ran_out) } else { deadline(case, at, ran_out, &chain) };
    found.next = next(case, &ran_out.waited_for, at.t_ns);
    found
}

/// Whether two waits were for the same: for nothing, or for something that both waited for.
fn is_same(last: &RanOut, earlier: &RanOut) -> bool {
    let (last, earlier) = (&last.waited_for, &earlier.waited_for);
    (last.is_empty() && earlier.is_empty()) || earlier.iter().any(|id| last.contains(id))
}

/// A program that looks at something else at a beat, and gave up at one of its looks: nothing says from which on it
/// counted.
fn by_beats(case: &Case<'_>, at: &Happening, last: &RanOut, chain: &[(&Happening, &RanOut)]) -> Option<EndedBy> {
    let is_beat =
        |(_, ran_out): &&(&Happening, &RanOut)| ran_out.armed_for_ns == last.armed_for_ns && is_same(last, ran_out);
    let beats = chain.iter().take_while(is_beat).count();
    let (_, first) =
        chain[..beats].last().filter(|_| beats > 1 && last.armed_for_ns.is_multiple_of(PROGRAMS_GRAIN_NS))?;
    let mut found = kept(case, at, last, first.armed_at_ns, last.armed_for_ns * beats as u64);
    found.confidence = Confidence::Ambiguous;
    found.also = vec![EndedBy { confidence: Confidence::Ambiguous, ..single(case, at, last) }];
    Some(found)
}

/// The waits of one thread that ran out one after another, the last first, with nothing in between that was waited for.
fn chain<'a>(case: &'a Case<'_>, last: &Happening) -> Vec<(&'a Happening, &'a RanOut)> {
    // Several things may have one stamp: only what stands before the last one was before it.
    let until_last = case.happenings.iter().rev().skip_while(|h| h.call != last.call || h.t_ns != last.t_ns);
    let of_thread = until_last.filter(|h| h.tid == last.tid);
    let is_sleep = |ran_out: &RanOut| ran_out.waited_for.is_empty();
    let mut chain: Vec<(&Happening, &RanOut)> = Vec::new();
    for happening in of_thread {
        match &happening.what {
            What::RanOut(ran_out) if !matches!(ran_out.mechanism, Mechanism::Timer(_)) => {
                if chain.first().is_some_and(|(_, first)| is_sleep(first) != is_sleep(ran_out)) {
                    break;
                }
                chain.push((happening, ran_out));
            }
            // Refused or ready at once: nothing that anybody waited for.
            What::Refused(_) => {}
            What::Ready(_) if is_glance(case, happening) => {}
            _ => break,
        }
    }
    chain
}

/// A look at descriptors that would not have waited.
fn is_glance(case: &Case<'_>, happening: &Happening) -> bool {
    happening.call.is_some_and(|index| case.evidence.calls[index].timeout_ns() == Some(Some(0)))
}

/// One timer, armed for a length of time that somebody chose.
fn single(case: &Case<'_>, at: &Happening, ran_out: &RanOut) -> EndedBy {
    let who = case.process(at.pid);
    let what = match &ran_out.mechanism {
        Mechanism::Wait(call) => format!("its {call} ran out"),
        Mechanism::Timer(call) => format!("its timer ({call}) fired{}", rounds(case, ran_out)),
        other => format!("its {} ran out", other.name()),
    };
    let (took, armed) = (seconds(at.t_ns - ran_out.armed_at_ns), duration(ran_out.armed_for_ns));
    let words = match is_sleep(&ran_out.mechanism) {
        true => format!("{who} went on after {took}: it had slept, for {armed}"),
        false => format!("{who} gave up after {took}: {what}, armed for {armed}"),
    };
    let mut found = plain(Party::Tool, ran_out.mechanism.clone(), who, at.t_ns, words);
    found.armed_at_ns = Some(ran_out.armed_at_ns);
    found.armed_for_ns = Some(ran_out.armed_for_ns);
    found.evidence = vec![EvidenceRef::Call(ran_out.armed_by)];
    found.evidence.extend(at.call.filter(|call| *call != ran_out.armed_by).map(EvidenceRef::Call));
    if let What::Signal(index, _) = at.what {
        found.evidence.push(EvidenceRef::Signal(index));
    }
    found
}

/// `, for the third time`: a timer that goes on firing.
fn rounds(case: &Case<'_>, ran_out: &RanOut) -> String {
    let setting = &case.evidence.calls[ran_out.armed_by];
    let (first_ns, interval_ns) = setting.timer_setting().unwrap_or_default();
    match ran_out.armed_for_ns.saturating_sub(first_ns).checked_div(interval_ns) {
        None | Some(0) => String::new(),
        Some(again) => {
            format!(" {} times, after {} and then every {}", again + 1, duration(first_ns), duration(interval_ns))
        }
    }
}

fn is_sleep(mechanism: &Mechanism) -> bool {
    matches!(mechanism, Mechanism::Wait(call) if call == "nanosleep" || call == "clock_nanosleep")
}

/// A signal that a timer sent.
pub fn alarmed(case: &Case<'_>, at: &Happening, timer: &RanOut) -> EndedBy {
    let mut found = single(case, at, timer);
    found.next = next(case, &waiting_then(case, at), at.t_ns);
    found
}

/// What a process was waiting for when a signal came.
fn waiting_then(case: &Case<'_>, at: &Happening) -> Vec<usize> {
    let calls = case.evidence.calls.iter().enumerate().rev();
    let mut of_process = calls.filter(|(_, call)| call.pid == at.pid && call.entry_ns <= at.t_ns);
    // The tracer sees the call return before it sees the signal.
    let interrupted =
        of_process.find(|(_, call)| call.exit_ns.is_none_or(|exit| exit >= at.t_ns) || call.is_interrupted());
    interrupted.map(|(index, _)| case.objects.waited_for(index)).unwrap_or_default()
}

/// Where a deadline may have begun.
struct Beginning {
    at_ns: i64,
    asked_ns: u64,
    /// How badly a round length explains what was measured: the part of it that is left over.
    misfit: f64,
}

/// A deadline that a program reckons by a clock of its own.
fn deadline(case: &Case<'_>, at: &Happening, last: &RanOut, chain: &[(&Happening, &RanOut)]) -> EndedBy {
    let due_ns = last.armed_at_ns.saturating_add_unsigned(last.armed_for_ns);
    let mut beginnings: Vec<Beginning> =
        beginnings(case, at, last, chain).into_iter().filter_map(|at_ns| fit(at_ns, due_ns)).collect();
    // Nobody counts from before his own beginning.
    let born_ns = case.evidence.processes.iter().find(|p| p.tid == at.pid).map_or(0, |p| p.start_ns);
    beginnings.retain(|b| due_ns.saturating_sub_unsigned(b.asked_ns) >= born_ns - LATE_NS);
    beginnings.sort_by(|a, b| a.misfit.total_cmp(&b.misfit));
    let chain_at_ns = chain.last().map_or(last.armed_at_ns, |(_, first)| first.armed_at_ns);
    let best =
        beginnings.first().map_or((chain_at_ns, u64::try_from(due_ns.saturating_sub(chain_at_ns)).unwrap_or(0)), |b| {
            (b.at_ns, b.asked_ns)
        });
    let rival = beginnings.iter().skip(1).find(|b| {
        let differs = b.asked_ns.abs_diff(best.1) > best.1 / 20;
        differs && b.misfit < beginnings[0].misfit * 2.0 + 0.000_5
    });
    let mut found = kept(case, at, last, best.0, best.1);
    found.confidence = Confidence::Likely;
    if let Some(rival) = rival {
        found.confidence = Confidence::Ambiguous;
        found.also =
            vec![EndedBy { confidence: Confidence::Ambiguous, ..kept(case, at, last, rival.at_ns, rival.asked_ns) }];
    }
    found
}

/// Moments from which a program may reckon: its first wait, its connect, the last thing that it got, its own beginning.
fn beginnings(case: &Case<'_>, at: &Happening, last: &RanOut, chain: &[(&Happening, &RanOut)]) -> Vec<i64> {
    let mut found: Vec<i64> = chain.last().map(|(_, first)| first.armed_at_ns).into_iter().collect();
    for id in &last.waited_for {
        let object = case.objects.get(*id);
        if matches!(object.kind, Kind::Tcp | Kind::Udp) {
            found.extend(case.connect(*id).map(|call| case.evidence.calls[call].entry_ns));
            found.push(case.evidence.calls[object.made_by].entry_ns);
        }
    }
    let before_ns = found.first().copied().unwrap_or(last.armed_at_ns);
    let earlier = case.happenings.iter().rev().find(|h| h.pid == at.pid && h.t_ns <= before_ns && is_answer(case, h));
    found.extend(earlier.map(|h| h.t_ns));
    found.extend(case.evidence.processes.iter().find(|p| p.tid == at.pid).map(|p| p.start_ns));
    found
}

fn is_answer(case: &Case<'_>, happening: &Happening) -> bool {
    let is_network = |id: &usize| matches!(case.objects.get(*id).kind, Kind::Tcp | Kind::Udp);
    matches!(&happening.what, What::Ready(ready) if ready.iter().any(is_network))
}

fn fit(at_ns: i64, due_ns: i64) -> Option<Beginning> {
    const GRAINS_NS: [u64; 7] =
        [60_000_000_000, 10_000_000_000, 5_000_000_000, 1_000_000_000, 500_000_000, 100_000_000, PROGRAMS_GRAIN_NS];
    let waited_ns = due_ns.saturating_sub(at_ns);
    let measured_ns = u64::try_from(waited_ns).ok().filter(|ns| *ns > 0)?;
    let asked_ns = asked_for(waited_ns);
    let grain_ns = GRAINS_NS.into_iter().find(|grain| asked_ns.is_multiple_of(*grain)).unwrap_or(1_000_000);
    Some(Beginning { at_ns, asked_ns, misfit: asked_ns.abs_diff(measured_ns) as f64 / grain_ns as f64 })
}

/// Several waits that were all armed until the same moment.
fn shared_due(case: &Case<'_>, at: &Happening, last: &RanOut) -> Option<EndedBy> {
    let is_wait = matches!(last.mechanism, Mechanism::Wait(_));
    let due = is_wait.then(|| armed_until_then(case.evidence, last.armed_by)).flatten()?;
    Some(kept(case, at, last, due.begun_ns, due.armed_ns))
}

/// A deadline of a known length, and the waits that kept it.
fn kept(case: &Case<'_>, at: &Happening, last: &RanOut, begun_ns: i64, asked_ns: u64) -> EndedBy {
    let who = case.process(at.pid);
    let Mechanism::Wait(call) = &last.mechanism else { return single(case, at, last) };
    let is_wait = |h: &&Happening| {
        let name = h.call.map(|index| waited_in(&case.evidence.calls[index]));
        h.tid == at.tid && h.t_ns >= begun_ns && h.t_ns <= at.t_ns && name == Some(call)
    };
    let waits: Vec<&Happening> = case.happenings.iter().filter(is_wait).collect();
    let longest_ns = waits.iter().filter_map(|h| u64::try_from(h.t_ns - h.since_ns).ok()).max().unwrap_or(0);
    let is_one = longest_ns >= asked_ns / 10 * 9;
    let took = seconds(at.t_ns - begun_ns);
    let left = whole_ms(last.armed_for_ns);
    let (mechanism, how) = match is_one {
        // What is shorter than that only made up for a clock that was read in between.
        true => (last.mechanism.clone(), format!("kept by one {call} of {}", whole_ms(longest_ns))),
        false => {
            let kept = several(waits.len(), call);
            let mechanism = Mechanism::KeptDeadline { by: call.clone(), waits: waits.len() };
            (mechanism, format!("kept by {kept}, the last of {left}"))
        }
    };
    let words = match is_one && is_sleep(&last.mechanism) {
        true => format!("{who} went on after {took}: it had slept, for {}", duration(asked_ns)),
        false => format!("{who} gave up after {took}: its own deadline of {}, {how}", duration(asked_ns)),
    };
    let mut found = plain(Party::Tool, mechanism, who, at.t_ns, words);
    found.armed_at_ns = Some(begun_ns);
    found.armed_for_ns = Some(asked_ns);
    found.evidence = waits.iter().filter_map(|h| h.call).map(EvidenceRef::Call).collect();
    found.confidence = Confidence::Likely;
    found
}

fn whole_ms(ns: u64) -> String {
    duration(ns / 1_000_000 * 1_000_000)
}
