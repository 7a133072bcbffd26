//! One run in a virtual machine, from an order to an outcome. The launcher's process does nothing else.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::console;
use super::machine::Machine;
use super::order::Order;
use super::scratch::{Scratch, ScratchError};
use super::watch::{Suspect, Terms, Watched, watch};
use crate::agent::{JOB_FILE, KNOWN_TOOLS_FILE, OUTCOME_FILE, Outcome};
use crate::evidence::{Ending, TimeTravel};
use crate::sys::machine::NOT_STARTED;

/// How long a run may wait, in virtual time, that has to be repeated with computing that takes time: its own deadline
/// may be days away, and it would compute for days.
const BASIC_DEADLINE_NS: u64 = 60 * 1_000_000_000;

/// Carries out an order, in the thread that must outlive the machine. `asker` is at its end when nobody wants the run any
/// more; the outcome then is of no use to anybody.
pub fn launch(mut order: Order, asker: BorrowedFd<'_>) -> Outcome {
    if let Err(errno) = set_child_subreaper(true) {
        return Outcome::Broken(format!("cannot become the reaper of a virtual machine's processes: {errno}"));
    }
    let first = attempt(&order, asker);
    let Ok(Attempt::Stuck(why)) = first else { return outcome(first) };
    if let Some(guest) = &mut order.job.guest {
        guest.time_travel = TimeTravel::Basic;
    }
    let command = &mut order.job.plan.command;
    let is_cut = command.deadline_ns.is_none_or(|ns| ns > BASIC_DEADLINE_NS);
    if is_cut {
        command.deadline_ns = Some(BASIC_DEADLINE_NS);
    }
    let cut = if is_cut { ", for a minute at most" } else { "" };
    let why = format!("{why}; run again with time-travel=basic, in which computing takes time{cut}");
    match attempt(&order, asker) {
        Ok(Attempt::Done(outcome)) => noted(cut_short(outcome, is_cut), why),
        Ok(Attempt::Stuck(again)) => Outcome::Broken(format!("{why}: {again}")),
        other => outcome(other),
    }
}

/// A run that came to a deadline that is not its own says nothing of what it would have come to.
fn cut_short(mut outcome: Outcome, is_cut: bool) -> Outcome {
    if let Outcome::Seen(evidence) = &mut outcome
        && evidence.end.how == Ending::Deadline
        && is_cut
    {
        evidence.plan.command.is_horizon = false;
        evidence.blind_spots.push("computing took so long that the run was ended before its own deadline".to_owned());
    }
    outcome
}

fn noted(mut outcome: Outcome, note: String) -> Outcome {
    if let Outcome::Seen(evidence) = &mut outcome
        && let Some(guest) = &mut evidence.machine.guest
    {
        guest.notes.push(note);
    }
    outcome
}

/// How one try ended.
enum Attempt {
    /// With an outcome.
    Done(Outcome),
    /// A program computes for ever where computing takes no time; in words.
    Stuck(String),
    /// Nobody wants it any more.
    Abandoned,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error("cannot {0} the virtual machine: {1}")]
    Os(&'static str, io::Error),
    #[error("the virtual machine's agent left a result that cannot be read: {0}")]
    Garbled(serde_json::Error),
    #[error("the virtual machine's kernel panicked:\n{0}")]
    Panic(String),
    #[error(
        "the virtual machine ran out of memory: {what}; it had {} MiB, `memory \"{}MiB\"` in the scenario would give it more",
        .had_bytes >> 20,
        .had_bytes >> 19
    )]
    OutOfMemory { what: String, had_bytes: u64 },
    #[error("the folder of the virtual machine's memory ran out of room: {0}")]
    NoRoom(String),
    #[error(
        "{0} polls the clock: it waits by {POLLING}; it was not done after {1} of processor time. A shorter deadline= in the scenario, more time (`--compute`), or `--engine host` would do"
    )]
    PollsClock(String, String),
    #[error(
        "{0} computes: it was not done after {1} of processor time. A deadline= in the scenario, or more time (`--compute`) would do"
    )]
    Computes(String, String),
    #[error(
        "the virtual machine's kernel computes although no program does: it was not done after {0} of processor time. A shorter deadline= in the scenario, or `--engine host` would do"
    )]
    KernelComputes(String),
    #[error("{image} cannot be started: is it a User-Mode Linux kernel for this machine?")]
    NotStarted { image: String },
    #[error("the virtual machine was killed by {0}")]
    Killed(Signal),
    #[error("the virtual machine ended without a result{}", said(.0))]
    Silent(String),
}

fn said(console: &str) -> String {
    if console.is_empty() { String::new() } else { format!("; the last that its kernel said:\n{console}") }
}

fn outcome(attempt: Result<Attempt, Failure>) -> Outcome {
    match attempt {
        Ok(Attempt::Done(outcome)) => outcome,
        Ok(Attempt::Stuck(why)) => Outcome::Broken(why),
        Ok(Attempt::Abandoned) => Outcome::Broken("nobody waits for this run any more".to_owned()),
        Err(failure) => Outcome::Broken(failure.to_string()),
    }
}

fn attempt(order: &Order, asker: BorrowedFd<'_>) -> Result<Attempt, Failure> {
    let memory_bytes = order.job.plan.memory_bytes;
    let scratch = Scratch::new(memory_bytes)?;
    let job = serde_json::to_vec(&order.job).map_err(Failure::Garbled)?;
    scratch.write(JOB_FILE, &job)?;
    scratch.write(OUTCOME_FILE, &[])?;
    scratch.write(KNOWN_TOOLS_FILE, &serde_json::to_vec(&order.known_tools).map_err(Failure::Garbled)?)?;
    let time_travel = order.job.guest.as_ref().map_or(TimeTravel::InfCpu, |guest| guest.time_travel);
    let mut machine = Machine::start(&order.kernel, memory_bytes, time_travel, order.cpu, &scratch)
        .map_err(|e| Failure::Os("start", e))?;
    let terms = Terms {
        time_travel,
        programs_at_most: Duration::from_nanos(order.programs_at_most_ns),
        kernel_at_most: kernel_at_most(order),
        read_bytes_at_most: memory_bytes.saturating_mul(READ_AGAIN),
        asker,
    };
    let (pid, mut read) = (machine.pid, 0);
    let mut is_in_trouble = || {
        let is_new = std::mem::replace(&mut read, machine.console_len()) != read;
        is_new && console::out_of_memory(&machine.console()).is_some()
    };
    let (watched, polls) = watch(pid, terms, &mut is_in_trouble).map_err(|e| Failure::Os("watch", e))?;
    let status = match (watched, &polls) {
        (Watched::Ended(status), _) => status,
        (Watched::Abandoned, _) => return Ok(Attempt::Abandoned),
        (Watched::Spins(who), _) => {
            let what = "of processor time with hardly a system call, and no time goes by meanwhile";
            return Ok(Attempt::Stuck(format!("{} spins: it used {} {what}", who.name(), who.used())));
        }
        (Watched::Computes(now), Some(who)) => return Err(Failure::PollsClock(who.name(), now.used())),
        (Watched::Computes(who), None) if time_travel == TimeTravel::InfCpu => {
            return Ok(Attempt::Stuck(format!("{} still computed after {} of processor time", who.name(), who.used())));
        }
        (Watched::Computes(who), None) => return Err(Failure::Computes(who.name(), who.used())),
        (Watched::KernelComputes(used), _) => return Err(Failure::KernelComputes(seconds(used))),
        (Watched::Thrashes(bytes), _) => {
            let what = format!("it reads its files again and again, {} GiB so far", bytes >> 30);
            return Err(Failure::OutOfMemory { what, had_bytes: memory_bytes });
        }
        (Watched::InTrouble, _) => return Err(trouble(order, &machine.console())),
    };
    let line = scratch.read(OUTCOME_FILE)?;
    let outcome = ended(order, status, &line, &machine.console())?;
    let note = polls.map(|who| format!("{} polls the clock: it waits by {POLLING}", who.name()));
    Ok(Attempt::Done(match note {
        Some(note) => noted(outcome, note),
        None => outcome,
    }))
}

/// How many times its memory a machine may read from the host: 8 GiB with 128 MiB. Who really reads so much needs more
/// memory as well.
const READ_AGAIN: u64 = 64;

/// What a kernel may compute while its programs do nothing: ten times what all the waiting should take (a day of it takes
/// 0.05 to 0.4 s), and a minute.
fn kernel_at_most(order: &Order) -> Duration {
    const DAY_NS: u64 = 86_400 * 1_000_000_000;
    let days = order.job.plan.command.deadline_ns.unwrap_or(DAY_NS) / DAY_NS + 1;
    Duration::from_secs(60 + 4 * days)
}

/// What a kernel that ran out of memory has said.
fn trouble(order: &Order, console: &str) -> Failure {
    let program = console::out_of_memory(console).unwrap_or_else(|| "a program".to_owned());
    Failure::OutOfMemory { what: format!("its kernel killed {program}"), had_bytes: order.job.plan.memory_bytes }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What it means to poll the clock in virtual time (`timer_read` in arch/um/kernel/time.c).
const POLLING: &str = "reading the time again and again, of which each moves it on by 256 ns only";

impl Suspect {
    fn name(&self) -> String {
        self.program.clone().unwrap_or_else(|| "a program".to_owned())
    }

    fn used(&self) -> String {
        seconds(self.used)
    }
}

/// What a machine that has ended left behind.
fn ended(order: &Order, status: WaitStatus, line: &[u8], console: &str) -> Result<Outcome, Failure> {
    if console::out_of_memory(console).is_some() {
        return Err(trouble(order, console));
    }
    if line.ends_with(b"\n") {
        return serde_json::from_slice(line).map_err(Failure::Garbled);
    }
    if console::is_without_room(console) {
        return Err(Failure::NoRoom(console::last_lines(console)));
    }
    if let Some(panic) = console::panic(console) {
        return Err(Failure::Panic(panic));
    }
    match status {
        WaitStatus::Exited(_, NOT_STARTED) => {
            Err(Failure::NotStarted { image: order.kernel.image.display().to_string() })
        }
        WaitStatus::Signaled(_, signal, _) if signal != Signal::SIGABRT => Err(Failure::Killed(signal)),
        _ => Err(Failure::Silent(console::last_lines(console))),
    }
}
