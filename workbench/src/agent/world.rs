//! The private file system of a lab: `/etc` from a stated list, empty `/tmp`, `/run` and kin, a fresh `/proc`.
//!
//! What the user or the machine has configured must not colour a result, and a named socket must not lead out of the
//! lab. Only mounts in the lab's own mount namespace are made; nothing is written to the machine's files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::plan::Plan;

/// The command's home: empty, and in a tmpfs.
pub const HOME: &str = "/tmp/home";

/// Files of the machine's `/etc` that are copied into the lab's: what the loader needs, and tables that are the same
/// everywhere. Everything else comes from the plan or is not there.
const COPIED: [&str; 5] = ["ld.so.cache", "services", "protocols", "rpc", "ethertypes"];

/// Folders of the machine's `/etc` that the lab sees as they are: Debian's alternatives (`nc` is a link into it) and
/// the certificates and their trust settings under the names that distributions use.
const BOUND: [&str; 5] = ["alternatives", "ssl", "ca-certificates", "pki", "crypto-policies"];

/// Folders that are empty in a lab. `/var/run` is a link to `/run` on today's distributions; where it is a folder it
/// is emptied as well.
const EMPTY: [&str; 5] = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"];

/// Why the private file system could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}")]
pub struct WorldError {
    what: &'static str,
    path: String,
    source: io::Error,
}

fn failed<E: Into<io::Error>>(what: &'static str, path: impl Into<String>) -> impl FnOnce(E) -> WorldError {
    let path = path.into();
    move |source| WorldError { what, path, source: source.into() }
}

/// Makes the private file system of `plan` in the calling process's mount namespace, which must be its own.
///
/// # Errors
///
/// [`WorldError`] with the mount or file that failed.
pub fn prepare(plan: &Plan) -> Result<(), WorldError> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(failed("make mounts private below", "/"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(failed("mount", "/proc"))?;
    private_etc(plan)?;
    for folder in EMPTY {
        if fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir()) {
            tmpfs(folder)?;
        }
    }
    fs::create_dir_all(HOME).map_err(failed("make", HOME))
}

fn tmpfs(path: &str) -> Result<(), WorldError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("mode=755")).map_err(failed("mount a tmpfs on", path))
}

fn private_etc(plan: &Plan) -> Result<(), WorldError> {
    let copies: Vec<(&str, Vec<u8>)> =
        COPIED.iter().filter_map(|name| Some((*name, fs::read(Path::new("/etc").join(name)).ok()?))).collect();
    let bound: Vec<(&str, File)> =
        BOUND.iter().filter_map(|name| Some((*name, open_folder(&Path::new("/etc").join(name)).ok()?))).collect();
    tmpfs("/etc")?;
    for (name, content) in copies {
        write("/etc", name, &content)?;
    }
    for (name, content) in &plan.etc {
        write("/etc", name, content.as_bytes())?;
    }
    for (name, folder) in bound {
        bind(&folder, &format!("/etc/{name}"))?;
    }
    Ok(())
}

fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)
}

fn bind(folder: &File, target: &str) -> Result<(), WorldError> {
    fs::create_dir(target).map_err(failed("make", target))?;
    let source = format!("/proc/self/fd/{}", folder.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(failed("bind a folder of the machine on", target))
}

fn write(folder: &str, name: &str, content: &[u8]) -> Result<(), WorldError> {
    let path = Path::new(folder).join(name);
    let shown = path.display().to_string();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed("make the folder of", shown.clone()))?;
    }
    fs::write(&path, content).map_err(failed("write", shown.clone()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(failed("set the mode of", shown))
}
