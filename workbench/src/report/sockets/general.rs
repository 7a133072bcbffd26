//! Numbers as C's `printf("%g")` prints them, which is how ss(8) prints milliseconds. Nothing else.

/// Significant digits unless a precision is given (C11, 7.21.6.1).
const DIGITS: i32 = 6;

/// `204`, `0.026`, `1.23457e+06`: six significant digits, no zeros at the end.
pub(super) fn general(value: f64) -> String {
    // The exponent that counts is that of the rounded value: 999999.5 is 1e+06.
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

/// Without zeros at the end of the decimals.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::general;

    #[test]
    fn numbers_are_as_printf_prints_them() {
        // Made with printf(1) of coreutils.
        for (value, expected) in [
            (0.0, "0"),
            (204.0, "204"),
            (0.026, "0.026"),
            (40.001, "40.001"),
            (1234.567, "1234.57"),
            (120_000.0, "120000"),
            (999_999.4, "999999"),
            (999_999.5, "1e+06"),
            (1_234_567.0, "1.23457e+06"),
            (4_294_967.295, "4.29497e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100.0, "100"),
        ] {
            assert_eq!(general(value), expected);
        }
    }
}
