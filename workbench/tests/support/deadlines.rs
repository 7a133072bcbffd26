//! Whether a report's timeline and its verdict name the same timer where both name one.

use serde_json::Value;

/// What they contradict each other in: the last wait that the program gave up after, and what ended it.
pub fn contradiction(report: &Value) -> Option<String> {
    let ended_by = &report["ended_by"];
    let is_programs = ended_by["party"] == "tool" || ended_by["party"] == "resolver";
    let (armed_s, fired_s) = (ended_by["armed_for_s"].as_f64()?, ended_by["fired_at_s"].as_f64()?);
    // The kernel's own timers end no wait of the program's.
    let is_told =
        |event: &&Value| event["claim"] == true && event["timer"]["class"].as_str().is_some_and(|c| c != "wheel");
    let event = report["events"].as_array()?.iter().rev().find(is_told)?;
    let told_s = event["timer"]["armed_s"].as_f64()?;
    let is_same_moment = (event["t_s"].as_f64()? - fired_s).abs() < 0.02;
    // A resolver's attempts are one to the verdict and several waits to the timeline.
    let is_summed = ended_by["words"].as_str().is_some_and(|words| words.contains(" waits, armed for "));
    // The timeline tells of a timer that goes on from firing to firing, the verdict since it was armed.
    let goes_on = ended_by["words"].as_str().is_some_and(|words| words.contains("and then every"));
    // How long a deadline was that a program kept by its own clock is only known to 60 ms on a machine that is in use.
    let is_reckoned = event["timer"]["class"] == "deadline" && report["engine"] == "host";
    let play_s = if is_reckoned { 0.06 } else { 1e-9 };
    let differs = is_programs && is_same_moment && !goes_on && !is_summed && (told_s - armed_s).abs() > play_s;
    differs.then(|| format!("the timeline says {told_s} s ({}), the verdict {armed_s} s: {ended_by}", event["text"]))
}
