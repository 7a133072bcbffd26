//! What the Trace Event Format asks of a file, checked: not how our traces are made, but what a reader may rely on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

type Track = (u64, u64);

/// A slice that may still be open at the place the reader is at.
#[derive(Debug, Clone, Copy)]
struct Open {
    from_us: f64,
    to_us: f64,
}

/// What was found in a trace that is in order.
#[derive(Debug, Default)]
pub struct Found {
    /// Events by phase: `X`, `i`, `C`, `s`, `f`, `M`.
    pub phases: BTreeMap<String, usize>,
    /// Slices, instants and counters by category.
    pub categories: BTreeMap<String, usize>,
    /// Names of threads.
    pub threads: BTreeSet<String>,
    open: BTreeMap<Track, Vec<Open>>,
    flows: BTreeMap<u64, Vec<(String, f64)>>,
    named: BTreeSet<Track>,
    used: BTreeSet<Track>,
    processes: BTreeSet<u64>,
    last_us: f64,
}

/// Stamps are decimal fractions and slices' ends are sums of two: a tenth of a nanosecond is no overlap.
const NEARLY_US: f64 = 1e-4;

impl Found {
    /// Reads a trace and panics at the first thing that is not in order.
    pub fn read(bytes: &[u8]) -> Self {
        let trace: Value = serde_json::from_slice(bytes).expect("a trace is JSON");
        let events = trace["traceEvents"].as_array().expect("a trace has events");
        let mut found = Self::default();
        for event in events {
            found.event(event);
        }
        for (id, ends) in &found.flows {
            let phases: Vec<&str> = ends.iter().map(|(phase, _)| phase.as_str()).collect();
            assert_eq!(phases, ["s", "f"], "flow {id} begins once and then ends once");
            assert!(ends[0].1 <= ends[1].1, "flow {id} goes back in time");
        }
        let unnamed: Vec<&Track> = found.used.difference(&found.named).collect();
        assert!(unnamed.is_empty(), "threads without a name: {unnamed:?}");
        let unnamed: Vec<&Track> = found.used.iter().filter(|track| !found.processes.contains(&track.0)).collect();
        assert!(unnamed.is_empty(), "processes without a name: {unnamed:?}");
        found
    }

    fn event(&mut self, event: &Value) {
        let phase = event["ph"].as_str().expect("an event has a phase");
        let track = (event["pid"].as_u64().expect("pid"), event["tid"].as_u64().expect("tid"));
        assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
        *self.phases.entry(phase.to_owned()).or_default() += 1;
        if phase == "M" {
            return self.metadata(event, track);
        }
        self.used.insert(track);
        *self.categories.entry(event["cat"].as_str().expect("a category").to_owned()).or_default() += 1;
        let ts = event["ts"].as_f64().expect("a stamp");
        assert!(ts.is_finite() && ts >= 0.0 && ts >= self.last_us, "not in order: {event}");
        assert!((ts * 1e3 - (ts * 1e3).round()).abs() < 0.1, "not a whole nanosecond: {event}");
        self.last_us = ts;
        match phase {
            "X" => self.slice(event, track, ts),
            "i" => assert!(["t", "p", "g"].contains(&event["s"].as_str().unwrap_or_default()), "{event}"),
            "C" => {
                let values = event["args"].as_object().expect("a counter has values");
                assert!(!values.is_empty() && values.values().all(Value::is_number), "{event}");
            }
            "s" | "f" => self.flow(event, phase, track, ts),
            other => panic!("a phase that no trace of ours has: {other}"),
        }
    }

    fn metadata(&mut self, event: &Value, track: Track) {
        assert!(self.used.is_empty(), "names come first: {event}");
        match event["name"].as_str() {
            Some("process_name") => {
                assert!(self.processes.insert(track.0), "a process has one name: {event}");
            }
            Some("thread_name") => {
                let name = event["args"]["name"].as_str().expect("a name");
                assert!(self.named.insert(track), "a thread has one name: {event}");
                self.threads.insert(name.to_owned());
            }
            Some("process_sort_index" | "thread_sort_index") => {
                assert!(event["args"]["sort_index"].is_u64(), "{event}")
            }
            other => panic!("metadata that nobody knows: {other:?}"),
        }
    }

    /// Slices of one thread lie apart or inside each other. A reader closes what has ended when the next one begins.
    fn slice(&mut self, event: &Value, track: Track, from_us: f64) {
        let dur = event["dur"].as_f64().expect("a slice has a length");
        assert!(dur.is_finite() && dur >= 0.0, "a slice of negative length: {event}");
        let open = self.open.entry(track).or_default();
        while open.last().is_some_and(|last| last.to_us <= from_us + NEARLY_US) {
            open.pop();
        }
        let to_us = from_us + dur;
        if let Some(around) = open.last() {
            assert!(to_us <= around.to_us + NEARLY_US, "neither inside nor apart: {event}");
        }
        open.push(Open { from_us, to_us });
    }

    /// An arrow begins and ends in the slice that its thread began last.
    fn flow(&mut self, event: &Value, phase: &str, track: Track, ts: f64) {
        let slice = self.open.get(&track).and_then(|open| open.last()).copied();
        let slice = slice.unwrap_or_else(|| panic!("an arrow at no slice: {event}"));
        assert!(slice.from_us <= ts && ts <= slice.to_us + NEARLY_US, "an arrow outside of its slice: {event}");
        assert_eq!(event["bp"].as_str(), (phase == "f").then_some("e"), "{event}");
        let id = event["id"].as_u64().expect("an arrow has an id");
        self.flows.entry(id).or_default().push((phase.to_owned(), ts));
    }
}
