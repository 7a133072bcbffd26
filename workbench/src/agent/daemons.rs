//! Daemons: started before zero in their hosts, waited for until they are ready, heard until the end. They are not traced,
//! and the lab's end is theirs.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::clock::monotonic_ns;
use super::companion::{Companion, Start, Waited};
use super::execute::{PATH, Stop, environment, os};
use super::{Job, NotReady, files};
use crate::evidence::{DaemonRecord, Ending};
use crate::lab::{Lab, LabError};
use crate::plan::{DaemonPlan, Origin, Plan, Ready};
use crate::record::packets::Opening;
use crate::record::sockets::SocketRecorder;

/// So many of the last lines of each stream are told of a daemon that failed.
const TOLD_LINES: usize = 8;
/// Of so many characters each.
const TOLD_CHARS: usize = 300;

/// The kernel lets a poll last 0.1 % longer than was asked for, 100 ms at most (`select_estimate_accuracy` in fs/select.c).
const SHORTLY_NS: i64 = 200_000_000;

/// The daemons of a plan while they run.
#[derive(Default)]
pub struct Daemons {
    running: Vec<Running>,
}

struct Running {
    name: String,
    companion: Companion,
    started_ns: i64,
    ready_ns: i64,
}

/// The folder that a daemon works in.
fn folder(daemon: &DaemonPlan) -> PathBuf {
    Path::new("/run").join(&daemon.name)
}

/// What a daemon finds in its environment; at home it is in its folder.
fn environment_of(daemon: &DaemonPlan) -> BTreeMap<String, String> {
    let mut own = BTreeMap::from([("HOME".to_owned(), folder(daemon).display().to_string())]);
    if !daemon.is_root {
        own.extend(["LOGNAME", "USER"].map(|name| (name.to_owned(), "nobody".to_owned())));
    }
    own.extend(daemon.env.clone());
    environment(&own)
}

/// Whether the programs of daemons and their preparations are there; a run without one is skipped.
///
/// # Errors
///
/// [`LabError::Unsupported`] with the first that is not.
pub fn have_programs(plan: &Plan) -> Result<(), LabError> {
    for daemon in &plan.daemons {
        let path = daemon.env.get("PATH").map_or(PATH, String::as_str);
        let prepared = daemon.prepare.iter().map(|prepare| (&prepare.argv[0], &prepare.origin));
        for (program, origin) in prepared.chain([(&daemon.argv[0], &daemon.origin)]) {
            let (is_there, why) = match program.contains('/') {
                true => (folder(daemon).join(program).is_file(), "there is no such file".to_owned()),
                false => (
                    std::env::split_paths(path).any(|folder| folder.join(program).is_file()),
                    format!("it is in none of {path}"),
                ),
            };
            if !is_there {
                return Err(LabError::Unsupported {
                    feature: format!("the program {program}"),
                    why,
                    remedy: "install it, or let `workbench doctor --fix` do so".to_owned(),
                    origin: Box::new(origin.clone()),
                });
            }
        }
    }
    Ok(())
}

/// Makes the files of all daemons.
///
/// # Errors
///
/// [`Stop`] with the file that failed.
pub fn make_files(plan: &Plan) -> Result<(), Stop> {
    for daemon in &plan.daemons {
        files::make(&folder(daemon), &daemon.files)?;
    }
    Ok(())
}

impl Daemons {
    /// Prepares and starts each daemon of a plan in turn; returns when the last is ready. What that left in the recorders
    /// is forgotten.
    ///
    /// # Errors
    ///
    /// [`Stop::NotReady`] if one is not, [`Stop::Os`] if it could not be tried.
    pub fn start(job: &Job, lab: &Lab, captures: &mut Opening, sockets: &mut SocketRecorder) -> Result<Self, Stop> {
        let mut daemons = Self::default();
        if job.plan.daemons.is_empty() {
            return Ok(daemons);
        }
        captures.join()?;
        for daemon in &job.plan.daemons {
            let env = environment_of(daemon);
            for prepare in &daemon.prepare {
                let what = format!("`prepare` of daemon {}: {}", daemon.name, prepare.argv[0]);
                let mut companion = start(job, daemon, &prepare.argv, &env, lab, &what, &prepare.origin)?;
                let waited = companion.wait(prepare.within_ns, false, |_| false).map_err(os("wait for a daemon"))?;
                if !matches!(waited, Waited::Ended(Ending::Exit(0))) {
                    let goal = "it was to exit with 0";
                    return Err(not_ready(what, goal, waited, prepare.within_ns, &companion, &prepare.origin));
                }
            }
            let what = format!("daemon {} in {}", daemon.name, daemon.host);
            let started_ns = monotonic_ns();
            let mut companion = start(job, daemon, &daemon.argv, &env, lab, &what, &daemon.origin)?;
            let looks = !matches!(daemon.ready, Ready::Line(_));
            let is_ready = |companion: &Companion| is_ready(daemon, companion);
            let waited = companion.wait(daemon.within_ns, looks, is_ready).map_err(os("wait for a daemon"))?;
            if !matches!(waited, Waited::Ready) {
                let goal = format!("it is ready when {}", daemon.ready);
                return Err(not_ready(what, &goal, waited, daemon.within_ns, &companion, &daemon.origin));
            }
            let ready_ns = monotonic_ns();
            daemons.running.push(Running { name: daemon.name.clone(), companion, started_ns, ready_ns });
            daemons.take()?;
        }
        captures.forget();
        sockets.forget(monotonic_ns)?;
        Ok(daemons)
    }

    /// Hears them until shortly before `until_ns` of CLOCK_MONOTONIC.
    ///
    /// # Errors
    ///
    /// [`Stop::Os`].
    pub fn hear_until(&mut self, until_ns: i64) -> Result<(), Stop> {
        loop {
            let left_ns = until_ns - SHORTLY_NS - monotonic_ns();
            if self.running.is_empty() || left_ns <= 0 {
                return Ok(());
            }
            let mut fds: Vec<PollFd<'_>> = self.descriptors().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match ppoll(&mut fds, Some(TimeSpec::nanoseconds(left_ns)), None) {
                Ok(_) | Err(Errno::EINTR) => self.take()?,
                Err(errno) => return Err(os("poll")(errno)),
            }
        }
    }

    /// To poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().flat_map(|running| running.companion.descriptors())
    }

    /// Takes what they have written, and who has ended.
    ///
    /// # Errors
    ///
    /// [`Stop::Os`].
    pub fn take(&mut self) -> Result<(), Stop> {
        self.running.iter_mut().try_for_each(|running| running.companion.take()).map_err(os("hear a daemon"))
    }

    /// What became of them, with stamps since zero.
    pub fn finish(self, zero_ns: i64) -> Vec<DaemonRecord> {
        let record = |running: Running| DaemonRecord {
            name: running.name,
            started_ns: running.started_ns - zero_ns,
            ready_ns: running.ready_ns - zero_ns,
            end: running.companion.ended().map(|(t_ns, how)| (t_ns - zero_ns, how)),
            output: running.companion.into_output(),
        };
        self.running.into_iter().map(record).collect()
    }
}

fn start(
    job: &Job,
    daemon: &DaemonPlan,
    argv: &[String],
    env: &BTreeMap<String, String>,
    lab: &Lab,
    what: &str,
    origin: &Origin,
) -> Result<Companion, Stop> {
    let netns =
        lab.netns(&daemon.host).ok_or_else(|| Stop::Os("find a daemon's host", std::io::ErrorKind::NotFound.into()))?;
    let is_in_virtual_time = job.guest.is_some();
    let start = Start {
        argv,
        is_root: daemon.is_root,
        is_in_virtual_time,
        env,
        cwd: &folder(daemon),
        netns,
        hostname: &daemon.host,
    };
    Companion::start(&start).map_err(|error| {
        Stop::NotReady(Box::new(NotReady {
            what: what.to_owned(),
            happened: format!("cannot be started: {error}"),
            output: Vec::new(),
            is_scenario_fault: true,
            origin: origin.clone(),
        }))
    })
}

fn is_ready(daemon: &DaemonPlan, companion: &Companion) -> bool {
    match &daemon.ready {
        Ready::TcpPort(port) => companion.has_socket(["tcp", "tcp6"], *port, true),
        Ready::UdpPort(port) => companion.has_socket(["udp", "udp6"], *port, false),
        Ready::Line(text) => companion.has_written(text.as_bytes()),
        Ready::File(path) => folder(daemon).join(path).exists(),
    }
}

fn not_ready(what: String, goal: &str, waited: Waited, within_ns: u64, companion: &Companion, origin: &Origin) -> Stop {
    let within_s = within_ns as f64 / 1e9;
    let (happened, is_scenario_fault) = match waited {
        Waited::Ended(how) => {
            let how = match how {
                Ending::Exit(code) => format!("exited with {code}"),
                Ending::Signal(signal) => format!("was ended by {signal}"),
                other => format!("ended: {other:?}"),
            };
            let hint = if how == "exited with 0" { "; a daemon has to stay in the foreground" } else { "" };
            (format!("{how} before its time ({goal}){hint}"), true)
        }
        _ => (format!("is not ready within {within_s} s ({goal}); `within=` would give it longer"), false),
    };
    let output = companion.last_lines(TOLD_LINES, TOLD_CHARS);
    Stop::NotReady(Box::new(NotReady { what, happened, output, is_scenario_fault, origin: origin.clone() }))
}
