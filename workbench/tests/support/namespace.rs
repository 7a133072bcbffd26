//! Runs a test's body as process 1 of fresh namespaces: this test binary, executed once more under `unshare`.
//!
//! A body builds network namespaces and moves its thread between them, so it needs a process with one thread: the main
//! function calls [`run_inside`] before libtest-mimic starts any.

use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use libtest_mimic::{Completion, Failed, Trial};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// A test's name and what it does; it panics if it fails.
pub type Body = (&'static str, fn());

/// Names the body to run in place of all tests.
const INSIDE: &str = "WORKBENCH_TEST_INSIDE";

/// Who runs a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Same,
    /// `nobody`, which only root can become.
    Nobody,
}

/// If this process was started by [`trial`], runs the body it was started for and exits.
pub fn run_inside(bodies: &[Body]) {
    let Ok(name) = std::env::var(INSIDE) else { return };
    let (_, body) = bodies.iter().find(|(each, _)| *each == name).expect("a body of that name");
    body();
    std::process::exit(0);
}

/// A test that runs a body in fresh user, network, mount and PID namespaces, or says why it cannot.
pub fn trial((name, _): Body, user: User) -> Trial {
    let title = if user == User::Nobody { format!("{name}_as_nobody") } else { name.to_owned() };
    Trial::ignorable_test(title, move || {
        if user == User::Nobody && !nix::unistd::geteuid().is_root() {
            return Ok(Completion::ignored_with("only root can become nobody"));
        }
        let probe = unshare(user, &["true"], None)?;
        if !probe.status.success() {
            let why = String::from_utf8_lossy(&probe.stderr).trim().to_owned();
            return Ok(Completion::ignored_with(format!("no namespaces here: {why}")));
        }
        // As a descriptor, because nobody cannot walk the path to it.
        let binary = std::fs::File::open(std::env::current_exe()?)?;
        fcntl(&binary, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let path = format!("/proc/self/fd/{}", binary.as_raw_fd());
        let output = unshare(user, &[&path], Some(name))?;
        if output.status.success() {
            return Ok(Completion::Completed);
        }
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(Failed::from(format!("{}\n{stdout}{stderr}", output.status)))
    })
}

/// Runs a program as process 1 of fresh namespaces, with one user id mapped.
fn unshare(user: User, argv: &[&str], inside: Option<&str>) -> std::io::Result<Output> {
    let unshare = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount", "--mount-proc"];
    let drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let drop = if user == User::Nobody { drop.as_slice() } else { &[] };
    let words: Vec<&str> = [drop, unshare.as_slice(), &["--kill-child"], argv].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir("/");
    if let Some(name) = inside {
        command.env(INSIDE, name);
    }
    command.output()
}
