//! What the integration tests share: the built binary, scratch folders, and the probe for namespaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use libtest_mimic::{Completion, Failed, Trial};

pub mod capture;
pub mod deadlines;
pub mod namespace;
pub mod network;
pub mod virtual_engine;

/// The built binary.
pub fn workbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workbench"));
    command.env_remove("CI").current_dir(root());
    command
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A scratch folder outside `/tmp`, which a lab hides; removed when dropped.
pub fn scratch() -> tempfile::TempDir {
    let below = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&below).expect("the target's scratch folder can be made");
    tempfile::tempdir_in(below).expect("a scratch folder can be made")
}

/// Writes a scenario into a folder and returns its path.
pub fn scenario(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a scenario can be written");
    path
}

/// Standard output and standard error as text.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Why labs cannot be built here, if they cannot: the words of a lab that was tried.
pub fn no_labs() -> Option<&'static str> {
    static PROBE: OnceLock<Option<String>> = OnceLock::new();
    PROBE
        .get_or_init(|| {
            let output = workbench()
                .args(["run", "--no-snapshot", "workbench/benches/true.kdl"])
                .output()
                .expect("the binary can be started");
            (!output.status.success()).then(|| format!("no labs here: {}", texts(&output).1))
        })
        .as_deref()
}

/// A trial that needs labs: skipped, with the reason, where there are none.
pub fn lab_trial(name: &'static str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::ignorable_test(name, move || match no_labs() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => body().map(|()| Completion::Completed),
    })
}
