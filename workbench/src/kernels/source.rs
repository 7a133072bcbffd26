//! From what was asked for to a source tree that can be built: looked at, unpacked, mended where it is ours.
//!
//! A tree of the user's is only ever read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::about::version;
use super::apt::{Distribution, newest_known, package_version};
use super::error::KernelError;
use super::mend::mend;
use super::processes::run;
use super::request::Request;
use super::workspace::Workspace;

/// The first version that the virtual engine is held to.
pub(super) const AT_LEAST: (u32, u32, u32) = (6, 12, 0);

/// The suite that has it, where the machine's own has not.
const SUITE: &str = "trixie";

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A tree of the user's.
    Tree(PathBuf),
    /// A tarball, or a package with one in it.
    Archive(PathBuf),
    /// A suite, through apt.
    Suite(String),
    /// What the machine's own package sources have, if it is new enough.
    Own,
}

/// Where the source is to come from: what was said, else an installed package, else apt.
pub(super) async fn origin(request: &Request) -> Result<Origin, KernelError> {
    if let Some(path) = &request.source {
        let path = fs::canonicalize(path).map_err(KernelError::at(path))?;
        return if path.is_dir() { check_tree(&path).map(|()| Origin::Tree(path)) } else { Ok(Origin::Archive(path)) };
    }
    if let Some(suite) = &request.suite {
        return Ok(Origin::Suite(suite.clone()));
    }
    if let Some(installed) = installed(Path::new("/usr/src")) {
        return Ok(Origin::Archive(installed));
    }
    let machine = Distribution::read();
    let is_known = newest_known().await.is_some_and(|package| package_version(&package) >= AT_LEAST);
    match machine.id.as_str() {
        "debian" if !is_known => Ok(Origin::Suite(SUITE.to_owned())),
        _ if is_known || Path::new("/etc/apt").is_dir() => Ok(Origin::Own),
        _ => Err(KernelError::NoSource(
            "only on Debian and its relatives one can be fetched; `workbench kernel build --source` takes a tree or \
             tarball of Linux 6.12 or newer"
                .to_owned(),
        )),
    }
}

/// The newest tarball that a package linux-source-N.M has put here.
fn installed(folder: &Path) -> Option<PathBuf> {
    let tarball = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let found = version(name.strip_prefix("linux-source-")?.strip_suffix(".tar.xz")?);
        (found >= AT_LEAST).then(|| (found, entry.path()))
    };
    fs::read_dir(folder).ok()?.flatten().filter_map(tarball).max().map(|(_, path)| path)
}

/// Unpacks an archive into the workspace and returns the tree, which is ours to mend.
pub(super) async fn unpack(archive: &Path, workspace: &Workspace) -> Result<PathBuf, KernelError> {
    let not_source = |why: String| KernelError::NotSource { path: archive.to_owned(), why };
    let is_package = archive.extension().is_some_and(|extension| extension == "deb");
    let tarball = if is_package {
        let package = workspace.folder("package")?;
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").args([archive, &package]);
        run("unpacking the package", command, |_| {}).await?;
        tarball_below(&package.join("usr/src"))
            .ok_or_else(|| not_source("expected a tarball linux-source-N.M in the package, and there is none".into()))?
    } else {
        archive.to_owned()
    };
    let tree = workspace.folder("source")?;
    let mut command = Command::new("tar");
    command.args(["--extract", "--no-same-owner", "--strip-components=1", "--file"]).arg(&tarball);
    command.arg("--directory").arg(&tree);
    let unpacked = run("unpacking", command, |_| {}).await;
    if let Err(error @ KernelError::Failed { .. }) = unpacked {
        return Err(not_source(format!("expected a source tree, a tarball or a package with one: {error}")));
    }
    if is_package {
        let package = workspace.path().join("package");
        fs::remove_dir_all(&package).map_err(KernelError::at(package))?;
    }
    check_tree(&tree).map_err(|error| match error {
        KernelError::NotSource { why, .. } => not_source(why),
        other => other,
    })?;
    mend(&tree)?;
    Ok(tree)
}

/// Debian has it in the folder, Ubuntu one folder deeper.
fn tarball_below(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let is_tarball = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && name.starts_with("linux-source-") && name.contains(".tar.")
    };
    let found = entries.iter().find(is_tarball).cloned();
    found.or_else(|| entries.iter().filter(|path| path.is_dir() && !path.is_symlink()).find_map(|p| tarball_below(p)))
}

/// Whether a folder holds a kernel's source that has User-Mode Linux with time travel.
fn check_tree(tree: &Path) -> Result<(), KernelError> {
    let not_source = |why: &str| Err(KernelError::NotSource { path: tree.to_owned(), why: why.to_owned() });
    let text = |name: &str| fs::read_to_string(tree.join(name)).unwrap_or_default();
    if release(&text("Makefile")).is_none() {
        return not_source("expected the top of a kernel's source tree, and its Makefile is none with VERSION");
    }
    if !text("arch/um/Kconfig").contains("config UML_TIME_TRAVEL_SUPPORT") {
        return not_source("expected User-Mode Linux with time travel, and its arch/um/Kconfig has none");
    }
    Ok(())
}

/// The release that the top Makefile of a tree says.
pub(super) fn release_of(tree: &Path) -> Option<String> {
    release(&fs::read_to_string(tree.join("Makefile")).ok()?)
}

fn release(makefile: &str) -> Option<String> {
    let value = |name: &str| {
        let line = makefile.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.map(str::trim)
    };
    let extra = value("EXTRAVERSION").unwrap_or_default();
    Some(format!("{}.{}.{}{extra}", value("VERSION")?, value("PATCHLEVEL")?, value("SUBLEVEL")?))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
