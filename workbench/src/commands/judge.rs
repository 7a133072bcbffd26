//! `workbench judge`: timeline and verdict from kept evidence. No privileges, no engine, milliseconds.

use std::path::Path;

use super::check::wrong;
use super::run::read_evidence;
use super::terminal::Terminal;
use crate::cli::Format;
use crate::report::json::RunReport;
use crate::report::text;
use crate::{exit_code, timeline, verdict};

/// Prints what a run of this evidence would have printed.
pub fn judge(path: &Path, format: Format, terminal: Terminal) -> u8 {
    let evidence = match read_evidence(path) {
        Ok(evidence) => evidence,
        Err(e) => return wrong(&format!("{}: {e}", path.display())),
    };
    let timeline = timeline::build(&evidence);
    let verdict = verdict::judge(&evidence, &timeline);
    let report = RunReport::from_run(&evidence, &timeline, &verdict);
    match format {
        Format::Text => {
            let options = text::Options { color: terminal.color_out, width: terminal.width };
            print!("{}", text::render(&evidence, &timeline, &verdict, options));
        }
        Format::Json => println!("{}", report.to_line()),
    }
    match report.status {
        crate::report::json::Status::Fail => exit_code::DIFFERS,
        crate::report::json::Status::Inconclusive => exit_code::INCONCLUSIVE,
        _ => exit_code::AGREES,
    }
}
