//! Whether there is a kernel for the virtual engine, and if not, whether one could be built here.
//!
//! The building itself is the `kernels` room's; here are the packages that its tools come in.

use super::check::{Check, Remedy, Scope, State};
use super::distribution::{Family, Packages};
use super::machine::Machine;
use crate::kernels::{BUILD_TOOLS, Kernel, KernelError, all, missing_tools};

/// What the tests hold the virtual engine to.
const FOR_TESTS: (u32, u32) = (6, 12);

const NAME: &str = "kernel for the virtual engine";

/// What the tools are needed for: it also tells their checks from others.
const BUILDING: &str = "building a kernel for the virtual engine";

/// The package of each of a build's tools.
const PACKAGES: &[(&str, Packages)] = &[
    ("make", Packages::everywhere("make")),
    ("gcc", Packages::everywhere("gcc")),
    ("flex", Packages::everywhere("flex")),
    ("bison", Packages::everywhere("bison")),
    ("bc", Packages::everywhere("bc")),
    ("xz", Packages { debian: "xz-utils", fedora: "xz", arch: "xz", alpine: "xz" }),
    ("ld", Packages::everywhere("binutils")),
    ("perl", Packages::everywhere("perl")),
    ("tar", Packages::everywhere("tar")),
    (
        "libc headers",
        Packages { debian: "libc6-dev", fedora: "glibc-devel", arch: "glibc", alpine: "musl-dev linux-headers" },
    ),
];

/// The kernel, and where there is none that will do, the tools that build one.
pub(super) fn examine(scope: Scope, machine: &Machine) -> Vec<Check> {
    let kernel = kernel(all(), scope);
    let mut checks = vec![kernel];
    if lacks_kernel(&checks) {
        checks.extend(tools(&missing_tools(&machine.path), scope, machine.family));
    }
    checks
}

/// Whether a kernel is to be built.
pub fn lacks_kernel(checks: &[Check]) -> bool {
    checks.iter().any(|check| remedy(check) == Some(&Remedy::Kernel))
}

/// What supplies the tools that a build lacks.
pub(super) fn tool_remedies(checks: &[Check]) -> Vec<&Remedy> {
    checks.iter().filter(|check| check.needed_for == BUILDING).filter_map(remedy).collect()
}

fn remedy(check: &Check) -> Option<&Remedy> {
    match &check.state {
        State::Ok { .. } => None,
        State::Missing { remedy, .. } | State::Warning { remedy, .. } => Some(remedy),
    }
}

/// Scenarios run without it on the host engine; the tests do not.
fn absent(scope: Scope, why: String, remedy: Remedy) -> State {
    match scope {
        Scope::Run => State::Warning { why, remedy },
        Scope::Tests => State::Missing { why, remedy },
    }
}

fn kernel(kernels: Result<Vec<Kernel>, KernelError>, scope: Scope) -> Check {
    let state = match kernels.map(|mut kernels| kernels.pop()) {
        Err(e) => absent(scope, e.to_string(), Remedy::Text("a cache that can be read".into())),
        Ok(None) => absent(scope, "there is none".into(), Remedy::Kernel),
        Ok(Some(newest)) => {
            let (version, patchlevel, _) = newest.version();
            if scope == Scope::Tests && (version, patchlevel) < FOR_TESTS {
                let why = format!("expected {}.{} or newer, the newest is {}", FOR_TESTS.0, FOR_TESTS.1, newest.name());
                absent(scope, why, Remedy::Kernel)
            } else {
                State::Ok { detail: format!("{}, {}", newest.name(), newest.image.display()) }
            }
        }
    };
    Check { name: NAME.into(), needed_for: "runs in virtual time".into(), state }
}

/// A line for each tool that is missing, or one for all of them.
fn tools(missing: &[&str], scope: Scope, family: Family) -> Vec<Check> {
    let check = |name: &str, state| Check { name: name.to_owned(), needed_for: BUILDING.to_owned(), state };
    if missing.is_empty() {
        return vec![check("kernel build tools", State::Ok { detail: BUILD_TOOLS.join(", ") })];
    }
    let state = |tool: &str| {
        let packages = PACKAGES.iter().find(|(name, _)| *name == tool).map(|(_, packages)| packages);
        let remedy = match packages.and_then(|packages| packages.of(family)) {
            Some(name) => Remedy::Package { family, name: name.to_owned() },
            None => Remedy::Text("no package is known here".into()),
        };
        let why = if tool.contains(' ') { "no gcc, or it finds none".to_owned() } else { format!("no {tool} in PATH") };
        absent(scope, why, remedy)
    };
    missing.iter().map(|tool| check(tool, state(tool))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::About;

    fn of(release: &str) -> Kernel {
        let about = About {
            release: release.into(),
            hz: 250,
            fragment: String::new(),
            compiler: String::new(),
            source: String::new(),
        };
        Kernel { image: "/c/linux".into(), about }
    }

    fn is_lacking(kernels: Vec<Kernel>, scope: Scope) -> (bool, bool) {
        let check = kernel(Ok(kernels), scope);
        (lacks_kernel(std::slice::from_ref(&check)), check.is_missing())
    }

    #[test]
    fn without_a_kernel_scenarios_are_warned_and_the_tests_fail() {
        assert_eq!(is_lacking(vec![], Scope::Run), (true, false));
        assert_eq!(is_lacking(vec![], Scope::Tests), (true, true));
    }

    #[test]
    fn the_newest_kernel_counts_and_the_tests_want_6_12() {
        assert_eq!(is_lacking(vec![of("5.10.223"), of("6.12.117")], Scope::Tests), (false, false));
        assert_eq!(is_lacking(vec![of("5.10.223"), of("6.1.176")], Scope::Tests), (true, true));
        assert_eq!(is_lacking(vec![of("5.10.223")], Scope::Run), (false, false));
    }

    #[test]
    fn no_cache_is_no_reason_to_build() {
        let check = kernel(Err(KernelError::NoCache), Scope::Run);
        assert!(!lacks_kernel(std::slice::from_ref(&check)));
        assert!(matches!(check.state, State::Warning { why, .. } if why.contains("WORKBENCH_CACHE")));
    }

    #[test]
    fn every_tool_of_a_build_has_a_package() {
        for (tool, family) in BUILD_TOOLS.iter().flat_map(|tool| {
            [Family::Debian, Family::Fedora, Family::Arch, Family::Alpine].map(|family| (tool, family))
        }) {
            let checks = tools(&[tool], Scope::Run, family);
            assert!(matches!(tool_remedies(&checks)[..], [Remedy::Package { .. }]), "{tool}: {checks:?}");
        }
    }

    #[test]
    fn tools_that_are_there_take_one_line() {
        let checks = tools(&[], Scope::Run, Family::Debian);
        assert_eq!(checks.len(), 1);
        assert_eq!(tool_remedies(&checks), Vec::<&Remedy>::new());
    }
}
