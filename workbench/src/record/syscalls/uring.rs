//! io_uring's calls: what they hand over and what comes back, added to their arguments from the ring's memory.
//!
//! `io_uring_enter` has six arguments; the seventh here is what it submits, the eighth what was found to be complete.

use super::decode::{CallStop, Outcome, ring};
use super::rings::PARAMS_BYTES;
use super::table::Traced;
use super::tracees::{Pending, Shared};
use crate::evidence::Arg;

/// Where the two lists stand behind the call's own arguments.
const COMPLETIONS: usize = 7;

const POLLED: &str =
    "whose submissions a kernel thread takes (IORING_SETUP_SQPOLL): its operations and timeouts are not recorded";
const UNREADABLE: &str = "that cannot be read (its descriptor is closed or came from elsewhere): its operations and timeouts are not recorded";

/// At a call's entry: adds what it submits to the decoded arguments. Gives back why a ring's operations are missed, once
/// for each process.
pub fn at_entry(
    traced: &Traced,
    stop: &CallStop,
    args: &mut Vec<Arg>,
    pid: u32,
    shared: &mut Shared,
) -> Option<String> {
    if traced.number == libc::SYS_io_uring_enter
        && let Some(seen) = shared.rings.look(pid, &stop.raw, stop.raw[1] as u32)
    {
        args.push(ring::submissions(stop, &seen.submissions));
        args.push(Arg::List(ring::completions(&seen.completions, true).collect()));
    }
    let is_news = !shared.is_ring_hidden && shared.rings.is_polled(pid);
    hide(is_news, POLLED, shared)
}

/// At a call's return: remembers a new ring, adds what completed. Gives back as [`at_entry`] does.
pub fn at_return(pending: &mut Pending, outcome: Outcome, pid: u32, shared: &mut Shared) -> Option<String> {
    let Pending { traced, stop, args, .. } = pending;
    match (traced.number, outcome) {
        (libc::SYS_io_uring_setup, Ok(fd)) => {
            if let Some(params) = stop.memory.array::<PARAMS_BYTES>(stop.raw[1]) {
                shared.rings.add(fd as i32, &params);
            }
            None
        }
        (libc::SYS_io_uring_enter, _) => match args.get_mut(COMPLETIONS) {
            Some(Arg::List(list)) => {
                let seen = shared.rings.look(pid, &stop.raw, 0).unwrap_or_default();
                list.extend(ring::completions(&seen.completions, false));
                None
            }
            _ => hide(outcome.is_ok() && !shared.is_ring_hidden, UNREADABLE, shared),
        },
        _ => None,
    }
}

fn hide(is_news: bool, why: &str, shared: &mut Shared) -> Option<String> {
    shared.is_ring_hidden |= is_news;
    is_news.then(|| why.to_owned())
}
