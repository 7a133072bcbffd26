//! What a person sees while runs go on: which ones, how long already, how long at most. Only on a terminal.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::terminal::say;
use crate::plan::Plan;

/// Lines below the results, one for each run that goes on.
pub struct Progress {
    lines: MultiProgress,
    bars: Mutex<BTreeMap<usize, ProgressBar>>,
    is_shown: bool,
}

impl Progress {
    /// Shown on standard error if `is_shown`; else nothing is printed.
    pub fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr_with_hz(4) } else { ProgressDrawTarget::hidden() };
        Self { lines: MultiProgress::with_draw_target(target), bars: Mutex::default(), is_shown }
    }

    /// A run has started.
    pub fn started(&self, index: usize, plan: &Plan) {
        if !self.is_shown {
            return;
        }
        let at_most = match plan.command.deadline_ns {
            Some(ns) if plan.command.is_horizon => format!("at most {} of virtual time", seconds(ns)),
            Some(ns) => format!("at most {}", seconds(ns)),
            None => "as long as it takes".to_owned(),
        };
        let bar = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        let expected = plan.expect.after_ns.as_ref().map(|e| format!("expected to take {}, ", seconds(e.value)));
        bar.set_message(format!(
            "{}/{}: waits for {} in {} to end ({}{at_most})",
            plan.scenario,
            plan.run,
            plan.command.argv[0],
            plan.command.host,
            expected.unwrap_or_default(),
        ));
        bar.enable_steady_tick(Duration::from_millis(250));
        if let Ok(mut bars) = self.bars.lock() {
            bars.insert(index, bar);
        }
    }

    /// A run has ended.
    pub fn finished(&self, index: usize) {
        if let Ok(mut bars) = self.bars.lock()
            && let Some(bar) = bars.remove(&index)
        {
            bar.finish_and_clear();
            self.lines.remove(&bar);
        }
    }

    /// Prints a result above the lines.
    pub fn print(&self, text: &str) {
        self.lines.suspend(|| say(text));
    }
}

fn seconds(ns: u64) -> String {
    const DAY_S: u64 = 86_400;
    let s = ns / 1_000_000_000;
    if s >= DAY_S {
        return format!("{} d", s / DAY_S);
    }
    if s >= 120 { format!("{} min", s / 60) } else { format!("{s} s") }
}
