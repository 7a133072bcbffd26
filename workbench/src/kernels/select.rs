//! Which kernel a run gets: from what was asked for and this machine's HZ to one kernel, or one for each version.
//!
//! Deterministic: the same cache gives the same choice.

use std::collections::BTreeMap;

use super::about::Kernel;
use super::cache::{all, folder, shown};
use super::error::KernelError;
use super::tools::{missing_tools, path};

/// Debian's suites and the version that each has.
const SUITES: &[(&str, &str)] = &[("5.10", "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie")];

/// The kernels that are asked for, in order of version.
///
/// - Nothing: the newest with this machine's HZ, else the newest.
/// - `6.12` or `6.12.117`: the newest of that release, again with this machine's HZ if there is one.
/// - `6.12@1000`: the same with that HZ and no other.
/// - `all`: for each version (6.1, 6.12, …) the one that asking for it would give.
///
/// # Errors
///
/// There is none: the error says which command gets it.
pub fn select(wanted: Option<&str>, host_hz: u64) -> Result<Vec<Kernel>, KernelError> {
    let wanted = wanted.map(Wanted::parse).transpose()?;
    let kernels = all()?;
    if kernels.is_empty() {
        return Err(KernelError::None { folder: shown(&folder()?), missing_tools: missing_tools(&path()) });
    }
    choose(wanted, kernels, host_hz)
}

/// What was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    All,
    Release { release: String, hz: Option<u64> },
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, KernelError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let wrong = || KernelError::NoVersion(text.to_owned());
        let (release, hz) = match text.split_once('@') {
            Some((release, hz)) => (release, Some(hz.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let is_version = release.starts_with(|c: char| c.is_ascii_digit()) && !release.ends_with('.');
        if is_version { Ok(Self::Release { release: release.to_owned(), hz }) } else { Err(wrong()) }
    }
}

/// `kernels` is in order and not empty.
fn choose(wanted: Option<Wanted>, kernels: Vec<Kernel>, host_hz: u64) -> Result<Vec<Kernel>, KernelError> {
    let (release, hz) = match wanted {
        None => return Ok(preferred(kernels, host_hz).into_iter().collect()),
        Some(Wanted::All) => {
            let mut versions: BTreeMap<(u32, u32), Vec<Kernel>> = BTreeMap::new();
            for kernel in kernels {
                let (version, patchlevel, _) = kernel.version();
                versions.entry((version, patchlevel)).or_default().push(kernel);
            }
            return Ok(versions.into_values().filter_map(|kernels| preferred(kernels, host_hz)).collect());
        }
        Some(Wanted::Release { release, hz }) => (release, hz),
    };
    let is_wanted =
        |kernel: &&Kernel| is_of(&kernel.about.release, &release) && hz.is_none_or(|hz| hz == kernel.about.hz);
    let matching: Vec<Kernel> = kernels.iter().filter(is_wanted).cloned().collect();
    match preferred(matching, host_hz) {
        Some(kernel) => Ok(vec![kernel]),
        None => Err(not_here(&release, hz, &kernels)),
    }
}

/// The last with this HZ, else the last.
fn preferred(kernels: Vec<Kernel>, hz: u64) -> Option<Kernel> {
    let with_hz = kernels.iter().rposition(|kernel| kernel.about.hz == hz);
    let at = with_hz.or(kernels.len().checked_sub(1))?;
    kernels.into_iter().nth(at)
}

/// Whether `release` is `wanted` or begins with it and goes on with something that is no digit: 6.1 is not 6.12.
fn is_of(release: &str, wanted: &str) -> bool {
    release.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
}

fn not_here(release: &str, hz: Option<u64>, kernels: &[Kernel]) -> KernelError {
    let with_hz = hz.map(|hz| format!(" --hz {hz}")).unwrap_or_default();
    let command = |from: &str| format!("`workbench kernel build --{from}{with_hz}`");
    let remedy = match SUITES.iter().find(|(version, _)| is_of(release, version)) {
        Some((version, suite)) => {
            format!("{} makes one of the {version} that Debian has", command(&format!("suite {suite}")))
        }
        None => format!(
            "{} makes one of the newest that Debian has, {} one of any other source",
            command("suite sid"),
            command("source TREE")
        ),
    };
    let wanted = hz.map_or(release.to_owned(), |hz| format!("{release}@{hz}"));
    KernelError::NotHere { wanted, present: kernels.iter().map(Kernel::name).collect(), remedy }
}

#[cfg(test)]
mod tests {
    use super::super::about::About;
    use super::*;

    fn kernels() -> Vec<Kernel> {
        let about = |(release, hz): &(&str, u64)| About {
            release: (*release).into(),
            hz: *hz,
            fragment: String::new(),
            compiler: String::new(),
            source: String::new(),
        };
        let all = [
            ("5.10.223", 250),
            ("6.1.176", 250),
            ("6.12.100", 250),
            ("6.12.117", 250),
            ("6.12.117", 1000),
            ("7.2.13", 1000),
        ];
        let mut kernels: Vec<Kernel> = all.iter().map(|k| Kernel { image: "linux".into(), about: about(k) }).collect();
        kernels.sort_by(Kernel::order);
        kernels
    }

    fn chosen(wanted: &str, host_hz: u64) -> String {
        let wanted = if wanted.is_empty() { Ok(None) } else { Wanted::parse(wanted).map(Some) };
        match wanted.and_then(|wanted| choose(wanted, kernels(), host_hz)) {
            Ok(kernels) => kernels.iter().map(Kernel::name).collect::<Vec<_>>().join(" "),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn asking_for_nothing_gives_the_newest_with_this_machines_hz_else_the_newest() {
        assert_eq!(chosen("", 250), "6.12.117@250");
        assert_eq!(chosen("", 1000), "7.2.13@1000");
        assert_eq!(chosen("", 300), "7.2.13@1000");
    }

    #[test]
    fn a_version_ends_at_a_dot() {
        assert_eq!(chosen("6.1", 250), "6.1.176@250");
        assert_eq!(chosen("6.12", 250), "6.12.117@250");
        assert_eq!(chosen("6.12.100", 1000), "6.12.100@250");
        assert_eq!(chosen("6", 250), "6.12.117@250");
    }

    #[test]
    fn an_hz_that_is_said_is_the_only_one_that_will_do() {
        assert_eq!(chosen("6.12@1000", 250), "6.12.117@1000");
        assert_eq!(
            chosen("6.1@1000", 250),
            "no kernel 6.1@1000 is here; there is 5.10.223@250, 6.1.176@250, 6.12.100@250, 6.12.117@250, 6.12.117@1000, \
             7.2.13@1000; `workbench kernel build --suite bookworm --hz 1000` makes one of the 6.1 that Debian has"
        );
    }

    #[test]
    fn all_gives_one_for_each_version_in_order() {
        assert_eq!(chosen("all", 250), "5.10.223@250 6.1.176@250 6.12.117@250 7.2.13@1000");
        assert_eq!(chosen("all", 1000), "5.10.223@250 6.1.176@250 6.12.117@1000 7.2.13@1000");
    }

    #[test]
    fn a_version_that_debian_has_not_is_made_from_any_source() {
        let error = chosen("6.6", 250);
        assert!(error.contains("`workbench kernel build --suite sid`"), "{error}");
        assert!(error.contains("`workbench kernel build --source TREE`"), "{error}");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "newest", "6.12@", "6.12@fast", "6.12.", "@250", "v6.12"] {
            assert!(Wanted::parse(text).is_err(), "{text}");
        }
    }
}
