//! A private folder in the cache for the time of one build. Dropping it removes it; what a killed build left behind, the
//! next one removes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::cache::root;
use super::error::KernelError;

/// What these folders' names begin with.
const PREFIX: &str = ".build-";

/// The folder, and the lock that says somebody lives in it.
#[derive(Debug)]
pub(super) struct Workspace {
    path: PathBuf,
    /// flock(2) on the folder itself: the kernel lets go of it however this process ends.
    _lock: File,
}

impl Workspace {
    /// Makes one, after removing those of processes that are gone.
    pub(super) fn create() -> Result<Self, KernelError> {
        Self::create_in(&root()?)
    }

    fn create_in(root: &Path) -> Result<Self, KernelError> {
        fs::create_dir_all(root).map_err(KernelError::at(root))?;
        // Held until the new folder has its own lock, so that nobody takes it for one of a process that is gone.
        let gate = File::open(root).map_err(KernelError::at(root))?;
        gate.lock().map_err(KernelError::at(root))?;
        remove_stale(root);
        let mut attempt = 0_u32;
        loop {
            // In containers that share a cache two processes can have one id.
            let path = root.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = File::open(&path).map_err(KernelError::at(&path))?;
                    lock.lock().map_err(KernelError::at(&path))?;
                    return Ok(Self { path, _lock: lock });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
                Err(source) => return Err(KernelError::File { path, source }),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that is there on return.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, KernelError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(KernelError::at(&path))?;
        Ok(path)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed now, the next build tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_stale(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_ours && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_lasts_as_long_as_its_owner_and_a_stale_one_until_the_next_build() {
        let room = tempfile::tempdir().expect("a temporary folder");
        let stale = room.path().join(".build-1-0");
        fs::create_dir_all(stale.join("source")).expect("a writable folder");
        let first = Workspace::create_in(room.path()).expect("a workspace");
        assert!(!stale.exists());
        let second = Workspace::create_in(room.path()).expect("another");
        assert!(first.path().is_dir() && second.path().is_dir() && first.path() != second.path());
        drop(first);
        assert!(second.path().is_dir());
        drop(second);
        assert_eq!(fs::read_dir(room.path()).expect("our own folder").count(), 0);
    }
}
