//! Events of a trace and the order they stand in. Knows nothing of what they mean.

use serde::Serialize;
use serde_json::{Map, Value};

/// A process and a thread of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Track {
    /// Process.
    pub pid: u64,
    /// Thread.
    pub tid: u64,
}

/// Which event of one stamp comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// What contains others: a process's life.
    Around,
    /// An arrival at a call that waited: before whatever its thread does next.
    Arrival,
    /// A packet that no call is known to have sent, by its number.
    Packet(usize),
    /// A call and the packets that left at its entry, by its number.
    Call(usize),
    /// Everything else.
    Other,
}

/// Where an event stands among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// When, since zero.
    pub t_ns: i64,
    /// Within one stamp.
    pub rank: Rank,
    /// Within one rank, where it matters: a slice before its flow events.
    pub step: usize,
}

impl Key {
    /// Of no importance within its stamp.
    pub fn at(t_ns: i64) -> Self {
        Self { t_ns, rank: Rank::Other, step: 0 }
    }
}

/// An event, as the format writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct TraceEvent {
    pub name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cat: &'static str,
    /// `X` complete, `i` instant, `C` counter, `s` and `f` flow, `M` metadata.
    pub ph: &'static str,
    /// Microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dur: Option<f64>,
    pub pid: u64,
    pub tid: u64,
    /// Of a flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `e`: a flow ends in the slice around it, not in the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bp: Option<&'static str>,
    /// How far an instant is drawn: `t`, its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
}

/// Events in the making.
#[derive(Debug, Default)]
pub(super) struct Events {
    events: Vec<(Key, TraceEvent)>,
    flows: u64,
}

/// What an event says beside its name.
pub(super) type Args = Map<String, Value>;

/// Arguments from pairs; what is null is left out.
pub(super) fn args<const N: usize>(pairs: [(&str, Value); N]) -> Args {
    pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Events {
    /// A slice from the key's time to `end_ns`.
    pub fn slice(&mut self, key: Key, end_ns: i64, track: Track, cat: &'static str, name: &str, args: Args) {
        let dur = Some(us(end_ns.saturating_sub(key.t_ns).max(0)));
        self.push(key, TraceEvent { ph: "X", dur, cat, args, ..on(track, name) });
    }

    /// A moment.
    pub fn instant(&mut self, key: Key, track: Track, cat: &'static str, name: &str, args: Args) {
        self.push(key, TraceEvent { ph: "i", s: Some("t"), cat, args, ..on(track, name) });
    }

    /// Values of a counter from now on, each a curve of its own.
    pub fn counter(&mut self, t_ns: i64, track: Track, cat: &'static str, name: &str, values: Args) {
        self.push(Key::at(t_ns), TraceEvent { ph: "C", cat, args: values, ..on(track, name) });
    }

    /// An arrow from the slice that `from` began last to the one that `to` is in.
    pub fn flow(&mut self, name: &str, (from_key, from): (Key, Track), (to_key, to): (Key, Track)) {
        self.flows += 1;
        let (cat, id) = ("flow", Some(self.flows));
        self.push(from_key, TraceEvent { ph: "s", cat, id, ..on(from, name) });
        self.push(to_key, TraceEvent { ph: "f", bp: Some("e"), cat, id, ..on(to, name) });
    }

    fn push(&mut self, key: Key, event: TraceEvent) {
        self.events.push((key, event));
    }

    /// Where zero lies, in microseconds, and all events in order. No stamp is negative: readers differ in what they make
    /// of those, so what was before zero is where the trace begins.
    pub fn finish(mut self) -> (f64, Vec<TraceEvent>) {
        self.events.sort_by_key(|(key, _)| *key);
        let first_ns = self.events.first().map_or(0, |(key, _)| key.t_ns.min(0));
        let stamped = |(key, event): (Key, TraceEvent)| TraceEvent { ts: Some(us(key.t_ns - first_ns)), ..event };
        (us(-first_ns), self.events.into_iter().map(stamped).collect())
    }
}

fn on(track: Track, name: &str) -> TraceEvent {
    TraceEvent { name: name.to_owned(), pid: track.pid, tid: track.tid, ..TraceEvent::default() }
}

/// Exact to the nanosecond: a quotient that is written with as few digits as tell it apart.
fn us(ns: i64) -> f64 {
    ns as f64 / 1e3
}
