//! Carries out one plan: builds the lab, starts the recorders, runs the command, and puts the evidence together.
//!
//! The process has one thread and one poll loop; in virtual time nothing in it ticks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;

use super::daemons::{self, Daemons};
use super::faults::Faults;
use super::programs::Programs;
use super::stdio::Stdin;
use super::watch::{Command, Recorders, Seen, Watch};
use super::{Job, NotReady, Outcome, Refused, Unsupported, clock, companions, files, guest, jiffies, tools, world};
use crate::evidence::{
    EVIDENCE_FORMAT_VERSION, EngineKind, Evidence, GuestMachine, JiffiesClock, Machine, Process, SetupNote,
};
use crate::lab::{Lab, LabError};
use crate::plan::{LinkEnd, LinkPlan, Plan, RequirementKind};
use crate::record::packets::{Capture, CaptureError};
use crate::record::sockets::{SocketError, SocketRecorder};
use crate::record::syscalls::TraceError;

/// Where programs are looked up, unless the scenario says otherwise.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Carries out a job. To be called in process 1 of a lab, which must have one thread.
pub fn execute(job: &Job) -> Outcome {
    match carry_out(job) {
        Ok(evidence) => Outcome::Seen(Box::new(evidence)),
        Err(Stop::Lab(LabError::Unsupported { feature, why, remedy, origin })) => {
            Outcome::Unsupported(Unsupported { feature, why, remedy, origin: *origin })
        }
        Err(Stop::Lab(LabError::Refused { at, asked, kernel, origin })) => {
            let is_scenario_fault = ["EINVAL", "ERANGE", "EADDRINUSE"].iter().any(|errno| kernel.starts_with(errno));
            Outcome::Refused(Refused { at, asked, kernel, is_scenario_fault, origin: *origin })
        }
        Err(Stop::NotReady(not_ready)) => Outcome::NotReady(*not_ready),
        Err(stop) => Outcome::Broken(stop.to_string()),
    }
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The private file system.
    #[error(transparent)]
    World(#[from] world::WorldError),
    /// The built-in peers.
    #[error("cannot start the peers: {0}")]
    Peers(crate::peers::PeersError),
    /// The packet recorder.
    #[error("cannot capture packets: {0}")]
    Capture(#[from] CaptureError),
    /// The socket recorder.
    #[error("cannot record sockets: {0}")]
    Sockets(#[from] SocketError),
    /// The system-call recorder.
    #[error("cannot trace the command: {0}")]
    Trace(#[from] TraceError),
    /// A daemon.
    #[error("{}: {}", .0.what, .0.happened)]
    NotReady(Box<NotReady>),
    /// A socket program.
    #[error("{0}")]
    Program(String),
    /// Anything else.
    #[error("cannot {0}: {1}")]
    Os(&'static str, std::io::Error),
}

/// For `map_err`: what was tried, with the kernel's word for it.
pub fn os<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Stop {
    move |source| Stop::Os(what, source.into())
}

fn carry_out(job: &Job) -> Result<Evidence, Stop> {
    let plan = &job.plan;
    let stdin = Stdin::open(&plan.command.stdin).map_err(os("open the command's standard input"))?;
    let env: Vec<(String, String)> = environment(&plan.command.env).into_iter().collect();
    make_world(plan, &env)?;
    // Opening a capture waits for the kernel. What can be done meanwhile, is.
    let mut opening = None;
    let mut lab = Lab::build_watched(plan, |hosts| {
        opening = Some((Capture::open_all(hosts), SocketRecorder::open_all(hosts)));
    })?;
    world::seal()?;
    let (captures, sockets) = opening.expect("a lab shows its hosts");
    let (mut captures, mut sockets) = (captures?, sockets?);
    let peers = companions::start_peers(plan, &lab, &mut captures, &mut sockets)?;
    let daemons = Daemons::start(job, &lab, &mut captures, &mut sockets)?;
    let (sysctls, asked) = meanwhile(job, &lab, &mut sockets, &env)?;
    let faults = Faults::new(plan, lab.take_faults());
    let recorders = Recorders { captures: captures.wait()?, sockets, faults, daemons };
    let jiffies = job.jiffies.or_else(|| job.guest.as_ref().and_then(|_| jiffies::read()));
    let start = |from_ns| start_ns(job, jiffies.as_ref(), from_ns);
    let seen = watch(job, &lab, recorders, stdin, &env, &start)?;
    let mut blind_spots = seen.blind_spots.clone();
    match lab.take_lost_on_wire()? {
        0 => {}
        frames => blind_spots.push(format!("the relay that keeps the links' delays lost {frames} frames")),
    }
    blind_spots.extend(peers.as_ref().and_then(companions::blind_spot));
    let known_tools = if job.guest.is_some() { guest::known_tools() } else { BTreeMap::new() };
    let mut setup = lab.notes().to_vec();
    setup.extend(seen.sockets.missing.iter().map(|(what, error)| missing(plan, what, error)));
    let mut rule_counters = lab.rule_counters()?;
    rule_counters.retain(|id, _| !seen.idle_rules.contains(id));
    let evidence = Evidence {
        format_version: EVIDENCE_FORMAT_VERSION,
        machine: machine(job, jiffies.as_ref(), &seen, &lab),
        plan: plan.clone(),
        setup,
        sysctls,
        tools: tools::versions(&programs(plan, &seen.processes), &[&asked, &known_tools], &env, job.guest.is_some()),
        calls: seen.calls,
        signals: seen.signals,
        processes: seen.processes,
        packets: seen.packets,
        capture_loss: seen.capture_loss,
        blind_spots,
        sockets: seen.sockets.samples,
        destroyed: seen.sockets.destroyed,
        counters: seen.sockets.counters,
        rule_counters,
        faults: seen.faults,
        daemons: seen.daemons,
        steps: seen.steps,
        output: seen.output,
        end: seen.end,
        lateness: seen.lateness,
    };
    // Closing a lab waits for the kernel; that is off the critical path, because process 1 exits soon.
    std::mem::forget(lab);
    Ok(evidence)
}

/// Makes the private file system with the scenario's files, and looks whether the programs are there.
fn make_world(plan: &Plan, env: &[(String, String)]) -> Result<(), Stop> {
    world::prepare(plan)?;
    files::make(Path::new(world::HOME), &plan.command.files)?;
    daemons::make_files(plan)?;
    has_tools(plan, env)?;
    daemons::have_programs(plan)?;
    Ok(())
}

/// What each host's sysctls are, by host and name.
type Sysctls = BTreeMap<String, BTreeMap<String, String>>;

/// Reads what is known before the command is let go, all at once: sysctls, the versions of programs, and what the kernel's
/// counters begin with.
fn meanwhile(
    job: &Job,
    lab: &Lab,
    sockets: &mut SocketRecorder,
    env: &[(String, String)],
) -> Result<(Sysctls, BTreeMap<String, String>), Stop> {
    thread::scope(|scope| {
        let sysctls = scope.spawn(|| lab.sysctls());
        let counted = scope.spawn(|| sockets.begin_counting());
        // In a virtual machine all is asked afterwards: what is known already must not change what happens.
        let early =
            if job.guest.is_some() || job.plan.command.program.is_some() { &[] } else { &job.plan.command.argv[..1] };
        let asked = tools::versions(early, &[&job.known_tools], env, false);
        counted.join().expect("reading counters does not panic")?;
        Ok((sysctls.join().expect("reading sysctls does not panic")?, asked))
    })
}

/// Runs the command and its socket programs, each at the moment that `start` gives, and records them.
fn watch(
    job: &Job,
    lab: &Lab,
    recorders: Recorders,
    stdin: Stdin,
    env: &[(String, String)],
    start: &dyn Fn(i64) -> Option<i64>,
) -> Result<Seen, Stop> {
    let command = &job.plan.command;
    let netns = lab
        .netns(&command.host)
        .ok_or_else(|| Stop::Os("find the command's host", std::io::ErrorKind::NotFound.into()))?;
    let programs = Programs::new(&job.plan).map_err(os("prepare the socket programs"))?;
    let command = Command {
        lab,
        programs,
        argv: command.argv.clone(),
        env: env.to_vec(),
        cwd: PathBuf::from(world::HOME),
        netns,
        hostname: command.host.clone(),
        stdin,
        deadline_ns: command.deadline_ns,
        on_the_way_ns: on_the_way_ns(&job.plan),
    };
    Watch::start(command, recorders, job.engine == EngineKind::Host)?.run(start)
}

/// What the links' delays make a packet take at most, as far as it is worth waiting for at the end of a run.
fn on_the_way_ns(plan: &Plan) -> u64 {
    const WORTH_NS: u64 = 100_000_000;
    let netem = |end: &LinkEnd| {
        let netem = end.netem.as_ref().map(|netem| &netem.netem);
        netem.map_or(0, |netem| netem.delay_ns.unwrap_or(0) + netem.jitter_ns.unwrap_or(0))
    };
    let of_link = |link: &LinkPlan| link.delay_ns + link.ends.iter().map(netem).max().unwrap_or(0);
    plan.links.iter().map(of_link).max().unwrap_or(0).min(WORTH_NS)
}

/// What the kernel has no way to tell. The run's other evidence holds all the same.
fn missing(plan: &Plan, what: &str, error: &std::io::Error) -> SetupNote {
    let command = &plan.command;
    SetupNote {
        at: command.host.clone(),
        asked: what.to_owned(),
        refused: error.raw_os_error().map_or_else(|| error.to_string(), |code| format!("{:?}", Errno::from_raw(code))),
        instead: "not recorded".to_owned(),
        origin: command.origin.clone(),
    }
}

/// Whether the programs are there that the scenario says it needs; a run without one is skipped.
fn has_tools(plan: &Plan, env: &[(String, String)]) -> Result<(), LabError> {
    let path = env.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, path)| path);
    for requirement in &plan.requires {
        let RequirementKind::Tool(tool) = &requirement.what else { continue };
        if !std::env::split_paths(path).any(|folder| folder.join(tool).is_file()) {
            return Err(LabError::Unsupported {
                feature: format!("the program {tool}"),
                why: format!("it is in none of {path}"),
                remedy: "install it, or let `workbench doctor --fix` do so".to_owned(),
                origin: Box::new(requirement.origin.clone()),
            });
        }
    }
    Ok(())
}

/// The programs that ran: daemons, then those of the command in the order of their start.
fn programs(plan: &Plan, processes: &[Process]) -> Vec<String> {
    let daemons = plan.daemons.iter().map(|daemon| daemon.argv[0].clone());
    let executed = processes.iter().filter(|process| process.program.is_none());
    daemons.chain(executed.filter_map(|process| process.argv.first().cloned())).collect()
}

/// A clean environment, nothing of the user's, no proxies, one language; with what is added to it.
pub(super) fn environment(added: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let clean = [
        ("HOME", world::HOME),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", "root"),
        ("PATH", PATH),
        ("SHELL", "/bin/sh"),
        ("TERM", "dumb"),
        ("TZ", "UTC"),
        ("USER", "root"),
    ];
    let mut env: BTreeMap<String, String> =
        clean.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    env.extend(added.clone());
    env
}

/// When a virtual machine lets something go, from some moment on: at the phase that was asked for.
fn start_ns(job: &Job, jiffies: Option<&JiffiesClock>, from_ns: i64) -> Option<i64> {
    let (guest, jiffies) = (job.guest.as_ref()?, jiffies?);
    let default_ns = JiffiesClock::DEFAULT_PHASE_JIFFIES * jiffies.tick_ns;
    Some(jiffies.next_ns(guest.phase_ns.unwrap_or(default_ns), from_ns))
}

fn machine(job: &Job, jiffies: Option<&JiffiesClock>, seen: &Seen, lab: &Lab) -> Machine {
    let uname = nix::sys::utsname::uname().ok();
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    Machine {
        engine: job.engine,
        kernel: text(uname.as_ref().map(|u| u.release())),
        arch: text(uname.as_ref().map(|u| u.machine())),
        tick_ns: clock::tick_ns(),
        zero_realtime_ns: seen.offsets.to_realtime_ns(seen.zero_ns),
        realtime_offsets: seen.offsets.pairs(seen.zero_ns),
        wire: lab.wire().map(str::to_owned),
        phase: jiffies.map(|clock| clock.phase_at(seen.zero_ns)),
        guest: job.guest.as_ref().map(|guest| GuestMachine {
            seed: guest.seed,
            time_travel: guest.time_travel,
            notes: Vec::new(),
        }),
    }
}
