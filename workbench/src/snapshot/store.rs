//! Where a scenario's snapshots live, and what a run does with them.
//!
//! They live under the `snapshots/` of the nearest folder at or above the scenario's that has one, else of the
//! scenario's own: `scenarios/tcp/syn-retries.kdl`, run `curl`, has `snapshots/tcp/syn-retries/curl.snap`. Each scenario
//! has a folder of its own, because `STEM-RUN.snap` would be one name for the run `b-c` of `a` and the run `c` of `a-b`.
//!
//! A run that goes otherwise from a kernel on has a second snapshot, `curl@6.5.snap`: what is called a run here is the name
//! of a snapshot, `curl` or `curl@6.5`, which is the plan's business (`Plan::snapshot_name`).

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::compare::{Comparison, Outcome, compare};
use super::file::{self, Snapshot, StoreError, Stored};
use super::tolerance::Tolerance;

/// The snapshots of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The folder that has `snapshots/`.
    root: PathBuf,
    /// The scenario, relative to `root`.
    scenario: String,
    /// Where the snapshots are.
    folder: PathBuf,
}

/// What became of a run's snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum Checked {
    /// There is none yet; the pending one stands here, if it could be written.
    New {
        /// The `.snap.new` file.
        pending: Option<PathBuf>,
    },
    /// There is one.
    Compared {
        /// How they compare.
        comparison: Comparison,
        /// The `.snap.new` file, for a run that differs, if it could be written.
        pending: Option<PathBuf>,
    },
}

impl Store {
    /// The store for a scenario's file, which need not exist any more.
    ///
    /// # Errors
    /// Without a working folder a relative path leads nowhere.
    pub fn for_scenario(file: &Path) -> Result<Self, StoreError> {
        let file = std::path::absolute(file).map_err(StoreError::io("find", file))?;
        let beside = file.parent().unwrap_or(Path::new("/"));
        // A path through `..` or a link has other folders above it than its text says.
        let beside = fs::canonicalize(beside).unwrap_or_else(|_| beside.to_owned());
        let root = beside.ancestors().find(|folder| folder.join("snapshots").is_dir()).unwrap_or(&beside);
        let inner = beside.strip_prefix(root).unwrap_or(Path::new(""));
        let folder = root.join("snapshots").join(inner.strip_prefix("scenarios").unwrap_or(inner));
        Ok(Self {
            scenario: slashes(&inner.join(file.file_name().unwrap_or_default())),
            folder: folder.join(file.file_stem().unwrap_or_default()),
            root: root.to_owned(),
        })
    }

    /// The folder of this scenario's snapshots; it exists once there is one.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The snapshot of a run.
    pub fn path(&self, run: &str) -> PathBuf {
        self.folder.join(format!("{}.snap", file_name(run)))
    }

    fn pending_path(&self, run: &str) -> PathBuf {
        self.folder.join(format!("{}.snap.new", file_name(run)))
    }

    /// The accepted snapshot of a run, if there is one.
    ///
    /// # Errors
    /// It cannot be read, is not ours, was changed into something else, or belongs to another scenario.
    pub fn load(&self, run: &str) -> Result<Option<Snapshot>, StoreError> {
        let path = self.path(run);
        if !path.try_exists().map_err(StoreError::io("look for", &path))? {
            return Ok(None);
        }
        let Stored { scenario, snapshot } = file::read(&path)?;
        if scenario != self.scenario && self.root.join(&scenario).is_file() {
            return Err(StoreError::Shared { path, scenario: self.scenario.clone(), other: scenario });
        }
        Ok(Some(snapshot))
    }

    /// Writes what a run made beside its snapshot, to be accepted or rejected. Returns the file.
    ///
    /// # Errors
    /// The file or its folder cannot be written.
    pub fn write_pending(&self, run: &str, snapshot: &Snapshot) -> Result<PathBuf, StoreError> {
        let path = self.pending_path(run);
        self.write(&path, snapshot)?;
        Ok(path)
    }

    fn write(&self, path: &Path, snapshot: &Snapshot) -> Result<(), StoreError> {
        file::write(path, &Stored { scenario: self.scenario.clone(), snapshot: snapshot.clone() })
    }

    /// Makes what a run made its snapshot, whatever was there before. Returns the file.
    ///
    /// # Errors
    /// The file or its folder cannot be written.
    pub fn accept(&self, run: &str, snapshot: &Snapshot) -> Result<PathBuf, StoreError> {
        let path = self.path(run);
        self.write(&path, snapshot)?;
        self.remove_pending(run)?;
        Ok(path)
    }

    /// Adds what ended a run to its snapshot, where that is from before snapshots said so; all else stays as it was
    /// recorded. Returns the file, if there was something to add.
    ///
    /// # Errors
    /// The snapshot cannot be read or written.
    pub fn add_cause(&self, run: &str, observed: &Snapshot) -> Result<Option<PathBuf>, StoreError> {
        let lacking = self.load(run)?.filter(|accepted| accepted.claims.ended_by.is_none());
        let Some(mut snapshot) = lacking else { return Ok(None) };
        snapshot.claims.ended_by.clone_from(&observed.claims.ended_by);
        let path = self.path(run);
        self.write(&path, &snapshot)?;
        Ok(Some(path))
    }

    /// Removes what an earlier run left to be reviewed, if anything.
    ///
    /// # Errors
    /// There is one and it cannot be removed.
    pub fn remove_pending(&self, run: &str) -> Result<(), StoreError> {
        let path = self.pending_path(run);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Holds a run against its snapshot. One that agrees leaves the file as it is and removes a stale pending one; one
    /// that differs, or has no snapshot yet, leaves a pending one; an inconclusive one leaves everything. Without
    /// `may_write` nothing is touched.
    ///
    /// # Errors
    /// The snapshot cannot be read or the pending one not be written.
    pub fn check(
        &self,
        run: &str,
        observed: &Snapshot,
        tolerance: &Tolerance,
        may_write: bool,
    ) -> Result<Checked, StoreError> {
        let write = || may_write.then(|| self.write_pending(run, observed)).transpose();
        let Some(expected) = self.load(run)? else { return Ok(Checked::New { pending: write()? }) };
        let comparison = compare(&expected, observed, tolerance);
        let pending = match comparison.outcome {
            Outcome::Agrees => {
                if may_write {
                    self.remove_pending(run)?;
                }
                None
            }
            Outcome::MissingRetransmission | Outcome::MachineLate => None,
            Outcome::Differs => write()?,
        };
        Ok(Checked::Compared { comparison, pending })
    }
}

/// A run's name as a file's: `cargo insta` takes what stands before `__` for a module, and a `/` would be a folder.
fn file_name(run: &str) -> String {
    let mut name = String::new();
    for c in run.chars() {
        let is_plain = c.is_alphanumeric() || "-.@".contains(c) || (c == '_' && !name.ends_with('_'));
        if is_plain && !(c == '.' && name.is_empty()) {
            name.push(c);
        } else {
            let mut bytes = [0; 4];
            name.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    name
}

fn slashes(path: &Path) -> String {
    let parts: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    parts.iter().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
