//! Finds scenario files and takes them as far as plans. Every problem of every file is reported before anything runs.

use std::path::{Path, PathBuf};

use crate::plan::{self, Plan};
use crate::scenario::{self, Diagnostics, Scenario, SourceFile};

/// A scenario with its plans, one for each run.
pub struct Planned {
    /// What it says, for each combination of its sweeps' values.
    pub instances: Vec<Scenario>,
    /// What is to be done.
    pub plans: Vec<Plan>,
}

impl Planned {
    /// Whether the scenario has one of `tags`, or `tags` is empty.
    pub fn has_any_tag(&self, tags: &[String]) -> bool {
        let mut all = self.instances.iter().flat_map(|instance| &instance.tags);
        tags.is_empty() || all.any(|tag| tags.contains(&tag.value))
    }
}

/// Why a path gave no scenarios.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Nothing of that name.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A folder without scenarios.
    #[error("{}: no scenario (*.kdl) in this folder", path.display())]
    NoScenario {
        /// The folder.
        path: PathBuf,
    },
}

/// A folder of this name holds parts that scenarios use, not scenarios.
const PARTS_FOLDER: &str = "common";

/// The scenario files of `paths`: files as they are, folders searched for `*.kdl`, sorted, each file once. Inside a folder,
/// those called `common` are passed over.
///
/// # Errors
///
/// The first path that cannot be read or holds no scenario.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            search(path, &mut below)?;
            if below.is_empty() {
                return Err(FilesError::NoScenario { path: path.clone() });
            }
            below.sort();
            found.extend(below);
        } else {
            found.push(path.clone());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let unreadable = |source| FilesError::Unreadable { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Links are not followed into folders: a link upwards would never end.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if !is_hidden && entry.file_name() != PARTS_FOLDER {
                search(&entry.path(), found)?;
            }
        } else if entry.path().extension().is_some_and(|e| e == "kdl") {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Reads, parses and plans one file.
///
/// # Errors
///
/// All problems of the file.
pub fn plan_file(path: &Path) -> Result<Planned, Diagnostics> {
    let source = SourceFile::read(path)?;
    let instances = scenario::parse(&source)?;
    let plans = plan::build(&instances);
    Ok(Planned { instances, plans })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_passes_over_parts_and_a_part_that_is_named_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let part = folder.path().join("tools/common/part.kdl");
        std::fs::create_dir_all(part.parent().expect("a parent")).expect("made");
        for file in [&part, &folder.path().join("tools/a.kdl")] {
            std::fs::write(file, "namespace client\n").expect("written");
        }
        assert_eq!(find(&[folder.path().to_owned()]).expect("found"), [folder.path().join("tools/a.kdl")]);
        assert_eq!(find(std::slice::from_ref(&part)).expect("found"), [part]);
    }
}
