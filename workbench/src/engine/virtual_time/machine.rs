//! One User-Mode Linux process: its command line and surroundings, which never vary.
//!
//! The command line is mixed into the kernel's randomness (`random_init_early` in drivers/char/random.c), so nothing
//! that differs from run to run stands on it: the folder and the agent's program are descriptors with fixed numbers.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use super::order::Kernel;
use super::scratch::Scratch;
use crate::agent::FOLDER_FD;
use crate::evidence::TimeTravel;
use crate::sys::machine::{Start, start};

/// The number of this program's descriptor, which the machine runs as its process 1.
const PROGRAM_FD: i32 = 8;

/// The wall clock of every run begins here: 2023-11-14 22:13:20 UTC, a round number of seconds. Without a fixed start
/// the host's time would be mixed into the kernel's randomness.
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    /// The process; its guests' processes are children of it.
    pub pid: Pid,
    console: File,
}

impl Machine {
    /// Starts a machine. Its console is a file in memory: a pipe that nobody empties would make it wait.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn start(
        kernel: &Kernel,
        memory_bytes: u64,
        time_travel: TimeTravel,
        cpu: Option<usize>,
        scratch: &Scratch,
    ) -> io::Result<Self> {
        let console = File::from(memfd_create("console", MFdFlags::MFD_CLOEXEC)?);
        let (null, program) = (File::open("/dev/null")?, File::open("/proc/self/exe")?);
        let text = |text: String| CString::new(text).map_err(io::Error::other);
        let argv = arguments(kernel, memory_bytes, time_travel).into_iter().map(text).collect::<io::Result<_>>()?;
        let env = vec![text("HOME=/".to_owned())?, text(format!("TMPDIR={}", scratch.path().display()))?];
        let pid = start(&Start {
            argv,
            env,
            folder: scratch.as_fd(),
            descriptors: vec![
                (null.as_fd(), 0),
                (console.as_fd(), 1),
                (console.as_fd(), 2),
                (program.as_fd(), PROGRAM_FD),
                (scratch.as_fd(), FOLDER_FD),
            ],
            cpu,
        })?;
        Ok(Self { pid, console })
    }

    /// How much the kernel has said so far, in bytes.
    pub fn console_len(&self) -> u64 {
        self.console.metadata().map_or(0, |metadata| metadata.len())
    }

    /// What the kernel has said so far.
    pub fn console(&mut self) -> String {
        let mut text = Vec::new();
        let _ = self.console.rewind();
        let _ = self.console.read_to_end(&mut text);
        String::from_utf8_lossy(&text).replace('\r', "")
    }
}

fn arguments(kernel: &Kernel, memory_bytes: u64, time_travel: TimeTravel) -> Vec<String> {
    let time_travel = match time_travel {
        TimeTravel::InfCpu => "time-travel=inf-cpu",
        TimeTravel::Basic => "time-travel",
    };
    let mut words = vec![
        kernel.image.display().to_string(),
        time_travel.to_owned(),
        format!("time-travel-start={EPOCH_NS}"),
        format!("mem={}M", memory_bytes >> 20),
        "rootfstype=hostfs".to_owned(),
        "rootflags=/".to_owned(),
        "ro".to_owned(),
        format!("init=/proc/self/fd/{PROGRAM_FD}"),
        "con=null".to_owned(),
        "con0=null,fd:1".to_owned(),
        // The folder is the working folder.
        "uml_dir=.".to_owned(),
        "umid=machine".to_owned(),
        "quiet".to_owned(),
        "norandmaps".to_owned(),
    ];
    if kernel.has_seccomp() {
        words.push("seccomp=on".to_owned());
    }
    words.extend(["--".to_owned(), "guest".to_owned()]);
    words
}
