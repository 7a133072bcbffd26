//! The kernel's own build, outside of its tree: `allnoconfig` with the fragment, then `linux`.
//!
//! Nothing of the caller's environment but PATH reaches it, and what a build writes into an image of itself (time, user,
//! host, tools that are there by chance) is fixed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::KernelError;
use super::fragment::FRAGMENT;
use super::processes::run;
use super::request::{Event, Phase};
use super::workspace::Workspace;

/// A source tree and where its objects go.
#[derive(Debug)]
pub(super) struct Make<'a> {
    tree: &'a Path,
    out: PathBuf,
    temporary: PathBuf,
}

impl<'a> Make<'a> {
    pub(super) fn new(tree: &'a Path, workspace: &Workspace) -> Result<Self, KernelError> {
        Ok(Self { tree, out: workspace.folder("objects")?, temporary: workspace.folder("temporary")? })
    }

    /// Makes a `.config` of the fragment with this HZ and returns its text.
    pub(super) async fn configure(&self, hz: u64) -> Result<String, KernelError> {
        let top = self.tree.join("Kconfig");
        let text = fs::read_to_string(&top).map_err(KernelError::at(top))?;
        self.write("Kconfig.workbench", &with_hz(&text))?;
        let fragment = self.write("virtual.config", &format!("CONFIG_HZ={hz}\n{FRAGMENT}"))?;
        let mut command = self.command();
        command.arg(format!("KCONFIG_ALLCONFIG={}", fragment.display())).arg("allnoconfig");
        run("configuring", command, |_| {}).await?;
        let config = self.out.join(".config");
        fs::read_to_string(&config).map_err(KernelError::at(config))
    }

    /// Compiles and links; returns the program, without its symbols.
    pub(super) async fn compile(&self, jobs: usize, on_event: &mut dyn FnMut(Event)) -> Result<PathBuf, KernelError> {
        let mut command = self.command();
        command.arg(format!("-j{jobs}")).arg("linux");
        let mut compiled = 0;
        let mut is_linking = false;
        run("compiling", command, |line| match step(line) {
            Some(Step::Compile) => {
                compiled += 1;
                on_event(Event::Compiled(compiled));
            }
            Some(Step::Link) if !is_linking => {
                is_linking = true;
                on_event(Event::Phase(Phase::Linking, String::new()));
            }
            Some(Step::Link) | None => {}
        })
        .await?;
        let stripped = self.out.join("linux.stripped");
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&stripped).arg(self.out.join("linux"));
        run("stripping", strip, |_| {}).await?;
        Ok(stripped)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, KernelError> {
        let path = self.out.join(name);
        fs::write(&path, text).map_err(KernelError::at(&path))?;
        Ok(path)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("make");
        command.arg("-C").arg(self.tree).arg(format!("O={}", self.out.display())).arg("ARCH=um");
        command.arg(format!("KBUILD_KCONFIG={}", self.out.join("Kconfig.workbench").display()));
        // Which of these a machine has would be written into the image with its configuration, though neither is used.
        command.args(["RUSTC=false", "PAHOLE=false"]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        // gcc's temporary files go with the workspace when a build is given up.
        command.env("TMPDIR", &self.temporary);
        // Documentation/kbuild/reproducible-builds.rst in the kernel's source.
        command.env("KBUILD_BUILD_TIMESTAMP", "1970-01-01").env("KBUILD_BUILD_VERSION", "1");
        command.env("KBUILD_BUILD_USER", "workbench").env("KBUILD_BUILD_HOST", "workbench");
        command
    }
}

/// The top Kconfig with a definition of HZ before arch/um's own, which has no prompt and so cannot be set: the first
/// definition counts, and with a prompt it can.
fn with_hz(kconfig: &str) -> String {
    let is_title = |line: &&str| line.starts_with("mainmenu");
    let title = kconfig.lines().find(is_title).unwrap_or_default();
    let rest = kconfig.lines().filter(|line| !is_title(line)).map(|line| format!("{line}\n"));
    format!("{title}\n\nconfig HZ\n\tint \"Timer frequency\"\n\tdefault 250\n\n{}", rest.collect::<String>())
}

/// What a line of make's output tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Compile,
    Link,
}

/// `  CC      init/main.o` (scripts/Kbuild.include, quiet commands).
fn step(line: &str) -> Option<Step> {
    let mut words = line.strip_prefix("  ")?.split_whitespace();
    match (words.next()?, words.next()?) {
        ("CC" | "AS", _) => Some(Step::Compile),
        ("LD" | "AR" | "LINK", target) if target.starts_with("vmlinux") => Some(Step::Link),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hz_gets_a_prompt_before_anything_else_defines_it() {
        let kconfig = "# remark\nmainmenu \"Linux\"\n\nsource \"scripts/Kconfig.include\"\n";
        assert_eq!(
            with_hz(kconfig),
            "mainmenu \"Linux\"\n\nconfig HZ\n\tint \"Timer frequency\"\n\tdefault 250\n\n\
             # remark\n\nsource \"scripts/Kconfig.include\"\n"
        );
    }

    #[test]
    fn makes_output_tells_objects_and_the_link() {
        for (line, expected) in [
            ("  CC      init/main.o", Some(Step::Compile)),
            ("  AS      arch/x86/um/checksum_64.o", Some(Step::Compile)),
            ("  LD      vmlinux.o", Some(Step::Link)),
            ("  LINK linux", None),
            ("  LDS     arch/um/kernel/vmlinux.lds", None),
            ("  HOSTCC  scripts/kallsyms", None),
            ("make[1]: Entering directory '/x'", None),
            ("CC", None),
            ("", None),
        ] {
            assert_eq!(step(line), expected, "{line}");
        }
    }
}
