//! Kernels for the virtual engine: builds User-Mode Linux with time travel, keeps what was built, chooses among it.
//!
//! Nothing here runs a guest: which command line a kernel gets is the engine's business. Kernels lie in the user's cache,
//! each in a folder of its own with what is known about it; a folder appears there whole or not at all.

mod about;
mod add;
mod apt;
mod build;
mod cache;
mod config;
mod error;
mod fragment;
mod make;
mod mend;
mod processes;
mod request;
mod select;
mod source;
mod sources_list;
mod timer;
mod tools;
mod workspace;

pub use about::{About, Kernel};
pub use add::add;
pub use build::{Built, build};
pub use cache::{all, find, folder, remove};
pub use error::KernelError;
pub use fragment::{FRAGMENT, fragment_hash};
pub use request::{Event, Phase, Request};
pub use select::select;
pub use timer::host_hz;
pub use tools::{BUILD_TOOLS, missing_tools};
