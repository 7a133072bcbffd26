//! Golden snapshots: claims with reasoned tolerances, kept in insta's format.

mod align;
mod cause;
mod claims;
mod compare;
mod diff;
mod file;
mod parse;
mod pending;
mod recording;
mod render;
mod review;
mod skipped;
mod store;
mod tolerance;

#[cfg(test)]
mod tests;

pub use cause::Cause;
pub use claims::{ClaimLine, Claims, GapRange, Summary};
pub use compare::{Comparison, Mismatch, Outcome, Row, Subject, compare};
pub use diff::{Sides, render_diff, render_phases_diff, render_sides};
pub use file::{Snapshot, StoreError};
pub use parse::ClaimsError;
pub use pending::{Change, Pending, pending_for, unreferenced};
pub use recording::{Holds, Phases, Recording};
pub use review::{Reviewed, list_pending, review};
pub use store::{Checked, Store};
pub use tolerance::{ARMED_NS, Band, SCHEDULING_NS, START_NS, Tolerance};
