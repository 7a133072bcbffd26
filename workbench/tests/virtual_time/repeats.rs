//! Every repeat is the same, byte for byte: one after the other, side by side, and on a machine that does other work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use libtest_mimic::{Completion, Failed, Trial};

use crate::support::virtual_engine::{evidence, virtual_engine, virtual_trial};
use crate::support::{scratch, texts};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("virtual_repeats_one_by_one_side_by_side_and_under_load_are_identical_byte_by_byte", identical),
        virtual_trial("virtual_another_seed_makes_other_randomness_and_is_in_the_evidence", seeds),
    ]
}

/// What is made of a run: what must not differ in a single byte.
const FILES: [&str; 5] = ["evidence.json", "packets.pcapng", "trace.json", "calls.strace", "timeline.txt"];

fn identical() -> Result<Completion, Failed> {
    // Runs of one scenario, by file: each content with how often it was seen.
    let mut seen: BTreeMap<(String, String), BTreeMap<Vec<u8>, u32>> = BTreeMap::new();
    let mut printed: BTreeMap<String, u32> = BTreeMap::new();
    for (jobs, is_loaded) in [("1", false), ("4", false), ("2", true)] {
        let load = is_loaded.then(Load::start).transpose()?;
        let folder = scratch();
        let mut command = virtual_engine()?;
        command.args(["scenarios/tools/connect-timeout.kdl", "--no-snapshot", "--format", "json", "--repeat", "4"]);
        let output = command.args(["--jobs", jobs, "--artifacts"]).arg(folder.path()).output()?;
        drop(load);
        let (out, err) = texts(&output);
        if !output.status.success() {
            return Err(format!("{out}{err}").into());
        }
        for line in out.lines() {
            *printed.entry(without_folder(line, folder.path())).or_default() += 1;
        }
        for run in runs(&folder.path().join("connect-timeout")) {
            let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = name.rsplit_once('-').map_or(name.as_str(), |(name, _)| name);
            for file in FILES {
                let content = fs::read(run.join(file))?;
                *seen.entry((name.to_owned(), file.to_owned())).or_default().entry(content).or_default() += 1;
            }
        }
    }
    let is_one = |versions: &BTreeMap<Vec<u8>, u32>| versions.values().collect::<Vec<_>>() == [&12];
    let wrong: Vec<_> =
        seen.iter().filter(|(_, versions)| !is_one(versions)).map(|(file, v)| (file, v.len())).collect();
    if seen.len() != 4 * FILES.len() || !wrong.is_empty() {
        return Err(format!("{} files, of which these came in several versions: {wrong:?}", seen.len()).into());
    }
    match printed.values().all(|count| *count == 12) && printed.len() == 4 {
        true => Ok(Completion::Completed),
        false => Err(format!("printed: {printed:#?}").into()),
    }
}

/// What a run prints names the folder in which it was kept, and which repeat it was.
fn without_folder(line: &str, folder: &Path) -> String {
    let Some((before, after)) = line.split_once(&*folder.display().to_string()) else { return line.to_owned() };
    let rest = after.split_once('"').map_or("", |(_, rest)| rest);
    format!("{before}{rest}")
}

fn runs(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Two processes that compute, until dropped.
struct Load([Child; 2]);

impl Load {
    fn start() -> std::io::Result<Self> {
        let compute = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Ok(Self([compute()?, compute()?]))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn seeds() -> Result<Completion, Failed> {
    let text = r#"
namespace client
run run in=client sh -c "head -c 16 /dev/urandom | od -An -tx1"
"#;
    let run = |seed| evidence(text, seed);
    let [first, again, other] = [run(1)?, run(1)?, run(2)?];
    assert_eq!(first.output.stdout.len(), 49, "16 bytes in hexadecimal: {:?}", first.output);
    assert_eq!(first.output.stdout, again.output.stdout);
    assert!(first.calls == again.calls, "the same output, but other calls");
    assert_ne!(first.output.stdout, other.output.stdout);
    assert_eq!(other.machine.guest.map(|guest| guest.seed), Some(2));
    Ok(Completion::Completed)
}
