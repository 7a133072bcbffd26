//! Carries an entry of the catalogue out, through the binary; says whether its mechanism was brought about, and what the
//! verdict made of it.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Completion, Failed};
use serde_json::Value;
use workbench::evidence::{Ending, Evidence};
use workbench::report::strace::render;
use workbench::timeline;

use super::entry::{Armed, Entry, Proof};
use crate::support::deadlines::contradiction;
use crate::support::virtual_engine::{read, virtual_engine};
use crate::support::{no_labs, scenario, scratch, texts, workbench};
use crate::traced::compiled;

/// Names the kernel of the virtual runs; the newest unless set.
const KERNEL: &str = "KERNEL";

/// Exit code of a program whose system call is not there.
const NO_SUCH_CALL: i32 = 77;

/// Deadlines that a program works out by reading the clock are late by what the reading takes.
const READING_S: f64 = 0.01;

/// Where a scenario is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    Virtual,
    Host,
}

/// `workbench run` on this engine, or why there is none.
pub fn engine(engine: Engine) -> Result<Command, String> {
    match (engine, no_labs()) {
        (Engine::Virtual, _) => virtual_engine().map(|mut command| {
            if let Some(kernel) = std::env::var_os(KERNEL) {
                command.arg("--kernel").arg(kernel);
            }
            command
        }),
        (Engine::Host, Some(why)) => Err(why.to_owned()),
        (Engine::Host, None) => {
            let mut command = workbench();
            command.arg("run");
            Ok(command)
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The report, as `--format json` prints it.
    pub report: Value,
    /// What it is made of.
    pub evidence: Evidence,
}

/// What came of it, or why it was not done.
#[derive(Debug)]
pub enum Outcome {
    Ran(Box<Ran>),
    Skipped(String),
}

/// Runs a scenario that has one run, `run`.
pub fn carry_out(text: &str, on: Engine) -> Result<Outcome, Failed> {
    let mut command = match engine(on) {
        Ok(command) => command,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let folder = scratch();
    let file = scenario(folder.path(), "catalogue.kdl", text);
    command.args(["--format", "json", "--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file);
    let output = command.output()?;
    let (out, err) = texts(&output);
    let failed = |why: String| Failed::from(format!("{text}\n{why}\n{out}{err}"));
    let report: Value = serde_json::from_str(out.trim()).map_err(|e| failed(e.to_string()))?;
    if report["status"] == "skipped" {
        return Ok(Outcome::Skipped(report["reason"].to_string()));
    }
    let evidence = read(&folder.path().join(Path::new("catalogue/run/evidence.json")));
    let evidence = evidence.map_err(|e| failed(e.to_string()))?;
    Ok(Outcome::Ran(Box::new(Ran { report, evidence })))
}

impl Entry {
    /// Runs it.
    pub fn carry_out(&self, on: Engine) -> Result<Outcome, Failed> {
        self.carry_out_with(on, |_| None)
    }

    /// Runs it; `program` gives the file that a word of its command stands for.
    pub fn carry_out_with(&self, on: Engine, program: impl Fn(&str) -> Option<String>) -> Result<Outcome, Failed> {
        let Some(own) = compiled("mechanisms.c")? else { return Ok(Outcome::Skipped("needs gcc".into())) };
        let own = |word: &str| (word == "mechanisms").then(|| own.to_owned());
        let outcome = carry_out(&self.scenario(|word| own(word).or_else(|| program(word))), on)?;
        if let Outcome::Ran(ran) = &outcome
            && ran.evidence.end.how == Ending::Exit(NO_SUCH_CALL)
        {
            return Ok(Outcome::Skipped(format!("{} does not have the call", ran.evidence.machine.kernel)));
        }
        Ok(outcome)
    }

    /// Looks at everything.
    pub fn holds(&self, outcome: &Outcome) -> Result<Completion, Failed> {
        let ran = match outcome {
            Outcome::Skipped(why) => return Ok(Completion::ignored_with(why)),
            Outcome::Ran(ran) => ran,
        };
        let mut problems = self.not_brought_about(&ran.evidence);
        if problems.is_empty() {
            problems.extend(self.wrong(&ran.report));
        }
        if problems.is_empty() { Ok(Completion::Completed) } else { Err(ran.story(&problems).into()) }
    }

    /// What is missing in the evidence: whatever the verdict, the mechanism has to have been there.
    pub fn not_brought_about(&self, evidence: &Evidence) -> Vec<String> {
        let ended_s = evidence.end.t_ns as f64 / 1e9;
        let (from_s, to_s) = self.ends_s;
        let mut problems: Vec<String> = Vec::new();
        if !(from_s..=to_s).contains(&ended_s) {
            problems.push(format!("not brought about: ended after {ended_s:.3} s, not {from_s} to {to_s} s"));
        }
        let missing = self.proof.iter().filter(|proof| !proof.is_in(evidence));
        problems.extend(missing.map(|proof| format!("not brought about: no {proof:?}")));
        problems
    }

    /// What the verdict has wrong.
    pub fn wrong(&self, report: &Value) -> Vec<String> {
        let said = &report["ended_by"];
        if said.is_null() {
            return vec!["no verdict".to_owned()];
        }
        let mut problems: Vec<String> = contradiction(report).into_iter().collect();
        let mut same = |field: &str, expected: &str| {
            if said[field] != expected {
                problems.push(format!("{field}: {} in place of \"{expected}\"", said[field]));
            }
        };
        same("party", self.party);
        if self.or.is_none_or(|or| said["mechanism"] != or) {
            same("mechanism", self.mechanism);
        }
        if let Some(who) = self.who {
            same("who", who);
        }
        problems.extend(self.armed_for.wrong(&said["armed_for_s"]));
        problems
    }
}

impl Proof {
    /// Whether it is there.
    fn is_in(&self, evidence: &Evidence) -> bool {
        match self {
            Self::Call(name, text) => {
                evidence.calls.iter().any(|call| call.name == *name && render(call).contains(text))
            }
            Self::Signal(name) => evidence.signals.iter().any(|signal| signal.name == *name),
            Self::Output(text) => {
                let both = [&evidence.output.stdout, &evidence.output.stderr];
                both.iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
            }
            Self::Event(text) => timeline::build(evidence).events.iter().any(|event| event.text.contains(text)),
        }
    }
}

impl Armed {
    /// What a report's `armed_for_s` has wrong.
    pub fn wrong(self, said: &Value) -> Option<String> {
        let (from_s, to_s) = match self {
            Self::No => return (!said.is_null()).then(|| format!("armed for {said} s, and no timer did it")),
            Self::For(s) => (s - 1e-6, s + 1e-6),
            Self::About(s) => (s - READING_S, s + READING_S),
            Self::Within(from_s, to_s) => (from_s, to_s),
        };
        let is_right = said.as_f64().is_some_and(|s| (from_s..=to_s).contains(&s));
        (!is_right).then(|| format!("armed for {said} s, not {from_s} to {to_s} s"))
    }
}

impl Ran {
    /// Problems, and enough of the run to see where they come from.
    pub fn story(&self, problems: &[String]) -> String {
        const LINES: usize = 60;
        let calls: Vec<String> =
            self.evidence.calls.iter().map(|call| format!("{} {}", call.tid, render(call))).collect();
        let calls = &calls[calls.len().saturating_sub(LINES)..];
        let error = String::from_utf8_lossy(&self.evidence.output.stderr);
        let end = &self.evidence.end;
        let verdict = &self.report["ended_by"];
        format!("{}\n{verdict}\n{end:?}\n{error}\n{}", problems.join("\n"), calls.join("\n"))
    }
}
