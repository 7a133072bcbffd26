//! A program in a session of its own, or as somebody else. Starts nothing by itself.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

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

/// Who `nobody` is; the kernel's overflow id, too.
const NOBODY: &[u8] = b"65534 0 1";

/// Makes what `command` starts `nobody` where only root exists: in a user namespace of its own, in which the same id has
/// another number. The kernel takes all capabilities away at execve(2), and the program knows that it has none to give up.
pub fn as_nobody(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and execve only unshare(2), openat(2), write(2) and close(2) are called, all async-signal-safe;
    // nothing is allocated (nix copies short paths to the stack) and no lock is taken.
    unsafe {
        command.pre_exec(|| {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            for path in [c"/proc/self/uid_map", c"/proc/self/gid_map"] {
                let map = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
                nix::unistd::write(&map, NOBODY)?;
            }
            Ok(())
        })
    }
}
