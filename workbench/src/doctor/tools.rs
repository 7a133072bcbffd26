//! The table of tools that scenarios and tests run, and how each is found and asked for its version.
//!
//! The tools are what is looked *at*, never parts of the workbench: a lab is built without any of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::check::{Check, Remedy, Scope, State};
use super::distribution::{Family, Packages};
use super::machine::Machine;

/// When a tool's absence is a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The scenarios that come with the workbench run it.
    Scenarios,
    /// A scenario that lacks it is skipped and says so; the tests run it.
    SomeScenarios,
    /// The workbench's own tests hold it against what the workbench saw.
    Tests,
}

/// One tool.
struct Tool {
    /// Its names; the first that is found counts.
    programs: &'static [&'static str],
    /// What makes it print its version.
    version_flag: &'static str,
    need: Need,
    needed_for: &'static str,
    packages: Packages,
}

const TOOLS: &[Tool] = &[
    Tool {
        programs: &["curl"],
        version_flag: "--version",
        need: Need::Scenarios,
        needed_for: "scenarios that run curl",
        packages: Packages::everywhere("curl"),
    },
    Tool {
        programs: &["wget"],
        version_flag: "--version",
        need: Need::Scenarios,
        needed_for: "scenarios that run wget",
        packages: Packages::everywhere("wget"),
    },
    Tool {
        programs: &["nc.openbsd"],
        version_flag: "-h",
        need: Need::Scenarios,
        needed_for: "scenarios that run the OpenBSD nc",
        packages: Packages {
            debian: "netcat-openbsd",
            fedora: "netcat",
            arch: "openbsd-netcat",
            alpine: "netcat-openbsd",
        },
    },
    Tool {
        programs: &["nc.traditional"],
        version_flag: "-h",
        need: Need::Scenarios,
        needed_for: "scenarios that run the traditional nc",
        packages: Packages { debian: "netcat-traditional", fedora: "", arch: "", alpine: "" },
    },
    Tool {
        programs: &["ncat"],
        version_flag: "--version",
        need: Need::SomeScenarios,
        needed_for: "scenarios that run ncat",
        packages: Packages { debian: "ncat", fedora: "nmap-ncat", arch: "nmap", alpine: "nmap-ncat" },
    },
    Tool {
        programs: &["mysql", "mariadb"],
        version_flag: "--version",
        need: Need::SomeScenarios,
        needed_for: "scenarios that run the mysql client, and the tests of what ends a wait",
        packages: Packages {
            debian: "default-mysql-client",
            fedora: "mariadb",
            arch: "mariadb-clients",
            alpine: "mariadb-client",
        },
    },
    Tool {
        programs: &["mariadbd"],
        version_flag: "--version",
        need: Need::SomeScenarios,
        needed_for: "scenarios that run a database",
        packages: Packages {
            debian: "mariadb-server-core",
            fedora: "mariadb-server",
            arch: "mariadb",
            alpine: "mariadb",
        },
    },
    Tool {
        programs: &["rsync"],
        version_flag: "--version",
        need: Need::SomeScenarios,
        needed_for: "scenarios that run rsync, and the tests of what ends a wait",
        packages: Packages::everywhere("rsync"),
    },
    Tool {
        programs: &["strace"],
        version_flag: "-V",
        need: Need::Tests,
        needed_for: "the tests that compare system calls, and the benchmark's hand-made way",
        packages: Packages::everywhere("strace"),
    },
    Tool {
        programs: &["tshark"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests that read captures back",
        packages: Packages { debian: "tshark", fedora: "wireshark-cli", arch: "wireshark-cli", alpine: "tshark" },
    },
    Tool {
        programs: &["tcpdump"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests that compare packets, and the benchmark's hand-made way",
        packages: Packages::everywhere("tcpdump"),
    },
    Tool {
        programs: &["nft"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests that read packet rules back, and the benchmark's hand-made way",
        packages: Packages::everywhere("nftables"),
    },
    Tool {
        programs: &["ip"],
        version_flag: "-V",
        need: Need::Tests,
        needed_for: "the tests that read links and routes back, and the benchmark's hand-made way",
        packages: Packages { debian: "iproute2", fedora: "iproute", arch: "iproute2", alpine: "iproute2" },
    },
    Tool {
        programs: &["tc"],
        version_flag: "-V",
        need: Need::Tests,
        needed_for: "the tests that read queueing disciplines back",
        packages: Packages { debian: "iproute2", fedora: "iproute-tc", arch: "iproute2", alpine: "iproute2" },
    },
    Tool {
        programs: &["ss"],
        version_flag: "-V",
        need: Need::Tests,
        needed_for: "the tests that compare sockets",
        packages: Packages { debian: "iproute2", fedora: "iproute", arch: "iproute2", alpine: "iproute2" },
    },
    Tool {
        programs: &["netstat"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests that compare sockets",
        packages: Packages::everywhere("net-tools"),
    },
    Tool {
        programs: &["gcc"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests that bring system calls and mechanisms about, which are C programs",
        packages: Packages::everywhere("gcc"),
    },
    Tool {
        programs: &["python3"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the tests of sockets and of what ends a wait, some of which are Python programs",
        packages: Packages { debian: "python3", fedora: "python3", arch: "python", alpine: "python3" },
    },
    Tool {
        programs: &["go"],
        version_flag: "version",
        need: Need::Tests,
        needed_for: "the tests of what ends a wait, one of which is a Go program",
        packages: Packages { debian: "golang-go", fedora: "golang", arch: "go", alpine: "go" },
    },
    Tool {
        programs: &["ssh"],
        version_flag: "-V",
        need: Need::Tests,
        needed_for: "the tests of what ends a wait, one of which runs ssh",
        packages: Packages {
            debian: "openssh-client",
            fedora: "openssh-clients",
            arch: "openssh",
            alpine: "openssh-client-default",
        },
    },
    Tool {
        programs: &["unshare"],
        version_flag: "--version",
        need: Need::Tests,
        needed_for: "the benchmark's floor and its hand-made way",
        packages: Packages::everywhere("util-linux"),
    },
];

/// Looks for every tool that `scope` can use.
pub(super) fn examine(scope: Scope, machine: &Machine) -> Vec<Check> {
    let wanted = |tool: &&Tool| tool.need != Need::Tests || scope == Scope::Tests;
    TOOLS.iter().filter(wanted).map(|tool| check(tool, scope, machine)).collect()
}

fn check(tool: &Tool, scope: Scope, machine: &Machine) -> Check {
    let found = tool.programs.iter().find_map(|program| find(program, &machine.path));
    let state = match found {
        Some(file) => State::Ok { detail: detail(&file, tool.version_flag) },
        None => absent(tool, scope, machine.family),
    };
    Check { name: tool.programs[0].to_owned(), needed_for: tool.needed_for.to_owned(), state }
}

fn absent(tool: &Tool, scope: Scope, family: Family) -> State {
    let why = format!("no {} in PATH", tool.programs.join(" and no "));
    let remedy = match tool.packages.of(family) {
        Some(name) => Remedy::Package { family, name: name.to_owned() },
        None => Remedy::Text(format!("no package is known here; on Debian it is {}", tool.packages.debian)),
    };
    match (tool.need, scope) {
        (Need::SomeScenarios, Scope::Run) => State::Warning { why, remedy },
        _ => State::Missing { why, remedy },
    }
}

/// The first executable file of that name in these folders.
fn find(program: &str, path: &[PathBuf]) -> Option<PathBuf> {
    let is_executable =
        |file: &PathBuf| file.is_file() && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok();
    path.iter().map(|folder| folder.join(program)).find(is_executable)
}

/// `7.88.1, /usr/bin/curl`; the place alone when the tool does not say a version.
fn detail(file: &Path, version_flag: &str) -> String {
    let output = Command::new(file).arg(version_flag).stdin(Stdio::null()).output();
    let said = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    match version(&String::from_utf8_lossy(&said)) {
        Some(version) => format!("{version}, {}", file.display()),
        None => file.display().to_string(),
    }
}

/// The first thing in a text that looks like a version: digits, a dot, a digit, and on to the end of the word.
fn version(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let starts = |at: &usize| {
        let digits = bytes[*at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let follows_digit = *at > 0 && bytes[*at - 1].is_ascii_digit();
        digits > 0
            && !follows_digit
            && bytes.get(at + digits) == Some(&b'.')
            && bytes.get(at + digits + 1).is_some_and(u8::is_ascii_digit)
    };
    let start = (0..bytes.len()).find(starts)?;
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || ".-+~:".contains(c));
    text[start..].split(is_end).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_each_tool_prints() {
        for (said, expected) in [
            ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1", "7.88.1"),
            ("GNU Wget 1.21.3 built on linux-gnu.", "1.21.3"),
            ("OpenBSD netcat (Debian patchlevel 1.219-1)", "1.219-1"),
            ("[v1.10-47]\nconnect to somewhere:", "1.10-47"),
            ("strace -- version 6.1", "6.1"),
            ("ip utility, iproute2-6.1.0, libbpf 1.1.0", "6.1.0"),
            ("tcpdump version 4.99.3\nlibpcap version 1.10.3", "4.99.3"),
            ("unshare from util-linux 2.38.1", "2.38.1"),
            ("Ncat: Version 7.93 ( https://nmap.org/ncat )", "7.93"),
            ("nftables v1.0.6 (Lester Gooch #5)", "1.0.6"),
            ("go version go1.19.8 linux/amd64", "1.19.8"),
            ("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17", "9.2p1"),
        ] {
            assert_eq!(version(said), Some(expected), "{said}");
        }
    }

    #[test]
    fn a_text_without_a_version_has_none() {
        for said in ["", "usage: true", "built in 2023.", "1.", "é…7"] {
            assert_eq!(version(said), None, "{said}");
        }
    }

    #[test]
    fn every_tool_that_the_scenarios_run_can_be_installed_on_debian() {
        for tool in TOOLS {
            assert!(tool.packages.of(Family::Debian).is_some(), "{:?}", tool.programs);
        }
    }

    #[test]
    fn a_tool_that_scenarios_can_do_without_is_a_defect_where_the_tests_are_to_run() {
        let of = |need| Tool {
            programs: &["x"],
            version_flag: "-V",
            need,
            needed_for: "x",
            packages: Packages::everywhere("x"),
        };
        let is_missing = |need, scope| matches!(absent(&of(need), scope, Family::Debian), State::Missing { .. });
        assert!(!is_missing(Need::SomeScenarios, Scope::Run));
        assert!(is_missing(Need::SomeScenarios, Scope::Tests));
        assert!(is_missing(Need::Scenarios, Scope::Run));
    }
}
