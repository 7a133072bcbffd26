//! Values with units: lengths of time, chances, rates, sizes.
//!
//! Every value in a scenario names its unit, because a bare number is a guess. Figures are kept exactly: `0.3` of a
//! nanosecond is an error, not a zero.

use super::error::{Problem, quoted};

const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// As tc(8) writes rates: `bit` is a bit, `bps` a byte in a second, prefixes are decimal unless they have an `i`.
const RATES: &[(&str, u64)] = &[
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
    ("kibit", 1 << 10),
    ("mibit", 1 << 20),
    ("gibit", 1 << 30),
    ("tibit", 1 << 40),
    ("bps", 8),
    ("kbps", 8_000),
    ("mbps", 8_000_000),
    ("gbps", 8_000_000_000),
    ("tbps", 8_000_000_000_000),
    ("kibps", 8 << 10),
    ("mibps", 8 << 20),
    ("gibps", 8 << 30),
    ("tibps", 8 << 40),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A length of time in nanoseconds: `100ms`, `1.5s`.
pub(super) fn duration_ns(text: &str) -> Result<u64, Problem> {
    match measure("duration", text, DURATIONS, "\"100ms\"") {
        // 584 years; what exceeds it is no duration that anybody means.
        Ok(ns) if i64::try_from(ns).is_ok() => Ok(ns),
        Ok(_) => Err(too_large("duration", text)),
        Err(problem) => Err(problem),
    }
}

/// A rate in bits in a second: `1mbit`.
pub(super) fn rate_bits_per_s(text: &str) -> Result<u64, Problem> {
    if text.contains('M') && text.ends_with("ps") {
        return Err(Problem::new(format!("{} has two readings", quoted(text)))
            .help("write 10mbit for megabits, or as tc(8) does 10mbps for megabytes in a second"));
    }
    measure("rate", &text.to_lowercase(), RATES, "\"10mbit\"")
}

/// A size in bytes: `64KiB`.
pub(super) fn size_bytes(text: &str) -> Result<u64, Problem> {
    measure("size", text, SIZES, "\"64KiB\"")
}

/// A chance as a fraction from 0.0 to 1.0: `30%` or `0.3`.
pub(super) fn chance(text: &str) -> Result<f64, Problem> {
    let (figure, scale) = text.trim_end().strip_suffix('%').map_or((text, 1.0), |figure| (figure, 100.0));
    let figure = figure.trim();
    let is_plain = !figure.is_empty() && figure.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    let Some(value) = is_plain.then(|| figure.parse::<f64>().ok()).flatten() else {
        return Err(Problem::new(format!("{} is not a chance", quoted(text))).help("write a percentage, \"30%\""));
    };
    fraction(value / scale, text)
}

/// A chance given as a number: only what cannot be taken for a percentage.
pub(super) fn fraction(value: f64, text: &str) -> Result<f64, Problem> {
    let problem = |what: &str| Problem::new(format!("{} is {what}", quoted(text)));
    match value {
        v if v > 1.0 => Err(problem("more than always").help("a chance is at most \"100%\"")),
        v if v < 0.0 => Err(problem("less than never").help("a chance is at least \"0%\"")),
        v => Ok(v),
    }
}

fn measure(what: &str, text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, Problem> {
    let known = units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let trimmed = text.trim();
    if trimmed.starts_with('-') {
        return Err(Problem::new(format!("a {what} cannot be negative: {}", quoted(text))));
    }
    let figure_len = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (figure, unit) = (&trimmed[..figure_len], trimmed[figure_len..].trim_start());
    if figure.is_empty() {
        let problem = Problem::new(format!("{} is not a {what}", quoted(text)));
        return Err(problem.help(format!("write a number and a unit, {example}")));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let problem = match unit {
            "" => Problem::new(format!("the {what} {} has no unit", quoted(text))),
            unit => Problem::new(format!("a {what} has no unit {}", quoted(unit))),
        };
        return Err(problem.help(format!("units are {known}: {example}")));
    };
    scaled(figure, *factor).map_err(|wrong| match wrong {
        Wrong::NotANumber => {
            Problem::new(format!("{} is not a number", quoted(figure))).help(format!("as in {example}"))
        }
        Wrong::TooFine => Problem::new(format!("{} is finer than anything that is kept", quoted(text)))
            .help(format!("units are {known}")),
        Wrong::TooLarge => too_large(what, text),
    })
}

fn too_large(what: &str, text: &str) -> Problem {
    Problem::new(format!("the {what} {} is too large to mean anything", quoted(text)))
}

enum Wrong {
    NotANumber,
    TooFine,
    TooLarge,
}

/// A decimal figure times a factor, exactly.
fn scaled(figure: &str, factor: u64) -> Result<u64, Wrong> {
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
    let is_whole_only = !figure.contains('.');
    if whole.is_empty() || (fraction.is_empty() && !is_whole_only) || fraction.contains('.') {
        return Err(Wrong::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 15 {
        return Err(Wrong::TooFine);
    }
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| Wrong::TooLarge)?;
    let divisor = 10_u128.pow(fraction.len() as u32);
    let product = digits.checked_mul(u128::from(factor)).ok_or(Wrong::TooLarge)?;
    if product % divisor != 0 {
        return Err(Wrong::TooFine);
    }
    u64::try_from(product / divisor).map_err(|_| Wrong::TooLarge)
}

/// A length of time in nanoseconds as a command line gives it, in the same words as a scenario: `30d`, `100ms`.
///
/// # Errors
///
/// What is wrong, and what would be right.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    duration_ns(text).map_err(|problem| problem.in_a_line())
}

/// A length of time as a scenario would write it: the largest unit that leaves no more than three decimals.
pub fn format_duration(ns: u64) -> String {
    let (unit, factor) = [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000)]
        .into_iter()
        .find(|(_, factor)| ns >= *factor && ns.is_multiple_of(*factor))
        .or_else(|| {
            [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)].into_iter().find(|(_, factor)| ns >= *factor)
        })
        .unwrap_or(("ns", 1));
    let (whole, rest) = (ns / factor, ns % factor);
    if rest == 0 {
        return format!("{whole}{unit}");
    }
    let digits = factor.ilog10() as usize;
    format!("{whole}.{}{unit}", format!("{rest:0digits$}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_to_the_nanosecond() {
        for (text, ns) in [
            ("0s", 0),
            ("1ns", 1),
            ("1.5us", 1_500),
            ("100ms", 100_000_000),
            ("0.000000001s", 1),
            ("2 min", 120_000_000_000),
        ] {
            assert_eq!(duration_ns(text).expect(text), ns, "{text}");
        }
    }

    #[test]
    fn a_wrong_figure_is_told_with_what_is_wrong_about_it() {
        for (text, message) in [
            ("-5ms", "a duration cannot be negative: `-5ms`"),
            ("100", "the duration `100` has no unit"),
            ("5m", "a duration has no unit `m`"),
            ("fast", "`fast` is not a duration"),
            ("1.2.3s", "`1.2.3` is not a number"),
            ("0.5ns", "`0.5ns` is finer than anything that is kept"),
            ("9999999999d", "the duration `9999999999d` is too large to mean anything"),
            ("300000d", "the duration `300000d` is too large to mean anything"),
        ] {
            assert_eq!(duration_ns(text).expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn rates_are_those_of_tc() {
        assert_eq!(rate_bits_per_s("1mbit").expect("a rate"), 1_000_000);
        assert_eq!(rate_bits_per_s("1Mbit").expect("a rate"), 1_000_000);
        assert_eq!(rate_bits_per_s("1kbps").expect("a rate"), 8_000);
        assert_eq!(rate_bits_per_s("10Mbps").expect_err("ambiguous").to_string(), "`10Mbps` has two readings");
    }

    #[test]
    fn chances_are_percentages_or_fractions() {
        assert_eq!(chance("30%").expect("a chance"), 0.3);
        assert_eq!(chance("0.3").expect("a chance"), 0.3);
        for text in ["101%", "-1%", "1.5", "lots", "%", "1e-3", "nan"] {
            chance(text).expect_err(text);
        }
    }

    #[test]
    fn formatted_durations_read_back_as_themselves() {
        for ns in
            [0, 1, 1_500, 20_000_000, 3_000_000_000, 3_400_000_000, 600_000_000_000, 5_400_000_000_000, 61_000_000_000]
        {
            assert_eq!(duration_ns(&format_duration(ns)).expect("a duration"), ns);
        }
        assert_eq!(format_duration(600_000_000_000), "10min");
        assert_eq!(format_duration(1_500_000), "1.5ms");
    }
}
