//! The integration tests: one binary, so that skips are counted in one place. Each module probes for what it needs and
//! says why it skips.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod cli;
mod leaks;
mod scenarios;
mod support;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [cli::trials(), leaks::trials(), scenarios::trials()].into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
