//! Snapshots that wait for somebody to accept or reject them, and snapshots that nobody needs any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::compare::{Comparison, compare};
use super::file::{self, Snapshot, StoreError};
use super::store::Store;
use super::tolerance::Tolerance;

/// A pending snapshot and the one it would replace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending {
    /// The `.snap.new` file.
    pub new: PathBuf,
    /// The `.snap` file, which need not exist.
    pub accepted: PathBuf,
}

/// What a pending snapshot would change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// There is none yet.
    New(Box<Snapshot>),
    /// It differs from the accepted one.
    Differs(Comparison),
}

impl Pending {
    fn of(new: &Path) -> Option<Self> {
        let name = new.file_name()?.to_str()?.strip_suffix(".new")?;
        name.ends_with(".snap").then(|| Self { new: new.to_owned(), accepted: new.with_file_name(name) })
    }

    /// What it would change.
    ///
    /// # Errors
    /// One of the two cannot be read.
    pub fn change(&self) -> Result<Change, StoreError> {
        let observed = file::read(&self.new)?.snapshot;
        if !self.accepted.try_exists().map_err(StoreError::io("look for", &self.accepted))? {
            return Ok(Change::New(Box::new(observed)));
        }
        let expected = file::read(&self.accepted)?.snapshot;
        let tolerance =
            Tolerance { tick_ns: observed.recording.tick_ns(), lateness_ns: 0, engine: observed.recording.engine };
        Ok(Change::Differs(compare(&expected, &observed, &tolerance)))
    }

    /// Makes it the snapshot.
    ///
    /// # Errors
    /// It is not a whole snapshot, or the file cannot be replaced.
    pub fn accept(&self) -> Result<(), StoreError> {
        file::read(&self.new)?;
        fs::rename(&self.new, &self.accepted).map_err(StoreError::io("accept", &self.new))
    }

    /// Throws it away.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn reject(&self) -> Result<(), StoreError> {
        fs::remove_file(&self.new).map_err(StoreError::io("remove", &self.new))
    }
}

/// The pending snapshots that a path on the command line stands for: a folder's, a scenario's, or one.
///
/// # Errors
/// The path stands for none of these, or a folder cannot be read.
pub fn pending_for(path: &Path) -> Result<Vec<Pending>, StoreError> {
    if path.is_dir() {
        return pending_under(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let one = match path.extension().and_then(|extension| extension.to_str()) {
        Some("kdl") => {
            let folder = Store::for_scenario(path)?.folder().to_owned();
            return if folder.is_dir() { pending_under(&folder) } else { Ok(Vec::new()) };
        }
        Some("snap") => Pending::of(&path.with_file_name(format!("{name}.new"))),
        _ => Pending::of(path),
    };
    match one {
        Some(pending) if pending.new.is_file() => Ok(vec![pending]),
        _ => Err(StoreError::NotPending { path: path.to_owned() }),
    }
}

/// The pending snapshots below a folder, in the order of their names; those of other programs are left alone.
fn pending_under(folder: &Path) -> Result<Vec<Pending>, StoreError> {
    let files = own_files(folder, ".snap.new")?;
    Ok(files.iter().filter_map(|path| Pending::of(path)).collect())
}

/// The accepted snapshots below a folder that are not `known`: their scenario or run is gone. Paths as in
/// [`Store::path`].
///
/// # Errors
/// A folder cannot be read.
pub fn unreferenced(folder: &Path, known: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, StoreError> {
    let folder = fs::canonicalize(folder).map_err(StoreError::io("find", folder))?;
    let mut files = own_files(&folder, ".snap")?;
    files.retain(|path| !known.contains(path));
    Ok(files)
}

/// The files below a folder whose names end like this and that are snapshots of ours, damaged ones included, sorted.
fn own_files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(StoreError::io("read", &folder))? {
            let entry = entry.map_err(StoreError::io("read", &folder))?;
            let kind = entry.file_type().map_err(StoreError::io("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(ending) && is_own(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_own(path: &Path) -> bool {
    !matches!(file::read(path), Err(StoreError::Foreign { .. }))
}
