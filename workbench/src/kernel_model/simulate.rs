//! Lets a chain of timers run over the wheel: once from a known place, and from every place that makes a difference.
//! What the chain is, its caller says.

use super::prediction::{Exact, Prediction, Span};
use super::settings::Settings;
use super::start::Start;
use super::wheel::{fires_again_at, fires_at, step_jiffies};

/// More than any chain has: sysctls allow 255 retransmissions at most.
const MOST_TIMERS: usize = 1_000;

/// Where runs from everywhere begin: a whole multiple of every step, with room for what happened before.
const EPOCH: u64 = 1 << 33;

/// Where a cycle has more, not every phase is run, and the range is wider by what was left out: two hours at
/// HZ=1000 have steps of 262 s, and a range that is 14 ms too wide.
const MOST_PHASES: u64 = 32_768;

/// Ticks at whole milliseconds, and ticks between them.
const HALF_A_MS: u64 = 500_000;

/// One run of a chain.
pub(super) struct Run {
    tick_ns: u64,
    /// In nanoseconds since jiffy 0.
    started_ns: u64,
    /// What the clock that counts milliseconds is ahead of the ticks: they need not lie at whole milliseconds.
    ahead_ns: u64,
    now_jiffies: u64,
    fired_ns: Vec<u64>,
    armed: Vec<u64>,
    /// The clock that counts milliseconds was looked at.
    has_looked: bool,
}

impl Run {
    fn new(tick_ns: u64, jiffies: u64, since_tick_ns: u64, ahead_ns: u64) -> Self {
        let started_ns = jiffies * tick_ns + since_tick_ns;
        Self {
            tick_ns,
            started_ns,
            ahead_ns,
            now_jiffies: jiffies,
            fired_ns: Vec::new(),
            armed: Vec::new(),
            has_looked: false,
        }
    }

    /// Arms a timer for so many jiffies and waits until it fires. The first is armed by a call, the others by the one
    /// before.
    pub(super) fn wait(&mut self, delta_jiffies: u64) {
        let fires = if self.armed.is_empty() { fires_at } else { fires_again_at };
        self.now_jiffies = fires(self.now_jiffies, delta_jiffies);
        self.armed.push(delta_jiffies);
        self.fired_ns.push(self.now_jiffies * self.tick_ns - self.started_ns);
    }

    /// The jiffy that it is.
    pub(super) fn jiffies(&self) -> u64 {
        self.now_jiffies
    }

    /// The jiffy that it is so long after the start.
    pub(super) fn jiffies_after(&self, after_ns: i64) -> u64 {
        self.started_ns.saturating_add_signed(after_ns) / self.tick_ns
    }

    /// `tcp_time_stamp()`: whole milliseconds of the clock.
    pub(super) fn stamp_ms(&mut self) -> u64 {
        self.has_looked = true;
        let now_ns = if self.armed.is_empty() { self.started_ns } else { self.now_jiffies * self.tick_ns };
        (now_ns + self.ahead_ns) / 1_000_000
    }

    /// Whether it has gone on for longer than anything real does.
    pub(super) fn is_endless(&self) -> bool {
        self.armed.len() >= MOST_TIMERS
    }
}

/// Runs a chain from where it started and from everywhere else.
pub(super) fn predict(
    settings: &Settings,
    start: &Start,
    decided_by: Vec<String>,
    chain: impl Fn(&mut Run),
) -> Prediction {
    let tick_ns = settings.tick_ns;
    let run = |jiffies: u64, since_tick_ns: u64, ahead_ns: u64| {
        let mut run = Run::new(tick_ns, jiffies, since_tick_ns, ahead_ns);
        chain(&mut run);
        run
    };
    let first = run(EPOCH, 0, 0);
    // All steps up to that of the longest timer begin together again after that one.
    let cycle = step_jiffies(first.armed.iter().copied().max().unwrap_or(0));
    let corners: &[(u64, u64)] = match first.has_looked {
        true => &[(0, 0), (0, HALF_A_MS), (tick_ns - 1, 0), (tick_ns - 1, HALF_A_MS)],
        false => &[(0, 0), (tick_ns - 1, 0)],
    };
    let mut firings = spans(&first);
    let mut gives_up = last(&first);
    let stride = (cycle / MOST_PHASES).max(1);
    for phase in (EPOCH..EPOCH + cycle).step_by(stride as usize) {
        for (since_tick_ns, ahead_ns) in corners {
            let run = run(phase, *since_tick_ns, *ahead_ns);
            gives_up = gives_up.with(last(&run));
            merge(&mut firings, &spans(&run));
        }
    }
    let left_out_ns = (stride - 1) * tick_ns;
    gives_up = gives_up.widened(left_out_ns);
    firings.iter_mut().for_each(|firing| *firing = firing.widened(left_out_ns));
    let exact = start.clock.map(|clock| {
        let phase = clock.phase_at(start.at_ns);
        let both = [0, HALF_A_MS].map(|ahead_ns| run(phase.jiffies, phase.since_tick_ns, ahead_ns));
        let mut firings = spans(&both[0]);
        merge(&mut firings, &spans(&both[1]));
        Exact { gives_up: last(&both[0]).with(last(&both[1])), firings }
    });
    let armed_ns = first.armed.iter().map(|jiffies| jiffies * tick_ns).collect();
    Prediction { gives_up, firings, armed_ns, exact, decided_by }
}

/// The sum of what a chain's timers are armed for.
pub(super) fn nominal_ns(settings: &Settings, chain: impl Fn(&mut Run)) -> u64 {
    let mut run = Run::new(settings.tick_ns, EPOCH, 0, 0);
    chain(&mut run);
    run.armed.iter().map(|jiffies| jiffies * settings.tick_ns).sum()
}

fn spans(run: &Run) -> Vec<Span> {
    run.fired_ns.iter().map(|ns| Span::at(*ns)).collect()
}

fn last(run: &Run) -> Span {
    Span::at(run.fired_ns.last().copied().unwrap_or(0))
}

/// Chains that look at the time may need one timer more or less; those that all have are merged.
fn merge(firings: &mut Vec<Span>, others: &[Span]) {
    firings.truncate(others.len());
    for (firing, other) in firings.iter_mut().zip(others) {
        *firing = firing.with(*other);
    }
}
