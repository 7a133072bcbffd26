//! The verdict of a run. Pure: the same evidence gives the same verdict, today and from a file.
//!
//! It does not compare with a snapshot; that is the snapshot's business and a second, separate judgement.

use super::cause::ended_by;
use super::ended_by::EndedBy;
use super::expect;
use crate::evidence::Evidence;
use crate::plan::Origin;
use crate::timeline::{Flight, Timeline, duration, flights};

/// A heartbeat later than this, and the machine itself stood still: nothing about the run's times can be said.
///
/// 100 ms is what the tolerances allow for scheduling, so a machine that is less late is within them, and it is far
/// more than an agent that shares its processors with other runs is late (a few milliseconds).
pub const STALLED_NS: u64 = 100_000_000;

/// What a run says about its scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What ended the command, if that was looked into.
    pub ended_by: Option<EndedBy>,
    /// Expectations that do not hold, in the order of the scenario's `expect`.
    pub findings: Vec<Finding>,
    /// Why nothing can be said for certain, if so: then neither a pass nor a failure counts.
    pub inconclusive: Vec<String>,
}

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was looked at: `exit`, `after`, `stdout contains`.
    pub what: String,
    /// What the scenario claims.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// What would have passed, with the reason.
    pub allowed: String,
    /// The claim's place in the scenario.
    pub origin: Origin,
}

/// Judges a run. The timeline is the evidence's own.
pub fn judge(evidence: &Evidence, timeline: &Timeline) -> Verdict {
    judge_from(evidence, &flights(evidence), timeline)
}

/// Judges a run whose packets have been paired.
pub fn judge_from(evidence: &Evidence, flights: &[Flight], timeline: &Timeline) -> Verdict {
    let ended_by = Some(ended_by(evidence, flights));
    Verdict { ended_by, findings: expect::findings(evidence, timeline), inconclusive: inconclusive(evidence) }
}

fn inconclusive(evidence: &Evidence) -> Vec<String> {
    let lost = evidence.capture_loss.iter().filter(|loss| loss.packets > 0);
    let mut reasons: Vec<String> = lost
        .map(|loss| format!("the capture in {} lost {} packets: the timeline has holes", loss.host, loss.packets))
        .collect();
    reasons.extend(evidence.blind_spots.iter().cloned());
    let refused = evidence.faults.iter().filter_map(|fault| Some((&fault.id, fault.refused.as_ref()?)));
    reasons.extend(refused.map(|(id, why)| format!("the fault {id} was not put in place: {why}")));
    let discarded = evidence.output.discarded_bytes;
    if discarded > 0 && expect::absent(evidence).next().is_some() {
        reasons.push(format!("expected output may be among the {discarded} bytes that were not kept"));
    }
    let late_ns = evidence.lateness.max_ns;
    if late_ns > STALLED_NS {
        let (late, bound) = (duration(late_ns / 1_000_000 * 1_000_000), duration(STALLED_NS));
        reasons.push(format!("the machine stood still for {late}, more than the {bound} that tolerances allow for"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::CaptureLoss;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;

    fn reasons(change: impl FnOnce(&mut Evidence)) -> Vec<String> {
        let mut run = Fixture::syn_retries();
        change(&mut run.evidence);
        judge(&run.evidence, &build_from(&run.evidence, &run.flights)).inconclusive
    }

    #[test]
    fn a_quiet_machine_and_a_whole_capture_are_conclusive() {
        let reasons = reasons(|e| {
            e.lateness.max_ns = STALLED_NS;
            e.capture_loss.push(CaptureLoss { host: "client".into(), packets: 0 });
        });
        assert_eq!(reasons, Vec::<String>::new());
    }

    #[test]
    fn packets_that_a_capture_lost_make_a_run_inconclusive() {
        let reasons = reasons(|e| e.capture_loss.push(CaptureLoss { host: "server".into(), packets: 3 }));
        assert_eq!(reasons, ["the capture in server lost 3 packets: the timeline has holes"]);
    }

    #[test]
    fn a_machine_that_stood_still_makes_a_run_inconclusive() {
        let reasons = reasons(|e| e.lateness.max_ns = 153_400_000);
        assert_eq!(reasons, ["the machine stood still for 153 ms, more than the 100 ms that tolerances allow for"]);
    }
}
