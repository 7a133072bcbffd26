//! The tables that give netem's jitter its shape, made as iproute2's `netem/*.c` make them.
//!
//! A table is the inverse of a distribution function: 4096 values, in units of 1/8192 of the jitter. The programs there
//! print them into `normal.dist` and so on, which tc reads and sends; here they are computed when a lab asks.

use std::f64::consts::{PI, SQRT_2};

/// Values in a table: iproute2 computes 16384 and keeps every fourth.
const ENTRIES: usize = 4096;

/// Entries before thinning out (`TABLESIZE`).
const FINE_ENTRIES: f64 = 16384.0;

/// `NETEM_DIST_SCALE` (include/uapi/linux/pkt_sched.h).
const SCALE: f64 = 8192.0;

/// The grid on which `normal.c` tries arguments: from -10, in steps of 0.00005, below 10.05.
const GRID_START: f64 = -10.0;
const GRID_STEP: f64 = 0.00005;
const GRID_POINTS: u32 = 401_000;

/// Gaussian, after `netem/normal.c`.
pub(super) fn normal() -> Vec<i16> {
    normal_quantiles().map(clamped).collect()
}

/// Pareto with exponent 3, after `netem/pareto.c`.
pub(super) fn pareto() -> Vec<i16> {
    pareto_quantiles().map(clamped).collect()
}

/// A quarter normal, three quarters Pareto, after `netem/paretonormal.c`: in integers, of which only the second is
/// clamped first.
pub(super) fn pareto_normal() -> Vec<i16> {
    let mixed = |(normal, pareto)| (normal + 3 * i32::from(clamped(pareto))) / 4;
    normal_quantiles().zip(pareto_quantiles()).map(mixed).map(clamped).collect()
}

fn pareto_quantiles() -> impl Iterator<Item = i32> {
    (0..ENTRIES).map(|entry| {
        let uniform = (65536.0 - 16.0 * entry as f64) / 65536.0;
        scaled((1.0 / uniform.powf(1.0 / 3.0) - 1.5) * (4.0 / 3.0))
    })
}

/// For each entry the last grid point that the distribution function rounds to it.
fn normal_quantiles() -> impl Iterator<Item = i32> {
    (0..ENTRIES).map(|entry| {
        let fine = (entry * 4) as f64;
        let mut below = 0;
        let mut above = GRID_POINTS;
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            let is_below = (FINE_ENTRIES * cumulative_normal(grid_point(middle))).round_ties_even() <= fine;
            if is_below { below = middle } else { above = middle }
        }
        scaled(grid_point(below))
    })
}

fn grid_point(index: u32) -> f64 {
    GRID_START + f64::from(index) * GRID_STEP
}

fn scaled(value: f64) -> i32 {
    (value * SCALE).round_ties_even() as i32
}

fn clamped(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The normal distribution function.
fn cumulative_normal(x: f64) -> f64 {
    let tail = half_complementary_error(x.abs() / SQRT_2);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Half of erfc(z) for z >= 0: Abramowitz and Stegun 7.1.6 where that converges fast, else the continued fraction 7.1.14.
fn half_complementary_error(z: f64) -> f64 {
    let gauss = (-z * z).exp() / PI.sqrt();
    if z < 3.0 {
        let mut term = 2.0 * z;
        let mut sum = term;
        let mut n = 1.0;
        while term > sum * 1e-17 {
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        0.5 - gauss * sum / 2.0
    } else {
        let fraction = (1..=60).rev().fold(z, |fraction, n| z + f64::from(n) / 2.0 / fraction);
        gauss / fraction / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iproute2 ships, where it is installed.
    fn shipped(name: &str) -> Option<Vec<i16>> {
        let folders = ["/usr/lib/tc", "/usr/lib64/tc", "/usr/share/tc", "/usr/lib/x86_64-linux-gnu/tc"];
        let text = folders.iter().find_map(|folder| std::fs::read_to_string(format!("{folder}/{name}.dist")).ok())?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Some(lines.flat_map(str::split_whitespace).map(|word| word.parse().expect("a number")).collect())
    }

    #[test]
    fn tables_equal_those_that_iproute2_ships() {
        for (name, table) in [("normal", normal()), ("pareto", pareto()), ("paretonormal", pareto_normal())] {
            assert_eq!(table.len(), ENTRIES, "{name}");
            if let Some(shipped) = shipped(name) {
                assert!(table == shipped, "{name}.dist differs from ours");
            }
        }
    }

    #[test]
    fn normal_is_symmetric_and_has_unit_deviation() {
        // Holds without iproute2's files: the mean of the table is 0 and its standard deviation one jitter.
        let table = normal();
        let mean = table.iter().map(|&value| f64::from(value)).sum::<f64>() / ENTRIES as f64;
        let variance = table.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / ENTRIES as f64;
        assert!(mean.abs() < SCALE / 100.0, "mean {mean}");
        assert!((variance.sqrt() - SCALE).abs() < SCALE / 100.0, "standard deviation {}", variance.sqrt());
    }
}
