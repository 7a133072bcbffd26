//! Going through pending snapshots with somebody at a terminal. Reads and writes only what it is handed.

use std::io::{self, BufRead, Write};

use super::diff::render_diff;
use super::file::StoreError;
use super::pending::{Change, Pending};

/// How many pending snapshots went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Now the snapshots.
    pub accepted: usize,
    /// Thrown away.
    pub rejected: usize,
    /// Still pending.
    pub skipped: usize,
}

/// Shows each pending snapshot and asks what to do. The end of `input` and `q` skip the rest.
///
/// # Errors
/// The terminal is gone, or an accepted or rejected file cannot be written.
pub fn review(
    pending: &[Pending],
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    color: bool,
) -> Result<Reviewed, StoreError> {
    let terminal = |source| StoreError::io("write to", "the terminal".as_ref())(source);
    let mut reviewed = Reviewed::default();
    for (index, one) in pending.iter().enumerate() {
        show(one, index + 1, pending.len(), output, color).map_err(terminal)?;
        match ask(input, output).map_err(terminal)? {
            Answer::Accept => {
                one.accept()?;
                reviewed.accepted += 1;
            }
            Answer::Reject => {
                one.reject()?;
                reviewed.rejected += 1;
            }
            Answer::Skip => reviewed.skipped += 1,
            Answer::Quit => {
                reviewed.skipped += pending.len() - index;
                break;
            }
        }
    }
    Ok(reviewed)
}

/// Shows each pending snapshot and asks nothing.
///
/// # Errors
/// `output` cannot be written to.
pub fn list_pending(pending: &[Pending], output: &mut dyn Write, color: bool) -> io::Result<()> {
    for (index, one) in pending.iter().enumerate() {
        show(one, index + 1, pending.len(), output, color)?;
    }
    Ok(())
}

fn show(pending: &Pending, number: usize, of: usize, output: &mut dyn Write, color: bool) -> io::Result<()> {
    writeln!(output, "[{number}/{of}] {}", pending.accepted.display())?;
    match pending.change() {
        Ok(Change::New(snapshot)) => writeln!(output, "a new snapshot\n\n{}", snapshot.claims.render()),
        Ok(Change::Differs(comparison)) => writeln!(output, "{}", render_diff(&comparison, color)),
        Err(error) => writeln!(output, "{error}\n"),
    }
}

enum Answer {
    Accept,
    Reject,
    Skip,
    Quit,
}

fn ask(input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<Answer> {
    loop {
        write!(output, "a(ccept), r(eject), s(kip), q(uit): ")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Answer::Quit);
        }
        match line.trim() {
            "a" | "accept" => return Ok(Answer::Accept),
            "r" | "reject" => return Ok(Answer::Reject),
            "s" | "skip" => return Ok(Answer::Skip),
            "q" | "quit" => return Ok(Answer::Quit),
            _ => {}
        }
    }
}
