//! The integration tests: one binary, so that skips are counted in one place. Each module probes for what it needs and
//! says why it skips.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod capture;
mod ci;
mod cli;
mod compare;
mod doctor;
mod kernels;
mod lab;
mod language;
mod netem;
mod normal;
mod phases;
mod scenarios;
mod show;
mod sockets;
mod sockets_view;
mod strace_oracle;
mod structure;
mod support;
mod traced;
mod tracer;
mod tshark_oracle;
mod virtual_time;

fn main() -> ExitCode {
    // A lab needs a process with one thread, so its tests are this binary once more, before there is a second thread.
    support::namespace::run_inside(&lab::bodies());
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        capture::trials(),
        ci::trials(),
        cli::trials(),
        compare::trials(),
        doctor::trials(),
        kernels::trials(),
        lab::trials(),
        language::trials(),
        netem::trials(),
        phases::trials(),
        scenarios::trials(),
        show::trials(),
        sockets::trials(),
        sockets_view::trials(),
        strace_oracle::trials(),
        structure::trials(),
        tracer::trials(),
        tshark_oracle::trials(),
        virtual_time::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
