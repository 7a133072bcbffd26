//! The private file system of a lab: the machine's, read-only, with `/etc` from a stated list, empty `/tmp`, `/run` and
//! kin, a `/dev` of a few devices, and a fresh `/proc`.
//!
//! What the user or the machine has configured must not colour a result, a named socket must not lead out of the lab,
//! and nothing that runs in it can write to the machine. Only mounts in the lab's own mount namespace are made. What it
//! does not hide: programs and files outside these folders, `/home` among them, so that one's own client can be run; a
//! named socket there can be reached.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::plan::Plan;
use crate::sys::mount::everything_read_only;

/// The command's home: empty, and in a tmpfs.
pub const HOME: &str = "/tmp/home";

/// Files of the machine's `/etc` that are copied into the lab's: what the loader needs, and tables that are the same
/// everywhere. Everything else comes from the plan or is not there.
const COPIED: [&str; 5] = ["ld.so.cache", "services", "protocols", "rpc", "ethertypes"];

/// Folders of the machine's `/etc` that the lab sees as they are: Debian's alternatives (`nc` is a link into it) and
/// the certificates and their trust settings under the names that distributions use.
const BOUND: [&str; 5] = ["alternatives", "ssl", "ca-certificates", "pki", "crypto-policies"];

/// Folders that are empty in a lab. `/var/run` is a link to `/run` on today's distributions; where it is a folder it
/// is emptied as well. `/root` an ordinary user could not see, and `/sys` would be the machine's: its interfaces, its
/// cgroups.
const EMPTY: [&str; 6] = ["/tmp", "/var/tmp", "/run", "/var/run", "/root", "/sys"];

/// Devices that programs expect everywhere.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev` to what a process has open (null(4), proc(5)).
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Parts of `/proc` through which the root of a container reaches the kernel of the machine: read-only.
const SEALED: [&str; 8] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver"];

/// Why the private file system could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}")]
pub struct WorldError {
    what: &'static str,
    path: String,
    source: io::Error,
}

pub(super) fn failed<E: Into<io::Error>>(what: &'static str, path: impl Into<String>) -> impl FnOnce(E) -> WorldError {
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
    match everything_read_only() {
        // Before Linux 5.12 there is no such call; virtual labs, whose root is read-only from the start, have such
        // kernels.
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => Err(failed("make read-only", "/")(error))?,
        _ => {}
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(failed("mount", "/proc"))?;
    private_etc(plan)?;
    private_dev()?;
    for folder in EMPTY {
        if fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir()) {
            tmpfs(folder)?;
        }
    }
    fs::create_dir_all(HOME).map_err(failed("make", HOME))
}

/// Makes the parts of `/proc` read-only that reach beyond the lab, once nothing of ours writes to them any more.
///
/// # Errors
///
/// [`WorldError`] with the mount that failed.
pub fn seal() -> Result<(), WorldError> {
    for name in SEALED {
        let path = format!("/proc/{name}");
        if !Path::new(&path).exists() {
            continue;
        }
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(path.as_str()), path.as_str(), None::<&str>, bind, None::<&str>)
            .map_err(failed("bind onto itself", path.clone()))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | flags;
        mount(None::<&str>, path.as_str(), None::<&str>, read_only, None::<&str>)
            .map_err(failed("make read-only", path.clone()))?;
    }
    Ok(())
}

/// A `/dev` with [`DEVICES`], an empty `/dev/shm` and pseudo-terminals of its own (devpts in the kernel's
/// Documentation/filesystems/devpts.rst).
fn private_dev() -> Result<(), WorldError> {
    let open = |name| OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(Path::new("/dev").join(name));
    let devices: Vec<(&str, File)> = DEVICES.into_iter().filter_map(|name| Some((name, open(name).ok()?))).collect();
    tmpfs("/dev")?;
    for (name, device) in devices {
        let target = format!("/dev/{name}");
        fs::write(&target, "").map_err(failed("make", target.clone()))?;
        bind_on(&device, &target)?;
    }
    for (name, target) in DEVICE_LINKS {
        let link = Path::new("/dev").join(name);
        std::os::unix::fs::symlink(target, &link).map_err(failed("make", link.display().to_string()))?;
    }
    for folder in ["/dev/shm", "/dev/pts"] {
        fs::create_dir(folder).map_err(failed("make", folder))?;
    }
    tmpfs("/dev/shm")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), "/dev/pts", Some("devpts"), flags, Some("newinstance,ptmxmode=0666"))
        .map_err(failed("mount", "/dev/pts"))
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
    bind_on(folder, target)
}

fn bind_on(what: &File, target: &str) -> Result<(), WorldError> {
    let source = format!("/proc/self/fd/{}", what.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(failed("bind what the machine has on", target))
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
