//! A kernel that is kept, and what is known about it. Plain values; `kernel.json` is one of them.

use std::cmp::Ordering;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fragment::fragment_hash;

/// A kernel in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The program.
    pub image: PathBuf,
    /// What is known about it.
    pub about: About,
}

/// What is known about a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its release, as it says it: `6.12.117`.
    pub release: String,
    /// Ticks a second (CONFIG_HZ).
    pub hz: u64,
    /// Which configuration fragment it was built with: the first 12 hexadecimal digits of the hash of its settings.
    /// Empty where the workbench did not build it.
    pub fragment: String,
    /// The compiler, in its own words (CONFIG_CC_VERSION_TEXT).
    pub compiler: String,
    /// Where its source, or the kernel itself, came from.
    pub source: String,
}

impl Kernel {
    /// Version, patch level and sublevel: (6, 12, 117) for `6.12.117-rc1`. What a release does not say is 0.
    pub fn version(&self) -> (u32, u32, u32) {
        version(&self.about.release)
    }

    /// `6.12.117@250`: release and HZ.
    pub fn name(&self) -> String {
        format!("{}@{}", self.about.release, self.about.hz)
    }

    /// The name of its folder, which tells kernels of one name and different configuration apart.
    pub fn folder_name(&self) -> String {
        self.about.folder_name()
    }

    /// By version, then HZ; of two that differ in their configuration alone, that with this workbench's comes last.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let is_current = |kernel: &Self| kernel.about.fragment == fragment_hash();
        (self.version().cmp(&other.version()))
            .then_with(|| self.about.hz.cmp(&other.about.hz))
            .then_with(|| is_current(self).cmp(&is_current(other)))
            .then_with(|| self.folder_name().cmp(&other.folder_name()))
    }
}

impl About {
    /// `6.12.117-hz250-0123456789ab`.
    pub(super) fn folder_name(&self) -> String {
        let fragment = if self.fragment.is_empty() { "foreign" } else { &self.fragment };
        format!("{}-hz{}-{fragment}", self.release, self.hz)
    }
}

/// The leading numbers of a release or version; what is not there is 0.
pub(super) fn version(release: &str) -> (u32, u32, u32) {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let mut numbers = release.splitn(3, '.').map(|part| digits(part).parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_as_far_as_it_goes() {
        for (release, expected) in [
            ("6.12.117", (6, 12, 117)),
            ("7.2", (7, 2, 0)),
            ("6.19.0-rc1+", (6, 19, 0)),
            ("5.10.223-1-um", (5, 10, 223)),
            ("7.3-rc4", (7, 3, 0)),
            ("nonsense", (0, 0, 0)),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn a_kernel_is_called_by_release_and_hz() {
        let about = About {
            release: "6.12.117".into(),
            hz: 250,
            fragment: "0123456789ab".into(),
            compiler: String::new(),
            source: String::new(),
        };
        assert_eq!(about.folder_name(), "6.12.117-hz250-0123456789ab");
        let kernel = Kernel { image: "linux".into(), about: About { fragment: String::new(), ..about } };
        assert_eq!(kernel.name(), "6.12.117@250");
        assert_eq!(kernel.folder_name(), "6.12.117-hz250-foreign");
    }
}
