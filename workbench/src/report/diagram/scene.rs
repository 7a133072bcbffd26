//! What a diagram shows, before anybody decides how: hosts, and one step after another. Terminal and picture draw this.

use super::super::text::{Options, command_line, headline, place, seconds};
use super::super::views::Run;
use super::arrow::{self, End};
use super::columns::columns;
use super::last_timer::Silence;
use super::states::{Seen, states};
use crate::evidence::Evidence;
use crate::timeline::{Event, EventKind, EvidenceRef, Flight, Timeline, Wait, duration, flights};
use crate::verdict::{Mechanism, Verdict};

/// A silence this long is drawn, whether or not anything is known to have ended it.
const GAP_NS: i64 = 100_000_000;

/// A wait that began so near to the step before it is the gap between the two.
const SAME_NS: i64 = 5_000_000;

/// A packet that was on its way for at least this long has its arrival told.
const TRAVEL_NS: i64 = 1_000_000;

/// So many processes that begin or end one after the other are told; of more, the first.
const PROCESSES: usize = 6;

/// Between a number and its unit: no line breaks there.
const UNIT: &str = "\u{a0}";

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct Scene {
    /// How it ended.
    pub headline: String,
    /// The command, and where it ran.
    pub under: [String; 2],
    /// Hosts with a lifeline, from left to right.
    pub columns: Vec<String>,
    /// Hosts without one.
    pub absent: Vec<String>,
    pub steps: Vec<Step>,
    /// The verdict's words.
    pub foot: Vec<String>,
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Step {
    pub t_ns: i64,
    /// Index into the timeline's events; `None` for what is no event.
    pub event: Option<usize>,
    /// The silence before it.
    pub gap: Option<Gap>,
    /// A wait that ended here and began before the step before it: `after 3.028 s  SYN retries 3 s`.
    pub after: Option<String>,
    pub tone: Tone,
    pub what: What,
}

/// A silence: nothing happened anywhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// `1.012 s  RTO 1 s`.
    pub words: String,
    /// The host whose timer ended it; the first one if no timer is known.
    pub column: usize,
}

/// How a step is drawn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// In one host.
    Mark { column: usize, text: String },
    /// A packet. From a host to itself: on its loopback interface.
    Arrow { from: usize, to: usize, label: String, fate: String, end: End, is_many: bool },
    /// Where no lifeline is.
    Note { text: String },
}

/// What kind of thing a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Setup,
    Call,
    Packet,
    Signal,
    Process,
    End,
    State,
}

impl Scene {
    /// Everything that is to be drawn of a run.
    pub(super) fn new(run: &Run<'_>) -> Self {
        Self::build(run.evidence, run.timeline, run.verdict, &flights(run.evidence))
    }

    /// The same with packets that have been paired.
    pub(super) fn build(evidence: &Evidence, timeline: &Timeline, verdict: &Verdict, flights: &[Flight]) -> Self {
        let events = &timeline.events;
        let states = states(evidence, flights);
        let takes_part = |host: &str| {
            let is_at = |event: &Event| match arrow::ends(&event.at) {
                Some((from, to)) => from == host || to == host,
                None => event.at == host,
            };
            events.iter().any(|event| event.is_claim && is_at(event)) || states.iter().any(|seen| seen.host == host)
        };
        let (columns, absent) = columns(&evidence.plan, takes_part);
        let gave_up_ns = gave_up_ns(verdict);
        let mut steps =
            Steps { evidence, events, flights, columns: &columns, gave_up_ns, now_ns: 0, elided: 0, steps: Vec::new() };
        steps.add_all(&states);
        let steps = steps.steps;
        let command = format!("$ {}", command_line(&evidence.plan.command.argv));
        Self {
            headline: headline(evidence, timeline, Options::KEPT),
            under: [command, place(evidence)],
            columns,
            absent,
            steps,
            foot: foot(verdict),
        }
    }
}

/// Steps in the making.
struct Steps<'a> {
    evidence: &'a Evidence,
    events: &'a [Event],
    flights: &'a [Flight],
    columns: &'a [String],
    /// When the kernel gave up an established connection, because its retransmissions were used up.
    gave_up_ns: Option<i64>,
    /// The latest stamp so far.
    now_ns: i64,
    /// The step that stands for processes that are not told.
    elided: usize,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn add_all(&mut self, states: &[Seen]) {
        let mut states = states.iter().peekable();
        let mut used = vec![false; self.events.len()];
        let mut processes = 0;
        for (index, event) in self.events.iter().enumerate() {
            while let Some(seen) = states.next_if(|seen| seen.t_ns < event.t_ns) {
                self.state(seen, index);
            }
            if !is_told(self.evidence, event) {
                continue;
            }
            processes = if event.kind == EventKind::Process { processes + 1 } else { 0 };
            if processes > PROCESSES && !event.is_claim {
                self.one_more(processes - PROCESSES);
            } else {
                self.event(index, &mut used);
            }
        }
        states.for_each(|seen| self.state(seen, self.events.len()));
    }

    fn event(&mut self, index: usize, used: &mut [bool]) {
        let event = &self.events[index];
        let what = self.what(index, used);
        let column = match &what {
            What::Mark { column, .. } | What::Arrow { from: column, .. } => *column,
            What::Note { .. } => 0,
        };
        let (gap, after) = self.waits(index, column);
        self.steps.push(Step { t_ns: event.t_ns, event: Some(index), gap, after, tone: tone(event.kind), what });
        self.now_ns = self.now_ns.max(event.t_ns);
    }

    /// The silence before an event in the host `column`, and the wait that it ended, if that is not the same.
    fn waits(&self, index: usize, column: usize) -> (Option<Gap>, Option<String>) {
        let event = &self.events[index];
        let silence_ns = event.t_ns - self.now_ns;
        let Some(wait) = &event.wait else { return (self.silence_before(index, event.t_ns, column), None) };
        let is_same = (wait.gap_ns - silence_ns).abs() <= SAME_NS;
        if is_same && (silence_ns >= GAP_NS || (wait.timer.is_some() && silence_ns > 0)) {
            let column = if wait.timer.is_some() { column } else { 0 };
            return (Some(Gap { words: in_words(wait), column }), None);
        }
        let is_worth_it = wait.timer.is_some() || wait.gap_ns >= TRAVEL_NS;
        (self.silence_before(index, event.t_ns, column), is_worth_it.then(|| format!("after{UNIT}{}", in_words(wait))))
    }

    /// What is drawn for the time from the step before until `until_ns`, in which nothing happened. Where it was the last
    /// of several timers that gave up with the event `index`, it is named.
    fn silence_before(&self, index: usize, until_ns: i64, column: usize) -> Option<Gap> {
        let Self { evidence, events, now_ns: since_ns, gave_up_ns, .. } = *self;
        let tick_ns = evidence.machine.tick_ns;
        let gap_ns = until_ns - since_ns;
        let timer = Silence { events, index, since_ns, until_ns, tick_ns, gave_up_ns }.timer();
        let column = if timer.is_some() { column } else { 0 };
        (gap_ns >= GAP_NS).then(|| Gap { words: in_words(&Wait { gap_ns, timer }), column })
    }

    fn what(&self, index: usize, used: &mut [bool]) -> What {
        let event = &self.events[index];
        let Some((from, to)) = arrow::ends(&event.at) else { return self.mark(&event.at, &event.text) };
        let (label, fate, end) = arrow::fate(&event.text, to);
        let way = match end {
            End::Arrives => arrow::whole_way(self.evidence, self.events, index, used),
            _ => vec![index],
        };
        let last = &self.events[*way.last().unwrap_or(&index)];
        let to = arrow::ends(&last.at).map_or(to, |(_, to)| to);
        let [Some(from), Some(to)] = [from, to].map(|host| self.column(host)) else {
            return What::Note { text: format!("{}: {}", event.at, event.text) };
        };
        let (count, arrived_ns) = arrow::arrival(last, self.flights);
        let late_ns =
            arrived_ns.filter(|arrived| end == End::Arrives && count == 1 && arrived - event.t_ns >= TRAVEL_NS);
        let label = match late_ns {
            Some(arrived_ns) => format!("{label}, arrives {}", seconds(arrived_ns, Options::KEPT)),
            None => label.to_owned(),
        };
        What::Arrow { from, to, label, fate: fate.to_owned(), end, is_many: count > 1 }
    }

    fn mark(&self, host: &str, text: &str) -> What {
        match self.column(host) {
            Some(column) => What::Mark { column, text: text.to_owned() },
            None => What::Note { text: format!("{host}: {text}") },
        }
    }

    /// A state, seen before the event `next`.
    fn state(&mut self, seen: &Seen, next: usize) {
        let gap = self.silence_before(next, seen.t_ns, self.column(&seen.host).unwrap_or(0));
        let what = self.mark(&seen.host, &seen.words);
        self.steps.push(Step { t_ns: seen.t_ns, event: None, gap, after: None, tone: Tone::State, what });
        self.now_ns = self.now_ns.max(seen.t_ns);
    }

    /// Stands for the processes that are not told one by one.
    fn one_more(&mut self, count: usize) {
        let what = self.mark(&self.evidence.plan.command.host, &format!("... {count} more of processes"));
        let step = Step { t_ns: self.now_ns, event: None, gap: None, after: None, tone: Tone::Process, what };
        if count == 1 {
            self.elided = self.steps.len();
            self.steps.push(step);
        } else {
            self.steps[self.elided] = step;
        }
    }

    fn column(&self, host: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == host)
    }
}

/// Claims, and the processes beside the command, which the heading names.
fn is_told(evidence: &Evidence, event: &Event) -> bool {
    let command = evidence.command().map(|(index, _)| EvidenceRef::Process(index));
    let is_command = matches!(event.evidence[..], [only] if Some(only) == command);
    // States are drawn as samples show them, all of them.
    (event.is_claim && event.kind != EventKind::State) || (event.kind == EventKind::Process && !is_command)
}

fn in_words(wait: &Wait) -> String {
    let gap = seconds(wait.gap_ns, Options::KEPT);
    match &wait.timer {
        Some(timer) => format!("{gap}{UNIT}s  {}{UNIT}{}", timer.name, duration(timer.armed_ns).replace(' ', UNIT)),
        None => format!("{gap}{UNIT}s"),
    }
}

fn tone(kind: EventKind) -> Tone {
    match kind {
        EventKind::Setup | EventKind::Fault => Tone::Setup,
        EventKind::Call => Tone::Call,
        EventKind::Packet => Tone::Packet,
        EventKind::Signal => Tone::Signal,
        EventKind::Process => Tone::Process,
        EventKind::State => Tone::State,
        EventKind::End => Tone::End,
    }
}

fn gave_up_ns(verdict: &Verdict) -> Option<i64> {
    let is_it = |mechanism: &Mechanism| matches!(mechanism, Mechanism::Retransmissions | Mechanism::OrphanLimit);
    verdict.ended_by.as_ref().filter(|ended_by| is_it(&ended_by.mechanism)).map(|ended_by| ended_by.fired_at_ns)
}

/// What ended it, what would have come next, and why nothing of it may be so.
fn foot(verdict: &Verdict) -> Vec<String> {
    let mut foot = Vec::new();
    if let Some(ended_by) = &verdict.ended_by {
        foot.push(ended_by.words.clone());
        foot.extend(ended_by.also.iter().map(|other| format!("or: {}", other.words)));
        foot.extend(ended_by.next.iter().map(|next| next.words.clone()));
    }
    foot.extend(verdict.inconclusive.iter().map(|reason| format!("inconclusive: {}", crate::timeline::escape(reason))));
    foot
}
