//! A catalogue of small programs that arm each mechanism once. Each is run, in virtual time and, where that does not take
//! long, on this machine's kernel; its evidence must show that the mechanism was there, and the verdict must name it.

mod entry;
mod kernel;
mod network;
mod networks;
pub mod run;
mod waits;

use libtest_mimic::Trial;

pub use entry::{Armed, Engines, Entry};
use run::Engine;

/// All of it.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    let tables = [
        waits::WAITS,
        waits::TIMERS,
        waits::OPTIONS,
        kernel::TCP,
        kernel::ROUTING,
        kernel::RESOLVER,
        network::PEER,
        network::ICMP,
        network::OTHERS,
    ];
    tables.into_iter().flatten()
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for entry in entries() {
        let name = format!("catalogue_virtual_{}", entry.name);
        trials.push(Trial::ignorable_test(name, move || entry.holds(Engine::Virtual)));
        if entry.engines == Engines::Both {
            let name = format!("catalogue_host_{}", entry.name);
            trials.push(Trial::ignorable_test(name, move || entry.holds(Engine::Host)));
        }
    }
    trials
}
