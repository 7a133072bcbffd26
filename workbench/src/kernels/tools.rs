//! The programs that a kernel build runs. Packages that hold them are the doctor's business.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access};

/// What a build runs (Documentation/process/changes.rst in the kernel's source); `tar` unpacks the source, and without
/// the last gcc compiles nothing that runs.
pub const BUILD_TOOLS: &[&str] = &["make", "gcc", "flex", "bison", "bc", "xz", "ld", "perl", "tar", C_LIBRARY];

/// The C library's headers and start files: a kernel build compiles programs for itself, and UML is one.
const C_LIBRARY: &str = "libc headers";

/// Those of [`BUILD_TOOLS`] that are not in these folders, in order.
pub fn missing_tools(path: &[PathBuf]) -> Vec<&'static str> {
    BUILD_TOOLS.iter().copied().filter(|tool| !is_there(tool, path)).collect()
}

fn is_there(tool: &str, path: &[PathBuf]) -> bool {
    if tool != C_LIBRARY {
        return find(tool, path).is_some();
    }
    // Without gcc nobody can say, and installing what is there already does no harm.
    find("gcc", path).is_some_and(|gcc| has_start_file(&gcc))
}

/// gcc prints the place of a file that it finds, and the bare name of one that it does not.
fn has_start_file(gcc: &Path) -> bool {
    let output = Command::new(gcc).arg("-print-file-name=crt1.o").stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.stdout.contains(&b'/'))
}

/// The first executable file of that name in these folders.
pub(super) fn find(program: &str, path: &[PathBuf]) -> Option<PathBuf> {
    let is_executable = |file: &PathBuf| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    path.iter().map(|folder| folder.join(program)).find(is_executable)
}

/// The folders of PATH.
pub(super) fn path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_empty_folder_everything_is_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(missing_tools(&[folder.path().to_owned()]), BUILD_TOOLS);
    }
}
