//! A program in a session of its own. Starts nothing by itself.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::fork::default_signals;

/// Makes what `command` starts the leader of a session, out of the reach of a terminal, with every signal as by default.
pub fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and execve only setsid(2) and rt_sigaction(2) are called, both async-signal-safe; nothing is
    // allocated and no lock is taken.
    unsafe {
        command.pre_exec(|| {
            default_signals();
            nix::unistd::setsid().map(drop).map_err(Into::into)
        })
    }
}
