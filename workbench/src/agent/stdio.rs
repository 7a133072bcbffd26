//! The command's descriptors 0, 1 and 2: what it reads, and what it writes, kept up to a limit.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use crate::evidence::Output;
use crate::plan::StdinPlan;

/// A pipe takes this much before a writer blocks (pipe(7)).
const PIPE_CAPACITY_BYTES: usize = 64 * 1024;

/// More than any pipe holds (`/proc/sys/fs/pipe-max-size` is 1 MiB).
const TAKEN_AT_ONCE_BYTES: usize = 2 << 20;

/// The command's standard input, and what keeps it open.
pub struct Stdin {
    /// Goes to the command.
    pub fd: OwnedFd,
    /// The other end of a pipe that never says anything; end of file when dropped.
    pub held_open: Option<OwnedFd>,
}

impl Stdin {
    /// Opens what `plan` says. Files are opened by the name they have outside the lab, so this comes before the lab's
    /// private file system is made.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn open(plan: &StdinPlan) -> io::Result<Self> {
        let (fd, held_open) = match plan {
            StdinPlan::Empty => (File::open("/dev/null")?.into(), None),
            StdinPlan::Silent => {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                (read, Some(write))
            }
            StdinPlan::Text(text) if text.len() <= PIPE_CAPACITY_BYTES => {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                File::from(write).write_all(text.as_bytes())?;
                (read, None)
            }
            StdinPlan::Text(text) => {
                let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?);
                file.write_all(text.as_bytes())?;
                file.rewind()?;
                (file.into(), None)
            }
            StdinPlan::File(path) => (File::open(path)?.into(), None),
        };
        Ok(Self { fd, held_open })
    }
}

/// One of the command's output streams: the reading end, and what came so far.
pub struct Stream {
    pipe: Option<File>,
    kept: Vec<u8>,
    discarded_bytes: u64,
}

impl Stream {
    /// Makes a pipe; returns the stream and the command's end.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn open() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { pipe: Some(read.into()), kept: Vec::new(), discarded_bytes: 0 }, write))
    }

    /// To poll for reading; `None` after end of file.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// What came and is kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Takes what is there, or [`TAKEN_AT_ONCE_BYTES`] of it: a writer that never pauses must not keep the reader here.
    ///
    /// # Errors
    ///
    /// What the kernel said, `WouldBlock` excepted.
    pub fn drain(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut chunk = [0; 16 * 1024];
        for _ in 0..TAKEN_AT_ONCE_BYTES / chunk.len() {
            match pipe.read(&mut chunk) {
                Ok(0) => {
                    self.pipe = None;
                    return Ok(());
                }
                Ok(n) => {
                    let room = Output::LIMIT_BYTES.saturating_sub(self.kept.len()).min(n);
                    self.kept.extend_from_slice(&chunk[..room]);
                    self.discarded_bytes += (n - room) as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Both streams as evidence.
pub fn output(stdout: Stream, stderr: Stream) -> Output {
    Output {
        discarded_bytes: stdout.discarded_bytes + stderr.discarded_bytes,
        stdout: stdout.kept,
        stderr: stderr.kept,
    }
}
