//! The search's beginning: how the command ended, and what to say where there is nothing to search for.

use super::case::Case;
use super::network::plain;
use super::trace::end_of;
use crate::evidence::{Ending, Evidence};
use crate::timeline::{EvidenceRef, Flight, duration};
use crate::verdict::{EndedBy, Mechanism, Party};

/// What ended the command.
pub fn ended_by(evidence: &Evidence, flights: &[Flight]) -> EndedBy {
    let t_ns = evidence.end.t_ns;
    let command = evidence.processes.first().map_or(0, |process| process.pid);
    let case = Case::new(evidence, flights);
    match &evidence.end.how {
        Ending::ExecFailed(errno) => {
            let words = format!("the kernel did not start the program: {errno}");
            plain(Party::Kernel, Mechanism::Exec(errno.clone()), case.host().to_owned(), t_ns, words)
        }
        Ending::Deadline => at_the_deadline(&case, t_ns),
        Ending::Exit(_) | Ending::Signal(_) => {
            end_of(&case, command, t_ns, 0).unwrap_or_else(|| by_itself(&case, command, t_ns))
        }
    }
}

/// Nothing had ended it yet.
fn at_the_deadline(case: &Case<'_>, t_ns: i64) -> EndedBy {
    let armed_ns = case.evidence.plan.command.deadline_ns.unwrap_or(t_ns.unsigned_abs());
    let words = format!("nothing had ended it yet at the deadline of {}", duration(armed_ns));
    let mut found = plain(Party::Deadline, Mechanism::RunDeadline, "the run".into(), t_ns, words);
    found.armed_at_ns = Some(0);
    found.armed_for_ns = Some(armed_ns);
    // What was being waited for, for a reader who wants to know why.
    let open = case.evidence.calls.iter().enumerate().filter(|(_, call)| call.exit_ns.is_none());
    found.evidence = open.map(|(index, _)| EvidenceRef::Call(index)).collect();
    found
}

fn by_itself(case: &Case<'_>, command: u32, t_ns: i64) -> EndedBy {
    let who = case.process(command);
    let words = format!("{who} came to its end; it had waited for nothing");
    let mut found = plain(Party::Tool, Mechanism::Exit, who, t_ns, words);
    found.evidence = vec![EvidenceRef::Process(0)];
    found
}
