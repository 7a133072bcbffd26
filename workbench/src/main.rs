//! The `workbench` binary: parses the command line, calls a command, exits with its code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    workbench::commands::dispatch(workbench::cli::Cli::parse())
}
