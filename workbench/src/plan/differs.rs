//! Which of a run's snapshots holds on a kernel: one for all, or one for each range that the scenario names. Reads none.

use serde::{Deserialize, Serialize};

use super::model::{Origin, Plan};
use crate::scenario::KernelVersion;

/// A kernel from which on a run goes otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffersPlan {
    /// The first of them, as `6.5`.
    pub since: String,
    /// Why.
    pub why: String,
    /// Where it stands.
    pub origin: Origin,
}

impl DiffersPlan {
    fn version(&self) -> KernelVersion {
        KernelVersion::of(&self.since)
    }
}

/// A range of kernels on which a run goes the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelRange<'a> {
    /// From this one on; `None`: from the first.
    pub since: Option<&'a DiffersPlan>,
    /// Up to the one before this; `None`: to the newest.
    pub before: Option<&'a DiffersPlan>,
}

impl Plan {
    /// The range that a kernel with this release (`uname -r`) belongs to.
    pub fn range_of(&self, release: &str) -> KernelRange<'_> {
        let kernel = KernelVersion::of(release);
        let since = self.differs.iter().filter(|differs| differs.version() <= kernel);
        let before = self.differs.iter().filter(|differs| differs.version() > kernel);
        KernelRange { since: since.max_by_key(|d| d.version()), before: before.min_by_key(|d| d.version()) }
    }

    /// The name of the snapshot that holds on such a kernel: the run's, or `RUN@VERSION` for a range that begins there.
    pub fn snapshot_name(&self, release: &str) -> String {
        self.range_of(release).since.map_or_else(|| self.run.clone(), |differs| self.named_since(differs))
    }

    /// The names of all its snapshots.
    pub fn snapshot_names(&self) -> Vec<String> {
        let later = self.differs.iter().map(|differs| self.named_since(differs));
        std::iter::once(self.run.clone()).chain(later).collect()
    }

    /// What a scenario says of a difference between two kernels, the older first: each `differs` between them.
    pub fn differences_between<'a>(
        &'a self,
        older: &str,
        newer: &str,
    ) -> impl Iterator<Item = &'a DiffersPlan> + use<'a> {
        let (older, newer) = (KernelVersion::of(older), KernelVersion::of(newer));
        self.differs.iter().filter(move |differs| older < differs.version() && differs.version() <= newer)
    }

    fn named_since(&self, differs: &DiffersPlan) -> String {
        format!("{}@{}", self.run, differs.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build;
    use crate::scenario::{SourceFile, parse};

    const DIFFERS: &str = r#"
namespace client
run curl in=client "curl http://client/" {
    differs since="6.12" "the second reason"
    differs since="6.5" "the first reason"
}
run nc in=client "nc client 80"
"#;

    #[test]
    fn a_kernel_belongs_to_the_range_that_begins_last_before_it() {
        let plan = plan(DIFFERS);
        let names = ["5.10.223", "6.4.16", "6.5-rc1", "6.5", "6.11.3", "6.12", "6.18.44-fc-v595"].map(|release| {
            let range = plan.range_of(release);
            assert_eq!(range.since.is_none(), plan.snapshot_name(release) == "curl");
            (plan.snapshot_name(release), range.before.map(|differs| differs.since.clone()).unwrap_or_default())
        });
        let expected =
            [("curl", "6.5"), ("curl", "6.5"), ("curl@6.5", "6.12"), ("curl@6.5", "6.12"), ("curl@6.5", "6.12")];
        let expected = expected.into_iter().chain([("curl@6.12", ""), ("curl@6.12", "")]);
        assert!(names.iter().map(|(name, before)| (name.as_str(), before.as_str())).eq(expected), "{names:?}");
        assert_eq!(plan.snapshot_names(), ["curl", "curl@6.12", "curl@6.5"]);
    }

    #[test]
    fn what_differs_between_two_kernels_is_what_begins_between_them() {
        let plan = plan(DIFFERS);
        let between = |older, newer| {
            let found: Vec<&str> =
                plan.differences_between(older, newer).map(|differs| differs.since.as_str()).collect();
            found.join(" ")
        };
        assert_eq!(between("5.10.223", "6.1.176"), "");
        assert_eq!(between("6.1.176", "6.5"), "6.5");
        assert_eq!(between("6.1.176", "7.2.13"), "6.12 6.5");
        assert_eq!(between("6.5", "6.11"), "");
    }

    #[test]
    fn a_run_that_says_nothing_has_one_snapshot_for_all_kernels() {
        let unmarked = plans(DIFFERS).remove(1);
        assert_eq!(unmarked.snapshot_names(), ["nc"]);
        assert_eq!([unmarked.snapshot_name("5.10"), unmarked.snapshot_name("7.2")], ["nc", "nc"]);
    }

    #[test]
    fn a_plan_in_words_says_what_differs_and_where_that_stands() {
        let text = plan(DIFFERS).describe();
        assert!(text.contains("\nDiffers by kernel\n  since 6.12: the second reason (line 4)\n"), "{text}");
    }

    #[test]
    fn a_plan_of_an_earlier_workbench_differs_nowhere() {
        let mut value = serde_json::to_value(plan(DIFFERS)).unwrap();
        value.as_object_mut().unwrap().remove("differs");
        assert_eq!(serde_json::from_value::<Plan>(value).unwrap().differs, []);
    }

    fn plans(text: &str) -> Vec<Plan> {
        build(&parse(&SourceFile::new("some/test.kdl", text)).expect("a scenario"))
    }

    fn plan(text: &str) -> Plan {
        plans(text).remove(0)
    }
}
