//! The result of looking at one thing: there, missing, or missing and not needed by every scenario.
//!
//! Plain values; nothing here looks at a machine.

use super::distribution::Family;

/// What the machine is to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Running scenarios.
    Run,
    /// The workbench's own tests as well, which hold it against strace, tshark, nft and others.
    Tests,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Tool, kernel feature or switch, by the name its users know.
    pub name: String,
    /// What cannot be done without it.
    pub needed_for: String,
    /// How it stands.
    pub state: State,
}

/// How a thing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is there and works.
    Ok {
        /// Version, place or value.
        detail: String,
    },
    /// It is not there, or does not work, and something that is asked for fails without it.
    Missing {
        /// What was found instead.
        why: String,
        /// What would be right.
        remedy: Remedy,
    },
    /// It is not there, and only what needs it is skipped.
    Warning {
        /// What was found instead.
        why: String,
        /// What would be right.
        remedy: Remedy,
    },
}

/// What mends a missing thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// A package of this machine's distribution.
    Package {
        /// Whose package manager knows it.
        family: Family,
        /// The package.
        name: String,
    },
    /// An AppArmor profile that lets this one binary have user namespaces.
    Profile {
        /// The paths it attaches to, as AppArmor writes them.
        attachment: String,
    },
    /// A kernel for the virtual engine, which the workbench builds itself.
    Kernel,
    /// A command for an administrator: it changes a switch of the machine, so it is shown and never run.
    Command(String),
    /// Nothing that a command does.
    Text(String),
}

impl Check {
    /// Whether something that is asked for fails without it.
    pub fn is_missing(&self) -> bool {
        matches!(self.state, State::Missing { .. })
    }
}
