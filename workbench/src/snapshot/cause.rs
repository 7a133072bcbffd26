//! What ended the command, as a snapshot claims it: what is the same from run to run, kernel of one range to the next, and
//! engine to engine. Finds no cause; leaves out counts, times, and lengths that a round trip or a lateness was measured for.

use std::fmt;

use super::claims::{name, whole_ms};
use super::render::short_seconds;
use crate::timeline::asked_for;
use crate::verdict::{Confidence, EndedBy, Mechanism, Party};

/// What ended the command: `kernel client: SYN retries of 3 s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Party, who it was, and the mechanism: `kernel client: SYN retries`.
    pub words: String,
    /// How long its timer was armed for, where somebody chose that; whole milliseconds.
    pub armed_ns: Option<u64>,
    /// Another explanation fits as well.
    pub is_ambiguous: bool,
}

/// What stands before it in a snapshot.
pub(super) const ENDED_BY: &str = "ended by";

/// What marks one of several explanations.
pub(super) const AMBIGUOUS: &str = " (ambiguous)";

impl Cause {
    /// What a snapshot claims of a verdict.
    pub(super) fn of(ended_by: &EndedBy) -> Self {
        let who = match ended_by.party {
            // It is always the run's.
            Party::Deadline => String::new(),
            _ => format!(" {}", unnumbered(&ended_by.who)),
        };
        let armed_ns = chosen_ns(ended_by).map(|ns| whole_ms(i64::try_from(ns).unwrap_or(i64::MAX)).unsigned_abs());
        Self {
            words: name(&format!("{}{who}: {}", ended_by.party, mechanism(&ended_by.mechanism))),
            armed_ns,
            is_ambiguous: ended_by.confidence == Confidence::Ambiguous,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        if let Some(armed_ns) = self.armed_ns {
            write!(f, " of {}", short_seconds(armed_ns))?;
        }
        f.write_str(if self.is_ambiguous { AMBIGUOUS } else { "" })
    }
}

/// `sleep` of `sleep[5]`, `server:80` of `server:80#2`: which of several it was depends on who came first.
fn unnumbered(who: &str) -> &str {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let process = who.strip_suffix(']').and_then(|who| who.rsplit_once('['));
    let numbered = process.or_else(|| who.rsplit_once('#')).filter(|(_, digits)| is_number(digits));
    numbered.map_or(who, |(plain, _)| plain)
}

/// The mechanism by name. One wait or many, and by which call, is how a program is written, and a runtime on a busy
/// machine makes up for a late clock with a second, short wait.
fn mechanism(mechanism: &Mechanism) -> String {
    match mechanism {
        Mechanism::Wait(call) | Mechanism::KeptDeadline { by: call, .. } if call.ends_with("nanosleep") => {
            "sleep".to_owned()
        }
        Mechanism::Wait(_) | Mechanism::KeptDeadline { .. } => "its own deadline".to_owned(),
        Mechanism::Route(errno) | Mechanism::Refused(errno) | Mechanism::Exec(errno) => {
            format!("{} ({errno})", mechanism.name())
        }
        Mechanism::RunDeadline => "nothing yet".to_owned(),
        _ => mechanism.name(),
    }
}

/// How long the timer was armed for, where a program, an option or a sysctl says so. Retransmissions and zero-window
/// probes start from a measured round trip (RFC 6298), and how long a run was watched is no claim about the world.
fn chosen_ns(ended_by: &EndedBy) -> Option<u64> {
    const SECOND_NS: u64 = 1_000_000_000;
    let armed_ns = ended_by.armed_for_ns?;
    match ended_by.mechanism {
        Mechanism::Retransmissions | Mechanism::OrphanLimit | Mechanism::Persist | Mechanism::RunDeadline => None,
        // Its settings are whole seconds; what is none has the rest of an idle time in it, from the last segment on.
        Mechanism::Keepalive => Some(armed_ns).filter(|ns| ns.is_multiple_of(SECOND_NS)),
        // Its later waits are what was left of the question before.
        Mechanism::ResolverTimeout => Some(asked_for(i64::try_from(armed_ns).unwrap_or(i64::MAX))),
        _ => Some(armed_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(party: Party, mechanism: Mechanism, who: &str, armed_for_ms: Option<u64>) -> String {
        let ended_by = EndedBy {
            party,
            mechanism,
            who: who.to_owned(),
            armed_at_ns: None,
            armed_for_ns: armed_for_ms.map(|ms| ms * 1_000_000),
            fired_at_ns: 0,
            evidence: Vec::new(),
            confidence: Confidence::Certain,
            words: String::new(),
            next: None,
            also: Vec::new(),
        };
        Cause::of(&ended_by).to_string()
    }

    #[test]
    fn one_wait_and_many_are_the_same_deadline() {
        let many = Mechanism::KeptDeadline { by: "poll".into(), waits: 6 };
        let one = Mechanism::Wait("epoll_wait".into());
        let of = |mechanism| cause(Party::Tool, mechanism, "curl", Some(2_000));
        assert_eq!(of(many), "tool curl: its own deadline of 2 s");
        assert_eq!(of(one), "tool curl: its own deadline of 2 s");
        assert_eq!(of(Mechanism::Wait("clock_nanosleep".into())), "tool curl: sleep of 2 s");
        assert_eq!(of(Mechanism::Timer("alarm".into())), "tool curl: alarm of 2 s");
    }

    #[test]
    fn a_length_that_was_measured_is_left_out() {
        let of = |mechanism, ms| cause(Party::Kernel, mechanism, "client", Some(ms));
        assert_eq!(of(Mechanism::Retransmissions, 924_600), "kernel client: retransmissions");
        assert_eq!(of(Mechanism::SynRetries, 3_000), "kernel client: SYN retries of 3 s");
        assert_eq!(of(Mechanism::Keepalive, 40_000), "kernel client: keepalive of 40 s");
        assert_eq!(of(Mechanism::Keepalive, 43_996), "kernel client: keepalive");
        let resolver = cause(Party::Resolver, Mechanism::ResolverTimeout, "curl", Some(9_993));
        assert_eq!(resolver, "resolver curl: resolver timeout x attempts of 10 s");
    }

    #[test]
    fn who_came_first_of_several_is_left_out() {
        let sleep = Mechanism::Wait("nanosleep".into());
        assert_eq!(cause(Party::Tool, sleep, "sleep[5]", Some(500)), "tool sleep: sleep of 0.5 s");
        let reset = cause(Party::Peer, Mechanism::Reset, "server:80#2", None);
        assert_eq!(reset, "peer server:80: RST");
        assert_eq!(unnumbered("[x]"), "[x]");
    }

    #[test]
    fn the_runs_own_deadline_has_no_length_and_nobody() {
        let deadline = cause(Party::Deadline, Mechanism::RunDeadline, "the run", Some(4_000));
        assert_eq!(deadline, "deadline: nothing yet");
        let refused = cause(Party::Kernel, Mechanism::Route("ENETUNREACH".into()), "client", None);
        assert_eq!(refused, "kernel client: no route (ENETUNREACH)");
    }
}
