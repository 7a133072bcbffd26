//! One build from beginning to end: what it needs, source, configuration, compilation, and into the cache.
//!
//! Dropping the future ends it: every process that it started is killed and its folder removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;

use super::about::{About, Kernel};
use super::apt::{Apt, package_version};
use super::cache::{all, keep};
use super::config::{compiler, hz, lacking, not_taken};
use super::error::KernelError;
use super::fragment::{FRAGMENT, fragment_hash};
use super::make::Make;
use super::mend::refuse_broken;
use super::processes::output;
use super::request::{Event, Phase, Request};
use super::source::{AT_LEAST, Origin, origin, release_of, unpack};
use super::timer::host_hz;
use super::tools::{missing_tools, path};
use super::workspace::Workspace;

/// An unpacked tree is 1.7 GB, its package or tarball 0.15 GB twice, the objects 0.13 GB (Linux 6.12).
const BYTES_FOR_SOURCE: u64 = 2_500_000_000;
/// The objects alone, for a tree that is unpacked already.
const BYTES_FOR_OBJECTS: u64 = 300_000_000;

/// What came of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The kernel.
    pub kernel: Kernel,
    /// Whether it was built now; the same was there already otherwise.
    pub is_new: bool,
}

/// Builds a kernel and keeps it, unless the same is kept already. Takes minutes; `on_event` hears how far it is.
///
/// # Errors
///
/// The request names what is no source; the machine lacks tools, space or a network; or the build fails.
pub async fn build(request: &Request, on_event: &mut dyn FnMut(Event)) -> Result<Built, KernelError> {
    if std::env::consts::ARCH != "x86_64" {
        let arch = std::env::consts::ARCH;
        return Err(KernelError::NoSource(format!(
            "User-Mode Linux of 64 bits is there for x86-64 only; this is {arch}"
        )));
    }
    let origin = origin(request).await?;
    let missing = missing_tools(&path());
    if !missing.is_empty() {
        return Err(KernelError::MissingTools(missing));
    }
    let workspace = Workspace::create()?;
    check_space(workspace.path(), &origin)?;
    let hz = request.hz.unwrap_or_else(host_hz);
    let (tree, from) = match origin {
        Origin::Tree(tree) => {
            refuse_broken(&tree, release_of(&tree).as_deref())?;
            let from = tree.display().to_string();
            (tree, from)
        }
        Origin::Archive(archive) => {
            on_event(Event::Phase(Phase::Unpacking, archive.display().to_string()));
            let from = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (unpack(&archive, &workspace).await?, from)
        }
        Origin::Suite(_) | Origin::Own => match fetch(&origin, hz, &workspace, on_event).await? {
            Fetched::Tree(tree, from) => (tree, from),
            Fetched::Already(kernel) => return Ok(Built { kernel, is_new: false }),
        },
    };
    if let Some(kernel) = release_of(&tree).map(|release| already(&release, hz)).transpose()?.flatten() {
        return Ok(Built { kernel, is_new: false });
    }
    let kernel = build_tree(&tree, from, hz, request.jobs, &workspace, on_event).await?;
    Ok(Built { kernel, is_new: true })
}

/// What apt gave.
enum Fetched {
    /// An unpacked source, and what it is.
    Tree(PathBuf, String),
    /// Nothing: the kernel is here.
    Already(Kernel),
}

async fn fetch(
    origin: &Origin,
    hz: u64,
    workspace: &Workspace,
    on_event: &mut dyn FnMut(Event),
) -> Result<Fetched, KernelError> {
    let folder = workspace.folder("apt")?;
    let apt = match origin {
        Origin::Suite(suite) => Apt::of_suite(folder, suite)?,
        Origin::Own | Origin::Tree(_) | Origin::Archive(_) => Apt::of_machine(folder)?,
    };
    on_event(Event::Phase(Phase::Downloading, format!("the index of {}", apt.told())));
    let candidate = apt.newest().await?;
    if *origin == Origin::Own && package_version(&candidate.package) < AT_LEAST {
        let found = format!("expected linux-source-6.12 or newer in {}, found {}", apt.told(), candidate.package);
        return Err(KernelError::NoSource(format!(
            "{found}; `workbench kernel build --source` takes a tree or tarball of Linux 6.12 or newer"
        )));
    }
    if let Some(kernel) = already(candidate.release(), hz)? {
        return Ok(Fetched::Already(kernel));
    }
    let from = format!("{} {} ({})", candidate.package, candidate.version, apt.told());
    on_event(Event::Phase(Phase::Downloading, from.clone()));
    let package = apt.download(&candidate.package).await?;
    on_event(Event::Phase(Phase::Unpacking, from.clone()));
    let tree = unpack(&package, workspace).await?;
    fs::remove_file(&package).map_err(KernelError::at(&package))?;
    Ok(Fetched::Tree(tree, from))
}

async fn build_tree(
    tree: &Path,
    source: String,
    hz: u64,
    jobs: Option<usize>,
    workspace: &Workspace,
    on_event: &mut dyn FnMut(Event),
) -> Result<Kernel, KernelError> {
    on_event(Event::Phase(Phase::Configuring, format!("{source} with HZ={hz}")));
    let make = Make::new(tree, workspace)?;
    let config = make.configure(hz).await?;
    check_config(&config, hz, &source)?;
    let left_out = not_taken(FRAGMENT, &config);
    if !left_out.is_empty() {
        on_event(Event::Note(format!("this release does not take, or has built in: {}", left_out.join(", "))));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or(cores);
    on_event(Event::Phase(Phase::Compiling, format!("{jobs} at a time")));
    let image = make.compile(jobs, on_event).await?;
    let release = output("asking the new kernel for its release", asked(&image, "--version")).await?;
    let about = About {
        release: release.trim().to_owned(),
        hz,
        fragment: fragment_hash(),
        compiler: compiler(&config),
        source,
    };
    keep(workspace, &image, about)
}

/// A kernel with one question; both `--version` and `--showconfig` are answered without a guest.
pub(super) fn asked(image: &Path, question: &str) -> Command {
    let mut command = Command::new(image);
    command.arg(question).env_clear();
    command
}

/// The kernel of this release, HZ and the current fragment.
fn already(release: &str, hz: u64) -> Result<Option<Kernel>, KernelError> {
    let fragment = fragment_hash();
    let is_same =
        |kernel: &Kernel| kernel.about.release == release && kernel.about.hz == hz && kernel.about.fragment == fragment;
    Ok(all()?.into_iter().find(is_same))
}

fn check_config(config: &str, expected_hz: u64, source: &str) -> Result<(), KernelError> {
    let mut symbols = lacking(config);
    if hz(config) != Some(expected_hz) {
        symbols.push(format!("CONFIG_HZ={expected_hz}"));
    }
    if symbols.is_empty() { Ok(()) } else { Err(KernelError::Lacking { what: source.to_owned(), symbols }) }
}

fn check_space(folder: &Path, origin: &Origin) -> Result<(), KernelError> {
    let expected = match origin {
        Origin::Tree(_) => BYTES_FOR_OBJECTS,
        Origin::Archive(_) | Origin::Suite(_) | Origin::Own => BYTES_FOR_SOURCE,
    };
    let status =
        statvfs(folder).map_err(|errno| KernelError::File { path: folder.to_owned(), source: errno.into() })?;
    // c_ulong on some architectures, u64 on others.
    #[allow(clippy::unnecessary_cast)]
    let free = status.blocks_available() as u64 * status.fragment_size() as u64;
    if free >= expected {
        return Ok(());
    }
    let folder = folder.parent().unwrap_or(folder).to_owned();
    Err(KernelError::NoSpace { folder, expected: gigabytes(expected), found: gigabytes(free) })
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_what_the_engine_needs_or_with_another_hz_is_refused() {
        let config = format!("CONFIG_HZ=250\n{FRAGMENT}");
        check_config(&config, 250, "x").expect("everything is there");
        let error =
            check_config(&config.replace("CONFIG_VETH=y\n", ""), 1000, "linux-9.9.tar.xz").expect_err("no veth");
        assert_eq!(
            error.to_string(),
            "linux-9.9.tar.xz lacks what the virtual engine cannot do without: expected CONFIG_VETH=y, CONFIG_HZ=1000"
        );
    }

    #[test]
    fn free_space_is_told_in_gigabytes() {
        assert_eq!(gigabytes(BYTES_FOR_SOURCE), "2.5 GB");
        assert_eq!(gigabytes(0), "0.0 GB");
    }
}
