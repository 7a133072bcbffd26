//! The one folder that a virtual machine may write to, with room for its memory, which is a file there.
//!
//! UML maps its memory executable from a file in TMPDIR (arch/um/os-Linux/mem.c), unlinked at once; without a file
//! system that allows that, or without room, it dies of SIGBUS. So both are looked at first.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::{FsFlags, statvfs};

/// Where a machine's memory goes unless TMPDIR says otherwise, in this order. The first is a tmpfs: memory, not disk.
const PLACES: [&str; 2] = ["/dev/shm", "/tmp"];

/// What a machine writes beyond its memory: the job and the outcome.
const FILES_BYTES: u64 = 16 << 20;

/// Why there is no folder for a machine.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// No place will do; each with its reason.
    #[error(
        "a virtual machine needs a folder for its memory, {} MiB, and none will do: {}; set TMPDIR to one that will, best on a tmpfs",
        .needed_bytes >> 20,
        .places.join("; ")
    )]
    NoPlace {
        /// Memory and files.
        needed_bytes: u64,
        /// What is wrong with each.
        places: Vec<String>,
    },
    /// The machine itself has too little memory.
    #[error(
        "a virtual machine needs {} MiB of memory, and this machine has {} MiB to give; fewer at a time (`--jobs 1`), or a smaller `memory` in the scenario",
        .needed_bytes >> 20,
        .free_bytes >> 20
    )]
    NoMemory {
        /// Memory and files.
        needed_bytes: u64,
        /// `MemAvailable` in /proc/meminfo.
        free_bytes: u64,
    },
    /// It could not be made.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What the names of such folders begin with.
const PREFIX: &str = "workbench-";

/// A private folder, removed with everything in it when dropped. Locked for as long as somebody has it open, so that
/// what was left by one that nobody could clear away any more is known, and cleared away by the next.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    folder: Flock<File>,
}

impl Scratch {
    /// Makes a folder in TMPDIR, or without it where there is room.
    ///
    /// # Errors
    ///
    /// [`ScratchError`] with every place and what is wrong with it.
    pub fn new(memory_bytes: u64) -> Result<Self, ScratchError> {
        let needed_bytes = memory_bytes + FILES_BYTES;
        if let Some(free_bytes) = available_memory_bytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
            && free_bytes < needed_bytes
        {
            return Err(ScratchError::NoMemory { needed_bytes, free_bytes });
        }
        let place = place(std::env::var_os("TMPDIR"), needed_bytes)?;
        clear_stale(&place);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self::open(path),
                // Left by a process of this number that somebody killed together with its parent.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1_000 => {}
                Err(source) => return Err(ScratchError::Io { what: "make", path, source }),
            }
        }
    }

    fn open(path: PathBuf) -> Result<Self, ScratchError> {
        match lock(&path) {
            Ok(folder) => Ok(Self { path, folder }),
            Err(source) => {
                let _ = fs::remove_dir(&path);
                Err(ScratchError::Io { what: "open", path, source })
            }
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// [`ScratchError::Io`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), ScratchError> {
        let path = self.path.join(name);
        fs::write(&path, content).map_err(|source| ScratchError::Io { what: "write", path, source })
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ScratchError::Io`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, ScratchError> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|source| ScratchError::Io { what: "read", path, source })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, open.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Opens a folder and locks it; an error if somebody else has.
fn lock(path: &Path) -> io::Result<Flock<File>> {
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes folders of ours that nobody has open: whoever made them was killed together with everybody who would have
/// noticed. A folder of another user cannot be removed, and need not.
fn clear_stale(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().strip_prefix(PREFIX).is_some_and(is_numbers);
        // A folder that was made a moment ago is not locked yet.
        let is_old =
            entry.metadata().and_then(|m| m.modified()).is_ok_and(|m| m.elapsed().is_ok_and(|age| age > FRESH));
        if is_ours && is_old && lock(&entry.path()).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Between making a folder and locking it less time goes by than this.
const FRESH: Duration = Duration::from_secs(10);

/// `4711-0`.
fn is_numbers(text: &str) -> bool {
    text.split('-').count() == 2 && text.split('-').all(|part| part.parse::<u32>().is_ok())
}

fn place(tmpdir: Option<OsString>, needed_bytes: u64) -> Result<PathBuf, ScratchError> {
    let candidates: Vec<PathBuf> = match tmpdir.filter(|name| !name.is_empty()) {
        Some(chosen) => vec![chosen.into()],
        None => PLACES.iter().map(PathBuf::from).collect(),
    };
    let mut places = Vec::new();
    for path in candidates {
        // The machine has another working folder.
        let path = std::path::absolute(&path).unwrap_or(path);
        match complaint(&path, needed_bytes) {
            None => return Ok(path),
            Some(why) => places.push(format!("{} {why}", path.display())),
        }
    }
    Err(ScratchError::NoPlace { needed_bytes, places })
}

/// What is wrong with a place.
fn complaint(path: &Path, needed_bytes: u64) -> Option<String> {
    let about = match statvfs(path) {
        Ok(about) if path.is_dir() => about,
        Ok(_) => return Some("is no folder".to_owned()),
        Err(errno) => return Some(format!("cannot be looked at: {}", errno.desc())),
    };
    let free_bytes = about.blocks_available() as u64 * about.fragment_size() as u64;
    if about.flags().contains(FsFlags::ST_RDONLY) || nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_err()
    {
        Some("cannot be written to".to_owned())
    } else if about.flags().contains(FsFlags::ST_NOEXEC) {
        Some("is mounted noexec, and the machine's memory holds programs".to_owned())
    } else if free_bytes < needed_bytes {
        Some(format!("has {} MiB free", free_bytes >> 20))
    } else {
        None
    }
}

/// `MemAvailable` of /proc/meminfo (proc(5)).
fn available_memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24646024 kB\nMemAvailable:   24000000 kB\n";
        assert_eq!(available_memory_bytes(text), Some(24_000_000 << 10));
        assert_eq!(available_memory_bytes(""), None);
    }

    #[test]
    fn a_chosen_place_is_the_only_one_that_is_looked_at() {
        let error = place(Some("/nowhere/at/all".into()), 1).expect_err("it is not there");
        let ScratchError::NoPlace { places, .. } = &error else { panic!("{error}") };
        assert_eq!(places.len(), 1, "{error}");
        assert!(error.to_string().contains("/nowhere/at/all cannot be looked at"), "{error}");
    }

    #[test]
    fn a_place_without_room_says_how_much_there_is() {
        let error = place(Some("/tmp".into()), u64::MAX >> 1).expect_err("no disk is that large");
        assert!(error.to_string().contains(" MiB free"), "{error}");
    }

    #[test]
    fn what_nobody_has_open_is_cleared_away_and_nothing_else() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let make = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir(&path).expect("a writable folder");
            let then = std::time::SystemTime::now() - 2 * FRESH;
            File::open(&path).and_then(|folder| folder.set_modified(then)).expect("our own folder");
            path
        };
        let (stale, others, held) = (make("workbench-4711-0"), make("workbench-x"), make("workbench-4711-1"));
        let fresh = place.path().join("workbench-4711-2");
        fs::create_dir(&fresh).expect("a writable folder");
        let lock = lock(&held).expect("nobody has it");
        clear_stale(place.path());
        assert_eq!([&stale, &others, &held, &fresh].map(|path| path.exists()), [false, true, true, true]);
        drop(lock);
        clear_stale(place.path());
        assert!(!held.exists());
    }

    #[test]
    fn a_folder_is_gone_with_what_is_in_it() {
        let scratch = Scratch::new(1 << 20).expect("there is room for a megabyte");
        scratch.write("x", b"text").expect("it can be written to");
        let path = scratch.path().to_owned();
        assert_eq!(scratch.read("x").expect("it was written"), b"text");
        drop(scratch);
        assert!(!path.exists());
    }
}
