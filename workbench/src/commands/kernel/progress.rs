//! How far a kernel build is: a line that moves on a terminal, a line now and then elsewhere. All on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::kernels::{Event, Phase};

/// Objects of one kernel: 748 of Linux 5.10, 837 of 6.12, 854 of 7.2.
const ABOUT_OBJECTS: u64 = 850;

/// Without a terminal, a line at least this often while something is compiled.
const EVERY: Duration = Duration::from_secs(30);

/// Tells events as they come.
pub struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Looks whether standard error is a terminal.
    pub fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr_with_hz(4) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(ABOUT_OBJECTS), target);
        Self { bar, is_terminal, began: Instant::now(), told: Instant::now() }
    }

    /// Something happened.
    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Phase(phase, about) => self.phase(phase, &about),
            Event::Compiled(objects) => {
                self.bar.set_position(objects.min(ABOUT_OBJECTS));
                if !self.is_terminal && self.told.elapsed() >= EVERY {
                    self.line(&format!("compiling {objects} of about {ABOUT_OBJECTS}"));
                }
            }
            Event::Note(text) => self.bar.suspend(|| eprintln!("note: {text}")),
        }
    }

    /// Nothing moves from here on.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn phase(&mut self, phase: Phase, about: &str) {
        let text = if about.is_empty() { phase.as_str().to_owned() } else { format!("{} {about}", phase.as_str()) };
        if !self.is_terminal {
            self.line(&text);
            return;
        }
        let template = match phase {
            Phase::Compiling => "  {spinner} {elapsed:>4}  compiling {pos} of about {len}  {wide_bar}",
            Phase::Downloading | Phase::Unpacking | Phase::Configuring | Phase::Linking => {
                "  {spinner} {elapsed:>4}  {msg}"
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(text);
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    fn line(&mut self, text: &str) {
        self.told = Instant::now();
        eprintln!("{:>4} s  {text}", self.began.elapsed().as_secs());
    }
}
