//! Sysctls of a host: writing those that the plan asks for, reading what the run sees.
//!
//! The files below `/proc/sys/net` belong to the network namespace of the thread that opens them (net/sysctl_net.c), so
//! everything here runs with the calling thread inside the host. The planner decides which to set.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::error::{LabError, errno_name};
use crate::evidence::SetupNote;
use crate::plan::{HostPlan, SysctlPlan};

/// The family of sysctls that every run's evidence holds.
const IPV4_FOLDER: &str = "/proc/sys/net/ipv4";

/// Where a dotted name lives: `net.ipv4.tcp_syn_retries` is `/proc/sys/net/ipv4/tcp_syn_retries`.
pub(super) fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/{}", name.replace('.', "/")))
}

/// Writes one value, as it is.
pub(super) fn write(name: &str, value: &str) -> io::Result<()> {
    File::options().write(true).open(path(name))?.write_all(value.as_bytes())
}

/// Makes IPv6 quiet on an interface: off, or on without link-local address, and so without router solicitations.
pub(super) fn quieten(interface: &str, has_ipv6: bool) -> Result<(), LabError> {
    let settings: &[_] =
        if has_ipv6 { &[("disable_ipv6", "0"), ("addr_gen_mode", "1")] } else { &[("disable_ipv6", "1")] };
    for (key, value) in settings {
        let name = format!("net.ipv6.conf.{interface}.{key}");
        match write(&name, value) {
            // A kernel without IPv6 has nothing to switch off.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !has_ipv6 => {}
            written => written.map_err(LabError::machine(format!("setting {name} = {value}")))?,
        }
    }
    Ok(())
}

/// Makes a host pass packets on.
pub(super) fn forward(has_ipv6: bool) -> Result<(), LabError> {
    let ipv6 = has_ipv6.then_some("net.ipv6.conf.all.forwarding");
    for name in ["net.ipv4.ip_forward"].into_iter().chain(ipv6) {
        write(name, "1").map_err(LabError::machine(format!("setting {name} = 1")))?;
    }
    Ok(())
}

/// Writes what a host's plan asks for, in order. A refusal with a second choice leaves a note, without one it ends.
pub(super) fn apply(host: &HostPlan) -> Result<Vec<SetupNote>, LabError> {
    let mut notes = Vec::new();
    for sysctl in &host.sysctls {
        notes.extend(apply_one(&host.name, sysctl)?);
    }
    Ok(notes)
}

fn apply_one(host: &str, sysctl: &SysctlPlan) -> Result<Option<SetupNote>, LabError> {
    let SysctlPlan { name, value, or, if_present, origin } = sysctl;
    let asked = format!("{name} = {value}");
    let refused = |asked: &str, kernel: String| LabError::Refused {
        at: host.to_owned(),
        asked: asked.to_owned(),
        kernel,
        origin: Box::new(origin.clone()),
    };
    let error = match write(name, value) {
        Ok(()) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound && *if_present => return Ok(None),
        Err(error) => error_name(&error),
    };
    let Some(second) = or else { return Err(refused(&asked, error)) };
    let instead = format!("{name} = {second}");
    write(name, second).map_err(|second| refused(&instead, error_name(&second)))?;
    Ok(Some(SetupNote { at: host.to_owned(), asked, refused: error, instead, origin: origin.clone() }))
}

/// A sysctl of a host whose file is open, so that it can be set later: a descriptor outlasts the mount's becoming
/// read-only, and belongs to the namespace it was opened in.
pub(super) struct OpenSysctl {
    host: String,
    plan: SysctlPlan,
    file: File,
}

impl OpenSysctl {
    /// Opens the file of a sysctl of the host that the calling thread is in; `None` if there is none and need not be.
    pub fn open(host: &str, plan: &SysctlPlan) -> Result<Option<Self>, LabError> {
        match File::options().read(true).write(true).open(path(&plan.name)) {
            Ok(file) => Ok(Some(Self { host: host.to_owned(), plan: plan.clone(), file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound && plan.if_present => Ok(None),
            Err(error) => Err(refused(host, plan, &plan.value, &error)),
        }
    }

    /// Its value now.
    pub fn read(&self) -> Result<String, LabError> {
        let mut buffer = [0; 4096];
        let length = self.file.read_at(&mut buffer, 0).map_err(|error| refused(&self.host, &self.plan, "", &error))?;
        Ok(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
    }

    /// Sets it; to its second choice if the kernel refuses the first.
    pub fn write(&self, value: &str) -> Result<(), LabError> {
        let write = |value: &str| self.file.write_all_at(value.as_bytes(), 0);
        let written = match (write(value), &self.plan.or) {
            (Err(_), Some(or)) => write(or),
            (written, _) => written,
        };
        written.map_err(|error| refused(&self.host, &self.plan, value, &error))
    }
}

fn refused(host: &str, plan: &SysctlPlan, value: &str, error: &io::Error) -> LabError {
    LabError::Refused {
        at: host.to_owned(),
        asked: format!("{} = {value}", plan.name),
        kernel: error_name(error),
        origin: Box::new(plan.origin.clone()),
    }
}

fn error_name(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| errno_name(Errno::from_raw(code)))
}

/// Names of all `net.ipv4.tcp_*` and `net.ipv4.icmp_*` of a namespace.
fn common_names() -> Vec<String> {
    let files = entries(Path::new(IPV4_FOLDER));
    files
        .filter(|file| file.starts_with("tcp_") || file.starts_with("icmp_"))
        .map(|f| format!("net.ipv4.{f}"))
        .collect()
}

/// Names of all `net.ipv4.conf.*`: what a namespace copies from the machine when it is made (`inet_init_net`).
fn interface_names() -> Vec<String> {
    let folder = Path::new(IPV4_FOLDER).join("conf");
    let of = |interface: String| {
        let files: Vec<String> = entries(&folder.join(&interface)).collect();
        files.into_iter().map(move |file| format!("net.ipv4.conf.{interface}.{file}"))
    };
    entries(&folder).flat_map(of).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// All that a run is judged by and those that the plan names, as they are now; the calling thread is in the host. What
/// cannot be read is left out.
pub(super) fn read(host: &HostPlan) -> BTreeMap<String, String> {
    let of_plan = host.sysctls.iter().map(|sysctl| sysctl.name.clone());
    let names = common_names().into_iter().chain(interface_names()).chain(of_plan);
    names.filter_map(|name| value(&name).map(|value| (name, value))).collect()
}

/// One value on one line: several numbers are parted by tabs in the file, by blanks here.
fn value(name: &str) -> Option<String> {
    // One read gives all of it (fs/proc/proc_sysctl.c); there are a hundred of them for each host.
    let mut buffer = [0; 4096];
    let length = File::open(path(name)).ok()?.read(&mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..length]);
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
