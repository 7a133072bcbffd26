//! Versions of the kernel, as a scenario writes them and as a kernel calls itself. Knows nothing of what a version has.

/// Version, patch level, sublevel: `6.5` and `6.5.0` are the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion([u32; 3]);

impl KernelVersion {
    /// The version in a release: 6.12.3 for `6.12.3-arch1`. What does not say it is 0.
    ///
    /// A release candidate counts as its release: what is new in one is merged before its first candidate
    /// (Documentation/process/2.Process.rst).
    pub fn of(release: &str) -> Self {
        let upstream = release.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = upstream.split('.').map_while(|number| number.parse().ok());
        Self([(); 3].map(|()| numbers.next().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::KernelVersion;

    #[test]
    fn versions_compare_as_numbers_and_not_as_text() {
        let of = KernelVersion::of;
        assert!(of("5.10.223") < of("6.5"));
        assert!(of("6.1.176") < of("6.5"));
        assert!(of("6.4.16") < of("6.5"));
        assert!(of("6.5") <= of("6.12.117"));
        assert!(of("6.18.44-fc-v595") > of("6.12.117"));
        assert!(of("6.18.44-fc-v595") < of("6.18.45"));
        assert!(of("7.0") > of("6.18.44-fc-v595"));
    }

    #[test]
    fn what_a_release_leaves_out_is_nought() {
        assert_eq!(KernelVersion::of("6.5"), KernelVersion::of("6.5.0+"));
        assert_eq!(KernelVersion::of("6"), KernelVersion::of("6.0.0"));
        assert!(KernelVersion::of("") < KernelVersion::of("2.6"));
    }

    #[test]
    fn a_release_candidate_has_what_its_release_has() {
        assert!(KernelVersion::of("6.5-rc1") >= KernelVersion::of("6.5"));
        assert!(KernelVersion::of("6.5.0-rc1") >= KernelVersion::of("6.5"));
    }
}
