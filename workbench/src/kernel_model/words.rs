//! A prediction in words.

use super::prediction::{Prediction, Span};

/// `between 133.2 and 135.4 s (tcp_syn_retries=6, 4 linear, HZ=250)`.
///
/// Rounded outward, so that what the words say is never wrong; with as many digits as tell the two ends apart.
pub fn in_words(prediction: &Prediction) -> String {
    format!("{} ({})", span_in_words(&prediction.gives_up), prediction.decided_by.join(", "))
}

fn span_in_words(span: &Span) -> String {
    const MS: u64 = 1_000_000;
    let Span { earliest_ns, latest_ns } = *span;
    // Digits after the point: milliseconds for ranges below half a second, where a tenth would say too little.
    let (grain_ns, digits) = if latest_ns - earliest_ns < 500 * MS { (10 * MS, 2) } else { (100 * MS, 1) };
    let earliest = earliest_ns / grain_ns * grain_ns;
    let latest = latest_ns.div_ceil(grain_ns) * grain_ns;
    let seconds = |ns: u64| format!("{:.digits$}", ns as f64 / 1e9);
    format!("between {} and {} s", seconds(earliest), seconds(latest))
}
