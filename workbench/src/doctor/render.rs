//! Checks as text: one line for what is fine; for what is not, what it is needed for and what mends it.

use std::fmt::Write as _;

use super::apparmor::{PROFILE_FILE, profile};
use super::check::{Check, Remedy, State};

/// The report, a line or more for each check and a count at the end. With `color`, ANSI colours for the states.
pub fn render(checks: &[Check], color: bool) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let (word, ansi, detail) = match &check.state {
            State::Ok { detail } => ("ok", 32, detail),
            State::Missing { why, .. } => ("missing", 31, why),
            State::Warning { why, .. } => ("warning", 33, why),
        };
        let word = if color { format!("\x1b[{ansi}m{word:<7}\x1b[0m") } else { format!("{word:<7}") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word}  {:<width$}  {detail}", check.name);
        if let State::Missing { remedy, .. } | State::Warning { remedy, .. } = &check.state {
            let _ = writeln!(text, "         {:width$}  needed for {}", "", check.needed_for);
            let _ = writeln!(text, "         {:width$}  {}", "", advice(remedy));
        }
    }
    text + &count(checks)
}

fn advice(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Package { name, .. } => format!("package {name}"),
        Remedy::Profile { attachment } => {
            format!("a profile in {PROFILE_FILE}, which `doctor --fix` writes and loads:\n\n{}", profile(attachment))
        }
        Remedy::Kernel => "`workbench kernel build` makes one (about 5 minutes)".to_owned(),
        Remedy::Command(command) => format!("an administrator can say: {command}"),
        Remedy::Text(text) => text.clone(),
    }
}

fn count(checks: &[Check]) -> String {
    let missing = checks.iter().filter(|check| check.is_missing()).count();
    let warnings = checks.iter().filter(|check| matches!(check.state, State::Warning { .. })).count();
    let can_fix = |check: &&Check| {
        let State::Missing { remedy, .. } = &check.state else { return false };
        matches!(remedy, Remedy::Package { .. } | Remedy::Profile { .. } | Remedy::Kernel)
    };
    let hint = match checks.iter().filter(can_fix).count() {
        0 => String::new(),
        fixable => format!("; `workbench doctor --fix` can mend {fixable}"),
    };
    format!("{} things looked at; missing: {missing}; warnings: {warnings}{hint}\n", checks.len())
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Family;
    use super::*;

    fn check(name: &str, state: State) -> Check {
        Check { name: name.into(), needed_for: "a test".into(), state }
    }

    fn three() -> Vec<Check> {
        let package = Remedy::Package { family: Family::Debian, name: "wget".into() };
        vec![
            check("curl", State::Ok { detail: "7.88.1".into() }),
            check("wget", State::Missing { why: "no wget in PATH".into(), remedy: package }),
            check("sch_netem", State::Warning { why: "unknown".into(), remedy: Remedy::Text("another kernel".into()) }),
        ]
    }

    #[test]
    fn what_is_missing_says_what_it_is_needed_for_and_what_mends_it() {
        assert_eq!(
            render(&three(), false),
            "ok       curl       7.88.1\n\
             missing  wget       no wget in PATH\n\
             \x20                   needed for a test\n\
             \x20                   package wget\n\
             warning  sch_netem  unknown\n\
             \x20                   needed for a test\n\
             \x20                   another kernel\n\
             3 things looked at; missing: 1; warnings: 1; `workbench doctor --fix` can mend 1\n"
        );
    }

    #[test]
    fn colour_changes_no_word() {
        let plain: String = render(&three(), true).replace("\x1b[0m", "");
        let plain = ["\x1b[31m", "\x1b[32m", "\x1b[33m"].iter().fold(plain, |text, code| text.replace(code, ""));
        assert_eq!(plain, render(&three(), false));
    }
}
