//! The facts of this machine that decide what is right here: distribution, PATH, user, switches.
//!
//! They are read once, here, so that everything that judges them is pure.

use std::fs;
use std::path::{Path, PathBuf};

use nix::time::{ClockId, clock_getres};

use super::distribution::Family;

/// What was read from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// Whose packages it takes.
    pub(super) family: Family,
    /// Where programs are looked for.
    pub(super) path: Vec<PathBuf>,
    /// The workbench itself.
    pub(super) workbench: PathBuf,
    /// The effective user is 0.
    pub(super) is_root: bool,
    /// A container's marks are here (Docker's `/.dockerenv`, Podman's `/run/.containerenv`).
    pub(super) is_container: bool,
    /// `6.18.44 (x86_64), HZ=250`.
    pub(super) kernel: String,
    /// `kernel.yama.ptrace_scope`.
    pub(super) ptrace_scope: Option<i64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub(super) apparmor_restricts: Option<i64>,
    /// `kernel.unprivileged_userns_clone`.
    pub(super) userns_clone: Option<i64>,
    /// `user.max_user_namespaces`.
    pub(super) max_user_namespaces: Option<i64>,
}

impl Machine {
    /// Reads this machine.
    pub(super) fn read(workbench: &Path) -> Self {
        Self {
            family: Family::from_os_release(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
            path: path(),
            workbench: workbench.to_owned(),
            is_root: nix::unistd::geteuid().is_root(),
            is_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
            kernel: kernel(),
            ptrace_scope: sysctl("kernel/yama/ptrace_scope"),
            apparmor_restricts: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            max_user_namespaces: sysctl("user/max_user_namespaces"),
        }
    }
}

/// PATH, and the folders for administrators' programs that Debian leaves out of a user's PATH.
fn path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
}

fn sysctl(name: &str) -> Option<i64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// The tick is the resolution of the coarse clock; `getconf CLK_TCK` is the unit of times(2), 100 everywhere.
fn kernel() -> String {
    let hz = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map(|tick| 1_000_000_000 / tick.tv_nsec().max(1));
    match (nix::sys::utsname::uname(), hz) {
        (Ok(name), Ok(hz)) => {
            format!("{} ({}), HZ={hz}", name.release().to_string_lossy(), name.machine().to_string_lossy())
        }
        (Err(errno), _) | (_, Err(errno)) => format!("unknown: {errno}"),
    }
}
