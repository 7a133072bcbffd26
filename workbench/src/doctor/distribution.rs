//! Distributions: which one this is, what its packages are called, and how it installs them.
//!
//! `doctor --fix` installs on Debian and its relatives; for the others the names make a printed command.

/// Distributions that share a package manager and package names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and kin: apt.
    Debian,
    /// Fedora, RHEL and kin: dnf.
    Fedora,
    /// Arch and kin: pacman.
    Arch,
    /// Alpine: apk.
    Alpine,
    /// Any other.
    Other,
}

/// One tool's package in each family; empty where none is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packages {
    /// On Debian and Ubuntu.
    pub debian: &'static str,
    /// On Fedora.
    pub fedora: &'static str,
    /// On Arch.
    pub arch: &'static str,
    /// On Alpine.
    pub alpine: &'static str,
}

impl Packages {
    /// The same name everywhere.
    pub const fn everywhere(name: &'static str) -> Self {
        Self { debian: name, fedora: name, arch: name, alpine: name }
    }

    /// The package of one family.
    pub fn of(&self, family: Family) -> Option<&'static str> {
        let name = match family {
            Family::Debian => self.debian,
            Family::Fedora => self.fedora,
            Family::Arch => self.arch,
            Family::Alpine => self.alpine,
            Family::Other => "",
        };
        (!name.is_empty()).then_some(name)
    }
}

impl Family {
    /// From the text of `/etc/os-release` (os-release(5)): `ID` first, then `ID_LIKE` in its order.
    pub fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        let ids = format!("{} {}", value("ID"), value("ID_LIKE"));
        let known = |id| match id {
            "debian" | "ubuntu" => Some(Self::Debian),
            "fedora" | "rhel" | "centos" => Some(Self::Fedora),
            "arch" => Some(Self::Arch),
            "alpine" => Some(Self::Alpine),
            _ => None,
        };
        ids.split_whitespace().find_map(known).unwrap_or(Self::Other)
    }

    /// The command lines that install packages, to be run by root in this order; empty where none is known.
    ///
    /// apt's index is read anew first: a fresh container has none, and a stale one names packages that are gone.
    pub fn install(self, packages: &[String]) -> Vec<Vec<String>> {
        let with = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).chain(packages.iter().cloned()).collect();
        match self {
            Self::Debian => vec![
                ["apt-get", "update", "-q"].map(str::to_owned).to_vec(),
                with(&[
                    "env",
                    "DEBIAN_FRONTEND=noninteractive",
                    "apt-get",
                    "install",
                    "-q",
                    "-y",
                    "--no-install-recommends",
                    "-o",
                    "DPkg::Lock::Timeout=120",
                ]),
            ],
            Self::Fedora => vec![with(&["dnf", "install", "-y"])],
            Self::Arch => vec![with(&["pacman", "-S", "--needed"])],
            Self::Alpine => vec![with(&["apk", "add"])],
            Self::Other => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derivative_is_known_by_what_it_is_like() {
        assert_eq!(Family::from_os_release("NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Family::Debian);
        assert_eq!(Family::from_os_release("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Family::Fedora);
        assert_eq!(Family::from_os_release("ID=arch\n"), Family::Arch);
        assert_eq!(Family::from_os_release("ID=alpine\nVERSION_ID=3.20\n"), Family::Alpine);
    }

    #[test]
    fn a_distribution_that_nobody_knows_installs_nothing() {
        assert_eq!(Family::from_os_release(""), Family::Other);
        assert_eq!(Family::from_os_release("ID_LIKELY=debian\nVERSION_ID=12\n"), Family::Other);
        assert!(Family::Other.install(&["curl".into()]).is_empty());
    }

    #[test]
    fn the_packages_stand_at_the_end_of_the_command_that_installs() {
        for family in [Family::Debian, Family::Fedora, Family::Arch, Family::Alpine] {
            let commands = family.install(&["curl".into(), "wget".into()]);
            assert!(commands.last().is_some_and(|c| c.ends_with(&["curl".into(), "wget".into()])), "{family:?}");
        }
    }
}
