//! Processes and threads of the command and of socket programs, and the signals they got.

use serde::{Deserialize, Serialize};

/// One thread of the command's process tree, or of a socket program. A process is the thread whose `tid` equals its `pid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the lab.
    pub pid: u32,
    /// Thread id in the lab.
    pub tid: u32,
    /// Who made it; 0 for the command itself and for socket programs.
    pub parent_tid: u32,
    /// The socket program that it carries out, where it does; `None` for the command and what that starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Program and arguments of its last successful `execve`, inherited where it made none.
    pub argv: Vec<String>,
    /// When it appeared, since zero.
    pub start_ns: i64,
    /// When it was gone; `None` if it was still there when the run ended.
    pub end_ns: Option<i64>,
    /// Exit code, if it exited.
    pub exit_code: Option<i32>,
    /// Signal that killed it, by name.
    pub killed_by: Option<String>,
}

/// A signal as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// When, since zero.
    pub t_ns: i64,
    /// Process it was delivered to.
    pub pid: u32,
    /// Thread it was delivered to.
    pub tid: u32,
    /// Name: `SIGALRM`.
    pub name: String,
    /// Where it came from, `si_code` by name: `SI_KERNEL`, `SI_USER`, `SI_TIMER`, `CLD_EXITED`, … (sigaction(2)).
    pub code: String,
    /// Sender, for signals that a process sent.
    pub sender_pid: Option<u32>,
    /// Errno of a fault or of a socket, where there is one.
    pub errno: Option<i32>,
}

impl Signal {
    /// Whether it ends no wait of ours: it tells a process about its children, its terminal or its own scheduler, or
    /// the process sent it to itself, which is how the program is written.
    pub fn is_housekeeping(&self) -> bool {
        const HOUSEKEEPING: [&str; 4] = ["SIGCHLD", "SIGCONT", "SIGWINCH", "SIGURG"];
        HOUSEKEEPING.contains(&self.name.as_str()) || self.sender_pid == Some(self.pid)
    }

    /// The calls that may have armed the timer that sent it; none, if no timer did (sigaction(2), `si_code`).
    pub fn armed_by(&self) -> &'static [&'static str] {
        match (self.name.as_str(), self.code.as_str()) {
            ("SIGALRM", "SI_KERNEL") => &["alarm", "setitimer"],
            (_, "SI_TIMER") => &["timer_settime"],
            _ => &[],
        }
    }
}
