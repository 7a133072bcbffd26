//! Keeps a run's evidence and what can be made from it, in a folder of its own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::evidence::Evidence;
use crate::report;

/// Writes `evidence.json`, `timeline.txt`, `packets.pcapng`, `calls.strace`, `stdout` and `stderr` below `dir`, in
/// `SCENARIO-RUN` (with `-N` for the N-th repeat), and returns that folder.
///
/// # Errors
///
/// What the kernel said.
pub fn keep(dir: &Path, repeat: Option<u32>, evidence: &Evidence, timeline: &str) -> io::Result<PathBuf> {
    let plan = &evidence.plan;
    let number = repeat.map(|n| format!("-{n}")).unwrap_or_default();
    let folder = dir.join(format!("{}-{}{number}", plan.scenario, plan.run));
    fs::create_dir_all(&folder)?;
    let mut file = BufWriter::new(File::create(folder.join("evidence.json"))?);
    serde_json::to_writer(&mut file, evidence)?;
    file.flush()?;
    fs::write(folder.join("timeline.txt"), timeline)?;
    let mut file = BufWriter::new(File::create(folder.join("packets.pcapng"))?);
    report::pcapng::write(evidence, &std::collections::BTreeMap::new(), &mut file)?;
    file.flush()?;
    fs::write(folder.join("calls.strace"), report::listing(evidence))?;
    fs::write(folder.join("stdout"), &evidence.output.stdout)?;
    fs::write(folder.join("stderr"), &evidence.output.stderr)?;
    Ok(folder)
}

/// Reads `evidence.json`, or the file of that name in a folder.
///
/// # Errors
///
/// What the kernel said, or that it is not evidence of this version.
pub fn read(path: &Path) -> io::Result<Evidence> {
    let file = if path.is_dir() { path.join("evidence.json") } else { path.to_owned() };
    let text = fs::read(&file)?;
    serde_json::from_slice(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("not evidence: {e}")))
}
