//! What a run told at many phases of the timer wheel, for programs. The schema stands in `docs/report.md`.

use serde::Serialize;

use super::json::{TimerReport, seconds};
use crate::timeline::{Event, Range, Spread, Timeline};

/// A run at many phases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhasesReport {
    /// How many.
    pub count: u32,
    /// The step of the timer wheel that they are spread over, in seconds.
    pub step_s: f64,
    /// The claims, in the order of `events`.
    pub events: Vec<RangeReport>,
    /// Phases at which something else happened, those that tell the same together.
    pub strays: Vec<StrayReport>,
}

/// A claim over all phases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RangeReport {
    /// In words.
    pub text: String,
    /// Where.
    pub at: String,
    /// Shortest wait before it, in seconds.
    pub gap_min_s: Option<f64>,
    /// Longest wait before it, in seconds.
    pub gap_max_s: Option<f64>,
    /// Earliest, in seconds since the command was let go.
    pub t_min_s: f64,
    /// Latest.
    pub t_max_s: f64,
    /// What armed the wait, at the phase that `events` is of.
    pub timer: Option<TimerReport>,
}

/// Phases at which the same other thing happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrayReport {
    /// How far into the cycle of the timer wheel, in seconds.
    pub phases_s: Vec<f64>,
}

impl PhasesReport {
    /// The report of what `timeline` tells over all phases.
    pub fn new(timeline: &Timeline, spread: &Spread) -> Self {
        let claims = timeline.events.iter().filter(|event| event.is_claim);
        let phases = |phases_ns: &[u64]| phases_ns.iter().map(|ns| unsigned_seconds(*ns)).collect();
        Self {
            count: spread.count,
            step_s: unsigned_seconds(spread.step_ns),
            events: claims.zip(&spread.ranges).map(|(event, range)| RangeReport::of(event, range)).collect(),
            strays: spread.strays.iter().map(|stray| StrayReport { phases_s: phases(&stray.phases_ns) }).collect(),
        }
    }
}

impl RangeReport {
    fn of(event: &Event, range: &Range) -> Self {
        let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
        Self {
            text: event.text.clone(),
            at: event.at.clone(),
            gap_min_s: range.gap_ns.map(|(low_ns, _)| seconds(low_ns)),
            gap_max_s: range.gap_ns.map(|(_, high_ns)| seconds(high_ns)),
            t_min_s: seconds(range.t_ns.0),
            t_max_s: seconds(range.t_ns.1),
            timer: timer.map(TimerReport::of),
        }
    }
}

fn unsigned_seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;

    #[test]
    fn every_field_is_documented_and_a_gap_has_both_its_ends() {
        let run = Fixture::syn_retries();
        let timeline = build_from(&run.evidence, &run.flights);
        let mut later = timeline.clone();
        later.events.iter_mut().for_each(|event| {
            event.t_ns += 8_000_000;
            event.wait.iter_mut().for_each(|wait| wait.gap_ns += 8_000_000);
        });
        let mut stray = timeline.clone();
        stray.events.pop();
        let spread = Spread::of(&timeline, &[(0, &later), (4_000_000, &stray)], 2_048_000_000);
        let report = serde_json::to_value(PhasesReport::new(&timeline, &spread)).unwrap();
        assert_eq!((&report["count"], &report["step_s"]), (&Value::from(2), &Value::from(2.048)));
        let events = report["events"].as_array().unwrap();
        let end = events.iter().find(|event| event["timer"]["name"] == "SYN retries").unwrap();
        assert_eq!((&end["gap_min_s"], &end["gap_max_s"]), (&Value::from(3.0491), &Value::from(3.0571)));
        assert_eq!(report["strays"][0]["phases_s"][0], Value::from(0.004));
        let documented = include_str!("../../../docs/report.md");
        for key in [&report, &events[0], &report["strays"][0]].iter().flat_map(|part| part.as_object().unwrap().keys())
        {
            assert!(documented.contains(&format!("| `{key}` |")), "{key} is not in docs/report.md");
        }
    }
}
