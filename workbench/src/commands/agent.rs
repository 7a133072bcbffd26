//! `workbench agent` and `workbench guest`: the inside of a lab, and of a virtual machine around one. A job comes in on standard input, its outcome leaves on standard output.

use std::io::{Read, Write};

use nix::unistd::Pid;

use crate::agent::{self, Job, Outcome};
use crate::exit_code;

/// Reads a job, enters fresh namespaces, carries it out, writes the outcome as one line.
pub fn agent(parent: i32) -> u8 {
    let mut text = Vec::new();
    let job: Job = match std::io::stdin().read_to_end(&mut text).map(|_| serde_json::from_slice(&text)) {
        Ok(Ok(job)) => job,
        Ok(Err(e)) => return fail(&format!("this is not a job: {e}")),
        Err(e) => return fail(&format!("cannot read the job: {e}")),
    };
    let outcome = match agent::enter(Pid::from_raw(parent)) {
        Ok(()) => agent::execute(&job),
        Err(e) => Outcome::Broken(e.to_string()),
    };
    let mut line = match serde_json::to_vec(&outcome) {
        Ok(line) => line,
        Err(e) => return fail(&format!("cannot write the outcome: {e}")),
    };
    line.push(b'\n');
    match std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush()) {
        Ok(()) => exit_code::AGREES,
        Err(e) => fail(&format!("cannot write the outcome: {e}")),
    }
}

/// Is process 1 of a virtual machine: [`agent`] in a process of its own. Comes back only in that process, or for the
/// kernel to panic; why, stands in its log before.
pub fn guest() -> u8 {
    match agent::init(self::agent) {
        Ok(code) => code,
        Err(why) => {
            let _ = std::fs::write("/dev/kmsg", format!("<0>workbench guest: {why}"));
            fail(&why)
        }
    }
}

fn fail(why: &str) -> u8 {
    eprintln!("workbench agent: {why}");
    exit_code::ENVIRONMENT
}
