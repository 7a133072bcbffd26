//! What every command needs to know of the terminal: whether to use colours, and how diagnostics are drawn.

use std::io::{ErrorKind, IsTerminal, Write};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use crate::cli::When;
use crate::exit_code;
use crate::report::text::Options;

/// Prints to standard output. A reader that has gone away (`| head`) ends the program, quietly and with everything that
/// it started: nobody looks any more.
pub fn say(text: &str) {
    say_bytes(text.as_bytes());
}

/// As [`say`]; a file for another program need not be text.
pub fn say_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        if error.kind() != ErrorKind::BrokenPipe {
            eprintln!("workbench: cannot print: {error}");
        }
        std::process::exit(exit_code::ENVIRONMENT.into());
    }
}

/// [`say`], and the line's end.
pub fn say_line(line: &str) {
    say(&format!("{line}\n"));
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Colours on standard output.
    pub color_out: bool,
    /// Colours on standard error.
    pub color_err: bool,
    /// Whether standard output is a terminal.
    pub is_terminal_out: bool,
    /// Columns of standard output.
    pub width: usize,
}

impl Terminal {
    /// Looks at the streams and at `NO_COLOR` (no-color.org).
    pub fn new(when: When) -> Self {
        let wanted = |is_terminal: bool| match when {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let width = console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns.into());
        Self {
            color_out: wanted(std::io::stdout().is_terminal()),
            color_err: wanted(std::io::stderr().is_terminal()),
            is_terminal_out: std::io::stdout().is_terminal(),
            width,
        }
    }

    /// How reports are printed: in full; without colours as they are kept in files.
    pub fn options(&self) -> Options {
        let kept = Options { is_terminal: self.is_terminal_out, ..Options::KEPT };
        if self.color_out { Options { color: true, width: self.width, ..kept } } else { kept }
    }

    /// Prints a diagnostic to standard error.
    pub fn complain(&self, diagnostic: &dyn Diagnostic) {
        let theme = if self.color_err { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(self.width.clamp(60, 120));
        if handler.render_report(&mut text, diagnostic).is_err() {
            text = diagnostic.to_string();
        }
        eprint!("{text}");
    }
}
