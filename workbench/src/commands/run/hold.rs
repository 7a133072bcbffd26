//! A run against its snapshot: compares, accepts or leaves it to be reviewed, as the command line says. Prints nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::RunArgs;
use crate::evidence::Evidence;
use crate::report::SnapshotStatus;
use crate::snapshot::{self, Checked, Snapshot, Store, StoreError, Tolerance};

/// How runs are held against their snapshots.
pub struct Hold<'a> {
    args: &'a RunArgs,
    color: bool,
    /// The kernel whose doing this command has accepted or kept, by snapshot. One snapshot holds for several kernels: where
    /// they differ, the last of them would replace what the others did, and one that agrees remove it.
    taken: RefCell<BTreeMap<PathBuf, String>>,
}

impl<'a> Hold<'a> {
    /// As the command line says; differences with SGR colours if `color`.
    pub fn new(args: &'a RunArgs, color: bool) -> Self {
        Self { args, color, taken: RefCell::default() }
    }

    /// Holds a run against its snapshot. A run that cannot be believed changes no file.
    pub fn hold(
        &self,
        path: &Path,
        evidence: &Evidence,
        observed: &Snapshot,
        is_believed: bool,
    ) -> Result<Held, StoreError> {
        if self.args.no_snapshot {
            return Ok(Held::default());
        }
        let store = Store::for_scenario(path)?;
        let run = &evidence.plan.snapshot_name(&evidence.machine.kernel);
        let tolerance = Tolerance::of(&evidence.machine, evidence.lateness.max_ns);
        let kernel = &evidence.machine.kernel;
        let others = self.taken.borrow().get(&store.path(run)).filter(|other| *other != kernel).cloned();
        let may_write = !self.args.ci && !self.args.accept && is_believed && others.is_none();
        let checked = store.check(run, observed, &tolerance, may_write)?;
        let color = self.color;
        let has_new_ranges = observed.recording.phases.is_some()
            && store.load(run)?.is_some_and(|accepted| !accepted.has_ranges_of(observed));
        let held = match &checked {
            Checked::New { .. } => Held { status: SnapshotStatus::New, missing: self.args.ci, ..Held::default() },
            Checked::Compared { comparison, .. } => Held::of(comparison, color),
        };
        if let Some(others) = &others
            && matches!(held.status, SnapshotStatus::Differs | SnapshotStatus::New)
        {
            return Ok(held.beside(others, self.args.accept));
        }
        let is_accepting = self.args.accept && !self.args.ci && is_believed && held.inconclusive.is_none();
        let file = match held.status {
            _ if !is_accepting => None,
            SnapshotStatus::New | SnapshotStatus::Differs => Some(store.accept(run, observed)?),
            _ if has_new_ranges => Some(store.accept(run, observed)?),
            _ => store.add_cause(run, observed)?,
        };
        if let Some(file) = file {
            self.taken.borrow_mut().insert(file.clone(), kernel.clone());
            let text = format!("  accepted: {}\n", shown(&file));
            return Ok(Held { status: SnapshotStatus::Match, text, ..Held::default() });
        }
        let pending = match checked {
            Checked::New { pending } | Checked::Compared { pending, .. } => pending,
        };
        if pending.is_some() {
            self.taken.borrow_mut().insert(store.path(run), kernel.clone());
        }
        Ok(held.with_pending(pending.as_deref()))
    }
}

/// What holding a run against its snapshot came to.
pub struct Held {
    /// How they compare.
    pub status: SnapshotStatus,
    /// There is none, and none may be written.
    pub missing: bool,
    /// Neither agrees nor differs, and why.
    pub inconclusive: Option<String>,
    /// To print after the timeline.
    pub text: String,
}

impl Default for Held {
    fn default() -> Self {
        Self { status: SnapshotStatus::None, missing: false, inconclusive: None, text: String::new() }
    }
}

impl Held {
    fn of(comparison: &snapshot::Comparison, color: bool) -> Self {
        let diff = || snapshot::render_diff(comparison, color);
        match comparison.outcome {
            snapshot::Outcome::Agrees => Self { status: SnapshotStatus::Match, ..Self::default() },
            snapshot::Outcome::Differs => Self { status: SnapshotStatus::Differs, text: diff(), ..Self::default() },
            snapshot::Outcome::MissingRetransmission | snapshot::Outcome::MachineLate => {
                Self { inconclusive: Some(comparison.remarks.join("; ")), text: diff(), ..Self::default() }
            }
        }
    }

    /// Another kernel's doing has been taken or kept, and this one does otherwise, or nobody has looked.
    fn beside(mut self, other: &str, is_accepting: bool) -> Self {
        if self.status == SnapshotStatus::New {
            self.text.push_str(&format!(
                "  not compared: what {other} did waits to be reviewed; `workbench compare` shows both\n"
            ));
            return self;
        }
        let what = if is_accepting { "not accepted" } else { "not kept" };
        self.text.push_str(&format!(
            "  {what}: {other} did otherwise, and one snapshot holds for both; if kernels differ here, mark the run: \
             differs since=\"VERSION\" \"WHY\"\n"
        ));
        self
    }

    fn with_pending(mut self, pending: Option<&Path>) -> Self {
        if let Some(pending) = pending {
            let what = if self.status == SnapshotStatus::New { "a new snapshot waits" } else { "what was seen waits" };
            self.text.push_str(&format!("  {what} in {}: workbench review\n", shown(pending)));
        }
        self
    }
}

/// A path from where the user stands, if it is below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
