//! `workbench doctor` as its users meet it: what it finds, and what `--fix` runs, with package managers that only
//! pretend.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed, Trial};
use workbench::doctor::{Family, Scope, State, examine};

const WORKBENCH: &str = env!("CARGO_BIN_EXE_workbench");
/// nobody's, everywhere.
const ORDINARY_ID: u32 = 65534;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::ignorable_test("doctor_tries_every_step_once_and_reports_it_as_json", tries_every_step),
        Trial::ignorable_test("doctor_leaves_no_process_and_no_namespace_behind", leaves_nothing),
        Trial::ignorable_test("doctor_names_the_package_of_each_missing_tool_and_exits_3", names_packages),
        Trial::ignorable_test("doctor_fix_as_root_installs_what_is_missing_and_looks_again", fixes_as_root),
        Trial::ignorable_test("doctor_fix_of_an_ordinary_user_goes_through_sudo", fixes_through_sudo),
        Trial::ignorable_test("doctor_warns_of_a_missing_kernel_and_the_tests_fail_without_one", looks_for_a_kernel),
        Trial::ignorable_test(
            "doctor_fix_installs_what_a_kernel_build_needs_and_a_build_that_fails_is_no_failure",
            tries_a_kernel,
        ),
        Trial::ignorable_test("doctor_fix_without_root_tells_of_the_kernel_and_exits_0", tells_of_the_kernel),
        Trial::ignorable_test("doctor_fix_without_root_and_sudo_prints_the_command_and_exits_3", prints_the_command),
    ]
}

/// Why the trials that need a working lab or Debian's package names cannot run here.
fn obstacle() -> Option<Completion> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if Family::from_os_release(&os_release) != Family::Debian {
        return Some(Completion::ignored_with("not a Debian or one of its relatives"));
    }
    let is_kernel_feature = |name: &str| ["namespaces", "a /proc of its own", "ptrace and seccomp"].contains(&name);
    let missing = examine(Scope::Run, Path::new(WORKBENCH)).into_iter().find_map(|check| match check.state {
        State::Missing { why, .. } if is_kernel_feature(&check.name) => Some(why),
        _ => None,
    });
    missing.map(Completion::ignored_with)
}

/// A folder that is the whole PATH, with pretended package managers that write down how they were called.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::set_permissions(room.0.path(), fs::Permissions::from_mode(0o777)).expect("our own folder");
        fs::copy(WORKBENCH, room.at("workbench")).expect("the binary");
        symlink("/usr/bin/env", room.at("env")).expect("a link");
        room.kernel("6.12.117");
        room.script(
            "apt-get",
            "case $1 in install)\n for tool in curl wget nc.openbsd nc.traditional; do\n\
             printf '#!/bin/sh\\necho version 1.2\\n' >$here/$tool; /bin/chmod 755 $here/$tool\n done;;\nesac\n",
        );
        room
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that notes its name and arguments and then does `body`.
    fn script(&self, name: &str, body: &str) {
        let here = self.0.path().display();
        let text = format!("#!/bin/sh\nhere={here}\necho \"{name} $*\" >>$here/calls\n{body}");
        fs::write(self.at(name), text).expect("a writable folder");
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn doctor(&self, arguments: &[&str], is_ordinary: bool) -> Output {
        let mut command = Command::new(self.at("workbench"));
        command.arg("doctor").args(arguments).env("PATH", self.0.path()).stdin(Stdio::null());
        command.env("WORKBENCH_CACHE", self.at("cache"));
        if is_ordinary && nix::unistd::geteuid().is_root() {
            command.uid(ORDINARY_ID).gid(ORDINARY_ID);
        }
        command.output().expect("the workbench")
    }

    /// A kernel for the virtual engine, in name.
    fn kernel(&self, release: &str) {
        let folder = self.at(&format!("cache/kernels/{release}-hz250-foreign"));
        let about = format!(
            r#"{{ "release": "{release}", "hz": 250, "fragment": "", "compiler": "gcc", "source": "a test" }}"#
        );
        fs::create_dir_all(&folder).expect("a writable folder");
        fs::write(folder.join("kernel.json"), about).expect("a writable folder");
        fs::write(folder.join("linux"), "").expect("a writable folder");
    }

    /// A cache without a kernel, and every tool that the scenarios run.
    fn without_kernel(&self) {
        fs::remove_dir_all(self.at("cache")).expect("our own folder");
        fs::create_dir(self.at("cache")).expect("our own folder");
        fs::set_permissions(self.at("cache"), fs::Permissions::from_mode(0o777)).expect("our own folder");
        ["curl", "wget", "nc.openbsd", "nc.traditional"].iter().for_each(|tool| self.script(tool, "echo version 1.2"));
    }

    /// How the pretended programs were called, in order.
    fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default()
    }
}

fn check(condition: bool, found: &dyn std::fmt::Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("found {found:#?}").into()) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tries_every_step() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let output = Command::new(WORKBENCH).args(["doctor", "--probe", "namespaces"]).output()?;
    let said = text(&output.stdout);
    let step = |line: &str| line.split('"').nth(3).map(str::to_owned);
    let steps: Vec<Option<String>> = said.lines().map(step).collect();
    let expected =
        ["unshare", "map-ids", "veth", "packet-socket", "nf-tables", "forward", "netem", "sock-diag", "proc", "trace"];
    check(steps.iter().flatten().eq(&expected) && steps.len() == expected.len(), &said)?;
    Ok(Completion::Completed)
}

/// The probe's processes have ended when `examine` returns: process 1 takes its namespaces' processes with it.
fn leaves_nothing() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    room.doctor(&[], false);
    let copy = room.at("workbench");
    let is_ours = |entry: &fs::DirEntry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == copy);
    let left: Vec<PathBuf> = fs::read_dir("/proc")?.flatten().filter(is_ours).map(|entry| entry.path()).collect();
    check(left.is_empty(), &left)?;
    Ok(Completion::Completed)
}

fn names_packages() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    let output = room.doctor(&[], false);
    let said = text(&output.stdout);
    for expected in ["no curl in PATH", "package wget", "package netcat-openbsd", "package netcat-traditional"] {
        check(said.contains(expected), &(expected, &said))?;
    }
    check(output.status.code() == Some(3) && room.calls().is_empty(), &(output, room.calls()))?;
    Ok(Completion::Completed)
}

const APT_CALLS: &str = "apt-get update -q\n\
    apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
    curl wget netcat-openbsd netcat-traditional\n";

fn fixes_as_root() -> Result<Completion, Failed> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Completion::ignored_with("not root"));
    }
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    let output = room.doctor(&["--fix"], false);
    check(room.calls() == APT_CALLS, &(room.calls(), &output))?;
    check(output.status.code() == Some(0) && text(&output.stdout).contains("missing: 0"), &output)?;
    Ok(Completion::Completed)
}

fn fixes_through_sudo() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    room.script("true", "");
    room.script("sudo", "shift\nexec \"$@\"\n");
    let output = room.doctor(&["--fix"], true);
    let calls = room.calls();
    let through_sudo: Vec<&str> = calls.lines().filter(|call| call.starts_with("sudo -n ")).collect();
    check(through_sudo.len() == 3 && through_sudo[0] == "sudo -n true", &(&through_sudo, &output))?;
    check(calls.lines().filter(|call| call.starts_with("apt-get")).eq(APT_CALLS.lines()), &calls)?;
    check(output.status.code() == Some(0), &output)?;
    Ok(Completion::Completed)
}

fn prints_the_command() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    let output = room.doctor(&["--fix"], true);
    let complaint = text(&output.stderr);
    check(complaint.contains("curl wget netcat-openbsd netcat-traditional"), &complaint)?;
    check(output.status.code() == Some(3) && room.calls().is_empty(), &(output, room.calls()))?;
    Ok(Completion::Completed)
}

/// The line of the report that is about the kernel.
fn kernel_line(output: &Output) -> String {
    let said = text(&output.stdout);
    let line = said.lines().rfind(|line| line.contains("kernel for the virtual engine  "));
    line.unwrap_or_default().to_owned()
}

fn looks_for_a_kernel() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    let output = room.doctor(&["--tests"], false);
    check(kernel_line(&output).starts_with("ok ") && kernel_line(&output).contains("6.12.117@250"), &output)?;
    room.without_kernel();
    let output = room.doctor(&[], false);
    check(output.status.code() == Some(0) && kernel_line(&output).starts_with("warning "), &output)?;
    check(text(&output.stdout).contains("`workbench kernel build` makes one"), &output)?;
    check(text(&output.stdout).contains("package gcc") && text(&output.stdout).contains("package libc6-dev"), &output)?;
    room.kernel("6.1.176");
    let output = room.doctor(&["--tests"], false);
    check(kernel_line(&output).starts_with("missing "), &output)?;
    check(text(&output.stdout).contains("expected 6.12 or newer, the newest is 6.1.176@250"), &output)?;
    Ok(Completion::Completed)
}

/// The tools are installed as far as the pretended apt-get goes, which is not at all: so there is nothing to build with.
fn tries_a_kernel() -> Result<Completion, Failed> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Completion::ignored_with("not root"));
    }
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    room.without_kernel();
    let output = room.doctor(&["--fix"], false);
    let installs = "DPkg::Lock::Timeout=120 make gcc flex bison bc xz-utils binutils perl tar libc6-dev\n";
    check(room.calls().contains(installs), &room.calls())?;
    let complaint = text(&output.stderr);
    check(complaint.contains("workbench: no kernel for the virtual engine: "), &complaint)?;
    check(output.status.code() == Some(0) && kernel_line(&output).starts_with("warning "), &output)?;
    check(
        fs::read_dir(room.at("cache"))?.count() == 0,
        &fs::read_dir(room.at("cache"))?.flatten().collect::<Vec<_>>(),
    )?;
    let output = room.doctor(&["--fix", "--tests"], false);
    check(output.status.code() == Some(3) && kernel_line(&output).starts_with("missing "), &output)?;
    Ok(Completion::Completed)
}

fn tells_of_the_kernel() -> Result<Completion, Failed> {
    if let Some(ignored) = obstacle() {
        return Ok(ignored);
    }
    let room = Room::new();
    room.without_kernel();
    let output = room.doctor(&["--fix"], true);
    let complaint = text(&output.stderr);
    check(complaint.contains("no kernel for the virtual engine: this needs root"), &complaint)?;
    check(complaint.contains("make gcc flex bison bc xz-utils binutils perl tar libc6-dev\n"), &complaint)?;
    check(output.status.code() == Some(0) && !room.calls().contains("apt-get"), &(output, room.calls()))?;
    Ok(Completion::Completed)
}
