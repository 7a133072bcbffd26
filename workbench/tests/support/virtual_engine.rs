//! Runs in virtual time, for tests of what a kernel does that this machine's own cannot do, or not so fast, or not so
//! often the same.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::Evidence;
use workbench::kernels;

use super::{scenario, scratch, texts, workbench};

/// `workbench run --engine virtual`, to be given scenarios and options, or why there is no such engine here.
pub fn virtual_engine() -> Result<Command, String> {
    kernels::select(None, kernels::host_hz()).map_err(|e| e.to_string())?;
    let mut command = workbench();
    command.args(["run", "--engine", "virtual"]);
    Ok(command)
}

/// A trial that needs the virtual engine: skipped, with the reason, where there is none. The body says why it skips, if
/// the kernel lacks what it needs.
pub fn virtual_trial(name: impl Into<String>, body: fn() -> Result<Completion, Failed>) -> Trial {
    Trial::ignorable_test(name, move || match virtual_engine() {
        Err(why) => Ok(Completion::ignored_with(why)),
        Ok(_) => body(),
    })
}

/// The evidence of the only run of a scenario, with all the machine's randomness made from `seed`.
pub fn evidence(text: &str, seed: u64) -> Result<Evidence, Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "virtual.kdl", text);
    let mut command = virtual_engine()?;
    command.args(["--no-snapshot", "--seed", &seed.to_string(), "--artifacts"]).arg(folder.path()).arg(&file);
    let output = command.output()?;
    let path = folder.path().join("virtual/run/evidence.json");
    read(&path).map_err(|e| {
        let (out, err) = texts(&output);
        format!("{text}\n{e}\n{out}{err}").into()
    })
}

/// Kept evidence.
pub fn read(path: &Path) -> Result<Evidence, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}
