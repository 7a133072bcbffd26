//! Another release's kernel source through the machine's own apt: its mirror, its keys, its proxy, and nothing of the
//! machine changed. Lists and packages lie in a private folder; an ordinary user can do it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::about::version;
use super::error::KernelError;
use super::processes::{output, run};
use super::sources_list::{Entry, distribution, parse_lines, parse_stanzas};

/// Debian's keys, where its package of keys puts them.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages with a kernel's source: `linux-source-6.12`.
const PACKAGES: &str = "^linux-source-[0-9]";

/// What is known of this machine's distribution, from os-release(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Distribution {
    /// `debian`.
    pub(super) id: String,
    /// `bookworm`.
    pub(super) codename: String,
}

impl Distribution {
    pub(super) fn read() -> Self {
        Self::from_os_release(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        Self { id: value("ID"), codename: value("VERSION_CODENAME") }
    }
}

/// A package that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// `linux-source-6.12`.
    pub(super) package: String,
    /// `6.12.117-1`.
    pub(super) version: String,
}

impl Candidate {
    /// The release that a kernel of it will call itself, unless it is a release candidate.
    pub(super) fn release(&self) -> &str {
        self.version.rsplit_once('-').map_or(self.version.as_str(), |(upstream, _)| upstream)
    }
}

/// apt with lists and packages of its own.
#[derive(Debug)]
pub(super) struct Apt {
    folder: PathBuf,
    /// The suite that the private list of sources names; without one, the machine's own sources are read.
    suite: Option<String>,
}

impl Apt {
    /// Everything that the machine's own apt is set up for, its security updates too; indexes and packages go to `folder`.
    pub(super) fn of_machine(folder: PathBuf) -> Result<Self, KernelError> {
        Self::in_folder(folder, None)
    }

    fn in_folder(folder: PathBuf, suite: Option<String>) -> Result<Self, KernelError> {
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name)).map_err(KernelError::at(folder.join(name)))?;
        }
        Ok(Self { folder, suite })
    }

    /// What it reads, as it is told: `trixie`.
    pub(super) fn told(&self) -> &str {
        self.suite.as_deref().unwrap_or("this machine's package sources")
    }

    /// Names `suite` of this machine's mirror as the only source, in `folder`.
    pub(super) fn of_suite(folder: PathBuf, suite: &str) -> Result<Self, KernelError> {
        let is_suite = !suite.is_empty() && suite.chars().all(|c| c.is_ascii_alphanumeric() || "-./_".contains(c));
        if !is_suite {
            return Err(KernelError::NoSource(format!("`{suite}` is no suite: expected a name such as trixie")));
        }
        let machine = Distribution::read();
        let entries = entries(Path::new("/etc/apt"));
        let entry = distribution(&entries, &machine.codename).ok_or_else(no_mirror)?;
        let is_there = |file: &str| Path::new(file).exists();
        let list = source_line(entry, suite, machine.id == "debian" && is_there(DEBIAN_KEYRING));
        let apt = Self::in_folder(folder, Some(suite.to_owned()))?;
        let path = apt.folder.join("sources.list");
        fs::write(&path, list).map_err(KernelError::at(path))?;
        Ok(apt)
    }

    /// Reads the indexes and names the newest kernel source in it.
    pub(super) async fn newest(&self) -> Result<Candidate, KernelError> {
        let what = "reading apt's indexes";
        // An update that fails may be a hook's or another source's fault; without the index nothing is found below.
        let updated = run(what, self.command("apt-get", &["update", "-q"]), |_| {}).await;
        let names = output(what, self.command("apt-cache", &["search", "--names-only", PACKAGES])).await?;
        let Some(package) = newest(&names) else {
            updated?;
            return Err(KernelError::NoSource(format!("there is no package linux-source-N.M in {}", self.told())));
        };
        let told = output(what, self.command("apt-cache", &["show", "--no-all-versions", &package])).await?;
        let version = told.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or_default();
        Ok(Candidate { package, version: version.to_owned() })
    }

    /// Fetches a package; apt verifies it against the index, and the index against the keys.
    pub(super) async fn download(&self, package: &str) -> Result<PathBuf, KernelError> {
        let place = self.folder.join("packages");
        fs::create_dir_all(&place).map_err(KernelError::at(&place))?;
        let mut command = self.command("apt-get", &["download", "-q", package]);
        command.current_dir(&place);
        run("downloading", command, |_| {}).await?;
        let mut files = fs::read_dir(&place).map_err(KernelError::at(&place))?.flatten();
        let file = files.find(|entry| entry.path().extension().is_some_and(|extension| extension == "deb"));
        file.map(|entry| entry.path())
            .ok_or_else(|| KernelError::NoSource(format!("apt-get fetched no package for {package}")))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut options = vec![
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            // The folder is private: root's apt could not hand it to its own user `_apt`, and would warn of it.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        if self.suite.is_some() {
            options.push(format!("Dir::Etc::sourcelist={}", at("sources.list")));
            options.push("Dir::Etc::sourceparts=/dev/null".to_owned());
        }
        let mut command = Command::new(program);
        options.iter().for_each(|option| {
            command.args(["-o", option]);
        });
        command.args(arguments).env("LC_ALL", "C").env("TMPDIR", &self.folder);
        command
    }
}

/// The newest kernel source that the machine's own package sources have, as far as their indexes were read already.
pub(super) async fn newest_known() -> Option<String> {
    let mut command = Command::new("apt-cache");
    command.args(["search", "--names-only", PACKAGES]).env("LC_ALL", "C");
    newest(&output("asking apt", command).await.ok()?)
}

/// Of `NAME - DESCRIPTION` lines the package of the highest version, if one is a kernel's plain source.
fn newest(names: &str) -> Option<String> {
    let packages = names.lines().filter_map(|line| line.split_whitespace().next());
    let is_plain = |package: &&str| {
        let rest = package.strip_prefix("linux-source-").unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    packages.filter(is_plain).max_by_key(|package| package_version(package)).map(str::to_owned)
}

/// (6, 12, 0) for `linux-source-6.12`.
pub(super) fn package_version(package: &str) -> (u32, u32, u32) {
    version(package.strip_prefix("linux-source-").unwrap_or_default())
}

/// Every source of packages that the machine has, in the order of the files' names.
fn entries(etc: &Path) -> Vec<Entry> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut entries = parse_lines(&read(&etc.join("sources.list")));
    let parts = fs::read_dir(etc.join("sources.list.d")).into_iter().flatten().flatten();
    let mut parts: Vec<PathBuf> = parts.map(|entry| entry.path()).collect();
    parts.sort();
    for part in parts {
        match part.extension().and_then(|extension| extension.to_str()) {
            Some("list") => entries.extend(parse_lines(&read(&part))),
            Some("sources") => entries.extend(parse_stanzas(&read(&part))),
            _ => {}
        }
    }
    entries
}

/// The one line of the private list. The index of packages is all that is fetched for it.
fn source_line(entry: &Entry, suite: &str, with_debian_keyring: bool) -> String {
    let mut keyrings: Vec<&str> = if with_debian_keyring { vec![DEBIAN_KEYRING] } else { vec![] };
    if !entry.signed_by.is_empty() && entry.signed_by != DEBIAN_KEYRING {
        keyrings.push(&entry.signed_by);
    }
    let signed_by = if keyrings.is_empty() { String::new() } else { format!(" signed-by={}", keyrings.join(",")) };
    format!("deb [target=Packages{signed_by}] {} {suite} main\n", entry.uri)
}

fn no_mirror() -> KernelError {
    KernelError::NoSource(
        "this machine's apt names no mirror of its distribution in /etc/apt/sources.list or /etc/apt/sources.list.d; \
         `workbench kernel build --source` takes a tree or tarball of Linux 6.12 or newer"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_source_is_the_highest_number_and_no_flavour() {
        let names = "linux-source-6.1 - Linux kernel source\nlinux-source-6.12 - Linux kernel source\n\
                     linux-source-6.9 - x\nlinux-source-6.14-rt - x\nlinux-source - meta\n";
        assert_eq!(newest(names).as_deref(), Some("linux-source-6.12"));
        assert_eq!(newest("linux-source-6.8.0 - x\n").as_deref(), Some("linux-source-6.8.0"));
        assert_eq!(newest(""), None);
    }

    #[test]
    fn a_packages_version_tells_the_kernels_release() {
        let candidate = |version: &str| Candidate { package: String::new(), version: version.into() };
        assert_eq!(candidate("6.12.117-1").release(), "6.12.117");
        assert_eq!(candidate("6.12.38-1~bpo12+1").release(), "6.12.38");
    }

    #[test]
    fn the_private_list_has_the_machines_mirror_and_both_its_and_debians_keys() {
        let entry = Entry { uri: "http://mirror.example/debian".into(), ..Entry::default() };
        assert_eq!(source_line(&entry, "sid", false), "deb [target=Packages] http://mirror.example/debian sid main\n");
        let signed = Entry { signed_by: "/k.gpg".into(), ..entry };
        assert_eq!(
            source_line(&signed, "trixie", true),
            format!(
                "deb [target=Packages signed-by={DEBIAN_KEYRING},/k.gpg] http://mirror.example/debian trixie main\n"
            )
        );
    }

    #[test]
    fn the_distribution_says_its_codename() {
        let debian = Distribution::from_os_release("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        assert_eq!(debian, Distribution { id: "debian".into(), codename: "bookworm".into() });
    }
}
