//! The subcommands of `workbench kernel`: arguments in, exit code out. How a kernel is built is not known here.

use std::path::Path;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use super::progress::Progress;
use super::show::{kernel_line, listing, shown};
use crate::cli::{KernelBuildArgs, KernelCommand};
use crate::commands::check::wrong;
use crate::commands::interrupt::interrupted;
use crate::commands::terminal::{say, say_line};
use crate::exit_code;
use crate::kernels::{self, KernelError, Request};

/// Does what the command says.
pub fn kernel(command: KernelCommand) -> u8 {
    let done = match command {
        KernelCommand::Build(args) => return build(&args),
        KernelCommand::Add { path } => return add(&path),
        KernelCommand::List => list(),
        KernelCommand::Remove { name } => {
            kernels::remove(&name).map(|kernel| format!("removed {}\n", kernel.folder_name()))
        }
        KernelCommand::Show { name } => show(name.as_deref()),
    };
    match done {
        Ok(text) => {
            say(&text);
            exit_code::AGREES
        }
        Err(e) => refused(&e),
    }
}

fn list() -> Result<String, KernelError> {
    Ok(listing(&kernels::all()?, &kernels::folder()?))
}

fn show(name: Option<&str>) -> Result<String, KernelError> {
    let chosen = match name {
        Some(name) => vec![kernels::find(name)?],
        None => kernels::select(None, kernels::host_hz())?,
    };
    Ok(chosen.iter().map(shown).collect())
}

fn add(path: &Path) -> u8 {
    match runtime().map(|runtime| runtime.block_on(until_interrupted(kernels::add(path)))) {
        Err(code) => code,
        Ok(None) => interrupted_code(),
        Ok(Some(Err(e))) => refused(&e),
        Ok(Some(Ok(kernel))) => {
            say_line(&format!("added {}", kernel_line(&kernel)));
            exit_code::AGREES
        }
    }
}

fn build(args: &KernelBuildArgs) -> u8 {
    let request = Request {
        source: args.source.clone(),
        suite: args.suite.clone(),
        // One of the four that the command line allows.
        hz: args.hz.as_ref().and_then(|hz| hz.parse().ok()),
        jobs: args.jobs.map(usize::from),
    };
    match build_one(&request) {
        Ended::Built => exit_code::AGREES,
        Ended::Refused(e) => refused(&e),
        Ended::Interrupted => interrupted_code(),
        Ended::NotBegun(code) => code,
    }
}

/// How a build ended.
pub enum Ended {
    /// There is a kernel, and it was said which.
    Built,
    /// There is none.
    Refused(KernelError),
    /// Somebody wanted it to end, and everything of it is gone.
    Interrupted,
    /// This process could not even wait.
    NotBegun(u8),
}

/// Builds a kernel, with its progress on standard error and its name on standard output.
pub fn build_one(request: &Request) -> Ended {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return Ended::NotBegun(code),
    };
    let began = Instant::now();
    let mut progress = Progress::new();
    let mut on_event = |event| progress.tell(event);
    let ended = runtime.block_on(until_interrupted(kernels::build(request, &mut on_event)));
    progress.finish();
    match ended {
        None => Ended::Interrupted,
        Some(Err(e)) => Ended::Refused(e),
        Some(Ok(built)) => {
            let line = kernel_line(&built.kernel);
            if built.is_new {
                say_line(&format!("built in {} s: {line}", began.elapsed().as_secs()));
            } else {
                let folder = built.kernel.folder_name();
                say_line(&format!("here already: {line}"));
                say_line(&format!("`workbench kernel remove {folder}` first, if it is to be built again"));
            }
            Ended::Built
        }
    }
}

/// What `work` gives, or nothing if somebody wants this to end; then the work was dropped, which undoes it.
async fn until_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        // Asked first: from the work's first step on, a signal is no longer this process's sudden end.
        biased;
        () = interrupted() => None,
        done = work => Some(done),
    }
}

fn runtime() -> Result<Runtime, u8> {
    Builder::new_current_thread().enable_all().build().map_err(|e| {
        eprintln!("workbench: cannot start: {e}");
        exit_code::ENVIRONMENT
    })
}

fn interrupted_code() -> u8 {
    eprintln!("workbench: interrupted; the build and its files are gone");
    exit_code::INTERRUPTED
}

fn refused(error: &KernelError) -> u8 {
    let code = wrong(error);
    if error.is_input() { code } else { exit_code::ENVIRONMENT }
}
