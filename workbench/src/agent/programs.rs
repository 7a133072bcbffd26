//! The socket programs of a run: what the tracer starts for them, what they wait for, and how far they came.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::evidence::{DestroyedSocket, Process, SocketSample, StepRecord, StepResult, TcpSocket, TcpState};
use crate::lab::Lab;
use crate::plan::{Call, Cause, Plan, ProgramPlan, SocketState};
use crate::programs::{Progress, carry_out, said};
use crate::record::syscalls::TracedProgram;

/// The programs of a run.
pub struct Programs {
    plans: Rc<Vec<ProgramPlan>>,
    progress: Rc<Progress>,
    /// They ring here.
    bell: EventFd,
    /// The command's own.
    own: Option<usize>,
    /// Those that are gone.
    ended: BTreeSet<usize>,
    /// Hosts that had a socket that does not listen, and the ports of those.
    had: BTreeSet<(String, u16)>,
    /// Samples and destroyed sockets that were looked at.
    seen: (usize, usize),
}

impl Programs {
    /// Those of a plan.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn new(plan: &Plan) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let own = plan.command.program.as_ref();
        Ok(Self {
            progress: Rc::new(Progress::new(&plan.programs)?),
            plans: Rc::new(plan.programs.clone()),
            bell: EventFd::from_flags(flags)?,
            own: own.and_then(|name| plan.programs.iter().position(|program| program.name == *name)),
            ended: BTreeSet::new(),
            had: BTreeSet::new(),
            seen: (0, 0),
        })
    }

    /// Whether the command is one of them.
    pub fn is_command(&self) -> bool {
        self.own.is_some()
    }

    /// The command's own, with its output.
    ///
    /// # Errors
    ///
    /// The kernel's, and that it is none.
    pub fn main(&self, lab: &Lab, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<TracedProgram> {
        self.traced(self.own.ok_or(io::ErrorKind::NotFound)?, lab, stdout, stderr)
    }

    /// The others. What they have to say is in the evidence, not in an output.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn companions(&self, lab: &Lab) -> io::Result<Vec<TracedProgram>> {
        let null = || io::Result::Ok(OwnedFd::from(OpenOptions::new().write(true).open("/dev/null")?));
        let others = (0..self.plans.len()).filter(|index| Some(*index) != self.own);
        others.map(|index| self.traced(index, lab, null()?, null()?)).collect()
    }

    fn traced(&self, index: usize, lab: &Lab, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<TracedProgram> {
        let program = &self.plans[index];
        let netns = lab.netns(&program.host).ok_or(io::ErrorKind::NotFound)?.try_clone_to_owned()?;
        let (plans, progress) = (Rc::clone(&self.plans), Rc::clone(&self.progress));
        Ok(TracedProgram {
            name: program.name.clone(),
            netns,
            hostname: program.host.clone(),
            stdin: self.bell.as_fd().try_clone_to_owned()?,
            stdout,
            stderr,
            work: Box::new(move || carry_out(&plans, index, &progress)),
        })
    }

    /// Readable when a program has come to a named step, or waits.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.plans.is_empty()).then(|| self.bell.as_fd())
    }

    /// Whether there are any beside the command.
    pub fn has_companions(&self) -> bool {
        self.plans.len() > usize::from(self.own.is_some())
    }

    /// Takes note of a process; that of a program may be gone.
    pub fn note_process(&mut self, process: &Process) {
        if process.end_ns.is_none() {
            return;
        }
        let index = self.plans.iter().position(|plan| Some(&plan.name) == process.program.as_ref());
        let Some(index) = index.filter(|index| self.ended.insert(*index)) else { return };
        for (step, plan) in self.plans[index].steps.iter().enumerate() {
            if plan.name().is_some() {
                self.progress.give_up(index, step);
            }
        }
    }

    /// Lets those go on whose socket state has come, as the samples so far tell. A connection that was gone before any
    /// of them saw it has been all the same.
    pub fn turn(&mut self, samples: &[SocketSample], destroyed: &[DestroyedSocket]) {
        // That it rang is all there is to know.
        let _ = self.bell.read();
        let new = &samples[self.seen.0.min(samples.len())..];
        let lost = &destroyed[self.seen.1.min(destroyed.len())..];
        self.seen = (samples.len(), destroyed.len());
        // One that is destroyed is in CLOSE; what only listened has nobody at the other end.
        for DestroyedSocket { host, socket, .. } in lost.iter().filter(|lost| lost.socket.remote.1 != 0) {
            for port in [0, socket.local.1, socket.remote.1] {
                self.had.insert((host.clone(), port));
            }
        }
        for sample in new {
            for socket in sample.sockets.iter().filter(|socket| is_connection(socket)) {
                for port in [0, socket.local.1, socket.remote.1] {
                    self.had.insert((sample.host.clone(), port));
                }
            }
        }
        for (index, plan) in self.plans.iter().enumerate() {
            for (step, plan) in plan.steps.iter().enumerate() {
                let Call::Wait { cause: Cause::Socket { host, state, port } } = &plan.call else { continue };
                let is_waiting = self.progress.began_ns(index, step).is_some() && !self.progress.has_come(index, step);
                if is_waiting && self.holds(host, *state, *port, new, samples) {
                    self.progress.raise(index, step);
                }
            }
        }
    }

    /// Whether a host's sockets are so, at the last look or at one since the last turn.
    fn holds(
        &self,
        host: &str,
        state: SocketState,
        port: Option<u16>,
        new: &[SocketSample],
        all: &[SocketSample],
    ) -> bool {
        let of_port = |socket: &&TcpSocket| port.is_none_or(|port| [socket.local.1, socket.remote.1].contains(&port));
        let last = all.iter().rev().find(|sample| sample.host == host);
        if state == SocketState::Gone {
            let is_gone = last.is_none_or(|last| !last.sockets.iter().filter(of_port).any(is_connection));
            return is_gone && self.had.contains(&(host.to_owned(), port.unwrap_or(0)));
        }
        let is_so = |sample: &SocketSample| {
            sample.sockets.iter().filter(of_port).any(|s| Some(s.state) == TcpState::named(state))
        };
        last.into_iter().chain(new.iter().filter(|sample| sample.host == host)).any(is_so)
    }

    /// The named steps that programs have come to, and when.
    pub fn named_steps(&self) -> impl Iterator<Item = (&str, &str, i64)> {
        let plans = self.plans.iter().enumerate();
        plans.flat_map(move |(index, plan)| {
            let named = plan.steps.iter().enumerate().filter_map(|(step, each)| Some((step, each.name()?)));
            let come = named.filter(move |(step, _)| self.progress.has_come(index, *step));
            come.filter_map(move |(step, name)| Some((plan.name.as_str(), name, self.progress.began_ns(index, step)?)))
        })
    }

    /// Whether the command may be let go: every companion that has a step called `ready` has come to it.
    ///
    /// # Errors
    ///
    /// Which of them has ended without, and how.
    pub fn are_ready(&self) -> Result<bool, String> {
        let mut are_ready = true;
        for (index, plan) in self.plans.iter().enumerate().filter(|(index, _)| Some(*index) != self.own) {
            let Some(step) = plan.ready_step() else { continue };
            if self.progress.has_come(index, step) {
                continue;
            }
            if self.ended.contains(&index) {
                let why = self.complaint(index).unwrap_or_else(|| "it was killed".to_owned());
                return Err(format!("the program {} ended before its step `ready`: {why}", plan.name));
            }
            are_ready = false;
        }
        Ok(are_ready)
    }

    /// Where those stand that are not ready, in words.
    pub fn standing(&self) -> String {
        let mut texts = Vec::new();
        for (index, plan) in self.plans.iter().enumerate() {
            let at = (0..plan.steps.len()).rev().find(|step| self.progress.began_ns(index, *step).is_some());
            if let (Some(at), Some(ready)) = (at, plan.ready_step())
                && at < ready
            {
                texts.push(format!("{} is at `{}`", plan.name, plan.steps[at].text));
            }
        }
        texts.join(", ")
    }

    fn complaint(&self, index: usize) -> Option<String> {
        self.plans[index].steps.iter().enumerate().find_map(|(step, plan)| {
            let (_, result) = self.progress.result(index, step)?;
            let result = result.map_err(said);
            plan.complaint(result.as_ref().copied().map_err(String::as_str))
        })
    }

    /// What came of every step that began, since zero.
    pub fn records(&self, zero_ns: i64) -> Vec<StepRecord> {
        let mut records = Vec::new();
        for (program, plan) in self.plans.iter().enumerate() {
            for index in 0..plan.steps.len() {
                let Some(began_ns) = self.progress.began_ns(program, index) else { continue };
                let done = self.progress.result(program, index);
                records.push(StepRecord {
                    program: plan.name.clone(),
                    index,
                    began_ns: began_ns - zero_ns,
                    done_ns: done.map(|(done_ns, _)| done_ns - zero_ns),
                    result: done.map(|(_, result)| match result {
                        Ok(value) => StepResult::Ok(value),
                        Err(errno) => StepResult::Failed(said(errno)),
                    }),
                });
            }
        }
        records
    }
}

fn is_connection(socket: &TcpSocket) -> bool {
    !matches!(socket.state, TcpState::Listen | TcpState::Close)
}
