//! Keeps a run's evidence and what can be made from it, in a folder of its own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::evidence::{EVIDENCE_FORMAT_VERSION, Evidence};
use crate::report;
use crate::report::text::Options;
use crate::report::views::Run;

/// Where the artifacts of a run go.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Below this folder.
    pub dir: &'a Path,
    /// The scenario's file.
    pub scenario: &'a Path,
    /// The folder that all scenarios of the command have in common.
    pub common: &'a Path,
    /// The kernel, where there are several.
    pub label: Option<&'a str>,
    /// Which repeat, from 1, where there is more than one.
    pub repeat: Option<u32>,
}

impl Place<'_> {
    /// `FOLDER/SCENARIO/RUN`, with `@KERNEL` where there are several and `-N` for the N-th repeat. FOLDER is the scenario's
    /// own below the common one.
    fn folder(&self, evidence: &Evidence) -> PathBuf {
        let plan = &evidence.plan;
        let kernel = self.label.map(|label| format!("@{label}")).unwrap_or_default();
        let number = self.repeat.map(|n| format!("-{n}")).unwrap_or_default();
        let beside = self.scenario.parent().and_then(|folder| folder.strip_prefix(self.common).ok());
        let run = format!("{}{kernel}{number}", plan.run);
        self.dir.join(beside.unwrap_or(Path::new(""))).join(&plan.scenario).join(run)
    }
}

/// Writes `evidence.json`, `timeline.txt`, `packets.pcapng`, `trace.json`, `calls.strace`, `stdout` and `stderr` below `dir`, and
/// returns their folder.
///
/// # Errors
///
/// What the kernel said.
pub fn keep(place: Place<'_>, run: &Run<'_>) -> io::Result<PathBuf> {
    let evidence = run.evidence;
    let folder = place.folder(evidence);
    fs::create_dir_all(&folder)?;
    let mut file = BufWriter::new(File::create(folder.join("evidence.json"))?);
    serde_json::to_writer(&mut file, evidence)?;
    file.flush()?;
    // The full story without colours is what is kept; the same function makes it again from the evidence.
    fs::write(folder.join("timeline.txt"), run.timeline(Options::KEPT))?;
    report::pcapng::write_run(run, &mut File::create(folder.join("packets.pcapng"))?)?;
    report::trace::write(run, &mut File::create(folder.join("trace.json"))?)?;
    fs::write(folder.join("calls.strace"), report::listing(evidence))?;
    fs::write(folder.join("stdout"), &evidence.output.stdout)?;
    fs::write(folder.join("stderr"), &evidence.output.stderr)?;
    Ok(folder)
}

/// What every version of evidence has.
#[derive(serde::Deserialize)]
struct Versioned {
    format_version: u32,
}

/// Reads `evidence.json`, or the file of that name in a folder.
///
/// # Errors
///
/// What the kernel said, or that it is not evidence of this version.
pub fn read(path: &Path) -> io::Result<Evidence> {
    let file = if path.is_dir() { path.join("evidence.json") } else { path.to_owned() };
    let text = fs::read(&file)?;
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let versioned: Versioned = serde_json::from_slice(&text).map_err(|e| wrong(format!("not evidence: {e}")))?;
    if versioned.format_version != EVIDENCE_FORMAT_VERSION {
        let found = versioned.format_version;
        return Err(wrong(format!("evidence of format {found}; this workbench reads {EVIDENCE_FORMAT_VERSION}")));
    }
    let evidence: Evidence = serde_json::from_slice(&text).map_err(|e| wrong(format!("not evidence: {e}")))?;
    evidence.check().map_err(|e| wrong(format!("not evidence: {e}")))?;
    Ok(evidence)
}
