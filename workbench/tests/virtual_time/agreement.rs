//! Both engines tell the same story of the same scenario.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::Evidence;
use workbench::snapshot::{self, Outcome, Snapshot, Tolerance};
use workbench::{timeline, verdict};

use crate::support::virtual_engine::{read, virtual_engine, virtual_trial};
use crate::support::{no_labs, scratch, workbench};

pub fn trials() -> Vec<Trial> {
    vec![virtual_trial("virtual_every_quick_scenario_agrees_with_the_host_event_by_event", engines_agree)]
}

/// The folders of runs that left evidence, below a folder, in order.
fn kept(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        open.extend(fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir()));
        if folder.join("evidence.json").is_file() {
            found.extend(folder.strip_prefix(root).ok().map(Path::to_owned));
        }
    }
    found
}

fn engines_agree() -> Result<Completion, Failed> {
    if let Some(why) = no_labs() {
        return Ok(Completion::ignored_with(why));
    }
    let (host, guest) = (scratch(), scratch());
    let quick = ["--tag", "quick", "--no-snapshot", "scenarios", "--artifacts"];
    workbench().arg("run").args(quick).arg(host.path()).output()?;
    virtual_engine()?.args(quick).arg(guest.path()).output()?;
    let (mut compared, mut differences, mut unsure) = (0, Vec::new(), Vec::new());
    for run in kept(host.path()) {
        let at = |root: &Path| root.join(&run).join("evidence.json");
        match compare(&read(&at(host.path()))?, &read(&at(guest.path()))?) {
            (Outcome::Agrees, _) => {}
            (Outcome::Differs, diff) => differences.push(format!("{}:\n{diff}", run.display())),
            // The machine's doing, not the engines'.
            (_, diff) => unsure.push(format!("{}:\n{diff}", run.display())),
        }
        compared += 1;
    }
    if compared < 15 || !differences.is_empty() {
        return Err(format!("{compared} runs compared\n{}", differences.join("\n")).into());
    }
    if unsure.is_empty() { Ok(Completion::Completed) } else { Ok(Completion::ignored_with(unsure.join("\n"))) }
}

fn compare(host: &Evidence, guest: &Evidence) -> (Outcome, String) {
    let claims = |evidence: &Evidence| {
        let timeline = timeline::build(evidence);
        let verdict = verdict::judge(evidence, &timeline);
        Snapshot::from_run(evidence, &timeline, verdict.ended_by.as_ref())
    };
    let tolerance = Tolerance::of(&host.machine, host.lateness.max_ns);
    // The host's run is the one that a machine can disturb, so it is the one that is judged.
    let comparison = snapshot::compare(&claims(guest), &claims(host), &tolerance);
    (comparison.outcome, snapshot::render_diff(&comparison, false))
}
