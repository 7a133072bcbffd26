//! Writes a file that somebody named on the command line: whole or not at all, in a folder that is made if need be.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`. A reader sees the old file or the new one, never half of one; something that is no ordinary
/// file, a pipe or `/dev/stdout`, is written to as it is.
///
/// # Errors
/// What the kernel said.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !is_ordinary(path) {
        return fs::write(path, bytes);
    }
    make_folder(path)?;
    let beside = beside(path)?;
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// Makes sure that `path` can be written to, and that what an earlier command left there is not taken for this one's.
///
/// # Errors
/// What the kernel said.
pub fn prepare(path: &Path) -> io::Result<()> {
    if !is_ordinary(path) {
        return Ok(());
    }
    make_folder(path)?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let beside = beside(path)?;
    File::create(&beside)?;
    fs::remove_file(&beside)
}

fn is_ordinary(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

fn make_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("not the name of a file"))?;
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(beside))
}
