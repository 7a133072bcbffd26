//! Jitter: where the delays of many packets lie, for each shape that netem knows.

use libtest_mimic::{Completion, Failed, Trial};

use super::traffic::Traffic;
use super::{claim, near, share};
use crate::support::virtual_engine::virtual_trial;

const COUNT: u32 = 1000;

/// Five standard errors of a mean of 1000, in standard deviations; of a correlation too.
const FIVE_ERRORS: f64 = 5.0 * 0.0316;

/// Mean delay and jitter of all these runs.
const MEAN_MS: f64 = 100.0;
const JITTER_MS: f64 = 20.0;

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("netem_jitter_is_uniform_unless_said_otherwise", uniform),
        virtual_trial("netem_jitter_normal_has_the_normal_distribution", normal),
        virtual_trial("netem_jitter_pareto_has_a_long_tail", pareto),
        virtual_trial("netem_jitter_paretonormal_lies_between", pareto_normal),
        virtual_trial("netem_jitter_correlation_makes_neighbours_alike_where_the_kernel_keeps_it", correlation),
        virtual_trial("netem_slots_have_the_shape_that_is_declared", slots),
    ]
}

/// The delays of 1000 packets in units of the jitter, from the mean.
fn deviations(more: &str, seed: u64) -> Result<Vec<f64>, Failed> {
    let link = format!("netem from=client delay=\"100ms\" jitter=\"20ms\" {more}");
    let seen = Traffic::through(&link, COUNT).run(seed)?;
    let delays = seen.delays_ms();
    claim("all arrive", delays.len() == COUNT as usize)?;
    Ok(delays.iter().map(|ms| (ms - MEAN_MS) / JITTER_MS).collect())
}

struct Moments {
    mean: f64,
    deviation: f64,
}

fn moments(values: &[f64]) -> Moments {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    Moments { mean, deviation }
}

/// All within these bounds, a microsecond of lateness included.
fn are_within(values: &[f64], lowest: f64, highest: f64) -> Result<Completion, Failed> {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    claim(&format!("{low} to {high} is within {lowest} to {highest}"), low >= lowest && high <= highest + 1e-4)
}

fn share_of(what: &str, values: &[f64], is_in: impl Fn(f64) -> bool, expected: f64) -> Result<Completion, Failed> {
    share(what, values.iter().filter(|&&value| is_in(value)).count(), values.len(), expected)
}

fn uniform() -> Result<Completion, Failed> {
    for (more, seed) in [("", 1), ("", 2), ("distribution=uniform", 3)] {
        let values = deviations(more, seed)?;
        are_within(&values, -1.0, 1.0)?;
        let Moments { mean, deviation } = moments(&values);
        let expected = 1.0 / 3f64.sqrt();
        near("mean", mean, 0.0, FIVE_ERRORS * expected)?;
        // The error of a deviation is sqrt((kurtosis - 1) / 4) times that of a mean; a uniform one's kurtosis is 1.8.
        near("deviation", deviation, expected, FIVE_ERRORS * expected * 0.2f64.sqrt())?;
        share_of("in the lowest quarter", &values, |value| value < -0.5, 0.25)?;
    }
    Ok(Completion::Completed)
}

fn normal() -> Result<Completion, Failed> {
    for seed in [1, 2, 3] {
        let values = deviations("distribution=normal", seed)?;
        // The table's numbers are 16 bits wide, in 8192ths.
        are_within(&values, -4.0, 4.0)?;
        let Moments { mean, deviation } = moments(&values);
        near("mean", mean, 0.0, FIVE_ERRORS)?;
        // The kurtosis is 3.
        near("deviation", deviation, 1.0, FIVE_ERRORS * 0.5f64.sqrt())?;
        share_of("within one jitter", &values, |value| value.abs() < 1.0, 0.6827)?;
        share_of("within two", &values, |value| value.abs() < 2.0, 0.9545)?;
    }
    Ok(Completion::Completed)
}

fn pareto() -> Result<Completion, Failed> {
    for seed in [1, 2, 3] {
        let values = deviations("distribution=pareto", seed)?;
        // The quantile of u is (u ^ (-1/3) - 1.5) * 4/3: from -2/3 on, and cut off at 4.
        are_within(&values, -2.0 / 3.0 - 1e-4, 4.0)?;
        share_of("below the mean", &values, |value| value < 0.0, 1.0 - 1.5f64.powi(-3))?;
        share_of("below the median", &values, |value| value < (2f64.powf(1.0 / 3.0) - 1.5) * 4.0 / 3.0, 0.5)?;
        share_of("beyond one jitter", &values, |value| value > 1.0, 2.25f64.powi(-3))?;
    }
    Ok(Completion::Completed)
}

fn pareto_normal() -> Result<Completion, Failed> {
    for seed in [1, 2, 3] {
        let values = deviations("distribution=paretonormal", seed)?;
        // A quarter of normal, three quarters of Pareto, of the same quantile: from (-4 - 2) / 4 on.
        are_within(&values, -1.51, 4.0)?;
        // Where -Phi^-1(q) = 3 * pareto(q).
        share_of("below the mean", &values, |value| value < 0.0, 0.6424)?;
        // The middle quantile: normal is 0 there.
        share_of("below the median", &values, |value| value < -0.2401, 0.5)?;
    }
    Ok(Completion::Completed)
}

/// `get_crandom` makes each number half of the last one and half of a new one: neighbours correlate by 0.5, and the
/// numbers crowd around the middle, with sqrt(0.25 / 0.75) = 0.577 of the deviation. But `tabledist` takes the remainder
/// by twice the jitter in nanoseconds (or by the length of the table), and what is left of the correlation after that is
/// nothing, unless twice the jitter is about 2^32 ns.
fn correlation() -> Result<Completion, Failed> {
    let uniform = 1.0 / 3f64.sqrt();
    for (link, mean_ms, jitter_ms, alike, deviation) in [
        ("delay=\"3s\" jitter=\"2.1s\"", 3000.0, 2100.0, 0.0, uniform),
        ("delay=\"3s\" jitter=\"2.1s\" correlation=\"50%\"", 3000.0, 2100.0, 0.5, uniform * uniform),
        ("delay=\"100ms\" jitter=\"20ms\" correlation=\"50%\"", 100.0, 20.0, 0.0, uniform),
    ] {
        let seen = Traffic::through(&format!("netem from=client {link}"), COUNT).run(1)?;
        let values: Vec<f64> = seen.delays_ms().iter().map(|ms| (ms - mean_ms) / jitter_ms).collect();
        are_within(&values, -1.0, 1.0)?;
        let seen = moments(&values);
        let products = values.windows(2).map(|pair| (pair[0] - seen.mean) * (pair[1] - seen.mean));
        let covariance = products.sum::<f64>() / (values.len() - 1) as f64;
        near("correlation of neighbours", covariance / seen.deviation.powi(2), alike, FIVE_ERRORS)?;
        near("deviation", seen.deviation, deviation, FIVE_ERRORS * deviation)?;
    }
    Ok(Completion::Completed)
}

fn slots() -> Result<Completion, Failed> {
    // One packet for each slot: the time from one to the next is the slot's.
    for (shape, below) in [("normal", 0.5), ("pareto", 0.7037)] {
        let slot = format!("slot distribution={shape} delay=\"100ms\" jitter=\"20ms\" packets=1");
        let link = format!("netem from=client limit=2000 {{ {slot}; }}");
        let seen = Traffic { then: "read -t 200", ..Traffic::through(&link, COUNT) }.run(1)?;
        let times: Vec<i64> = seen.arrived().map(|packet| packet.t_ns).collect();
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6);
        let values: Vec<f64> = gaps.map(|ms| (ms - MEAN_MS) / JITTER_MS).collect();
        claim("all arrive", values.len() == COUNT as usize - 1)?;
        are_within(&values, -4.0, 4.0)?;
        share_of(&format!("{shape}: below the mean"), &values, |value| value < 0.0, below)?;
        if shape == "normal" {
            share_of("within one jitter", &values, |value| value.abs() < 1.0, 0.6827)?;
        }
    }
    Ok(Completion::Completed)
}
