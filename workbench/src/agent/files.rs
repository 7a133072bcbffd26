//! The files that a daemon or the command finds in its working directory. Only in a lab, where that is memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::world::{WorldError, failed};
use crate::plan::{FileContent, FilePlan};

/// What a made-up file repeats: longer than the window of zlib (32 KiB) and a block of rsync's, so that neither finds
/// one part of it in another.
const PATTERN_BYTES: usize = 1 << 20;

/// Makes a folder and everything in it.
///
/// # Errors
///
/// [`WorldError`] with the file that failed.
pub fn make(folder: &Path, files: &[FilePlan]) -> Result<(), WorldError> {
    fs::create_dir_all(folder).map_err(failed("make", shown(folder)))?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("make the folder of", shown(&path)))?;
        }
        match &file.content {
            FileContent::Folder => fs::create_dir_all(&path),
            FileContent::Text(text) => fs::write(&path, text),
            FileContent::Size(bytes) => fill(&path, *bytes),
        }
        .map_err(failed("write", shown(&path)))?;
        let mode = fs::Permissions::from_mode(file.mode);
        fs::set_permissions(&path, mode).map_err(failed("set the mode of", shown(&path)))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let pattern = pattern();
    let mut left = bytes;
    while left > 0 {
        let part = left.min(PATTERN_BYTES as u64);
        file.write_all(&pattern[..part as usize])?;
        left -= part;
    }
    Ok(())
}

/// Marsaglia's xorshift64: the same bytes everywhere.
fn pattern() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(PATTERN_BYTES);
    while bytes.len() < PATTERN_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_file_has_its_size_and_no_two_blocks_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("big");
        fill(&path, (1 << 20) + 7).expect("written");
        let bytes = fs::read(&path).expect("read");
        assert_eq!(bytes.len(), (1 << 20) + 7);
        let blocks: std::collections::BTreeSet<&[u8]> = bytes[..1 << 20].chunks(512).collect();
        assert_eq!(blocks.len(), (1 << 20) / 512);
    }
}
