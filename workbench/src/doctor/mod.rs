//! What this machine has, what it lacks, and what each missing thing would be needed for.
//!
//! [`examine`] looks, [`render`] tells, [`fix`] installs. What the kernel allows is tried rather than guessed: a child
//! process ([`probe_inside`]) makes the namespaces, a veth pair, a rule, a trap, and reports how far it came.

mod apparmor;
mod check;
mod distribution;
mod examine;
mod fix;
mod judge;
mod machine;
mod netlink;
mod probe;
mod render;
mod switches;
mod tools;
mod trial;
mod virtual_kernel;

pub use check::{Check, Remedy, Scope, State};
pub use distribution::{Family, Packages};
pub use examine::examine;
pub use fix::{FixError, FixOutcome, fix, fix_build_tools};
pub use probe::{Stage, probe_inside};
pub use render::render;
pub use virtual_kernel::lacks_kernel;
