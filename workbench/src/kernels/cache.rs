//! Where kernels are kept: what is there, putting one in, taking one out.
//!
//! A kernel's folder is filled elsewhere on the same file system and renamed into place. So what is half written is never
//! listed, and two builds of the same kernel at a time do not disturb each other.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::about::{About, Kernel};
use super::error::KernelError;
use super::tools::{missing_tools, path};
use super::workspace::Workspace;

const IMAGE: &str = "linux";
const ABOUT: &str = "kernel.json";

/// The workbench's cache: `$WORKBENCH_CACHE`, else `$XDG_CACHE_HOME/workbench`, else `$HOME/.cache/workbench`.
pub(super) fn root() -> Result<PathBuf, KernelError> {
    let root = root_of(|name| std::env::var_os(name)).ok_or(KernelError::NoCache)?;
    std::path::absolute(&root).map_err(KernelError::at(root))
}

fn root_of(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // XDG Base Directory Specification: "If an implementation encounters a relative path […] it should […] ignore it."
    let xdg = || set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    set("WORKBENCH_CACHE")
        .or_else(|| xdg().map(|path| path.join("workbench")))
        .or_else(|| set("HOME").map(|path| path.join(".cache/workbench")))
}

/// The folder that kernels are kept in; it need not exist.
///
/// # Errors
///
/// None of the variables that say where the cache is, is set.
pub fn folder() -> Result<PathBuf, KernelError> {
    root().map(|root| root.join("kernels"))
}

/// Every kernel, by version and then HZ.
///
/// # Errors
///
/// There is no cache, or it cannot be read.
pub fn all() -> Result<Vec<Kernel>, KernelError> {
    all_in(&folder()?)
}

fn all_in(folder: &Path) -> Result<Vec<Kernel>, KernelError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(KernelError::File { path: folder.to_owned(), source: e }),
    };
    let mut kernels = Vec::new();
    for entry in entries {
        let entry = entry.map_err(KernelError::at(folder))?;
        kernels.extend(read(&entry.path()));
    }
    kernels.sort_by(Kernel::order);
    Ok(kernels)
}

/// The kernel in a folder, if there is a whole one.
fn read(folder: &Path) -> Option<Kernel> {
    let image = folder.join(IMAGE);
    let about = fs::read(folder.join(ABOUT)).ok()?;
    let about: About = serde_json::from_slice(&about).ok()?;
    // The folder's name is how it is removed and replaced.
    let is_whole = image.is_file() && folder.file_name().is_some_and(|name| *name == *about.folder_name());
    is_whole.then_some(Kernel { image, about })
}

/// The kernel of exactly this name (`6.12.117@250`) or folder.
///
/// # Errors
///
/// None has it, or several have.
pub fn find(name: &str) -> Result<Kernel, KernelError> {
    let kernels = all()?;
    if kernels.is_empty() {
        return Err(KernelError::None { folder: shown(&folder()?), missing_tools: missing_tools(&path()) });
    }
    let is_called = |kernel: &&Kernel| kernel.name() == name || kernel.folder_name() == name;
    let found: Vec<&Kernel> = kernels.iter().filter(is_called).collect();
    match found[..] {
        [kernel] => Ok(kernel.clone()),
        [] => Err(KernelError::NotHere {
            wanted: name.to_owned(),
            present: kernels.iter().map(Kernel::name).collect(),
            remedy: "expected one of these names".to_owned(),
        }),
        _ => Err(KernelError::Ambiguous {
            name: name.to_owned(),
            folders: found.into_iter().map(Kernel::folder_name).collect(),
        }),
    }
}

/// Takes the kernel of this name or folder out and returns what it was.
///
/// # Errors
///
/// None or several have the name, or the file system refuses.
pub fn remove(name: &str) -> Result<Kernel, KernelError> {
    let kernel = find(name)?;
    let folder = kernel.image.parent().unwrap_or(Path::new("")).to_owned();
    // What it is goes first: if the rest cannot go, the kernel is not listed all the same.
    fs::remove_file(folder.join(ABOUT)).map_err(KernelError::at(folder.join(ABOUT)))?;
    fs::remove_dir_all(&folder).map_err(KernelError::at(folder))?;
    Ok(kernel)
}

/// Puts a program in as the kernel that `about` says, instead of the one of the same description if there is one.
pub(super) fn keep(workspace: &Workspace, program: &Path, about: About) -> Result<Kernel, KernelError> {
    let folder = folder()?;
    fs::create_dir_all(&folder).map_err(KernelError::at(&folder))?;
    let new = workspace.path().join("kept");
    fs::create_dir(&new).map_err(KernelError::at(&new))?;
    let image = new.join(IMAGE);
    fs::copy(program, &image).map_err(KernelError::at(program))?;
    fs::set_permissions(&image, Permissions::from_mode(0o755)).map_err(KernelError::at(&image))?;
    let mut text = serde_json::to_string_pretty(&about).unwrap_or_default();
    text.push('\n');
    fs::write(new.join(ABOUT), text).map_err(KernelError::at(new.join(ABOUT)))?;
    let place = folder.join(about.folder_name());
    if place.exists() {
        let old = workspace.path().join("replaced");
        fs::rename(&place, &old).map_err(KernelError::at(&place))?;
    }
    fs::rename(&new, &place).map_err(KernelError::at(&place))?;
    Ok(Kernel { image: place.join(IMAGE), about })
}

/// A path as its owner writes it: `~/.cache/workbench`.
pub(super) fn shown(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.components().count() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
