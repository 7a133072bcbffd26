//! Watches a virtual machine from outside until it ends, or until it is plain that it never will.
//!
//! In the machine computing takes no time, so a program that computes until a time has come never sees it come. Nothing
//! inside can notice: a timer there would not fire either. What is counted is processor time, not the wall's, so a busy
//! host makes nobody suspicious.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::cpu::Usage;
use super::spin::Inside;
use crate::evidence::TimeTravel;
use crate::sys::pidfd;

/// How often the machine is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A program that has used this much while the kernel, which hears of every system call and page fault, used not one of
/// its clock's ticks (10 ms), waits for something that cannot come. Nothing that waits for a network computes for so long at a stretch.
const SPIN: Duration = Duration::from_secs(3);

/// A program that is found reading the clock at half of so many looks in a row does little else. The other half it may
/// be on the way between two readings, which is not told from outside.
const CLOCK_LOOKS: usize = 20;

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// The machine ended by itself.
    Ended(WaitStatus),
    /// Whoever asked for the run does not want it any more.
    Abandoned,
    /// A program computes and makes hardly a system call.
    Spins(Suspect),
    /// The programs have used what they may.
    Computes(Suspect),
    /// The kernel has used what it may.
    KernelComputes(Duration),
    /// The machine has so little memory that it does nothing but read its files, programs among them, again and again: so
    /// many bytes so far. The kernel does not take that for a lack of memory.
    Thrashes(u64),
    /// The kernel says that it is in trouble. What is left of the machine may take for ever to come to an end.
    InTrouble,
}

/// A program that was found to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Its name, if that could be found.
    pub program: Option<String>,
    /// Processor time used by then.
    pub used: Duration,
}

/// What a watch has to know.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// How time goes in the machine.
    pub time_travel: TimeTravel,
    /// What all its programs may use together, and its kernel for them.
    pub programs_at_most: Duration,
    /// What its kernel may use while no program does anything: more than all the waiting could need.
    pub kernel_at_most: Duration,
    /// What it may read: so much that it can only be the same again and again.
    pub read_bytes_at_most: u64,
    /// Readable, at its end, when nobody wants the run any more.
    pub asker: BorrowedFd<'a>,
}

/// Waits for the machine's end and reaps it; one that has to be ended is killed first. `is_in_trouble` is asked at each
/// look. Says with it which program was found polling the clock, if one was.
///
/// # Errors
///
/// What the kernel said.
pub fn watch(
    machine: Pid,
    terms: Terms<'_>,
    is_in_trouble: impl FnMut() -> bool,
) -> io::Result<(Watched, Option<Suspect>)> {
    let mut suspicion = Suspicion::default();
    let found = look_until_found(machine, &terms, is_in_trouble, &mut suspicion);
    let ended = end(machine);
    let found = match found? {
        Some(found) => found,
        None => Watched::Ended(ended?),
    };
    Ok((found, suspicion.polls_clock))
}

/// Looks at the machine until it has ended by itself, or something is found for which it has to be ended.
fn look_until_found(
    machine: Pid,
    terms: &Terms<'_>,
    mut is_in_trouble: impl FnMut() -> bool,
    suspicion: &mut Suspicion,
) -> io::Result<Option<Watched>> {
    let ended: OwnedFd = pidfd::open(machine)?;
    loop {
        let mut fds = [PollFd::new(ended.as_fd(), PollFlags::POLLIN), PollFd::new(terms.asker, PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|revents| !revents.is_empty());
        if is_ready(&fds[0]) {
            return Ok(None);
        }
        let found = if is_ready(&fds[1]) {
            Some(Watched::Abandoned)
        } else if is_in_trouble() {
            Some(Watched::InTrouble)
        } else {
            Usage::read(machine).and_then(|usage| suspicion.look(&usage, terms))
        };
        if found.is_some() {
            return Ok(found);
        }
    }
}

/// Ends a machine with everything in its session, and waits until nothing is left. All at once: a program that runs under
/// ptrace and outlives the machine is let go by the kernel, and its system calls are the host's from then on. And a process
/// that the machine has only just made does not know yet that it should die with it. The calling process is the one that
/// orphans are handed to.
fn end(machine: Pid) -> io::Result<WaitStatus> {
    let _ = killpg(machine, Signal::SIGKILL);
    // In case it has no session of its own yet.
    let _ = kill(machine, Signal::SIGKILL);
    let status = waitpid(machine, None)?;
    // Nobody makes another one: the kernel of the machine, which does, is gone.
    let _ = killpg(machine, Signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
    Ok(status)
}

/// What the looks so far have shown.
#[derive(Debug, Default)]
struct Suspicion {
    before: Option<Usage>,
    /// What the programs have used since the kernel last did anything.
    alone: Duration,
    /// What programs and kernel have used together while programs computed.
    computing: Duration,
    /// What the kernel has used while no program did anything.
    waiting: Duration,
    /// Whether each of the last looks found a program in the vdso.
    in_vdso: VecDeque<bool>,
    /// Who was found to poll the clock. Such a program comes to its end: each reading moves the time on.
    polls_clock: Option<Suspect>,
}

impl Suspicion {
    fn look(&mut self, usage: &Usage, terms: &Terms<'_>) -> Option<Watched> {
        let before = self.before.replace(usage.clone()).unwrap_or_else(|| usage.clone());
        let grown = usage.programs.saturating_sub(before.programs);
        self.alone = if usage.kernel == before.kernel { self.alone + grown } else { Duration::ZERO };
        let inside = usage.busiest_since(&before).and_then(Inside::of);
        let suspect = |used| Suspect { program: inside.as_ref().and_then(Inside::program), used };
        self.look_for_clock(grown, inside.as_ref(), || suspect(usage.programs));
        // What the kernel does meanwhile, it does for them.
        let kernel_grown = usage.kernel.saturating_sub(before.kernel);
        *if grown.is_zero() { &mut self.waiting } else { &mut self.computing } += grown + kernel_grown;
        if self.computing > terms.programs_at_most {
            return Some(Watched::Computes(suspect(self.computing)));
        }
        if usage.read_bytes > terms.read_bytes_at_most {
            return Some(Watched::Thrashes(usage.read_bytes));
        }
        if self.waiting > terms.kernel_at_most {
            return Some(Watched::KernelComputes(self.waiting));
        }
        // With time that goes on while somebody computes, the scenario's deadline ends such a program.
        let is_spinning = self.alone > SPIN && terms.time_travel == TimeTravel::InfCpu;
        is_spinning.then(|| Watched::Spins(suspect(self.alone)))
    }

    fn look_for_clock(&mut self, grown: Duration, inside: Option<&Inside>, suspect: impl Fn() -> Suspect) {
        if self.polls_clock.is_some() {
            return;
        }
        // A busy machine lets it stand still for a while: that says nothing of what it does when it runs.
        if grown.is_zero() {
            return;
        }
        self.in_vdso.push_back(inside.and_then(Inside::is_in_vdso).unwrap_or(false));
        if self.in_vdso.len() > CLOCK_LOOKS {
            self.in_vdso.pop_front();
        }
        let seen = self.in_vdso.iter().filter(|seen| **seen).count();
        if self.in_vdso.len() == CLOCK_LOOKS && seen * 2 >= CLOCK_LOOKS {
            self.polls_clock = Some(suspect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(kernel_s: u64, programs_s: u64) -> Usage {
        let (kernel, programs) = (Duration::from_secs(kernel_s), Duration::from_secs(programs_s));
        Usage { kernel, programs, ..Usage::default() }
    }

    fn outcome(readings: &[Usage], time_travel: TimeTravel) -> Option<Watched> {
        let mut suspicion = Suspicion::default();
        let asker = std::io::stdin();
        let terms = Terms {
            time_travel,
            programs_at_most: Duration::from_secs(120),
            kernel_at_most: Duration::from_secs(20_000),
            read_bytes_at_most: 1_000,
            asker: asker.as_fd(),
        };
        readings.iter().find_map(|usage| suspicion.look(usage, &terms))
    }

    #[test]
    fn programs_that_compute_while_the_kernel_does_nothing_spin() {
        let readings: Vec<Usage> = (0..6).map(|s| usage(1, s)).collect();
        let found = outcome(&readings, TimeTravel::InfCpu);
        assert_eq!(found, Some(Watched::Spins(Suspect { program: None, used: Duration::from_secs(4) })));
        assert_eq!(outcome(&readings, TimeTravel::Basic), None);
    }

    #[test]
    fn a_machine_that_reads_its_files_again_and_again_thrashes() {
        let reads = |read_bytes| Usage { read_bytes, ..Usage::default() };
        let found = outcome(&[reads(500), reads(1_000), reads(1_500)], TimeTravel::InfCpu);
        assert_eq!(found, Some(Watched::Thrashes(1_500)));
    }

    #[test]
    fn a_kernel_that_works_for_days_of_waiting_is_left_alone() {
        let readings: Vec<Usage> = (0..10_000).map(|s| usage(s, 1)).collect();
        assert_eq!(outcome(&readings, TimeTravel::InfCpu), None);
    }

    #[test]
    fn programs_that_never_come_to_an_end_are_ended_in_both_modes() {
        let readings: Vec<Usage> = (0..200).map(|s| usage(s, s)).collect();
        for time_travel in [TimeTravel::InfCpu, TimeTravel::Basic] {
            assert!(matches!(outcome(&readings, time_travel), Some(Watched::Computes(_))));
        }
    }
}
