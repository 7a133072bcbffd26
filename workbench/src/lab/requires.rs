//! What a scenario says the machine must have, checked before anything is built.
//!
//! Programs in PATH are the caller's business: they have to be there for the command, not for the lab.

use nix::sys::utsname::uname;

use super::error::{Ask, LabError};
use super::link::LOOPBACK;
use super::namespace::Namespace;
use super::netlink::Batch;
use super::{qdisc, sysctl};
use crate::plan::{Netem, NetemPlan, Origin, Plan, RequirementKind};
use crate::scenario::KernelVersion;

/// What runs a scenario that needs netem where the kernel has none.
pub(super) const NETEM_REMEDY: &str = "load or install the module sch_netem, or run it on a kernel that has it";

/// Checks the kernel's version, its sysctls and its netem; the calling thread is in `wire`, which is still empty.
pub(super) fn check(plan: &Plan, wire: &Namespace) -> Result<(), LabError> {
    for requirement in &plan.requires {
        let origin = &requirement.origin;
        match &requirement.what {
            RequirementKind::Netem => check_netem(wire, origin)?,
            RequirementKind::Kernel(version) => check_kernel(version, &release(), origin)?,
            RequirementKind::Sysctl(name) => check_sysctl(name, origin)?,
            RequirementKind::Tool(_) => {}
        }
    }
    Ok(())
}

/// `uname -r`.
fn release() -> String {
    uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Tries one on `lo`, which carries nothing here. It stays: there is no packet for it to delay.
fn check_netem(wire: &Namespace, origin: &Origin) -> Result<(), LabError> {
    let mut batch = Batch::default();
    let idle = NetemPlan { netem: Netem::default(), origin: origin.clone() };
    qdisc::push_netem(&mut batch, LOOPBACK, Some(&idle), 0, Ask::new("lo", "netem", origin));
    match wire.route.execute(batch)? {
        Some(refusal) if qdisc::is_unknown(&refusal) => Err(LabError::Unsupported {
            feature: "netem".to_owned(),
            why: refusal.kernel(),
            remedy: NETEM_REMEDY.to_owned(),
            origin: Box::new(origin.clone()),
        }),
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

fn check_kernel(wanted: &str, release: &str, origin: &Origin) -> Result<(), LabError> {
    if KernelVersion::of(release) >= KernelVersion::of(wanted) {
        return Ok(());
    }
    Err(LabError::Unsupported {
        feature: format!("kernel {wanted}"),
        why: format!("this is {release}"),
        remedy: format!("run it on a kernel that is {wanted} or newer"),
        origin: Box::new(origin.clone()),
    })
}

fn check_sysctl(name: &str, origin: &Origin) -> Result<(), LabError> {
    if sysctl::path(name).exists() {
        return Ok(());
    }
    Err(LabError::Unsupported {
        feature: name.to_owned(),
        why: format!("{} does not exist on kernel {}", sysctl::path(name).display(), release()),
        remedy: "run it on a kernel that has this sysctl".to_owned(),
        origin: Box::new(origin.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_not_as_text() {
        let origin = Origin::default();
        for (wanted, release) in [("6.5", "6.12.3-arch1"), ("6.5", "6.5"), ("5", "5.10.0"), ("6.5.0", "6.5.0+")] {
            assert!(check_kernel(wanted, release, &origin).is_ok(), "{release} has {wanted}");
        }
        for (wanted, release) in [("6.12", "6.5.13"), ("6.5.1", "6.5"), ("7", "6.18.44-1")] {
            assert!(check_kernel(wanted, release, &origin).is_err(), "{release} has no {wanted}");
        }
    }
}
