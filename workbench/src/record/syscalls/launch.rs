//! In the tracer process: prepares the command, seizes it, and records until everybody is gone.
//!
//! The command's process waits until it is seized, makes itself ready, puts itself under the filter and calls `execve`,
//! where its first stop holds it until the agent releases it. So nothing of ours happens after zero.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use libc::sock_filter;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{
    AccessFlags, Pid, access, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, getppid, pipe2, setsid,
};

use super::channel::{Frame, FrameWriter};
use super::stops::Recorder;
use super::tracer::c_string;
use super::{TraceError, TracedCommand, filter, names};
use crate::sys::fork::{close_descriptors, default_signals, exit_now, fork_child};
use crate::sys::{ptrace, seccomp};

/// PATH where the command's environment has none: execvp(3)'s, without the current directory.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// What a shell says of a command that could not be executed.
const EXIT_NOT_EXECUTED: i32 = 127;

/// What has to be allocated before the command's process exists.
#[derive(Debug)]
pub struct Prepared {
    argv: Vec<CString>,
    env: Vec<CString>,
    filter: Vec<sock_filter>,
}

impl Prepared {
    /// Checks and converts a command's texts.
    pub fn new(command: &TracedCommand) -> Result<Self, TraceError> {
        let argv = command.argv.iter().map(|arg| c_string("argument", arg)).collect::<Result<_, _>>()?;
        let variable = |(name, value): &(String, String)| c_string("variable", &format!("{name}={value}"));
        let env = command.env.iter().map(variable).collect::<Result<_, _>>()?;
        c_string("directory", &command.cwd.to_string_lossy())?;
        Ok(Self { argv, env, filter: filter::program(libc::SECCOMP_RET_TRACE) })
    }
}

/// What can fail in the command's process before its `execve`.
#[derive(Debug, Clone, Copy)]
enum Step {
    Session,
    Parent,
    Seized,
    Namespace,
    Descriptors,
    Directory,
    Signals,
    Filter,
}

impl Step {
    /// Each with its phrase for "cannot … for the command".
    const PHRASES: [(Self, &str); 8] = [
        (Self::Session, "start a session"),
        (Self::Parent, "follow the tracer's death"),
        (Self::Seized, "wait to be traced"),
        (Self::Namespace, "enter the network namespace"),
        (Self::Descriptors, "set up standard input and output"),
        (Self::Directory, "enter the working directory"),
        (Self::Signals, "unblock signals"),
        (Self::Filter, "install the system-call filter"),
    ];

    fn phrase(number: u8) -> &'static str {
        let found = Self::PHRASES.iter().find(|(step, _)| *step as u8 == number);
        found.map_or("prepare the process", |(_, phrase)| phrase)
    }
}

/// The tracer process, from its fork to its end. Returns its exit code.
pub fn run_tracer(
    agent: Pid,
    command: TracedCommand,
    prepared: &Prepared,
    mut events: FrameWriter,
    gate: OwnedFd,
) -> i32 {
    let outcome = trace(agent, command, prepared, &mut events, gate);
    if let Err((step, error)) = outcome {
        let errno = names::errno(error.raw_os_error().unwrap_or(libc::EIO));
        // Without an agent to tell it to, there is nothing left to do.
        let _ = events.push(&Frame::SetupFailed { step: step.to_owned(), errno });
    }
    i32::from(events.finish().is_err())
}

type Failure = (&'static str, io::Error);

fn trace(
    agent: Pid,
    mut command: TracedCommand,
    prepared: &Prepared,
    events: &mut FrameWriter,
    gate: OwnedFd,
) -> Result<(), Failure> {
    // Out of the terminal's reach: Ctrl-C is for whoever started the agent to deal with.
    setsid().map_err(|e| ("start a session", e.into()))?;
    tie_to(agent).map_err(|e| ("follow the agent's death", e))?;
    let stop_signal = SigSet::from(Signal::SIGCHLD);
    stop_signal.thread_block().map_err(|e| ("block SIGCHLD", e.into()))?;
    own_descriptors(&mut command, events, &gate).map_err(|e| ("keep descriptors", e))?;

    let program = look_up(&command);
    let argv = command.argv.clone();
    let started = match &program {
        Ok(program) => Ok(start(command, prepared, program)?),
        Err(errno) => Err(*errno),
    };
    let mut recorder = Recorder::new(events, gate, stop_signal);
    match started {
        Ok(child) => recorder.run(child.pid, argv, || report(child.report)),
        Err(errno) => recorder.refuse(errno),
    }
    .map_err(|e| ("follow the command's processes", e))
}

/// Dies when the parent does; it may have died before we asked.
fn tie_to(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { exit_now(0) }
}

/// Keeps what the tracer needs and closes everything else that the agent had open: a packet socket or the writing end
/// of a pipe must not stay open because the tracer lives on. What is kept is above 2 and closed by `execve`.
fn own_descriptors(command: &mut TracedCommand, events: &FrameWriter, gate: &OwnedFd) -> io::Result<()> {
    for fd in [&mut command.netns, &mut command.stdin, &mut command.stdout, &mut command.stderr] {
        // The original is closed below with all the others, or is one of 0, 1, 2 and stays.
        std::mem::forget(std::mem::replace(fd, fd.try_clone()?));
    }
    let fds = [&command.netns, &command.stdin, &command.stdout, &command.stderr, gate].map(AsRawFd::as_raw_fd);
    let mut kept: Vec<u32> = fds.iter().map(|fd| fd.cast_unsigned()).collect();
    kept.push(events.as_fd().as_raw_fd().cast_unsigned());
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept {
        if fd > next {
            close_descriptors(next, fd - 1)?;
        }
        next = fd + 1;
    }
    close_descriptors(next, u32::MAX)
}

/// Finds the program as execvp(3) does: the first executable file; else EACCES if there was one that is not executable.
fn look_up(command: &TracedCommand) -> Result<CString, Errno> {
    let name = command.argv.first().map_or("", String::as_str);
    let to_c = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL);
    if name.contains('/') {
        return to_c(Path::new(name));
    }
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = command.env.iter().find(|(variable, _)| variable == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let mut failure = Errno::ENOENT;
    for directory in path.split(':') {
        let candidate = command.cwd.join(directory).join(name);
        if candidate.is_file() {
            match access(&candidate, AccessFlags::X_OK) {
                Ok(()) => return to_c(&candidate),
                Err(errno) => failure = errno,
            }
        }
    }
    Err(failure)
}

/// The command's process, seized and on its way to `execve`.
struct Child {
    pid: Pid,
    /// Where it says what it could not do.
    report: OwnedFd,
}

fn start(command: TracedCommand, prepared: &Prepared, program: &CStr) -> Result<Child, Failure> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|e| ("make a pipe", e.into()));
    let ((seized_read, seized_write), (report_read, report_write)) = (pipe()?, pipe()?);
    let tracer = nix::unistd::getpid();
    let body = || {
        let Err((step, errno)) = become_command(tracer, &command, prepared, program, &seized_read, &seized_write);
        let mut report = [step as u8, 0, 0, 0, 0];
        report[1..].copy_from_slice(&(errno as i32).to_ne_bytes());
        let _ = nix::unistd::write(&report_write, &report);
        EXIT_NOT_EXECUTED
    };
    let pid = fork_child(body).map_err(|e| ("fork", e))?;
    ptrace::seize(pid.as_raw()).map_err(|e| ("seize the process (see ptrace(2) and Yama's ptrace_scope)", e))?;
    File::from(seized_write).write_all(b"!").map_err(|e| ("tell the process that it is traced", e))?;
    Ok(Child { pid, report: report_read })
}

/// Turns the forked child into the command. Returns only when something failed, with the step; an
/// `execve` that fails is seen by the tracer anyway.
fn become_command(
    tracer: Pid,
    command: &TracedCommand,
    prepared: &Prepared,
    program: &CStr,
    seized: &OwnedFd,
    seized_write: &OwnedFd,
) -> Result<Infallible, (Step, Errno)> {
    let at = |step: Step| move |errno: Errno| (step, errno);
    setsid().map_err(at(Step::Session))?;
    tie_to(tracer).map_err(|e| (Step::Parent, errno_of(&e)))?;
    nix::unistd::close(seized_write.as_raw_fd()).map_err(at(Step::Seized))?;
    if nix::unistd::read(seized, &mut [0]).map_err(at(Step::Seized))? == 0 {
        return Err((Step::Seized, Errno::EPIPE));
    }
    setns(&command.netns, CloneFlags::CLONE_NEWNET).map_err(at(Step::Namespace))?;
    // The name is a nicety: without the right to a UTS namespace of its own the command sees the agent's.
    if unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
        let _ = nix::unistd::sethostname(&command.hostname);
    }
    dup2_stdin(&command.stdin).map_err(at(Step::Descriptors))?;
    dup2_stdout(&command.stdout).map_err(at(Step::Descriptors))?;
    dup2_stderr(&command.stderr).map_err(at(Step::Descriptors))?;
    chdir(&command.cwd).map_err(at(Step::Directory))?;
    default_signals();
    SigSet::empty().thread_set_mask().map_err(at(Step::Signals))?;
    seccomp::install(&prepared.filter).map_err(|e| (Step::Filter, errno_of(&e)))?;
    execve(program, &prepared.argv, &prepared.env).map_err(at(Step::Filter))
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// What the command's process reported before it ended.
fn report(pipe: OwnedFd) -> Frame {
    let mut bytes = [0; 5];
    let (step, errno) = match File::from(pipe).read_exact(&mut bytes) {
        Ok(()) => (Step::phrase(bytes[0]), i32::from_ne_bytes([bytes[1], bytes[2], bytes[3], bytes[4]])),
        Err(_) => ("keep the process alive before its execve", libc::ESRCH),
    };
    Frame::SetupFailed { step: step.to_owned(), errno: names::errno(errno) }
}
