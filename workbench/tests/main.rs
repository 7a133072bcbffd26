//! The integration tests: one binary, so that skips are counted in one place. Each module probes for what it needs and
//! says why it skips.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod atlas;
mod capture;
mod catalogue;
mod ci;
mod cli;
mod compare;
mod daemons;
mod diagram;
mod docs;
mod doctor;
mod exports;
mod faults;
mod kernel_model;
mod kernels;
mod lab;
mod language;
mod netem;
mod normal;
mod odd;
mod peers;
mod phases;
mod real_tools;
mod recorded;
mod rings;
mod scenarios;
mod show;
mod socket_programs;
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
    real_tools::connect_with_tokio();
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        atlas::trials(),
        capture::trials(),
        catalogue::trials(),
        ci::trials(),
        cli::trials(),
        compare::trials(),
        daemons::trials(),
        diagram::trials(),
        docs::trials(),
        doctor::trials(),
        kernel_model::trials(),
        exports::trials(),
        faults::trials(),
        kernels::trials(),
        lab::trials(),
        language::trials(),
        netem::trials(),
        odd::trials(),
        peers::trials(),
        phases::trials(),
        real_tools::trials(),
        recorded::trials(),
        rings::trials(),
        scenarios::trials(),
        show::trials(),
        socket_programs::trials(),
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
