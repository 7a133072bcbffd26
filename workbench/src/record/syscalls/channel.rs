//! The pipe from the tracer to the agent: frames of JSON, each with its length in front.
//!
//! The tracer must never wait for the agent: a command that is stopped meanwhile would be late. What the pipe does not
//! take at once stays in memory until it does.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};

use super::TraceEvent;

/// Room asked of the kernel for the pipe: what an ordinary user may have (fs.pipe-max-size, pipe(7)).
const PIPE_BYTES: i32 = 1 << 20;

/// What goes through the pipe.
#[derive(Debug, Serialize, Deserialize)]
pub enum Frame {
    /// Something was seen.
    Event(TraceEvent),
    /// The command could not be prepared; nothing follows.
    SetupFailed {
        /// What failed, as a phrase: `enter the network namespace`.
        step: String,
        /// The errno's name.
        errno: String,
    },
}

/// Makes the pipe: both ends close-on-exec and non-blocking.
pub fn pipe() -> io::Result<(FrameReader, FrameWriter)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    // A smaller pipe only means that more stays in memory for a while.
    let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok((
        FrameReader { pipe: File::from(read), buffer: Vec::new() },
        FrameWriter { pipe: File::from(write), queue: VecDeque::new() },
    ))
}

/// The tracer's end.
#[derive(Debug)]
pub struct FrameWriter {
    pipe: File,
    queue: VecDeque<u8>,
}

impl FrameWriter {
    /// Adds a frame; nothing is written before [`Self::flush`].
    pub fn push(&mut self, frame: &Frame) -> io::Result<()> {
        let body = serde_json::to_vec(frame)?;
        let len = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.queue.extend(len.to_ne_bytes());
        self.queue.extend(body);
        Ok(())
    }

    /// Writes what the pipe takes now.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            match self.pipe.write(self.queue.as_slices().0) {
                Ok(count) => drop(self.queue.drain(..count)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes everything, however long the agent takes.
    pub fn finish(mut self) -> io::Result<()> {
        fcntl(&self.pipe, FcntlArg::F_SETFL(OFlag::empty()))?;
        self.flush()
    }

    /// Whether something waits for room in the pipe.
    pub fn is_backed_up(&self) -> bool {
        !self.queue.is_empty()
    }
}

impl AsFd for FrameWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// The agent's end.
#[derive(Debug)]
pub struct FrameReader {
    pipe: File,
    buffer: Vec<u8>,
}

/// What there was to read.
#[derive(Debug)]
pub struct Received {
    /// Whole frames.
    pub frames: Vec<Frame>,
    /// The tracer is gone and nothing follows.
    pub is_end: bool,
}

impl FrameReader {
    /// Reads what is there, without waiting.
    pub fn receive(&mut self) -> io::Result<Received> {
        let mut chunk = [0; 64 * 1024];
        let is_end = loop {
            match self.pipe.read(&mut chunk) {
                Ok(0) => break true,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
                Err(e) => return Err(e),
            }
        };
        let mut frames = Vec::new();
        let mut rest = &self.buffer[..];
        while let Some((len, body)) = rest.split_first_chunk() {
            let Some((body, after)) = body.split_at_checked(u32::from_ne_bytes(*len) as usize) else { break };
            frames.push(serde_json::from_slice(body)?);
            rest = after;
        }
        let consumed = self.buffer.len() - rest.len();
        self.buffer.drain(..consumed);
        Ok(Received { frames, is_end })
    }
}

impl AsFd for FrameReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Makes the gate that holds the command until it is released: reading end for the tracer, writing end for the agent.
pub fn gate() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(monotonic_ns: i64) -> Frame {
        Frame::Event(TraceEvent::Started { monotonic_ns })
    }

    fn stamps(received: &Received) -> Vec<i64> {
        let stamp = |frame: &Frame| match frame {
            Frame::Event(TraceEvent::Started { monotonic_ns }) => *monotonic_ns,
            other => panic!("not what was sent: {other:?}"),
        };
        received.frames.iter().map(stamp).collect()
    }

    #[test]
    fn what_a_full_pipe_does_not_take_waits_in_memory_and_nothing_is_lost() {
        let (mut reader, mut writer) = pipe().unwrap();
        for i in 0..50_000 {
            writer.push(&event(i)).unwrap();
            writer.flush().unwrap();
        }
        assert!(writer.is_backed_up(), "50,000 frames fit into the pipe");
        let mut seen = Vec::new();
        while writer.is_backed_up() {
            seen.extend(stamps(&reader.receive().unwrap()));
            writer.flush().unwrap();
        }
        writer.finish().unwrap();
        let last = reader.receive().unwrap();
        seen.extend(stamps(&last));
        assert!(last.is_end);
        assert_eq!(seen, (0..50_000).collect::<Vec<i64>>());
    }

    #[test]
    fn half_a_frame_waits_for_its_other_half() {
        let (mut reader, mut writer) = pipe().unwrap();
        writer.push(&event(7)).unwrap();
        let rest = writer.queue.split_off(9);
        writer.flush().unwrap();
        assert!(reader.receive().unwrap().frames.is_empty());
        writer.queue = rest;
        writer.flush().unwrap();
        assert_eq!(stamps(&reader.receive().unwrap()), [7]);
    }
}
