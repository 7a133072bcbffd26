//! From an engine's outcome to what was seen, or to why there is nothing to see and whose fault that is. Prints nothing.

use crate::agent::{NotReady, Outcome, Refused, Unsupported};
use crate::engine::EngineError;
use crate::evidence::{Ending, Evidence};
use crate::exit_code;
use crate::plan::Origin;
use crate::report::Status;
use crate::timeline::escape;

/// Why a run gave nothing to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRun {
    /// Skipped or an error.
    pub status: Status,
    /// Why, and what would help.
    pub reason: String,
    /// For an error: whose fault it is.
    pub error_code: Option<u8>,
}

/// What was seen.
///
/// # Errors
///
/// Why there is nothing.
pub fn seen(outcome: Result<Outcome, EngineError>) -> Result<Box<Evidence>, NotRun> {
    let error = |reason, code| NotRun { status: Status::Error, reason, error_code: Some(code) };
    match outcome {
        Ok(Outcome::Seen(evidence)) => match missing_program(&evidence) {
            Some(why) => Err(error(why, exit_code::ENVIRONMENT)),
            None => Ok(evidence),
        },
        Ok(Outcome::Unsupported(lacking)) => {
            Err(NotRun { status: Status::Skipped, reason: skipped(&lacking), error_code: None })
        }
        Ok(Outcome::Refused(refused)) => {
            let code = if refused.is_scenario_fault { exit_code::WRONG_INPUT } else { exit_code::ENVIRONMENT };
            Err(error(refusal(&refused), code))
        }
        Ok(Outcome::NotReady(not_ready)) => {
            let code = if not_ready.is_scenario_fault { exit_code::WRONG_INPUT } else { exit_code::ENVIRONMENT };
            Err(error(daemon_failure(&not_ready), code))
        }
        Ok(Outcome::Broken(why)) => Err(error(why, exit_code::ENVIRONMENT)),
        Err(why) => Err(error(why.to_string(), exit_code::ENVIRONMENT)),
    }
}

/// A command that is not there is a lack of this machine, not a result of the scenario.
pub(super) fn missing_program(evidence: &Evidence) -> Option<String> {
    let Ending::ExecFailed(errno) = &evidence.end.how else { return None };
    let program = &evidence.plan.command.argv[0];
    let remedy = "install it, or let `workbench doctor --fix` do so";
    Some(match errno.as_str() {
        "ENOENT" => format!("there is no program `{program}` in the lab's PATH; {remedy}"),
        _ => format!("`{program}` cannot be executed: {errno}"),
    })
}

fn skipped(lacking: &Unsupported) -> String {
    let Unsupported { feature, why, remedy, origin } = lacking;
    format!("{feature} is not available here: {why}; {remedy}{}", place(origin))
}

fn refusal(refused: &Refused) -> String {
    let Refused { at, asked, kernel, origin, .. } = refused;
    let is_sysctl = asked.starts_with("net.");
    let remedy = match kernel.split(':').next() {
        Some("ENOENT") if is_sysctl => "; this kernel has no such sysctl or value: `if-present=#true` would do without",
        Some("EINVAL" | "ERANGE") if is_sysctl => "; `or=VALUE` would name a second choice",
        _ => "",
    };
    format!("the kernel refuses `{asked}` in {at}: {kernel}{remedy}{}", place(origin))
}

/// A daemon's own words are data: nothing in them may steer a terminal.
fn daemon_failure(not_ready: &NotReady) -> String {
    let NotReady { what, happened, output, origin, .. } = not_ready;
    let mut text = format!("{what} {happened}");
    for line in output {
        text.push_str(&format!("\n  | {}", escape(line)));
    }
    text + &place(origin)
}

/// ` (scenarios/x.kdl:3:5: sysctl "…" 0)`.
fn place(origin: &Origin) -> String {
    if origin.line == 0 {
        return String::new();
    }
    format!("\n  {}:{}:{}: {}", origin.file, origin.line, origin.column, origin.text)
}
