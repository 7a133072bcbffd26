//! What the Trace Event Format asks of a file, checked: not how our traces are made, but what a reader may rely on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

type Track = (u64, u64);

/// A slice that may still be open at the place the reader is at.
#[derive(Debug, Clone, Copy)]
struct Open {
    from_ns: i64,
    to_ns: i64,
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
    flows: BTreeMap<u64, Vec<(String, i64)>>,
    named: BTreeSet<Track>,
    used: BTreeSet<Track>,
    processes: BTreeSet<u64>,
    last_ns: i64,
}

/// A time as Perfetto reads it: multiplied, and cut off. That must be the nanosecond that was meant. It is read from the
/// text, because serde_json's own reading is not exact to the last digit unless a feature asks for that.
fn ns(event: &str, field: &str) -> i64 {
    let number = event.split(&format!("\"{field}\":")).nth(1).and_then(|rest| rest.split([',', '}']).next());
    let us: f64 = number.and_then(|us| us.parse().ok()).unwrap_or_else(|| panic!("no {field}: {event}"));
    assert!(us.is_finite() && us >= 0.0, "{field} is negative: {event}");
    assert!(us * 1e3 - (us * 1e3).trunc() < 0.1, "{field} is not a whole nanosecond: {event}");
    (us * 1e3) as i64
}

impl Found {
    /// Reads a trace and panics at the first thing that is not in order.
    pub fn read(bytes: &[u8]) -> Self {
        let trace: Value = serde_json::from_slice(bytes).expect("a trace is JSON");
        let events = trace["traceEvents"].as_array().expect("a trace has events");
        let mut found = Self::default();
        let text = std::str::from_utf8(bytes).expect("a trace is text");
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("\"ph\":")).collect();
        assert_eq!(lines.len(), events.len(), "one event a line");
        for (event, line) in events.iter().zip(lines) {
            found.event(event, line);
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

    fn event(&mut self, event: &Value, line: &str) {
        let phase = event["ph"].as_str().expect("an event has a phase");
        let track = (event["pid"].as_u64().expect("pid"), event["tid"].as_u64().expect("tid"));
        assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
        *self.phases.entry(phase.to_owned()).or_default() += 1;
        if phase == "M" {
            return self.metadata(event, track);
        }
        self.used.insert(track);
        *self.categories.entry(event["cat"].as_str().expect("a category").to_owned()).or_default() += 1;
        let ts = ns(line, "ts");
        assert!(ts >= self.last_ns, "not in order: {event}");
        self.last_ns = ts;
        match phase {
            "X" => self.slice(event, track, ts, ts + ns(line, "dur")),
            "i" => {
                assert_eq!(event["s"], "t", "{event}");
                self.slice(event, track, ts, ts);
            }
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

    /// Slices of one thread lie apart or inside each other. A reader closes what has ended when the next one begins, but
    /// stacks those of no length that have one stamp (Perfetto's SliceTracker::MaybeCloseStack); instants are such.
    fn slice(&mut self, event: &Value, track: Track, from_ns: i64, to_ns: i64) {
        let open = self.open.entry(track).or_default();
        let is_over = |last: &Open| {
            last.to_ns < from_ns || last.to_ns == from_ns && (last.from_ns < last.to_ns || from_ns < to_ns)
        };
        while open.last().is_some_and(is_over) {
            open.pop();
        }
        if let Some(around) = open.last() {
            assert!(to_ns <= around.to_ns, "neither inside nor apart: {event}");
        }
        open.push(Open { from_ns, to_ns });
    }

    /// An arrow begins and ends in the slice that its thread began last.
    fn flow(&mut self, event: &Value, phase: &str, track: Track, ts: i64) {
        let slice = self.open.get(&track).and_then(|open| open.last()).copied();
        let slice = slice.unwrap_or_else(|| panic!("an arrow at no slice: {event}"));
        assert!(slice.from_ns <= ts && ts <= slice.to_ns, "an arrow outside of its slice: {event}");
        assert_eq!(event["bp"].as_str(), (phase == "f").then_some("e"), "{event}");
        let id = event["id"].as_u64().expect("an arrow has an id");
        self.flows.entry(id).or_default().push((phase.to_owned(), ts));
    }
}
