//! Process 1 of a virtual machine: hands the agent its job, hands out what the agent says, and switches the machine off.
//!
//! It carries nothing out itself. The engine has handed the machine one folder of the host, as descriptor
//! [`FOLDER_FD`] of the process that *is* the machine; hostfs opens it by that number, so that no name of it stands on
//! the kernel's command line, which is mixed into the kernel's randomness.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2};

use super::Job;
use crate::sys::fork::{self, Forked, fork};
use crate::sys::random::{SEED_BYTES, credit};

/// The number that the engine gives the folder's descriptor.
pub const FOLDER_FD: i32 = 9;

/// What the engine puts into the folder: the job, one line of JSON.
pub const JOB_FILE: &str = "job.json";

/// What it finds there afterwards, made beforehand: the outcome, one line of JSON.
pub const OUTCOME_FILE: &str = "outcome.json";

/// And what earlier runs have told of programs' versions, as JSON. It is read after the run, through descriptor
/// [`KNOWN_TOOLS_FD`]: where the agent keeps its memory depends on what it has read, and shows in addresses.
pub const KNOWN_TOOLS_FILE: &str = "known-tools.json";

/// Its descriptor in the agent, which has but a few when it starts.
pub(super) const KNOWN_TOOLS_FD: i32 = 100;

/// Where the folder is mounted for as long as it takes to open both files. Every distribution has it, and a lab hides
/// what is there.
const MOUNT_POINT: &str = "/tmp";

/// Is process 1: runs `agent` in a process of its own, with the job on standard input, and passes on the line that it
/// writes to standard output. `agent` gets the id of the process that must outlive it. Comes back only in the agent's
/// process, with its exit code, or with what went wrong: then the kernel panics, and the engine reads why.
///
/// # Errors
///
/// What was tried and what the kernel said.
pub fn init(agent: impl FnOnce(i32) -> u8) -> Result<u8, String> {
    if std::process::id() != 1 {
        return Err("expected to be process 1 of a virtual machine; only its kernel starts this".to_owned());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(failed("mount /proc"))?;
    let (job_file, known_tools, mut outcome) = open_folder().map_err(failed("open the folder of job and outcome"))?;
    let job: Job = serde_json::from_reader(BufReader::new(&job_file)).map_err(failed("read the job"))?;
    let guest = job.guest.ok_or_else(|| "expected a job for a virtual machine, found one for the host".to_owned())?;
    seed_randomness(guest.seed).map_err(failed("seed the random number generator"))?;
    std::env::set_current_dir(&guest.cwd).map_err(failed("change to the scenario's folder"))?;
    let (line_read, line_write) = pipe2(OFlag::O_CLOEXEC).map_err(failed("make a pipe"))?;
    match fork().map_err(failed("fork"))? {
        Forked::Child => {
            take_streams(job_file, line_write, known_tools).map_err(failed("set up the agent's streams"))?;
            Ok(agent(1))
        }
        Forked::Parent(_) => {
            drop(line_write);
            let mut line = Vec::new();
            BufReader::new(File::from(line_read)).read_until(b'\n', &mut line).map_err(failed("hear the agent"))?;
            outcome.write_all(&line).and_then(|()| outcome.sync_all()).map_err(failed("write the outcome"))?;
            reboot(RebootMode::RB_POWER_OFF).map_err(failed("switch the machine off"))?;
            Err("the machine was switched off and runs on".to_owned())
        }
    }
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("cannot {what}: {error}")
}

/// The files of the job and of known tools, to read, and the outcome's, to write.
fn open_folder() -> io::Result<(File, File, File)> {
    let folder = format!("/proc/self/fd/{FOLDER_FD}");
    // Not this machine's /proc: hostfs hands the path to the host, where it means the machine's own process.
    mount(Some("none"), MOUNT_POINT, Some("hostfs"), MsFlags::empty(), Some(folder.as_str()))?;
    let job = File::open(format!("{MOUNT_POINT}/{JOB_FILE}"));
    let known_tools = File::open(format!("{MOUNT_POINT}/{KNOWN_TOOLS_FILE}"));
    let outcome = OpenOptions::new().write(true).open(format!("{MOUNT_POINT}/{OUTCOME_FILE}"));
    umount2(MOUNT_POINT, MntFlags::MNT_DETACH)?;
    Ok((job?, known_tools?, outcome?))
}

/// Standard input is the job, output the pipe; what is said to standard error is for the kernel's log.
fn take_streams(mut job: File, line: OwnedFd, known_tools: File) -> io::Result<()> {
    io::Seek::rewind(&mut job)?;
    dup2_stdin(&job)?;
    fork::keep_as(known_tools, KNOWN_TOOLS_FD)?;
    dup2_stdout(&line)?;
    dup2_stderr(
        &OpenOptions::new()
            .write(true)
            .open("/dev/kmsg")
            .or_else(|_| OpenOptions::new().write(true).open("/dev/null"))?,
    )?;
    Ok(())
}

/// What earlier runs have told of programs' versions; nothing on the host engine.
pub(super) fn known_tools() -> BTreeMap<String, String> {
    let text = std::fs::read(format!("/proc/self/fd/{KNOWN_TOOLS_FD}")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Without a seed, the first that asks for randomness waits a second for the kernel to gather some.
fn seed_randomness(seed: u64) -> io::Result<()> {
    let mut bytes = [0; SEED_BYTES];
    let mut state = seed;
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&split_mix(&mut state).to_le_bytes());
    }
    credit(&OpenOptions::new().write(true).open("/dev/random")?, bytes)
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), which makes many different
/// words of one number.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::split_mix;

    #[test]
    fn the_seeds_words_are_those_of_splitmix64() {
        let mut state = 1_234_567;
        let words = [split_mix(&mut state), split_mix(&mut state)];
        assert_eq!(words, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
