//! A catalogue of small programs that arm each mechanism once. Each is run, in virtual time and, where that does not take
//! long, on this machine's kernel; its evidence must show that the mechanism was there, and the verdict must name it.

mod confusion;
mod entry;
mod kernel;
mod network;
mod networks;
pub mod run;
mod waits;

use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};

pub use entry::{Armed, Engines, Entry, Proof};
use run::{Engine, Outcome};

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
    let mut trials = confusion::trials();
    for entry in entries() {
        let name = format!("catalogue_virtual_{}", entry.name);
        trials.push(Trial::ignorable_test(name, move || entry.holds(outcome(entry)?)));
        if entry.engines == Engines::Both {
            let name = format!("catalogue_host_{}", entry.name);
            trials.push(Trial::ignorable_test(name, move || entry.holds(&entry.carry_out(Engine::Host)?)));
        }
    }
    trials
}

/// What came of an entry in virtual time: its own trial and the table ask, and it is carried out once.
fn outcome(entry: &Entry) -> Result<&'static Outcome, Failed> {
    static OUTCOMES: OnceLock<Vec<OnceLock<Result<Outcome, String>>>> = OnceLock::new();
    let outcomes = OUTCOMES.get_or_init(|| entries().map(|_| OnceLock::new()).collect());
    let place = entries().position(|each| each.name == entry.name).ok_or("not in the catalogue")?;
    let carry_out = || entry.carry_out(Engine::Virtual).map_err(|e| e.message().unwrap_or("failed").to_owned());
    outcomes[place].get_or_init(carry_out).as_ref().map_err(|why| Failed::from(why.as_str()))
}
