//! Claims as tests compare them.

use crate::timeline::fixture::Fixture;
use crate::timeline::{Event, build_from, duration};

/// The claims as `at | text | timer armed`, one line each.
pub fn claims(run: &Fixture) -> Vec<String> {
    let timeline = build_from(&run.evidence, &run.flights);
    let line = |event: &Event| {
        let timer = event.wait.as_ref().and_then(|wait| wait.timer.as_ref());
        let timer = timer.map_or(String::new(), |t| format!(" | {} {}", t.name, duration(t.armed_ns)));
        format!("{} | {}{timer}", event.at, event.text)
    };
    timeline.events.iter().filter(|event| event.is_claim).map(line).collect()
}

/// What the fixture's rule does to a packet.
pub const DROPPED: &str = ", dropped at server by \"drop tcp dport=80\"";
