//! Faults with a cause: begins each when its cause has come, heals it when that is due, and notes when it did.
//!
//! What has come is `causes`' to say; what a fault does to the kernel was prepared by the lab.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::prctl::set_timerslack;

use super::causes::Causes;
use super::clock::monotonic_ns;
use crate::evidence::{FaultRecord, SocketSample};
use crate::lab::Fault;
use crate::plan::{Cause, FaultPlan, Heal, Plan};
use crate::record::packets::{Capture, payload};

/// The faults of a run. Stamps are CLOCK_MONOTONIC until [`Faults::finish`].
#[derive(Default)]
pub struct Faults {
    causes: Causes,
    all: Vec<Pending>,
    /// Samples and, by capture, packets that the causes have been told of.
    samples: usize,
    packets: Vec<usize>,
}

/// A fault and how far it is.
struct Pending {
    plan: FaultPlan,
    fault: Fault,
    /// How it began, and how many looks at sockets there had been.
    record: Option<(FaultRecord, usize)>,
}

impl Faults {
    /// Those of a plan, as the lab has prepared them.
    pub fn new(plan: &Plan, prepared: Vec<Fault>) -> Self {
        let until = |fault: &FaultPlan| match &fault.heals {
            Some(Heal::Until(cause)) => Some(cause.clone()),
            _ => None,
        };
        let causes = plan.faults.iter().flat_map(|fault| [Some(fault.cause.clone()), until(fault)]).flatten();
        let mut addresses: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for end in plan.links.iter().flat_map(|link| &link.ends) {
            let own = end.addresses.iter().map(|(address, _)| *address);
            addresses.entry(end.host.clone()).or_default().extend(own);
        }
        let pending = |(plan, fault): (&FaultPlan, Fault)| Pending { plan: plan.clone(), fault, record: None };
        Self {
            causes: Causes::new(causes, addresses),
            all: plan.faults.iter().zip(prepared).map(pending).collect(),
            ..Self::default()
        }
    }

    /// The command was let go then.
    pub fn set_zero(&mut self, zero_ns: i64) {
        if !self.all.is_empty() {
            // Waits end on time and not up to 50 us later (prctl(2), PR_SET_TIMERSLACK); no harm if refused.
            let _ = set_timerslack(1);
        }
        self.causes.set_zero(zero_ns);
    }

    /// Tells the causes what the recorders have seen; `to_monotonic_ns` turns packets' stamps.
    pub fn note(&mut self, samples: &[SocketSample], captures: &[Capture], to_monotonic_ns: &dyn Fn(i64) -> i64) {
        if self.all.is_empty() {
            return;
        }
        self.causes.note_sockets(&samples[self.samples.min(samples.len())..]);
        self.samples = samples.len();
        if !self.causes.counts_bytes() {
            return;
        }
        self.packets.resize(captures.len(), 0);
        for (capture, told) in captures.iter().zip(&mut self.packets) {
            for sent in capture.sent_from(*told) {
                if let Some((source, bytes)) = payload(sent.bytes) {
                    self.causes.note_payload(capture.host(), source, bytes, to_monotonic_ns(sent.realtime_ns));
                }
            }
            *told = capture.count();
        }
    }

    /// Tells the causes which steps programs have come to.
    pub fn note_steps<'a>(&mut self, steps: impl Iterator<Item = (&'a str, &'a str, i64)>) {
        if !self.all.is_empty() {
            steps.for_each(|(program, step, t_ns)| self.causes.note_step(program, step, t_ns));
        }
    }

    /// When [`Faults::turn`] has something to do although nothing happens before.
    pub fn next_ns(&self) -> Option<i64> {
        let due = self.all.iter().filter_map(|pending| match (&pending.record, &pending.plan.heals) {
            (None, _) => is_time(&pending.plan.cause).then(|| self.causes.came_ns(&pending.plan.cause)).flatten(),
            (Some((record, looks)), Some(heal)) if record.healed_ns.is_none() => match heal {
                Heal::Until(cause) if !is_time(cause) => None,
                heal => self.heals_ns(heal, record, *looks),
            },
            _ => None,
        });
        due.min()
    }

    /// Whether something waits for a socket's state, which should be looked for soon after anything happens.
    pub fn waits_for_sockets(&self) -> bool {
        self.all.iter().any(|pending| match (&pending.record, &pending.plan.heals) {
            (None, _) => is_socket(&pending.plan.cause),
            (Some((record, _)), Some(Heal::Until(cause))) => record.healed_ns.is_none() && is_socket(cause),
            _ => false,
        })
    }

    /// Begins and heals what is due.
    pub fn turn(&mut self) {
        for index in 0..self.all.len() {
            self.turn_one(index);
        }
    }

    fn turn_one(&mut self, index: usize) {
        let now_ns = monotonic_ns();
        let Self { causes, all, .. } = self;
        let pending = &mut all[index];
        if pending.record.is_none() {
            let Some(cause_ns) = causes.came_ns(&pending.plan.cause).filter(|ns| *ns <= now_ns) else { return };
            let refused = pending.fault.begin().err();
            let id = pending.plan.id.clone();
            let record = FaultRecord { id, cause_ns, began_ns: monotonic_ns(), healed_ns: None, refused };
            pending.record = Some((record, causes.looks()));
            return;
        }
        let due_ns = match (&pending.record, &pending.plan.heals) {
            (Some((record, looks)), Some(heal)) if record.healed_ns.is_none() => heals_ns(causes, heal, record, *looks),
            _ => None,
        };
        if due_ns.is_some_and(|ns| ns <= now_ns) {
            let refused = self.all[index].fault.heal().err();
            if let Some((record, _)) = &mut self.all[index].record {
                record.healed_ns = Some(monotonic_ns());
                record.refused = record.refused.take().or(refused);
            }
        }
    }

    fn heals_ns(&self, heal: &Heal, record: &FaultRecord, looks: usize) -> Option<i64> {
        heals_ns(&self.causes, heal, record, looks)
    }

    /// The ids of rules of faults that never began: nothing is to be told of them.
    pub fn idle_rules(&self) -> BTreeSet<String> {
        let idle = self.all.iter().filter(|pending| pending.record.is_none());
        idle.flat_map(|pending| pending.plan.rules()).map(|rule| rule.id.clone()).collect()
    }

    /// Those that began, in that order, since zero.
    pub fn finish(&self, zero_ns: i64) -> Vec<FaultRecord> {
        let since_zero = |(record, _): &(FaultRecord, usize)| FaultRecord {
            cause_ns: record.cause_ns - zero_ns,
            began_ns: record.began_ns - zero_ns,
            healed_ns: record.healed_ns.map(|ns| ns - zero_ns),
            ..record.clone()
        };
        let mut records: Vec<_> =
            self.all.iter().filter_map(|pending| pending.record.as_ref()).map(since_zero).collect();
        records.sort_by_key(|record| record.began_ns);
        records
    }
}

fn heals_ns(causes: &Causes, heal: &Heal, record: &FaultRecord, looks: usize) -> Option<i64> {
    match heal {
        Heal::After { for_ns } => Some(record.began_ns.saturating_add_unsigned(*for_ns)),
        Heal::Until(cause) => causes.came_again_ns(cause, looks),
    }
}

fn is_time(cause: &Cause) -> bool {
    matches!(cause, Cause::At { .. })
}

fn is_socket(cause: &Cause) -> bool {
    matches!(cause, Cause::Socket { .. })
}
