//! What a prediction says. Makes none.

/// A range of times, nanoseconds since the timer was armed; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub earliest_ns: u64,
    /// Not after.
    pub latest_ns: u64,
}

impl Span {
    /// Whether a time lies in it, or up to `slack_ns` outside.
    pub fn contains(&self, ns: u64, slack_ns: u64) -> bool {
        ns.saturating_add(slack_ns) >= self.earliest_ns && ns <= self.latest_ns.saturating_add(slack_ns)
    }

    /// The smallest range that holds both.
    pub(super) fn with(self, other: Self) -> Self {
        Self { earliest_ns: self.earliest_ns.min(other.earliest_ns), latest_ns: self.latest_ns.max(other.latest_ns) }
    }

    pub(super) fn widened(self, by_ns: u64) -> Self {
        Self { earliest_ns: self.earliest_ns.saturating_sub(by_ns), latest_ns: self.latest_ns + by_ns }
    }

    pub(super) fn at(ns: u64) -> Self {
        Self { earliest_ns: ns, latest_ns: ns }
    }
}

/// When the kernel ends something by itself, counted from when its first timer was armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// When, wherever in the timer wheel it begins.
    pub gives_up: Span,
    /// When each timer of the chain fires: what is sent again, and at last the end.
    pub firings: Vec<Span>,
    /// For how long each was armed, nominally: as if nothing were rounded.
    pub armed_ns: Vec<u64>,
    /// Where it began is known: when exactly.
    pub exact: Option<Exact>,
    /// What decided, as it stands in brackets: `tcp_syn_retries=6`.
    pub decided_by: Vec<String>,
}

/// A prediction for a start that lies at a known place of the timer wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    /// When it ends. Mostly one instant; two ends where a length in milliseconds may or may not need one jiffy more.
    pub gives_up: Span,
    /// When each timer fires.
    pub firings: Vec<Span>,
}

impl Prediction {
    /// The sum of what the timers were armed for, without any rounding.
    pub fn nominal_ns(&self) -> u64 {
        self.armed_ns.iter().sum()
    }
}
