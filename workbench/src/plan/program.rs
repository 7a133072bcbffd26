//! Socket programs as they are carried out: calls in order, in a host.

use serde::{Deserialize, Serialize};

use super::model::Origin;
use super::origin::origin;
use crate::scenario::{Call, Endpoint, ExpectedResult, Family, Program, Scenario, Step};

/// A socket program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramPlan {
    /// Its name, unique among programs.
    pub name: String,
    /// Host it runs in.
    pub host: String,
    /// Its steps, in order.
    pub steps: Vec<StepPlan>,
    /// How many different sockets its calls number.
    pub sockets: usize,
    /// Where it stands.
    pub origin: Origin,
}

/// One step of a socket program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// As the scenario writes it, in one line: `bind listener 80`.
    pub text: String,
    /// What is done; every address that it needs is there.
    pub call: Call,
    /// What should come of it.
    pub expected: ExpectedResult,
    /// Where it stands.
    pub origin: Origin,
}

/// The step that others wait for before the command is let go.
const READY: &str = "ready";

impl ProgramPlan {
    /// Which step has this name.
    pub fn named_step(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name() == Some(name))
    }

    /// Which step the command waits for before it is let go.
    pub fn ready_step(&self) -> Option<usize> {
        self.named_step(READY)
    }
}

impl StepPlan {
    /// The name of a named step.
    pub fn name(&self) -> Option<&str> {
        match &self.call {
            Call::Reach { name } => Some(name),
            _ => None,
        }
    }

    /// One line that says what came, a value or an errno's name, instead of what was expected; `None` if it was.
    pub fn complaint(&self, result: Result<i64, &str>) -> Option<String> {
        let came = match (result, &self.expected) {
            (Ok(_), ExpectedResult::Success) => return None,
            (Ok(value), ExpectedResult::Value(expected)) if value == *expected => return None,
            (Err(errno), ExpectedResult::Errno(expected)) if errno == expected => return None,
            (Ok(value), _) => value.to_string(),
            (Err(why), _) => why.to_owned(),
        };
        let Origin { file, line, .. } = &self.origin;
        let expected = self.expected_text();
        Some(format!("{file}:{line}: {}: {came}, expected {expected}", self.text))
    }

    /// What should come of it, in a word.
    pub fn expected_text(&self) -> String {
        match &self.expected {
            ExpectedResult::Success => "success".to_owned(),
            ExpectedResult::Value(value) => value.to_string(),
            ExpectedResult::Errno(errno) => errno.clone(),
        }
    }
}

/// All programs of a scenario.
pub(super) fn programs(scenario: &Scenario) -> Vec<ProgramPlan> {
    let plan = |program: &Program| ProgramPlan {
        name: program.name.value.clone(),
        host: program.host.value.clone(),
        steps: program.steps.iter().map(|step| step_plan(scenario, step)).collect(),
        sockets: program.sockets,
        origin: origin(&scenario.source, program.span),
    };
    scenario.programs.iter().map(plan).collect()
}

fn step_plan(scenario: &Scenario, step: &Step) -> StepPlan {
    let mut call = step.call.clone();
    if let Call::Bind { to, .. } | Call::Connect { to, .. } = &mut call {
        to.address = to.address.or_else(|| address(scenario, to));
    }
    StepPlan {
        text: step.text.clone(),
        call,
        expected: step.expected.clone(),
        origin: origin(&scenario.source, step.span),
    }
}

/// The first address of the socket's family that a host has.
fn address(scenario: &Scenario, to: &Endpoint) -> Option<std::net::IpAddr> {
    let addresses = scenario.addresses_of(to.host.as_ref()?);
    addresses.into_iter().find(|address| Family::of(*address) == to.family)
}
