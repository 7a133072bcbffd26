//! Whose a process is: the command's, or a socket program's that takes part beside it; and in which host it runs.
//! What any of them did is elsewhere.

use super::model::Evidence;
use super::process::Process;

impl Evidence {
    /// The command's first process and its place among the processes. Socket programs may have been started earlier.
    pub fn command(&self) -> Option<(usize, &Process)> {
        self.processes.iter().enumerate().find(|(_, process)| self.is_commands(process))
    }

    /// Whether a process is the command or one that it started.
    pub fn is_commands(&self, process: &Process) -> bool {
        process.program == self.plan.command.program
    }

    /// The same by process id. One that was never seen beginning is the command's.
    pub fn is_of_command(&self, pid: u32) -> bool {
        self.process(pid).is_none_or(|process| self.is_commands(process))
    }

    /// The socket program that a process carries out.
    pub fn program_of(&self, pid: u32) -> Option<&str> {
        self.process(pid)?.program.as_deref()
    }

    /// The host in which a process runs.
    pub fn host_of(&self, pid: u32) -> &str {
        self.program_of(pid).map_or(&self.plan.command.host, |name| self.host_of_program(name))
    }

    /// The host in which a socket program runs.
    pub fn host_of_program(&self, name: &str) -> &str {
        let known = self.plan.programs.iter().find(|program| program.name == name);
        known.map_or(&self.plan.command.host, |program| &program.host)
    }

    /// The host in which a daemon runs.
    pub fn host_of_daemon(&self, name: &str) -> &str {
        let known = self.plan.daemons.iter().find(|daemon| daemon.name == name);
        known.map_or(&self.plan.command.host, |daemon| &daemon.host)
    }

    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.iter().find(|process| process.pid == pid)
    }
}
