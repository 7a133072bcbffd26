//! Socket programs: declared calls in order, in a host.

mod check;
mod decode;
mod errno;
mod model;
mod option;
mod step;

pub(super) use check::{check, named_steps};
pub(super) use decode::program;
pub use model::{Call, Direction, Endpoint, Expected, OptionValue, Program, Readiness, SocketKind, Step};
