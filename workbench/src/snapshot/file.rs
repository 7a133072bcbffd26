//! One snapshot file in insta's format: a header that says on what it was recorded, then the claims. Knows no folders.
//!
//! The header is written by hand as JSON values, which are valid YAML, and then goes once through insta's own reader
//! and writer: what is left on disk is byte for byte what `cargo insta` would have written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use insta::internals::{Content, MetaData};
use serde_json::json;

use super::claims::Claims;
use super::parse;
use super::recording::{Holds, Phases, Recording};
use super::render;
use crate::evidence::{EngineKind, Evidence};
use crate::timeline::{Spread, Timeline};
use crate::verdict::EndedBy;

/// What a snapshot file holds about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What the scenario is about.
    pub about: Option<String>,
    /// On what it was recorded.
    pub recording: Recording,
    /// What it claims.
    pub claims: Claims,
}

impl Snapshot {
    /// The snapshot that one run makes.
    pub fn from_run(evidence: &Evidence, timeline: &Timeline, ended_by: Option<&EndedBy>) -> Self {
        Self {
            about: evidence.plan.about.clone(),
            recording: Recording::of(evidence),
            claims: Claims::from_run(evidence, timeline, ended_by),
        }
    }

    /// The same with what the run told at other phases.
    pub fn with_spread(mut self, spread: &Spread) -> Self {
        self.recording.phases = Some(Phases { count: spread.count, step_ns: spread.step_ns });
        self.claims.add_ranges(spread);
        self
    }

    /// Whether both hold the same ranges, or both none.
    pub fn has_ranges_of(&self, other: &Self) -> bool {
        let ranges = |snapshot: &Self| snapshot.claims.lines.iter().map(|line| line.range).collect::<Vec<_>>();
        self.recording.phases == other.recording.phases && ranges(self) == ranges(other)
    }
}

/// A snapshot that cannot be used, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of somebody else stands where a snapshot would.
    #[error(
        "{path} is not a snapshot that workbench wrote: {why}; move it away, or put the snapshots into another folder"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// A snapshot that was changed by hand, or cut off.
    #[error("{path}:{line}: {why}; correct the line, or delete the file and run again to record it anew")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What was expected and what was found.
        why: String,
    },
    /// Two scenarios would share a snapshot.
    #[error("{path} belongs to {other}, and {scenario} would use the same file; rename one of the two scenarios")]
    Shared {
        /// The snapshot.
        path: PathBuf,
        /// The scenario that asks for it.
        scenario: String,
        /// The scenario that it was recorded from.
        other: String,
    },
    /// Nothing waits to be accepted there.
    #[error(
        "no pending snapshot at {path}: expected a `.snap.new` file, the `.snap` file beside it, a scenario or a folder"
    )]
    NotPending {
        /// What was named.
        path: PathBuf,
    },
}

impl StoreError {
    /// For `map_err`: the system refused to do `action` with `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// A snapshot with the scenario it was recorded from, relative to the folder that has `snapshots/`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) scenario: String,
    pub(super) snapshot: Snapshot,
}

/// Writes a snapshot file and the folders above it. Whole or not at all, also when several repeats of a run write it at
/// the same time.
pub(super) fn write(path: &Path, stored: &Stored) -> Result<(), StoreError> {
    let Snapshot { about, recording, claims } = &stored.snapshot;
    let mut info = json!({
        "engine": recording.engine.to_string(),
        "kernel": recording.kernel,
        "hz": recording.hz,
        "tools": recording.tools,
    });
    if let Some(Phases { count, step_ns }) = recording.phases {
        info["phases"] = json!(count);
        info["phase_step"] = json!(render::short_seconds(step_ns));
    }
    if let Some(Holds { since, before, why }) = &recording.holds {
        let versions = [("since", since), ("before", before)];
        versions.into_iter().filter(|(_, version)| version.is_some()).for_each(|(name, version)| {
            info[name] = json!(version);
        });
        info["why"] = json!(why);
    }
    let mut header = format!("source: {}\n", json!(stored.scenario));
    if let Some(about) = about {
        header += &format!("description: {}\n", json!(about));
    }
    header += &format!("info: {info}\ninput_file: {}\n", json!(stored.scenario));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
    }
    let draft = draft_path(path);
    let written = write_draft(&draft, &format!("---\n{header}---\n{}", claims.render()))
        .and_then(|()| fs::rename(&draft, path).map_err(StoreError::io("replace", path)));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// A name beside `path` that nobody else writes to, and that neither `cargo insta` nor we take for a snapshot.
fn draft_path(path: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)))
}

fn write_draft(draft: &Path, text: &str) -> Result<(), StoreError> {
    fs::write(draft, text).map_err(StoreError::io("write", draft))?;
    insta::Snapshot::from_file(draft)
        .and_then(|snapshot| snapshot.save(draft))
        .map_err(|error| corrupt(draft, 1, error.to_string()))
}

/// Reads a snapshot file.
pub(super) fn read(path: &Path) -> Result<Stored, StoreError> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => foreign(path, "it is not UTF-8 text"),
        _ => StoreError::io("read", path)(source),
    })?;
    let body_line = header_lines(&text).ok_or_else(|| foreign(path, "it has no header between two lines of `---`"))?;
    let insta = insta::Snapshot::from_file(path).map_err(|error| corrupt(path, 1, error.to_string()))?;
    let metadata = insta.metadata();
    let recording = recording(metadata).map_err(|why| foreign(path, why))?;
    let scenario = metadata.input_file().ok_or_else(|| foreign(path, "its header has no `input_file`"))?.to_owned();
    let body: Vec<&str> = text.lines().skip(body_line).collect();
    let claims = Claims::parse(body.join("\n").trim_end()).map_err(|error| {
        corrupt(path, body_line + error.line, format!("expected {}, found {}", error.expected, error.found))
    })?;
    Ok(Stored { scenario, snapshot: Snapshot { about: metadata.description().map(str::to_owned), recording, claims } })
}

/// How many lines the header has, both `---` included.
fn header_lines(text: &str) -> Option<usize> {
    let is_rule = |line: &str| line.trim_end() == "---";
    let mut lines = text.lines();
    lines.next().filter(|line| is_rule(line))?;
    lines.position(is_rule).map(|index| index + 2)
}

fn recording(metadata: &MetaData) -> Result<Recording, &'static str> {
    let info = metadata.private_info().ok_or("its header has no `info`")?;
    let text = |name| entry(info, name).and_then(Content::as_str);
    let engine = match text("engine") {
        Some("host") => EngineKind::Host,
        Some("virtual") => EngineKind::Virtual,
        _ => return Err("its `info` has no `engine` that is `host` or `virtual`"),
    };
    let kernel = text("kernel").ok_or("its `info` has no `kernel`")?.to_owned();
    let hz = entry(info, "hz").and_then(Content::as_u64).ok_or("its `info` has no `hz`")?;
    let tools = entry(info, "tools").map(strings).unwrap_or_default();
    let phases = entry(info, "phases").map(|count| phases(count, text("phase_step"))).transpose()?;
    let owned = |name| text(name).map(str::to_owned);
    let (since, before) = (owned("since"), owned("before"));
    let holds = owned("why").map(|why| Holds { since, before, why });
    Ok(Recording { engine, kernel, hz, tools, phases, holds })
}

fn phases(count: &Content, step: Option<&str>) -> Result<Phases, &'static str> {
    let count = count.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    let step_ns = step.and_then(parse::seconds).and_then(|ns| u64::try_from(ns).ok());
    match (count, step_ns) {
        (Some(count), Some(step_ns)) => Ok(Phases { count, step_ns }),
        (None, _) => Err("the `phases` of its `info` are no number"),
        (_, None) => Err("its `info` has `phases` and no `phase_step` such as `2.048 s`"),
    }
}

fn entry<'a>(content: &'a Content, name: &str) -> Option<&'a Content> {
    let Content::Map(entries) = content.resolve_inner() else { return None };
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn strings(content: &Content) -> BTreeMap<String, String> {
    let Content::Map(entries) = content.resolve_inner() else { return BTreeMap::new() };
    entries.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()))).collect()
}

fn foreign(path: &Path, why: &str) -> StoreError {
    StoreError::Foreign { path: path.to_owned(), why: why.to_owned() }
}

fn corrupt(path: &Path, line: usize, why: String) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), line, why }
}
