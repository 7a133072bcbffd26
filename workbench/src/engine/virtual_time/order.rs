//! What a launcher is told to do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::Job;

/// The kernel of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// The program that User-Mode Linux is.
    pub image: PathBuf,
    /// Its release, as it says it: `6.12.117`.
    pub release: String,
    /// Its ticks in a second.
    pub hz: u64,
    /// Major and minor version: what its command line understands depends on it.
    pub version: (u32, u32),
}

impl Kernel {
    /// Whether it can run its processes under seccomp instead of ptrace, which is faster
    /// (`seccomp=` in arch/um/os-Linux/start_up.c, since 6.16).
    pub fn has_seccomp(&self) -> bool {
        self.version >= (6, 16)
    }
}

/// A run of a virtual machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What its agent is to do; `guest` is there.
    pub job: Job,
    /// Versions of programs that are known already; not in the job, which is the same in every repeat.
    pub known_tools: BTreeMap<String, String>,
    /// The kernel.
    pub kernel: Kernel,
    /// The processor that it may use. A machine and its processes take turns; on two processors each system call waits
    /// for a wake-up of the other one, which makes it 13 to 19 times slower.
    pub cpu: Option<usize>,
    /// Processor time that all its programs may use together.
    pub programs_at_most_ns: u64,
}
