//! The lab, built for real: what the plan says is what independent programs find in the kernel.
//!
//! `ip`, `nft` and `tc` are oracles here, never parts of the program.

mod links;
mod noise;
mod refusals;
mod rules;
mod wire;

use libtest_mimic::Trial;

use crate::support::namespace::{Body, User, trial};

/// All bodies, for the process that runs one of them inside.
pub fn bodies() -> Vec<Body> {
    [links::BODIES, noise::BODIES, refusals::BODIES, rules::BODIES, wire::BODIES].concat()
}

/// All tests, and as another user those that meet every part of the lab.
pub fn trials() -> Vec<Trial> {
    let same = bodies().into_iter().map(|body| trial(body, User::Same));
    let nobody = [links::BODIES, wire::BODIES].concat().into_iter().map(|body| trial(body, User::Nobody));
    same.chain(nobody).collect()
}
