//! Installing what packages can supply, and the AppArmor profile where that is what is missing.
//!
//! As root directly, else through sudo; where neither will do, the exact commands are the error. No switch of the
//! machine is ever changed here: for those the report names the command, and an administrator decides.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, ExitStatus, Stdio};

use thiserror::Error;

use super::apparmor::{PROFILE_FILE, profile};
use super::check::{Check, Remedy, State};
use super::distribution::Family;
use super::virtual_kernel::tool_remedies;

/// What a fix did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FixOutcome {
    /// Nothing was missing that this could supply.
    NothingToDo,
    /// These packages and profiles were installed. Examine again to see what they changed.
    Installed(Vec<String>),
}

/// Why a fix did not happen. For all of these the environment lacks what is needed.
#[derive(Debug, Error)]
pub enum FixError {
    /// Neither root nor sudo.
    #[error("this needs root, and there is no sudo that would do it; run as root:\n\n{0}")]
    NeedsRoot(String),
    /// Packages are installed on Debian and its relatives only.
    #[error("on this distribution packages are yours to install:\n\n{0}")]
    NotOurs(String),
    /// A command did not start.
    #[error("`{command}` could not be started: {source}")]
    NotStarted {
        /// The command line.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A command ended badly.
    #[error("`{command}` failed: {status}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
}

/// A command that needs root.
struct Action {
    words: Vec<String>,
    stdin: Option<String>,
    /// Going on without it is worth a try.
    may_fail: bool,
}

/// Supplies what is missing (warnings are left alone), printing each command to standard error before it runs.
///
/// The commands' own output goes where this process's goes. sudo may ask for a password if standard input is a
/// terminal.
pub fn fix(checks: &[Check]) -> Result<FixOutcome, FixError> {
    supply(&checks.iter().filter_map(missing).collect::<Vec<_>>())
}

/// Supplies the tools that a kernel build lacks, also where they are only warned about.
pub fn fix_build_tools(checks: &[Check]) -> Result<FixOutcome, FixError> {
    supply(&tool_remedies(checks))
}

fn supply(remedies: &[&Remedy]) -> Result<FixOutcome, FixError> {
    let (packages, family) = packages(remedies);
    let is_ours = packages.is_empty() || family == Family::Debian;
    let mut actions = package_actions(family, &packages);
    let mut installed = packages;
    for remedy in remedies {
        if let Remedy::Profile { attachment } = remedy {
            actions.extend(profile_actions(attachment));
            installed.push(PROFILE_FILE.to_owned());
        }
    }
    if actions.is_empty() {
        return Ok(FixOutcome::NothingToDo);
    }
    if !is_ours {
        return Err(FixError::NotOurs(script(&actions)));
    }
    let prefix = privilege().ok_or_else(|| FixError::NeedsRoot(script(&actions)))?;
    actions.iter().try_for_each(|action| run(prefix, action))?;
    Ok(FixOutcome::Installed(installed))
}

fn missing(check: &Check) -> Option<&Remedy> {
    match &check.state {
        State::Missing { remedy, .. } => Some(remedy),
        State::Ok { .. } | State::Warning { .. } => None,
    }
}

/// The packages in order, each once, and whose they are.
fn packages(remedies: &[&Remedy]) -> (Vec<String>, Family) {
    let mut names = Vec::new();
    let mut of = Family::Debian;
    for remedy in remedies {
        if let Remedy::Package { family, name } = remedy {
            of = *family;
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    (names, of)
}

fn package_actions(family: Family, packages: &[String]) -> Vec<Action> {
    if packages.is_empty() {
        return vec![];
    }
    let commands = family.install(packages);
    let last = commands.len() - 1;
    // A machine's third-party source that is out of reach fails the update, and the packages may be there all the same.
    commands.into_iter().enumerate().map(|(i, words)| Action { words, stdin: None, may_fail: i < last }).collect()
}

fn profile_actions(attachment: &str) -> [Action; 2] {
    let action = |words: &[&str], stdin| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Action { words, stdin, may_fail: false }
    };
    [
        action(&["tee", PROFILE_FILE], Some(profile(attachment))),
        action(&["apparmor_parser", "--replace", PROFILE_FILE], None),
    ]
}

/// What goes before a command so that root runs it; `None` when nobody here can.
fn privilege() -> Option<&'static [&'static str]> {
    if nix::unistd::geteuid().is_root() {
        return Some(&[]);
    }
    let asks_nothing = Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    match asks_nothing {
        Ok(status) if status.success() => Some(&["sudo", "-n"]),
        Ok(_) if io::stdin().is_terminal() => Some(&["sudo"]),
        _ => None,
    }
}

fn run(prefix: &[&str], action: &Action) -> Result<(), FixError> {
    let words: Vec<&str> = prefix.iter().copied().chain(action.words.iter().map(String::as_str)).collect();
    let command = words.join(" ");
    eprintln!("+ {command}");
    let not_started = |source| FixError::NotStarted { command: command.clone(), source };
    let stdin = if action.stdin.is_some() { Stdio::piped() } else { Stdio::inherit() };
    let mut child = Command::new(words[0]).args(&words[1..]).stdin(stdin).spawn().map_err(not_started)?;
    if let (Some(text), Some(mut pipe)) = (&action.stdin, child.stdin.take()) {
        pipe.write_all(text.as_bytes()).map_err(not_started)?;
    }
    let status = child.wait().map_err(not_started)?;
    if status.success() || action.may_fail { Ok(()) } else { Err(FixError::Failed { command, status }) }
}

/// The actions as a person would type them into a root shell.
fn script(actions: &[Action]) -> String {
    let line = |action: &Action| match &action.stdin {
        None => format!("  {}\n", action.words.join(" ")),
        Some(text) => format!("  {} <<'EOF'\n{text}EOF\n", action.words.join(" ")),
    };
    actions.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: State) -> Check {
        Check { name: "x".into(), needed_for: "x".into(), state }
    }

    fn lacks(family: Family, name: &str) -> Check {
        check(State::Missing { why: String::new(), remedy: Remedy::Package { family, name: name.into() } })
    }

    #[test]
    fn where_nothing_is_missing_nothing_is_done() {
        let warning = State::Warning {
            why: String::new(),
            remedy: Remedy::Package { family: Family::Debian, name: "rsync".into() },
        };
        let only_told = State::Missing {
            why: String::new(),
            remedy: Remedy::Command("sysctl -w user.max_user_namespaces=1".into()),
        };
        let outcome = fix(&[check(State::Ok { detail: String::new() }), check(warning), check(only_told)]);
        assert_eq!(outcome.expect("nothing to do"), FixOutcome::NothingToDo);
    }

    #[test]
    fn another_distribution_gets_the_command_and_nothing_is_run() {
        let error = fix(&[lacks(Family::Arch, "curl"), lacks(Family::Arch, "wget")]).expect_err("not ours to install");
        assert!(error.to_string().ends_with("\n\n  pacman -S --needed curl wget\n"), "{error}");
    }

    #[test]
    fn a_package_that_supplies_two_tools_is_installed_once() {
        let checks =
            [lacks(Family::Debian, "iproute2"), lacks(Family::Debian, "curl"), lacks(Family::Debian, "iproute2")];
        let remedies: Vec<&Remedy> = checks.iter().filter_map(missing).collect();
        assert_eq!(packages(&remedies), (vec!["iproute2".into(), "curl".into()], Family::Debian));
    }

    #[test]
    fn a_profile_can_be_pasted_into_a_root_shell() {
        let text = script(&profile_actions("/usr/bin/workbench"));
        assert!(text.starts_with("  tee /etc/apparmor.d/workbench <<'EOF'\nabi <abi/4.0>,\n"), "{text}");
        assert!(text.ends_with("}\nEOF\n  apparmor_parser --replace /etc/apparmor.d/workbench\n"), "{text}");
        assert!(text.contains("\n  userns,\n"), "{text}");
    }
}
