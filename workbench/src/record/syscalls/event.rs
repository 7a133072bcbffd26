//! What the tracer reports to the agent.

use serde::{Deserialize, Serialize};

use crate::evidence::{Call, Ending, Process, Signal};

/// One thing the tracer saw. All stamps in it are absolute CLOCK_MONOTONIC nanoseconds: whoever keeps them subtracts
/// [`TraceEvent::Started`]'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceEvent {
    /// The command was let go, at the entry of its `execve`. Always the first event.
    Started {
        /// When: the zero of the run.
        monotonic_ns: i64,
    },
    /// A system call returned, or its thread is gone and it never will. In the order of returns; `seq` has the order of
    /// entries.
    Call(Call),
    /// A signal was delivered.
    Signal(Signal),
    /// A thread appeared, made a successful `execve`, or is gone. A later record of the same `tid` and `start_ns`
    /// replaces the earlier one.
    Process(Process),
    /// A process makes system calls of another architecture (a 32-bit program): they run, but are not recorded.
    ForeignArchitecture {
        /// Process id in the lab.
        pid: u32,
        /// `AUDIT_ARCH_*` (linux/audit.h).
        arch: u32,
        /// When it was first seen.
        monotonic_ns: i64,
    },
    /// A process uses an io_uring that is not read: operations and timeouts may be missing.
    HiddenRing {
        /// Process id in the lab.
        pid: u32,
        /// Why not, in words that go on from "an io_uring ".
        why: String,
        /// When that was first seen.
        monotonic_ns: i64,
    },
    /// The command could not be executed. The last event.
    ExecFailed {
        /// The errno's name: `ENOENT`, `EACCES`, `ENOEXEC`.
        errno: String,
        /// When.
        monotonic_ns: i64,
    },
    /// The command itself is gone. What it left behind may still run, and is still traced.
    MainEnded {
        /// When.
        monotonic_ns: i64,
        /// [`Ending::Exit`] or [`Ending::Signal`].
        how: Ending,
    },
}
