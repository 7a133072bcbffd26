//! One run on several kernels: who tells the same story, who does not, and whether the scenario says so. Prints nothing;
//! the table and the JSON are made from it elsewhere.

use crate::plan::{DiffersPlan, Plan};
use crate::snapshot::{self, Comparison, Outcome, Snapshot, Tolerance};
use crate::timeline::Timer;

use super::status::Status;

/// What a run came to on one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The kernel, as it is called in this comparison: `6.12.117`.
    pub label: String,
    /// `uname -r`.
    pub kernel: String,
    /// Ticks in a second.
    pub hz: u64,
    /// What it came to.
    pub told: Told,
}

/// What there is to compare.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The run's story.
    Story(Box<Snapshot>),
    /// There is none, or none that can be believed, and why.
    Nothing(Status, String),
}

impl Column {
    /// The story, if there is one.
    pub fn story(&self) -> Option<&Snapshot> {
        match &self.told {
            Told::Story(story) => Some(story),
            Told::Nothing(..) => None,
        }
    }
}

/// A run on several kernels, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The scenario's name.
    pub scenario: String,
    /// The run's.
    pub run: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// One for each kernel, in order.
    pub columns: Vec<Column>,
    /// For each column the first one that tells the same story: itself, if that is another one than before. `None` without
    /// a story.
    pub same_as: Vec<Option<usize>>,
    /// Where one story ends and another one begins.
    pub differences: Vec<Difference>,
    /// What the scenario says that differs and does not, although there are kernels before and after.
    pub idle: Vec<DiffersPlan>,
}

/// Where one story ends and another one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The last column of the old story.
    pub from: usize,
    /// The first column of the new one.
    pub to: usize,
    /// What is different, event by event; the old story stands where a snapshot would.
    pub comparison: Comparison,
    /// What the scenario says about it. Nothing: the difference is unmarked.
    pub marks: Vec<DiffersPlan>,
}

impl Compared {
    /// Compares what `plan` came to on kernels, the oldest first.
    ///
    /// Each story is held against the one that began the row of equal ones before it, so that small differences that the
    /// timers allow cannot add up.
    pub fn new(plan: &Plan, columns: Vec<Column>) -> Self {
        let mut same_as: Vec<Option<usize>> = Vec::new();
        let mut differences = Vec::new();
        let mut before: Option<(usize, usize)> = None;
        for (index, column) in columns.iter().enumerate() {
            let Some(story) = column.story() else {
                same_as.push(None);
                continue;
            };
            let other = before.and_then(|(first, last)| Some((first, last, columns[first].story()?)));
            let first = match other.map(|(first, last, old)| (first, last, compare(old, story))) {
                None => index,
                Some((first, _, comparison)) if comparison.outcome == Outcome::Agrees => first,
                Some((_, last, comparison)) => {
                    let marks = plan.differences_between(&columns[last].kernel, &column.kernel).cloned().collect();
                    differences.push(Difference { from: last, to: index, comparison, marks });
                    index
                }
            };
            same_as.push(Some(first));
            before = Some((first, index));
        }
        let idle = idle(plan, &columns, &differences);
        let (scenario, run, command) = (plan.scenario.clone(), plan.run.clone(), plan.command.argv.clone());
        Self { scenario, run, command, columns, same_as, differences, idle }
    }

    /// Whether the scenario accounts for every difference.
    pub fn is_marked(&self) -> bool {
        self.differences.iter().all(|difference| !difference.marks.is_empty())
    }
}

/// How the story of a newer kernel differs from an older one's. Under load a run may be its snapshot with a packet missing;
/// in virtual time there is no load, and a packet that is missing is a difference.
fn compare(old: &Snapshot, new: &Snapshot) -> Comparison {
    let tolerance = Tolerance { tick_ns: new.recording.tick_ns(), lateness_ns: 0, engine: new.recording.engine };
    let mut comparison = snapshot::compare(old, new, &tolerance);
    comparison.changed = None;
    if comparison.outcome == Outcome::MissingRetransmission {
        // The remark that the rest agrees, which comes last.
        comparison.remarks.pop();
    }
    if comparison.outcome != Outcome::Agrees {
        comparison.outcome = Outcome::Differs;
    }
    comparison
}

fn idle(plan: &Plan, columns: &[Column], differences: &[Difference]) -> Vec<DiffersPlan> {
    let mut told = columns.iter().filter(|column| column.story().is_some());
    let (Some(oldest), Some(newest)) = (told.next(), told.next_back()) else { return Vec::new() };
    let is_seen = |mark: &DiffersPlan| differences.iter().any(|difference| difference.marks.contains(mark));
    plan.differences_between(&oldest.kernel, &newest.kernel).filter(|mark| !is_seen(mark)).cloned().collect()
}

/// The timer that ended the command's last wait: the one that a reader would ask for.
pub fn last_timer(story: &Snapshot) -> Option<&Timer> {
    let last = story.claims.lines.iter().rev().find_map(|line| line.wait.as_ref())?;
    last.timer.as_ref()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::Origin;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;

    const KERNELS: [&str; 4] = ["5.10.223", "6.1.176", "6.12.117", "7.2.13"];

    /// The story of a connect that gives up, all timers armed for `longer_ms` more.
    fn story(kernel: &str, longer_ms: u64) -> Told {
        let run = Fixture::syn_retries();
        let mut story = Snapshot::from_run(&run.evidence, &build_from(&run.evidence, &run.flights), None);
        story.recording.kernel = kernel.to_owned();
        for wait in story.claims.lines.iter_mut().filter_map(|line| line.wait.as_mut()) {
            wait.gap_ns += i64::try_from(longer_ms * 1_000_000).unwrap();
            wait.timer.iter_mut().for_each(|timer| timer.armed_ns += longer_ms * 1_000_000);
        }
        Told::Story(Box::new(story))
    }

    fn skipped() -> Told {
        Told::Nothing(Status::Skipped, "kernel 6.6 is not available here".to_owned())
    }

    /// `told` on as many kernels, in a scenario that says that it differs since `marks`.
    pub(in crate::report) fn compared(marks: &[&str], told: impl IntoIterator<Item = Option<u64>>) -> Compared {
        let column = |(kernel, longer_ms): (&&str, Option<u64>)| Column {
            label: (*kernel).to_owned(),
            kernel: (*kernel).to_owned(),
            hz: 250,
            told: longer_ms.map_or_else(skipped, |longer_ms| story(kernel, longer_ms)),
        };
        let mut plan = Fixture::syn_retries().evidence.plan;
        let mark = |since: &&str| DiffersPlan {
            since: (*since).to_owned(),
            why: format!("what is new in {since}"),
            origin: Origin::default(),
        };
        plan.differs = marks.iter().map(mark).collect();
        Compared::new(&plan, KERNELS.iter().zip(told).map(column).collect())
    }

    fn between(compared: &Compared) -> Vec<(usize, usize, Vec<&str>)> {
        compared
            .differences
            .iter()
            .map(|d| (d.from, d.to, d.marks.iter().map(|mark| mark.since.as_str()).collect()))
            .collect()
    }

    #[test]
    fn kernels_that_tell_the_same_differ_nowhere() {
        let all = compared(&[], [0, 3, 0, 3].map(Some));
        assert_eq!(all.same_as, [Some(0); 4]);
        assert!(all.differences.is_empty() && all.is_marked());
    }

    #[test]
    fn a_difference_is_marked_if_the_scenario_names_a_kernel_between_the_two() {
        let told = [0, 0, 4000, 4000].map(Some);
        let marked = compared(&["6.5"], told);
        assert_eq!(marked.same_as, [Some(0), Some(0), Some(2), Some(2)]);
        assert_eq!(between(&marked), [(1, 2, vec!["6.5"])]);
        assert!(marked.is_marked());
        for marks in [&[][..], &["6.1"], &["6.13"]] {
            let unmarked = compared(marks, told);
            assert_eq!(between(&unmarked), [(1, 2, vec![])], "{marks:?}");
            assert!(!unmarked.is_marked());
        }
        assert!(compared(&["6.12.117"], told).is_marked());
    }

    #[test]
    fn a_kernel_that_tells_nothing_is_stepped_over() {
        let all = compared(&["6.5"], [Some(0), None, Some(4000), None]);
        assert_eq!(all.same_as, [Some(0), None, Some(2), None]);
        assert_eq!(between(&all), [(0, 2, vec!["6.5"])]);
        assert!(compared(&["6.5"], [None; 4]).is_marked());
    }

    #[test]
    fn small_differences_do_not_add_up() {
        let all = compared(&[], [0, 50, 100, 100].map(Some));
        assert_eq!(all.same_as, [Some(0), Some(0), Some(2), Some(2)]);
    }

    #[test]
    fn a_mark_without_a_difference_is_told_only_where_it_could_be_seen() {
        let idle = |compared: Compared| compared.idle.iter().map(|mark| mark.since.clone()).collect::<Vec<_>>();
        assert_eq!(idle(compared(&["6.5", "5.4", "7.3"], [Some(0); 4])), ["6.5"]);
        assert_eq!(idle(compared(&["6.5"], [Some(0), Some(0), None, None])), [""; 0]);
        assert_eq!(idle(compared(&["6.5"], [0, 0, 4000, 4000].map(Some))), [""; 0]);
    }

    #[test]
    fn the_last_timer_is_the_one_that_ended_the_command() {
        let told = compared(&[], [Some(0)]);
        let timer = last_timer(told.columns[0].story().unwrap()).unwrap();
        assert_eq!((timer.name.as_str(), timer.armed_ns), ("SYN retries", 3_000_000_000));
    }
}
