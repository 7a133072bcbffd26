//! What would have ended it otherwise: the kernel's own timers, had the program waited on.

use super::case::Case;
use super::established::prediction;
use super::kernel::{connect_prediction, is_established};
use crate::evidence::TimerKind;
use crate::kernel_model::{Prediction, in_words};
use crate::timeline::objects::{Kind, ObjectId};
use crate::verdict::{Mechanism, Next};

/// What would have come next for what was waited for, if that is known.
pub fn next(case: &Case<'_>, waited_for: &[ObjectId], t_ns: i64) -> Option<Next> {
    let id = *waited_for.iter().rev().find(|id| case.objects.get(**id).kind == Kind::Tcp)?;
    if is_established(case, id, t_ns) { of_connection(case, id, t_ns) } else { of_connect(case, id) }
}

fn of_connect(case: &Case<'_>, id: ObjectId) -> Option<Next> {
    case.flow(id)?;
    let (prediction, begun_ns) = connect_prediction(case, id)?;
    Some(gives_up(Mechanism::SynRetries, &prediction, begun_ns))
}

fn gives_up(mechanism: Mechanism, prediction: &Prediction, begun_ns: i64) -> Next {
    let at = |ns: u64| Some(begun_ns.saturating_add_unsigned(ns));
    Next {
        mechanism: Some(mechanism),
        earliest_ns: at(prediction.gives_up.earliest_ns),
        latest_ns: at(prediction.gives_up.latest_ns),
        words: format!("the kernel would have gone on until {}", in_words(prediction)),
    }
}

fn of_connection(case: &Case<'_>, id: ObjectId, t_ns: i64) -> Option<Next> {
    let (_, socket) = case.sampled(id, t_ns)?;
    match socket.timer {
        TimerKind::On => {
            let (prediction, begun_ns) = prediction(case, id, socket.timer, false, t_ns)?;
            Some(gives_up(Mechanism::Retransmissions, &prediction, begun_ns))
        }
        TimerKind::Off => Some(never("TCP has no timer for an idle connection")),
        TimerKind::Keepalive => {
            let often =
                prediction(case, id, socket.timer, false, t_ns).map(|(p, _)| format!(" ({})", p.decided_by.join(", ")));
            let why =
                format!("keepalive ends no connection whose peer answers its probes{}", often.unwrap_or_default());
            Some(never(&why))
        }
        TimerKind::Probe => Some(never("zero-window probes go on for as long as the peer answers them")),
        TimerKind::TimeWait | TimerKind::Unknown(_) => None,
    }
}

fn never(why: &str) -> Next {
    let words = format!("the kernel would never have ended it: {why}");
    Next { mechanism: None, earliest_ns: None, latest_ns: None, words }
}
