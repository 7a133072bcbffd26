//! On what a snapshot was recorded (kernel, HZ, engine, tools), and for which kernels it holds. Never compared; it explains
//! a difference.

use std::collections::BTreeMap;

use crate::evidence::{EngineKind, Evidence};
use crate::plan::{DiffersPlan, KernelRange, Plan};

/// On what a run was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Engine.
    pub engine: EngineKind,
    /// `uname -r`.
    pub kernel: String,
    /// Ticks in a second.
    pub hz: u64,
    /// First line of `--version` of the programs that ran, by program.
    pub tools: BTreeMap<String, String>,
    /// Over which phases of the timer wheel, if over more than one.
    pub phases: Option<Phases>,
    /// For which kernels it holds, where not for all.
    pub holds: Option<Holds>,
}

/// The range of kernels that a snapshot holds for, and why there is another one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// From this version on, if not from the first.
    pub since: Option<String>,
    /// Up to the last before this version, if not to the newest.
    pub before: Option<String>,
    /// What the kernels of the range do otherwise, or those of the next one.
    pub why: String,
}

impl Holds {
    /// The range of `plan` that a kernel with this release belongs to.
    fn of(plan: &Plan, release: &str) -> Option<Self> {
        let KernelRange { since, before } = plan.range_of(release);
        let why = since.or(before)?.why.clone();
        let version = |differs: &DiffersPlan| differs.since.clone();
        Some(Self { since: since.map(version), before: before.map(version), why })
    }
}

/// The phases that ranges were measured over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// How many.
    pub count: u32,
    /// What they are spread over.
    pub step_ns: u64,
}

impl Recording {
    /// On what this evidence was recorded.
    pub fn of(evidence: &Evidence) -> Self {
        let machine = &evidence.machine;
        let (kernel, tools) = (machine.kernel.clone(), evidence.tools.clone());
        let holds = Holds::of(&evidence.plan, &kernel);
        Self { engine: machine.engine, kernel, hz: machine.hz(), tools, phases: None, holds }
    }

    /// Length of a jiffy; 0 when HZ is not known.
    pub fn tick_ns(&self) -> u64 {
        1_000_000_000u64.checked_div(self.hz).unwrap_or(0)
    }

    /// What changed from this recording to `now`, in words: `recorded with curl 7.88.1 on 6.1.0, HZ=250; now curl
    /// 8.14.1 on 6.12.0, HZ=250`. `None` if nothing did.
    pub fn changes_to(&self, now: &Self) -> Option<String> {
        let (phases, holds) = (self.phases, self.holds.clone());
        (*self != Self { phases, holds, ..now.clone() })
            .then(|| format!("recorded {}; now {}", self.in_words(now), now.in_words(self)))
    }

    /// What differs from `other` and the kernel, which everybody wants to know.
    fn in_words(&self, other: &Self) -> String {
        let mut words = Vec::new();
        let tools: Vec<String> = self
            .tools
            .iter()
            .filter(|(tool, version)| other.tools.get(*tool) != Some(version))
            .map(|(tool, version)| self_or_short(tool, version, other))
            .collect();
        if !tools.is_empty() {
            words.push(format!("with {}", tools.join(", ")));
        }
        words.push(format!("on {}, HZ={}", self.kernel, self.hz));
        if self.engine != other.engine {
            words.push(format!("in the {} engine", self.engine));
        }
        words.join(" ")
    }
}

/// `curl 7.88.1` of `curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1 …`, unless only the rest differs.
fn self_or_short(tool: &str, version: &str, other: &Recording) -> String {
    let short = |version: &str| version.split(" (").next().unwrap_or_default().to_owned();
    match other.tools.get(tool) {
        Some(theirs) if short(theirs) == short(version) => version.to_owned(),
        _ => short(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(kernel: &str, curl: &str) -> Recording {
        let tools = BTreeMap::from([("curl".to_owned(), curl.to_owned())]);
        Recording { engine: EngineKind::Host, kernel: kernel.to_owned(), hz: 250, tools, phases: None, holds: None }
    }

    #[test]
    fn a_change_of_tool_and_kernel_is_named_shortly() {
        let then = recording("6.1.0", "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1");
        let now = recording("6.12", "curl 8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1");
        let words = then.changes_to(&now).unwrap();
        assert_eq!(words, "recorded with curl 7.88.1 on 6.1.0, HZ=250; now with curl 8.14.1 on 6.12, HZ=250");
        assert_eq!(then.changes_to(&then), None);
    }

    #[test]
    fn versions_that_differ_only_in_their_tail_are_shown_whole() {
        let then = recording("6.1.0", "nc 1 (Debian 1.218-1)");
        let words = then.changes_to(&recording("6.1.0", "nc 1 (Debian 1.228-1)")).unwrap();
        assert!(words.contains("1.218-1") && words.contains("1.228-1"), "{words}");
    }

    #[test]
    fn another_engine_is_named() {
        let then = recording("6.1.0", "curl 1");
        let now = Recording { engine: EngineKind::Virtual, ..then.clone() };
        assert!(then.changes_to(&now).unwrap().ends_with("in the virtual engine"));
    }
}
