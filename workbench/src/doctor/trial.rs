//! Runs the probe and collects what it reports.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::probe::{Finding, Stage, Step};

/// Loading a kernel module for the first time can take a second; nothing in the probe takes as long as this.
const DEADLINE: Duration = Duration::from_secs(20);

/// What was tried, and the kernel's words where it refused. A step that was never reached is not in it.
pub(super) type Findings = BTreeMap<Step, Option<String>>;

/// Runs `workbench doctor --probe namespaces` to its end, or to the deadline.
pub(super) fn run(workbench: &Path) -> io::Result<Findings> {
    let mut probe = Command::new(workbench)
        .args(["doctor", "--probe", Stage::Namespaces.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = probe.stdout.take() {
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
    }
    let mut findings = Findings::new();
    // The channel closes when the last process of the probe has closed its standard output.
    while let Ok(line) = receiver.recv_timeout(DEADLINE) {
        if let Ok(Finding { step, refused }) = serde_json::from_str(&line) {
            findings.insert(step, refused);
        }
    }
    probe.kill()?;
    probe.wait()?;
    Ok(findings)
}
