//! netem for real: what a scenario declares is what the packets at both ends of a link went through.
//!
//! The kernel is a guest's, in virtual time, so that times are exact and hundreds of packets cost nothing. Where chance
//! decides, a statistic is held against a bound that a right implementation misses about once in two million draws of
//! the dice (five standard errors); the dice are the same at each run, because a seed makes them.

mod chance;
mod dice;
mod exact;
mod jitter;
mod tc;
mod traffic;

use std::fmt::Debug;

use libtest_mimic::{Completion, Failed, Trial};

pub fn trials() -> Vec<Trial> {
    [chance::trials(), exact::trials(), jitter::trials(), tc::trials()].into_iter().flatten().collect()
}

fn claim(what: &str, holds: bool) -> Result<Completion, Failed> {
    if holds { Ok(Completion::Completed) } else { Err(format!("not so: {what}").into()) }
}

fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Result<Completion, Failed> {
    claim(&format!("{what}: seen {seen:?}, expected {expected:?}"), seen == expected)
}

/// Whether a figure is within a bound of what it should be.
fn near(what: &str, seen: f64, expected: f64, bound: f64) -> Result<Completion, Failed> {
    let text = format!("{what}: {seen:.4}, expected {expected:.4} within {bound:.4}");
    claim(&text, (seen - expected).abs() <= bound)
}

/// Whether a share of independent draws is within five standard errors of its probability.
fn share(what: &str, seen: usize, of: usize, probability: f64) -> Result<Completion, Failed> {
    let error = (probability * (1.0 - probability) / of as f64).sqrt();
    near(&format!("{what}, {seen} of {of}"), seen as f64 / of as f64, probability, 5.0 * error)
}
