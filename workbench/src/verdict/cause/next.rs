//! What would have ended it otherwise: the kernel's own timers, had the program waited on.

use super::case::Case;
use super::happenings::RanOut;
use super::kernel::{connect_prediction, is_established};
use super::objects::{Kind, ObjectId};
use crate::evidence::TimerKind;
use crate::kernel_model::in_words;
use crate::verdict::{Mechanism, Next};

/// What would have come next for what was waited for, if that is known.
pub fn next(case: &Case<'_>, ran_out: &RanOut, t_ns: i64) -> Option<Next> {
    let id = *ran_out.waited_for.iter().rev().find(|id| case.objects.get(**id).kind == Kind::Tcp)?;
    if is_established(case, id, t_ns) { of_connection(case, id, t_ns) } else { of_connect(case, id) }
}

fn of_connect(case: &Case<'_>, id: ObjectId) -> Option<Next> {
    case.flow(id)?;
    let (prediction, begun_ns) = connect_prediction(case, id)?;
    let at = |ns: u64| Some(begun_ns.saturating_add_unsigned(ns));
    Some(Next {
        mechanism: Mechanism::SynRetries,
        earliest_ns: at(prediction.gives_up.earliest_ns),
        latest_ns: at(prediction.gives_up.latest_ns),
        words: format!("the kernel would have gone on until {}", in_words(&prediction)),
    })
}

fn of_connection(case: &Case<'_>, id: ObjectId, t_ns: i64) -> Option<Next> {
    let (_, socket) = case.sampled(id, t_ns)?;
    match socket.timer {
        TimerKind::Off => Some(Next {
            mechanism: Mechanism::RunDeadline,
            earliest_ns: None,
            latest_ns: None,
            words: "nothing else would have ended it: TCP has no timer for an idle connection".into(),
        }),
        _ => None,
    }
}
