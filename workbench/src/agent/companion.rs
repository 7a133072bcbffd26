//! A process beside the command: started in a host, its output kept up to a limit, its end noticed. Not traced.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{fs, io, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use super::clock::monotonic_ns;
use super::coarse_clock::CoarseClock;
use super::stdio::{Stream, output};
use crate::evidence::{Ending, Output};
use crate::sys::{pidfd, session};

/// A file or a listening socket announces itself to nobody, so it is looked for this often; only before zero.
const LOOK_NS: i64 = 10_000_000;

/// TCP_LISTEN in the kernel's include/net/tcp_states.h, as /proc/net/tcp prints it.
const LISTEN: &str = "0A";

/// How a companion is started.
pub struct Start<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Whether it is root in the lab, and not `nobody`.
    pub is_root: bool,
    /// Whether its coarse clocks stand still while it computes.
    pub is_in_virtual_time: bool,
    /// The whole environment.
    pub env: &'a BTreeMap<String, String>,
    /// Working directory.
    pub cwd: &'a Path,
    /// Where it runs.
    pub netns: BorrowedFd<'a>,
    /// What it believes its host is called.
    pub hostname: &'a str,
}

/// What a wait came to.
pub enum Waited {
    /// What was waited for is there.
    Ready,
    /// The process is not.
    Ended(Ending),
    /// Neither, in time.
    Late,
}

/// A process beside the command.
pub struct Companion {
    child: Child,
    /// Readable at its end; a kernel before 5.3 has none, and then the end is noticed with whatever else happens.
    pidfd: Option<OwnedFd>,
    stdout: Stream,
    stderr: Stream,
    coarse_clock: Option<CoarseClock>,
    ended: Option<(i64, Ending)>,
}

impl Companion {
    /// Starts it, with nothing to read.
    ///
    /// # Errors
    ///
    /// What the kernel said, of its `execve` too.
    pub fn start(start: &Start<'_>) -> io::Result<Self> {
        let (stdout, stdout_fd) = Stream::open()?;
        let (stderr, stderr_fd) = Stream::open()?;
        let mut command = Command::new(&start.argv[0]);
        command.args(&start.argv[1..]).env_clear().envs(start.env).current_dir(start.cwd);
        command.stdin(Stdio::null()).stdout(stdout_fd).stderr(stderr_fd);
        session::in_own_session(&mut command);
        if !start.is_root {
            session::as_nobody(&mut command);
        }
        // Namespaces belong to threads, and a new process takes those of the thread that makes it (namespaces(7)).
        let (child, coarse_clock) = thread::scope(|scope| {
            let spawn = || {
                setns(start.netns, CloneFlags::CLONE_NEWNET)?;
                // The name is a nicety, as for the command.
                if unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
                    let _ = nix::unistd::sethostname(start.hostname);
                }
                let coarse_clock = start.is_in_virtual_time.then(CoarseClock::for_this_thread).transpose()?;
                command.spawn().map(|child| (child, coarse_clock))
            };
            scope.spawn(spawn).join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
        })?;
        let pidfd = pidfd::open(Pid::from_raw(child.id().cast_signed())).ok();
        Ok(Self { child, pidfd, stdout, stderr, coarse_clock, ended: None })
    }

    /// Waits until `is_ready`, until its end, or for `within_ns`. What announces itself to nobody is looked for again and
    /// again if it `looks`.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn wait(&mut self, within_ns: u64, looks: bool, is_ready: impl Fn(&Self) -> bool) -> io::Result<Waited> {
        let deadline_ns = monotonic_ns().saturating_add_unsigned(within_ns);
        loop {
            self.take()?;
            if let Some((_, how)) = &self.ended {
                return Ok(Waited::Ended(how.clone()));
            }
            if is_ready(self) {
                return Ok(Waited::Ready);
            }
            let left_ns = deadline_ns - monotonic_ns();
            if left_ns <= 0 {
                return Ok(Waited::Late);
            }
            let mut fds: Vec<PollFd<'_>> = self.descriptors().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let timeout = TimeSpec::from_duration(Duration::from_nanos(
                if looks { left_ns.min(LOOK_NS) } else { left_ns }.unsigned_abs(),
            ));
            match ppoll(&mut fds, Some(timeout), None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// To poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pidfd = self.pidfd.as_ref().filter(|_| self.ended.is_none()).map(AsFd::as_fd);
        let coarse_clock = self.coarse_clock.as_ref().map(AsFd::as_fd);
        [self.stdout.as_fd(), self.stderr.as_fd(), pidfd, coarse_clock].into_iter().flatten()
    }

    /// Takes what it has written, and its end, and tells it the time.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn take(&mut self) -> io::Result<()> {
        // First whether it has ended: what it wrote before is there then.
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?.map(|status| (monotonic_ns(), ending(status)));
        }
        if let Some(coarse_clock) = &mut self.coarse_clock
            && !coarse_clock.answer()?
        {
            self.coarse_clock = None;
        }
        self.stdout.drain()?;
        self.stderr.drain()
    }

    /// When and how it ended.
    pub fn ended(&self) -> Option<(i64, Ending)> {
        self.ended.clone()
    }

    /// What it wrote.
    pub fn into_output(self) -> Output {
        output(self.stdout, self.stderr)
    }

    /// Whether it has written this, in what is kept.
    pub fn has_written(&self, text: &[u8]) -> bool {
        let has = |kept: &[u8]| kept.windows(text.len().max(1)).any(|part| part == text);
        has(self.stdout.kept()) || has(self.stderr.kept())
    }

    /// The last lines of each stream that it wrote, shortened.
    pub fn last_lines(&self, lines: usize, chars: usize) -> Vec<String> {
        let of = |kept: &[u8]| {
            let text = String::from_utf8_lossy(kept);
            let all: Vec<String> =
                text.lines().filter(|l| !l.trim().is_empty()).map(|l| l.chars().take(chars).collect()).collect();
            all[all.len().saturating_sub(lines)..].to_vec()
        };
        [of(self.stdout.kept()), of(self.stderr.kept())].concat()
    }

    /// Whether its host has a socket on this port, one that listens if that is asked for.
    pub fn has_socket(&self, tables: [&str; 2], port: u16, listens: bool) -> bool {
        let table = |name| fs::read_to_string(format!("/proc/{}/net/{name}", self.child.id())).unwrap_or_default();
        tables.into_iter().any(|name| table(name).lines().skip(1).any(|line| is_at(line, port, listens)))
    }
}

/// Whether a line of /proc/net/tcp or udp is a socket on this port: number, address:port, peer, state (proc(5)).
fn is_at(line: &str, port: u16, listens: bool) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let (local, state) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
    let is_port = local.rsplit_once(':').is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
    is_port && (!listens || state == LISTEN)
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exit(code),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let name = Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.as_str().to_owned());
            Ending::Signal(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_at;

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line = "   0: 00000000:0369 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1";
        let six = "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0";
        assert!(is_at(line, 873, true) && is_at(six, 22, true));
        assert!(!is_at(line, 80, true) && !is_at(&line.replace(" 0A ", " 01 "), 873, true));
        assert!(is_at(&line.replace(" 0A ", " 07 "), 873, false));
    }
}
