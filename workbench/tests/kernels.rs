//! `workbench kernel` as its users meet it: what it says where nothing is there, and whole builds with a `make` that
//! only pretends, so that they take no time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use workbench::kernels::BUILD_TOOLS;

const WORKBENCH: &str = env!("CARGO_BIN_EXE_workbench");
/// nobody's, everywhere.
const ORDINARY_ID: u32 = 65534;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("kernels_an_empty_cache_is_listed_as_such_with_the_command_that_fills_it", lists_nothing),
        Trial::test("kernels_an_ordinary_user_without_one_is_told_the_command", tells_the_command),
        Trial::test("kernels_without_any_place_for_a_cache_the_variables_are_named", names_the_variables),
        Trial::test("kernels_a_build_without_tools_names_all_of_them_and_what_installs_them", names_missing_tools),
        Trial::test("kernels_a_folder_that_is_no_kernels_source_is_refused_with_the_reason", refuses_a_folder),
        Trial::test("kernels_a_file_that_is_no_archive_is_refused_and_leaves_nothing", refuses_a_file),
        Trial::test("kernels_a_program_that_is_no_kernel_is_not_added", refuses_a_program),
        Trial::test("kernels_a_tree_that_would_have_to_be_changed_is_refused_and_stays_as_it_is", refuses_to_mend),
        Trial::test("kernels_a_build_is_kept_shown_not_repeated_and_removed", builds_once),
        Trial::test("kernels_a_users_tree_is_only_read", only_reads),
        Trial::test("kernels_a_configuration_that_lacks_what_is_needed_ends_before_compiling", refuses_a_configuration),
        Trial::test("kernels_a_build_that_fails_shows_its_last_lines_and_leaves_nothing", tells_failure),
        Trial::test("kernels_an_interrupted_build_leaves_no_process_and_no_file", leaves_nothing),
    ]
}

fn check(condition: bool, found: &dyn std::fmt::Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("found {found:#?}").into()) }
}

/// An output with its texts readable.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What a pretended `make linux` does after its first line of output.
enum Make {
    Succeeds,
    Fails,
    /// Starts a process of its own, which holds the FIFO `alive` open until it is killed.
    Hangs,
    /// Configures, and leaves veth out.
    ForgetsVeth,
}

/// A cache, a kernel's source in name, and every tool of a build as a pretence.
struct Room(tempfile::TempDir);

impl Room {
    fn new(make: &Make) -> Self {
        let room = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::set_permissions(room.0.path(), fs::Permissions::from_mode(0o777)).expect("our own folder");
        for (file, text) in [
            ("tree/Makefile", "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 99\nEXTRAVERSION =\n"),
            ("tree/Kconfig", "mainmenu \"Linux\"\n"),
            ("tree/arch/um/Kconfig", "config UML_TIME_TRAVEL_SUPPORT\n"),
            ("tree/arch/um/kernel/time.c", "__setup(\"time-travel-start=\", x);\n"),
        ] {
            room.write(file, text);
        }
        BUILD_TOOLS.iter().for_each(|tool| room.script(tool, "exit 0"));
        room.script("gcc", "echo /usr/lib/crt1.o");
        room.script("strip", "cp $3 $2");
        let compile = match make {
            Make::Succeeds | Make::ForgetsVeth => {
                "printf '#!/bin/sh\\necho 6.12.99\\n' >$out/linux; chmod 755 $out/linux"
            }
            Make::Fails => "seq -f 'complaint %g' 30; exit 2",
            Make::Hangs => "(exec 9>$here/../alive; exec sleep 1000) & wait",
        };
        let forget = if matches!(make, Make::ForgetsVeth) { "| grep -v VETH" } else { "" };
        room.script(
            "make",
            &format!(
                "for word; do case $word in O=*) out=${{word#O=}};; KCONFIG_ALLCONFIG=*) fragment=${{word#*=}};; esac; done\n\
                 for word; do case $word in allnoconfig) cat $fragment {forget} >$out/.config;; \
                 linux) echo '  CC      init/main.o'; {compile};; esac; done"
            ),
        );
        room
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }

    fn script(&self, name: &str, body: &str) {
        let path = format!("bin/{name}");
        self.write(&path, &format!("#!/bin/sh\nhere={}\n{body}\n", self.at("bin").display()));
        fs::set_permissions(self.at(&path), fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(WORKBENCH);
        command.arg("kernel").args(arguments).stdin(Stdio::null());
        command.env("WORKBENCH_CACHE", self.at("cache"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display()));
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        told(&self.command(arguments).output().expect("the workbench"))
    }

    fn build(&self) -> (Option<i32>, String, String) {
        self.run(&["build", "--hz", "250", "--source", &self.at("tree").display().to_string()])
    }

    /// Everything below the cache, hidden or not.
    fn cached(&self) -> Vec<PathBuf> {
        files(&self.at("cache")).into_keys().collect()
    }
}

/// Every file below a folder, and what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            found.insert(path, vec![]);
        } else if let Ok(content) = fs::read(&path) {
            found.insert(path, content);
        }
    }
    found.remove(folder);
    found
}

fn lists_nothing() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    let told = room.run(&["list"]);
    check(told.0 == Some(0) && told.1.contains("no kernel in ") && told.1.contains("`workbench kernel build`"), &told)
}

fn tells_the_command() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    // The build's own folder may be closed to others; a copy is not.
    fs::copy(WORKBENCH, room.at("workbench"))?;
    let mut command = Command::new(room.at("workbench"));
    command.args(["kernel", "show"]).env_remove("WORKBENCH_CACHE").env_remove("XDG_CACHE_HOME");
    command.env("HOME", room.at("home"));
    if nix::unistd::geteuid().is_root() {
        command.uid(ORDINARY_ID).gid(ORDINARY_ID);
    }
    let told = told(&command.output()?);
    let expected = "workbench: the virtual engine needs a User-Mode Linux kernel, and there is none in \
                    ~/.cache/workbench/kernels; `workbench kernel build` makes one (about 5 minutes)\n";
    check(told.0 == Some(3) && told.2 == expected, &told)
}

fn names_the_variables() -> Result<(), Failed> {
    let output = Command::new(WORKBENCH).args(["kernel", "list"]).env_clear().output()?;
    let told = told(&output);
    let names = ["WORKBENCH_CACHE", "XDG_CACHE_HOME", "HOME"];
    check(told.0 == Some(3) && names.iter().all(|name| told.2.contains(name)), &told)
}

fn names_missing_tools() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    fs::create_dir(room.at("empty"))?;
    let tree = room.at("tree").display().to_string();
    let mut command = room.command(&["build", "--source", &tree]);
    let told = told(&command.env("PATH", room.at("empty")).output()?);
    let expected =
        "make, gcc, flex, bison, bc, xz, ld, perl, tar, libc headers; `workbench doctor --fix` installs them";
    check(told.0 == Some(3) && told.2.contains(expected) && room.cached().is_empty(), &told)
}

fn refuses_a_folder() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    let told = room.run(&["build", "--source", &room.at("bin").display().to_string()]);
    check(told.0 == Some(2) && told.2.contains("expected the top of a kernel's source tree"), &told)
}

fn refuses_a_file() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    fs::remove_file(room.at("bin/tar"))?;
    room.write("notes.txt", "no archive\n");
    let told = room.run(&["build", "--source", &room.at("notes.txt").display().to_string()]);
    check(told.0 == Some(2) && told.2.contains("notes.txt cannot be built: expected a source tree"), &told)?;
    check(room.cached().is_empty(), &room.cached())
}

fn refuses_a_program() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    let script = room.at("bin/make").display().to_string();
    for (program, reason) in [
        (script.as_str(), "expected an ELF program"),
        (WORKBENCH, "expected a release such as 6.12.117 from `--version`, and it says \"workbench "),
    ] {
        let told = room.run(&["add", program]);
        check(told.0 == Some(2) && told.2.contains(reason) && room.cached().is_empty(), &told)?;
    }
    Ok(())
}

fn refuses_to_mend() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    room.write("tree/arch/um/kernel/time.c", "__setup(\"time-travel-start\", x);\n");
    let before = files(&room.at("tree"));
    let told = room.build();
    check(told.0 == Some(2) && told.2.contains("this tree is yours and is not changed"), &told)?;
    check(files(&room.at("tree")) == before && room.cached().is_empty(), &room.cached())
}

fn builds_once() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    let told = room.build();
    check(told.0 == Some(0) && told.1.starts_with("built in ") && told.1.contains("6.12.99@250"), &told)?;
    let cached = room.cached();
    check(cached.len() == 4 && cached[3].ends_with("linux") && cached[2].ends_with("kernel.json"), &cached)?;
    let told = room.run(&["list"]);
    check(told.1.starts_with("6.12.99@250  current configuration") && told.1.lines().count() == 1, &told)?;
    let told = room.run(&["show"]);
    check(told.0 == Some(0) && told.1.contains("release   6.12.99") && told.1.contains("/tree\n"), &told)?;
    let told = room.build();
    check(told.0 == Some(0) && told.1.starts_with("here already: 6.12.99@250"), &told)?;
    let told = room.run(&["remove", "6.12.98@250"]);
    check(told.0 == Some(3) && told.2.contains("there is 6.12.99@250"), &told)?;
    let told = room.run(&["remove", "6.12.99@250"]);
    check(told.0 == Some(0) && room.cached() == [room.at("cache/kernels")], &(told, room.cached()))
}

fn only_reads() -> Result<(), Failed> {
    let room = Room::new(&Make::Succeeds);
    let before = files(&room.at("tree"));
    let told = room.build();
    check(told.0 == Some(0), &told)?;
    check(files(&room.at("tree")) == before, &files(&room.at("tree")))
}

fn refuses_a_configuration() -> Result<(), Failed> {
    let room = Room::new(&Make::ForgetsVeth);
    let told = room.build();
    check(told.0 == Some(2) && told.2.contains("cannot do without: expected CONFIG_VETH=y\n"), &told)?;
    check(!told.2.contains("compiling") && room.cached().is_empty(), &(told, room.cached()))
}

fn tells_failure() -> Result<(), Failed> {
    let room = Room::new(&Make::Fails);
    let told = room.build();
    let complaints: Vec<&str> = told.2.lines().filter(|line| line.contains("complaint")).map(str::trim).collect();
    check(told.0 == Some(3) && complaints.len() == 20 && complaints.last() == Some(&"complaint 30"), &told)?;
    check(room.cached().is_empty(), &room.cached())
}

fn leaves_nothing() -> Result<(), Failed> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let room = Room::new(&Make::Hangs);
        nix::unistd::mkfifo(&room.at("alive"), nix::sys::stat::Mode::S_IRWXU)?;
        let tree = room.at("tree").display().to_string();
        let mut command = room.command(&["build", "--source", &tree]);
        let workbench = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Opens when a process of the build has it open as well, ends when the last of these has ended.
        let mut alive = fs::File::open(room.at("alive"))?;
        kill(Pid::from_raw(workbench.id() as i32), signal)?;
        alive.read_to_end(&mut Vec::new())?;
        let told = told(&workbench.wait_with_output()?);
        check(told.0 == Some(130) && told.2.contains("interrupted"), &(signal, told))?;
        check(room.cached().is_empty(), &(signal, room.cached()))?;
    }
    Ok(())
}
