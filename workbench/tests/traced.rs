//! Support for tests of the tracer: a forked child in namespaces of its own, and a command run to its end in there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use libtest_mimic::{Completion, Failed};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use workbench::evidence::{Call, Ending, Process, Signal};
use workbench::record::syscalls::{TraceEvent, TracedCommand, Tracer};
use workbench::report::strace::{render, render_signal};
use workbench::sys::fork::fork_child;

/// What came of one command.
#[derive(Debug, Default)]
pub struct Trace {
    /// Zero.
    pub started_ns: i64,
    /// In the order of entry.
    pub calls: Vec<Call>,
    /// In order.
    pub signals: Vec<Signal>,
    /// Latest record of each thread, by thread id.
    pub processes: BTreeMap<u32, Process>,
    /// How the command ended.
    pub ending: Option<Ending>,
    /// Everything, in the order it came.
    pub events: Vec<TraceEvent>,
}

impl Trace {
    fn take(&mut self, event: TraceEvent) {
        match &event {
            TraceEvent::Started { monotonic_ns } => self.started_ns = *monotonic_ns,
            TraceEvent::Call(call) => self.calls.push(call.clone()),
            TraceEvent::Signal(signal) => self.signals.push(signal.clone()),
            TraceEvent::Process(process) => drop(self.processes.insert(process.tid, process.clone())),
            TraceEvent::MainEnded { how, .. } => self.ending = Some(how.clone()),
            TraceEvent::ExecFailed { errno, .. } => self.ending = Some(Ending::ExecFailed(errno.clone())),
            TraceEvent::ForeignArchitecture { .. } | TraceEvent::HiddenRing { .. } => {}
        }
        self.events.push(event);
    }

    /// All of it, a line each, for a failed test's message.
    pub fn story(&self) -> String {
        let line = |event: &TraceEvent| match event {
            TraceEvent::Call(call) => format!("{} {}", call.tid, render(call)),
            TraceEvent::Signal(signal) => format!("{} {}", signal.tid, render_signal(signal)),
            other => format!("{other:?}"),
        };
        self.events.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The calls of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.name == name)
    }
}

/// A command with nothing on its standard descriptors, in the caller's network namespace.
pub fn command(argv: &[&str]) -> Result<TracedCommand, String> {
    let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    Ok(TracedCommand {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: environment(),
        cwd: PathBuf::from("/"),
        netns: File::open("/proc/self/ns/net").map_err(|e| format!("/proc/self/ns/net: {e}"))?.into(),
        hostname: "client".to_owned(),
        stdin: null().map_err(|e| e.to_string())?,
        stdout: null().map_err(|e| e.to_string())?,
        stderr: null().map_err(|e| e.to_string())?,
    })
}

/// The same for every command, traced by whomever.
pub fn environment() -> Vec<(String, String)> {
    let path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    [("PATH", path), ("LANG", "C.UTF-8"), ("HOME", "/nonexistent")].map(|(n, v)| (n.to_owned(), v.to_owned())).into()
}

/// Runs a command to its end, and to that of everything it left behind.
pub fn trace(argv: &[&str]) -> Result<Trace, String> {
    trace_command(command(argv)?, |_, _| {})
}

/// As [`trace`]; `on_event` sees each event as it comes.
pub fn trace_command(
    command: TracedCommand,
    mut on_event: impl FnMut(&TraceEvent, &mut Tracer),
) -> Result<Trace, String> {
    let mut tracer = Tracer::spawn(command).map_err(|e| e.to_string())?;
    tracer.release().map_err(|e| e.to_string())?;
    let mut trace = Trace::default();
    while !tracer.is_finished() {
        wait_readable(&tracer)?;
        for event in tracer.receive().map_err(|e| e.to_string())? {
            on_event(&event, &mut tracer);
            trace.take(event);
        }
    }
    trace.calls.sort_by_key(|call| call.seq);
    Ok(trace)
}

/// Waits for events.
pub fn wait_readable(tracer: &Tracer) -> Result<(), String> {
    let mut fds = [PollFd::new(tracer.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::NONE).map(drop).map_err(|e| e.to_string())
}

/// Runs `body` in a forked child, alone in new user and network namespaces with `lo` up: traffic stays in there, and
/// the child has one thread only, as the agent has.
pub fn in_lab(body: impl FnOnce() -> Result<(), String>) -> Result<Completion, Failed> {
    if !is_installed("ip") {
        return Ok(Completion::ignored_with("needs ip (iproute2)"));
    }
    let (mut read, write) = std::io::pipe()?;
    let writer = write.try_clone()?;
    let child = fork_child(move || {
        let outcome = enter_namespaces().and_then(|()| body());
        let text = outcome.err().unwrap_or_default();
        i32::from((&writer).write_all(text.as_bytes()).is_err())
    })?;
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text)?;
    let status = nix::sys::wait::waitpid(child, None)?;
    match (text.as_str(), status) {
        ("", nix::sys::wait::WaitStatus::Exited(_, 0)) => Ok(Completion::Completed),
        (NO_NAMESPACES, _) => Ok(Completion::ignored_with(NO_NAMESPACES)),
        ("", status) => Err(format!("the child ended with {status:?}").into()),
        (text, _) => Err(text.to_owned().into()),
    }
}

const NO_NAMESPACES: &str = "needs user and network namespaces";

fn enter_namespaces() -> Result<(), String> {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|_| NO_NAMESPACES.to_owned())?;
    let write = |path: &str, text: String| fs::write(path, text).map_err(|e| format!("{path}: {e}"));
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    ip("link set lo up")
}

/// Runs `ip` with these arguments.
pub fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|e| format!("ip: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Whether a program is there.
pub fn is_installed(program: &str) -> bool {
    environment()[0].1.split(':').any(|directory| PathBuf::from(directory).join(program).is_file())
}

/// A program of `workbench/tests/programs`, compiled once; `None` without a compiler.
pub fn compiled(source: &'static str) -> Result<Option<&'static str>, String> {
    static PROGRAMS: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    let mut programs = PROGRAMS.lock().map_err(|e| e.to_string())?;
    if let Some(program) = programs.get(source) {
        return Ok(Some(program));
    }
    if !is_installed("gcc") {
        return Ok(None);
    }
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(source).with_extension("");
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/workbench/tests/programs");
    let mut gcc = Command::new("gcc");
    gcc.current_dir(directory).args(["-O1", "-pthread", "-Wno-unused-result", "-o"]).arg(&program).arg(source);
    let output = gcc.output().map_err(|e| format!("gcc: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let program: &'static str = Box::leak(program.to_string_lossy().into_owned().into_boxed_str());
    programs.insert(source, program);
    Ok(Some(program))
}
