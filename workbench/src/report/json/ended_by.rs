//! What ended a run, as JSON. What it rests on is given by the place in `evidence.json` and in words.

use serde::Serialize;

use super::seconds;
use crate::evidence::Evidence;
use crate::report::evidence_line;
use crate::timeline::{EvidenceRef, Timeline};
use crate::verdict::{Confidence, EndedBy, Mechanism, Next, Party};

/// What ended it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndedByReport {
    /// Who gave up, or had the last word.
    pub party: Party,
    /// By what: [`Mechanism::name`].
    pub mechanism: String,
    /// The process or host that it was, by name.
    pub who: String,
    /// A deadline kept by many waits: how many.
    pub waits: Option<usize>,
    /// When the timer was armed, in seconds; `None` where no timer did it.
    pub armed_at_s: Option<f64>,
    /// For how long.
    pub armed_for_s: Option<f64>,
    /// When it fired, or when the last word came.
    pub fired_at_s: f64,
    /// How sure that is.
    pub confidence: Confidence,
    /// The same in words.
    pub words: String,
    /// What it rests on.
    pub evidence: Vec<EvidenceReport>,
    /// What would have ended it otherwise.
    pub next: Option<NextReport>,
    /// Other explanations that fit as well.
    pub also: Vec<EndedByReport>,
}

/// One record that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceReport {
    /// Whose record it is: the list in `evidence.json`.
    pub recorder: &'static str,
    /// Its place in that list, from 0.
    pub index: usize,
    /// When, in seconds.
    pub t_s: f64,
    /// In words.
    pub text: String,
}

/// What would have come next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NextReport {
    /// By what: [`Mechanism::name`].
    pub mechanism: Option<String>,
    /// Not before, in seconds; `None`: never.
    pub earliest_s: Option<f64>,
    /// Not after.
    pub latest_s: Option<f64>,
    /// In words.
    pub words: String,
}

impl EndedByReport {
    /// A verdict on this evidence.
    pub fn new(evidence: &Evidence, timeline: &Timeline, ended_by: &EndedBy) -> Self {
        let rests_on = |reference: &EvidenceRef| EvidenceReport::new(evidence, timeline, *reference);
        let also = |other: &EndedBy| Self::new(evidence, timeline, other);
        let waits = match &ended_by.mechanism {
            Mechanism::KeptDeadline { waits, .. } => Some(*waits),
            _ => None,
        };
        Self {
            party: ended_by.party,
            mechanism: ended_by.mechanism.name(),
            who: ended_by.who.clone(),
            waits,
            armed_at_s: ended_by.armed_at_ns.map(seconds),
            armed_for_s: ended_by.armed_for_ns.map(|ns| ns as f64 / 1e9),
            fired_at_s: seconds(ended_by.fired_at_ns),
            confidence: ended_by.confidence,
            words: ended_by.words.clone(),
            evidence: ended_by.evidence.iter().map(rests_on).collect(),
            next: ended_by.next.as_ref().map(NextReport::new),
            also: ended_by.also.iter().map(also).collect(),
        }
    }
}

impl EvidenceReport {
    fn new(evidence: &Evidence, timeline: &Timeline, reference: EvidenceRef) -> Self {
        let (recorder, index) = evidence_line::place(reference);
        Self {
            recorder,
            index,
            t_s: seconds(evidence_line::t_ns(evidence, reference)),
            text: evidence_line::text(evidence, timeline, reference),
        }
    }
}

impl NextReport {
    fn new(next: &Next) -> Self {
        Self {
            mechanism: next.mechanism.as_ref().map(Mechanism::name),
            earliest_s: next.earliest_ns.map(seconds),
            latest_s: next.latest_ns.map(seconds),
            words: next.words.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;

    fn kept_deadline() -> EndedBy {
        let other = EndedBy {
            party: Party::Kernel,
            mechanism: Mechanism::SynRetries,
            who: "client".into(),
            armed_at_ns: None,
            armed_for_ns: None,
            fired_at_ns: 3_069_200_000,
            evidence: Vec::new(),
            confidence: Confidence::Ambiguous,
            words: "the kernel of client gave up".into(),
            next: None,
            also: Vec::new(),
        };
        EndedBy {
            party: Party::Tool,
            mechanism: Mechanism::KeptDeadline { by: "poll".into(), waits: 6 },
            who: "curl".into(),
            armed_at_ns: Some(20_100_000),
            armed_for_ns: Some(3_000_000_000),
            evidence: vec![EvidenceRef::Call(2), EvidenceRef::Setup(0), EvidenceRef::Process(0)],
            words: "curl gave up".into(),
            next: Some(Next {
                mechanism: Some(Mechanism::SynRetries),
                earliest_ns: Some(133_300_000_000),
                latest_ns: None,
                words: "the kernel would have gone on".into(),
            }),
            also: vec![other.clone()],
            ..other
        }
    }

    fn report() -> Value {
        let run = Fixture::syn_retries();
        let timeline = build_from(&run.evidence, &run.flights);
        serde_json::to_value(EndedByReport::new(&run.evidence, &timeline, &kept_deadline())).unwrap()
    }

    #[test]
    fn the_numbers_are_seconds_and_the_names_are_those_of_the_field() {
        let report = report();
        assert_eq!((&report["party"], &report["confidence"]), (&"tool".into(), &"ambiguous".into()));
        assert_eq!((&report["mechanism"], &report["waits"]), (&"deadline kept by many waits".into(), &6.into()));
        let times = ["armed_at_s", "armed_for_s", "fired_at_s"].map(|name| report[name].as_f64().unwrap());
        assert_eq!(times, [0.0201, 3.0, 3.0692]);
        assert_eq!((&report["next"]["earliest_s"], &report["next"]["latest_s"]), (&133.3.into(), &Value::Null));
        assert_eq!(
            (&report["also"][0]["mechanism"], &report["also"][0]["waits"]),
            (&"SYN retries".into(), &Value::Null)
        );
    }

    #[test]
    fn what_it_rests_on_is_found_again_in_the_evidence() {
        let evidence = &report()["evidence"];
        assert_eq!((&evidence[0]["recorder"], &evidence[0]["index"]), (&"calls".into(), &2.into()));
        assert_eq!(evidence[0]["t_s"], 0.0203);
        assert!(evidence[0]["text"].as_str().unwrap().starts_with("poll("), "{evidence}");
        assert_eq!((&evidence[1]["recorder"], &evidence[2]["recorder"]), (&"setup".into(), &"processes".into()));
    }

    #[test]
    fn every_field_is_documented() {
        let documented = include_str!("../../../../docs/report.md");
        let report = report();
        for object in [&report, &report["evidence"][0], &report["next"]] {
            for key in object.as_object().unwrap().keys() {
                assert!(documented.contains(&format!("| `{key}` |")), "{key} is not in docs/report.md");
            }
        }
    }
}
