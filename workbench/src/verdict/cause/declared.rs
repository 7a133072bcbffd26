//! What a socket program waited for by declaration (`wait client.gone`), and which timer of the kernel brought it about.
//!
//! No call shows such a wait; the record of its step does. That a socket is there is seen in samples; what a packet brought
//! about is not looked for here.

use super::case::Case;
use super::established::later;
use super::kernel::{orphaned, socket_options};
use super::network::plain;
use super::words::{compared, seconds};
use crate::evidence::{TcpSocket, TcpState, TimerKind};
use crate::kernel_model::{Prediction, Settings, Start, fin_wait2_ends, time_wait_ends};
use crate::plan::Call;
use crate::scenario::{Cause, SocketState};
use crate::timeline::EvidenceRef;
use crate::verdict::{EndedBy, Mechanism, Party};

/// A wait shorter than this is how a program falls into step with another.
const NOTABLE_NS: i64 = 100_000_000;

/// The last thing that the command waited for, if it was that a socket is gone.
pub fn gone(case: &Case<'_>, command: u32, t_ns: i64) -> Option<EndedBy> {
    let program = case.evidence.plan.command.program.as_ref()?;
    let plan = case.evidence.plan.programs.iter().find(|plan| plan.name == *program)?;
    let long = case.evidence.steps.iter().rev().filter(|step| step.program == *program).find_map(|step| {
        let done_ns = step.done_ns.filter(|done_ns| done_ns - step.began_ns >= NOTABLE_NS)?;
        Some((&plan.steps.get(step.index)?.call, done_ns))
    });
    let (call, done_ns) = long?;
    let Call::Wait { cause: Cause::Socket { host, state: SocketState::Gone, .. } } = call else { return None };
    let goes_on = |h: &super::happenings::Happening| h.pid == command && h.t_ns - h.since_ns >= NOTABLE_NS;
    let waits_again = case.until(t_ns).iter().any(|h| h.t_ns > done_ns && goes_on(h));
    if waits_again || host != case.host() {
        return None;
    }
    orphaned(case, done_ns).or_else(|| ran_down(case, done_ns))
}

/// A closed socket whose time was over: FIN_WAIT2 without an owner, or TIME_WAIT.
fn ran_down(case: &Case<'_>, t_ns: i64) -> Option<EndedBy> {
    let is_closed = |socket: &&TcpSocket| {
        socket.timer == TimerKind::TimeWait && matches!(socket.state, TcpState::FinWait2 | TcpState::TimeWait)
    };
    let samples = || case.evidence.sockets.iter().enumerate().filter(|(_, s)| s.host == case.host() && s.t_ns <= t_ns);
    let (last_seen_ns, last) =
        samples().rev().find_map(|(_, sample)| Some((sample.t_ns, sample.sockets.iter().find(is_closed)?)))?;
    let is_same = |socket: &&TcpSocket| is_closed(socket) && socket.ends() == last.ends() && socket.state == last.state;
    let (sample, first) = samples().find_map(|(index, s)| Some((index, s.sockets.iter().find(is_same)?)))?;
    let id = case.objects.ids().find(|id| case.objects.get(*id).remote.is_some() && case.is(*id, last))?;
    let armed_at_ns = case.evidence.sockets[sample].t_ns;
    let (mechanism, state) = match last.state {
        TcpState::TimeWait => (Mechanism::TimeWait, "TIME_WAIT"),
        _ => (Mechanism::FinWait2, "FIN_WAIT2"),
    };
    let prediction = Settings::of(case.evidence, case.host()).map(|settings| {
        let start = Start::of(&case.evidence.machine, armed_at_ns);
        match mechanism {
            Mechanism::TimeWait => time_wait_ends(&settings, &start),
            _ => fin_wait2_ends(&settings, &socket_options(case, id), SMALLEST_RTO_NS, &start),
        }
    });
    // It was seen when it had begun already.
    let prediction = prediction.map(|prediction| later(&prediction, -seen_late_ns(&prediction, first)));
    // The look that misses a socket comes up to a step of the timer wheel after its timer.
    let latest_ns = prediction.as_ref().and_then(|prediction| i64::try_from(prediction.gives_up.latest_ns).ok());
    let gone_ns = latest_ns.map_or(t_ns, |latest_ns| t_ns.min(last_seen_ns.max(armed_at_ns + latest_ns)));
    let (judged, confidence) = compared(prediction.as_ref(), gone_ns - armed_at_ns, case.evidence);
    let words = format!(
        "the kernel of {} forgot the connection to {}, which no process had any more, after {} in {state}; {judged}",
        case.host(),
        case.place(id),
        seconds(t_ns - armed_at_ns),
    );
    let mut found = plain(Party::Kernel, mechanism, case.host().to_owned(), t_ns, words);
    found.armed_at_ns = Some(armed_at_ns);
    found.armed_for_ns = prediction.map(|prediction| prediction.nominal_ns());
    found.confidence = confidence;
    found.evidence.push(EvidenceRef::Sample(sample));
    Some(found)
}

/// TCP_RTO_MIN: 3.5 RTOs are the least of FIN_WAIT2, which matters for limits below a second alone.
const SMALLEST_RTO_NS: u64 = 200_000_000;

/// How much of the timer had passed when it was seen first.
fn seen_late_ns(prediction: &Prediction, first: &TcpSocket) -> i64 {
    let left_ns = u64::from(first.expires_ms) * 1_000_000;
    i64::try_from(prediction.nominal_ns().saturating_sub(left_ns)).unwrap_or(0)
}
