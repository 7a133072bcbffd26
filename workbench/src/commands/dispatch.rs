//! From a parsed command line to the command that does it, and its exit code.

use std::process::ExitCode;

use super::terminal::Terminal;
use super::{agent, check, compare, doctor, judge, kernel, launch, manual, run, show, snapshots};
use crate::cli::{Cli, Command, When};
use crate::exit_code;

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Agent { parent } => return ExitCode::from(agent::agent(parent)),
        Command::Guest { .. } => return ExitCode::from(agent::guest()),
        Command::Launch => return ExitCode::from(launch::launch()),
        _ => {}
    }
    let terminal = Terminal::new(if cli.no_color { When::Never } else { cli.color });
    let code = match cli.command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Compare(args) => compare::compare(&args, terminal),
        Command::Check { paths } => check::check(&paths, terminal),
        Command::Plan { file, format } => check::plan(&file, format, terminal),
        Command::Fmt { paths, check } => check::fmt(&paths, check, terminal),
        Command::Judge { evidence, format } => judge::judge(&evidence, format, terminal),
        Command::Show(args) => show::show(&args, terminal),
        Command::Review { dir } => snapshots::review(&dir, terminal),
        Command::Accept { paths } => snapshots::accept(&paths),
        Command::Doctor { fix, tests, probe } => doctor::doctor(fix, tests, probe.as_deref(), terminal),
        Command::Kernel(command) => kernel::kernel(command),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::man(&dir),
        Command::Agent { .. } | Command::Guest { .. } | Command::Launch => exit_code::WRONG_INPUT,
    };
    ExitCode::from(code)
}
