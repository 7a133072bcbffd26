//! Sentences' parts that several causes share.

use std::time::Duration;

use crate::evidence::{EngineKind, Evidence};
use crate::kernel_model::{Prediction, in_words};
use crate::verdict::Confidence;

/// `5.001 s`.
pub fn seconds(ns: i64) -> String {
    format!("{:.3} s", Duration::from_nanos(u64::try_from(ns).unwrap_or(0)).as_secs_f64())
}

/// Several of something: `1 poll`, `6 polls`.
pub fn several(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What the kernel computes, held against what was seen.
pub fn compared(prediction: Option<&Prediction>, seen_ns: i64, evidence: &Evidence) -> (String, Confidence) {
    let Some(prediction) = prediction else {
        return ("what it computes is not known, because no sysctls were recorded".into(), Confidence::Likely);
    };
    // A program hears of it when it runs next; a busy machine lets it wait.
    let slack_ns = match evidence.machine.engine {
        EngineKind::Virtual => evidence.machine.tick_ns,
        EngineKind::Host => evidence.machine.tick_ns + 100_000_000,
    };
    let computed = in_words(prediction);
    if prediction.gives_up.contains(u64::try_from(seen_ns).unwrap_or(0), slack_ns) {
        (format!("as it computes, {computed}"), Confidence::Certain)
    } else {
        (format!("which is not what it computes, {computed}"), Confidence::Likely)
    }
}
