//! In the tracer process: prepares the command, seizes it, and records until everybody is gone.
//!
//! Socket programs do the same, but for the `execve`: theirs is one of nothing, at which they are held, and then they make
//! their calls. The command's process waits until it is seized, makes itself ready, puts itself under the filter and calls `execve`,
//! where its first stop holds it until the agent releases it. So nothing of ours happens after zero.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

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
use super::{TraceError, TracedCommand, TracedProgram, TracedRoot, filter, names};
use crate::sys::call::execute_nothing;
use crate::sys::fork::{close_descriptors, default_signals, exit_now, fork_child};
use crate::sys::{ptrace, seccomp};

/// PATH where the command's environment has none: execvp(3)'s, without the current directory.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// What a shell says of a command that could not be executed.
const EXIT_NOT_EXECUTED: i32 = 127;

/// A root with what has to be allocated before its process exists.
pub struct Prepared {
    setup: Setup,
    work: Work,
    filter: Vec<sock_filter>,
}

/// Where a process runs.
struct Setup {
    netns: OwnedFd,
    hostname: String,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// What a process does.
enum Work {
    /// Executes a command.
    Execute { argv: Vec<CString>, env: Vec<CString>, command: Texts, program: Result<CString, Errno> },
    /// Carries out a socket program.
    Program { name: String, work: Box<dyn Fn() -> i32> },
}

/// What a command is looked up by.
struct Texts {
    argv: Vec<String>,
    path: Option<String>,
    cwd: PathBuf,
}

impl Prepared {
    /// Checks and converts a root's texts.
    pub fn new(root: TracedRoot) -> Result<Self, TraceError> {
        let filter = filter::program(libc::SECCOMP_RET_TRACE);
        match root {
            TracedRoot::Program(TracedProgram { name, netns, hostname, stdin, stdout, stderr, work }) => Ok(Self {
                setup: Setup { netns, hostname, stdin, stdout, stderr },
                work: Work::Program { name, work },
                filter,
            }),
            TracedRoot::Command(TracedCommand { argv, env, cwd, netns, hostname, stdin, stdout, stderr }) => {
                let words = argv.iter().map(|arg| c_string("argument", arg)).collect::<Result<_, _>>()?;
                let variable = |(name, value): &(String, String)| c_string("variable", &format!("{name}={value}"));
                let variables = env.iter().map(variable).collect::<Result<_, _>>()?;
                c_string("directory", &cwd.to_string_lossy())?;
                let path = env.iter().find(|(variable, _)| variable == "PATH").map(|(_, value)| value.clone());
                let command = Texts { argv, path, cwd };
                // Looked up in the tracer, which sees what the command will see.
                let work = Work::Execute { argv: words, env: variables, command, program: Err(Errno::ENOENT) };
                Ok(Self { setup: Setup { netns, hostname, stdin, stdout, stderr }, work, filter })
            }
        }
    }

    /// What the evidence says of it before it has executed anything: its words, and its name if it is a socket program.
    fn told(&self) -> (Vec<String>, Option<String>) {
        match &self.work {
            Work::Execute { command, .. } => (command.argv.clone(), None),
            Work::Program { name, .. } => (vec![name.clone()], Some(name.clone())),
        }
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

/// The tracer process, from its fork to its end. The first root is the command. Returns its exit code.
pub fn run_tracer(agent: Pid, roots: Vec<Prepared>, mut events: FrameWriter, gate: OwnedFd) -> i32 {
    let outcome = trace(agent, roots, &mut events, gate);
    if let Err((step, error)) = outcome {
        let errno = names::errno(error.raw_os_error().unwrap_or(libc::EIO));
        // Without an agent to tell it to, there is nothing left to do.
        let _ = events.push(&Frame::SetupFailed { step: step.to_owned(), errno });
    }
    i32::from(events.finish().is_err())
}

type Failure = (&'static str, io::Error);

fn trace(agent: Pid, mut roots: Vec<Prepared>, events: &mut FrameWriter, gate: OwnedFd) -> Result<(), Failure> {
    // Out of the terminal's reach: Ctrl-C is for whoever started the agent to deal with.
    setsid().map_err(|e| ("start a session", e.into()))?;
    tie_to(agent).map_err(|e| ("follow the agent's death", e))?;
    let stop_signal = SigSet::from(Signal::SIGCHLD);
    stop_signal.thread_block().map_err(|e| ("block SIGCHLD", e.into()))?;
    own_descriptors(&mut roots, events, &gate).map_err(|e| ("keep descriptors", e))?;

    let mut missing = None;
    for root in &mut roots {
        if let Work::Execute { command, program, .. } = &mut root.work {
            *program = look_up(command);
            missing = program.as_ref().err().copied();
        }
    }
    let mut recorder = Recorder::new(events, gate, stop_signal);
    if let Some(errno) = missing {
        return recorder.refuse(errno).map_err(|e| ("follow the command's processes", e));
    }
    for root in &roots {
        let child = start(root)?;
        let (argv, program) = root.told();
        recorder.follow(child.pid, child.report, argv, program);
    }
    drop(roots);
    recorder.run(report).map_err(|e| ("follow the command's processes", e))
}

/// Dies when the parent does; it may have died before we asked.
fn tie_to(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { exit_now(0) }
}

/// Keeps what the tracer needs and closes everything else that the agent had open: a packet socket or the writing end
/// of a pipe must not stay open because the tracer lives on. What is kept is above 2 and closed by `execve`.
fn own_descriptors(roots: &mut [Prepared], events: &FrameWriter, gate: &OwnedFd) -> io::Result<()> {
    let mut kept: Vec<u32> = vec![gate.as_raw_fd().cast_unsigned()];
    for Prepared { setup, .. } in roots {
        for fd in [&mut setup.netns, &mut setup.stdin, &mut setup.stdout, &mut setup.stderr] {
            // The original is closed below with all the others, or is one of 0, 1, 2 and stays.
            std::mem::forget(std::mem::replace(fd, fd.try_clone()?));
            kept.push(fd.as_raw_fd().cast_unsigned());
        }
    }
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
fn look_up(command: &Texts) -> Result<CString, Errno> {
    let name = command.argv.first().map_or("", String::as_str);
    let to_c = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL);
    if name.contains('/') {
        return to_c(Path::new(name));
    }
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = command.path.as_deref().unwrap_or(DEFAULT_PATH);
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

fn start(root: &Prepared) -> Result<Child, Failure> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|e| ("make a pipe", e.into()));
    let ((seized_read, seized_write), (report_read, report_write)) = (pipe()?, pipe()?);
    let tracer = nix::unistd::getpid();
    let body = || match become_root(tracer, root, &seized_read, &seized_write) {
        Ok(code) => code,
        Err((step, errno)) => {
            let mut report = [step as u8, 0, 0, 0, 0];
            report[1..].copy_from_slice(&(errno as i32).to_ne_bytes());
            let _ = nix::unistd::write(&report_write, &report);
            EXIT_NOT_EXECUTED
        }
    };
    let pid = fork_child(body).map_err(|e| ("fork", e))?;
    ptrace::seize(pid.as_raw()).map_err(|e| ("seize the process (see ptrace(2) and Yama's ptrace_scope)", e))?;
    File::from(seized_write).write_all(b"!").map_err(|e| ("tell the process that it is traced", e))?;
    Ok(Child { pid, report: report_read })
}

/// Turns the forked child into the command, and then returns only when something failed, with the step (an `execve` that
/// fails is seen by the tracer anyway); or carries out a socket program, and returns its exit code.
fn become_root(
    tracer: Pid,
    Prepared { setup, work, filter }: &Prepared,
    seized: &OwnedFd,
    seized_write: &OwnedFd,
) -> Result<i32, (Step, Errno)> {
    let at = |step: Step| move |errno: Errno| (step, errno);
    setsid().map_err(at(Step::Session))?;
    tie_to(tracer).map_err(|e| (Step::Parent, errno_of(&e)))?;
    nix::unistd::close(seized_write.as_raw_fd()).map_err(at(Step::Seized))?;
    if nix::unistd::read(seized, &mut [0]).map_err(at(Step::Seized))? == 0 {
        return Err((Step::Seized, Errno::EPIPE));
    }
    setns(&setup.netns, CloneFlags::CLONE_NEWNET).map_err(at(Step::Namespace))?;
    // The name is a nicety: without the right to a UTS namespace of its own the command sees the agent's.
    if unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
        let _ = nix::unistd::sethostname(&setup.hostname);
    }
    dup2_stdin(&setup.stdin).map_err(at(Step::Descriptors))?;
    dup2_stdout(&setup.stdout).map_err(at(Step::Descriptors))?;
    dup2_stderr(&setup.stderr).map_err(at(Step::Descriptors))?;
    if let Work::Execute { command, .. } = work {
        chdir(&command.cwd).map_err(at(Step::Directory))?;
    }
    default_signals();
    SigSet::empty().thread_set_mask().map_err(at(Step::Signals))?;
    seccomp::install(filter).map_err(|e| (Step::Filter, errno_of(&e)))?;
    match work {
        Work::Execute { argv, env, program, .. } => {
            let Err(errno) = execve(program.as_deref().unwrap_or_default(), argv, env);
            Err((Step::Filter, errno))
        }
        Work::Program { work, .. } => {
            // Sockets begin at 3, as those of any program do that is started with nothing else.
            close_descriptors(3, u32::MAX).map_err(|e| (Step::Descriptors, errno_of(&e)))?;
            execute_nothing();
            Ok(work())
        }
    }
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
