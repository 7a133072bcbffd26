//! Daemons as they are carried out, and the files that they and the command find. Pure: nothing is written here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Origin;
use super::origin::origin;
use crate::scenario::{Daemon, File, Prepare, Run, Scenario};
pub use crate::scenario::{FileContent, Ready};

/// A real server that is started before the command and has to be ready before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonPlan {
    /// Its name, unique among daemons; its working directory is `/run/NAME`.
    pub name: String,
    /// Host it runs in.
    pub host: String,
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// Whether it is root in its lab, and not `nobody`: one that is root may try to become somebody else, and a lab has
    /// nobody else (setgroups(2) is refused where one id is mapped, user_namespaces(7)).
    pub is_root: bool,
    /// Added to the clean environment.
    pub env: BTreeMap<String, String>,
    /// What it finds in its working directory, in the order of the scenario.
    pub files: Vec<FilePlan>,
    /// Commands that are run to their end before it, in order; each must exit with 0.
    pub prepare: Vec<PreparePlan>,
    /// What shows that it is ready.
    pub ready: Ready,
    /// How long that may take, from its start.
    pub within_ns: u64,
    /// Where it stands.
    pub origin: Origin,
}

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlan {
    /// Relative to the working directory of whom it is for; never leaves it.
    pub path: String,
    /// What it holds.
    pub content: FileContent,
    /// Permissions.
    pub mode: u32,
    /// Where it stands.
    pub origin: Origin,
}

/// A command that is run to its end before a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparePlan {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// How long it may take.
    pub within_ns: u64,
    /// Where it stands.
    pub origin: Origin,
}

/// The daemons of all hosts, in the order of the file.
pub(super) fn daemons(scenario: &Scenario) -> Vec<DaemonPlan> {
    let of_host = |host: &crate::scenario::Host| {
        host.daemons.iter().map(|daemon| plan(scenario, &host.name.value, daemon)).collect::<Vec<_>>()
    };
    scenario.hosts.iter().flat_map(of_host).collect()
}

fn plan(scenario: &Scenario, host: &str, daemon: &Daemon) -> DaemonPlan {
    let prepare = |prepare: &Prepare| PreparePlan {
        argv: prepare.argv.clone(),
        within_ns: prepare.within_ns,
        origin: origin(&scenario.source, prepare.span),
    };
    DaemonPlan {
        name: daemon.name.value.clone(),
        host: host.to_owned(),
        argv: daemon.argv.clone(),
        is_root: daemon.is_root,
        env: daemon.env.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect(),
        files: files(scenario, &daemon.files),
        prepare: daemon.prepare.iter().map(prepare).collect(),
        ready: daemon.ready.clone(),
        within_ns: daemon.within_ns,
        origin: origin(&scenario.source, daemon.span),
    }
}

/// Files as they are made.
pub(super) fn files(scenario: &Scenario, files: &[File]) -> Vec<FilePlan> {
    let plan = |file: &File| FilePlan {
        path: file.path.value.clone(),
        content: file.content.clone(),
        mode: file.mode,
        origin: origin(&scenario.source, file.span),
    };
    files.iter().map(plan).collect()
}

/// Bytes of all files that a run makes.
pub(super) fn files_bytes(scenario: &Scenario, run: &Run) -> u64 {
    let of_daemons = scenario.hosts.iter().flat_map(|host| &host.daemons).flat_map(|daemon| &daemon.files);
    let bytes = |file: &File| match &file.content {
        FileContent::Size(bytes) => *bytes,
        FileContent::Text(_) | FileContent::Folder => 0,
    };
    of_daemons.chain(&run.files).map(bytes).sum()
}
