//! What was seen in one run: the seam between acting and reasoning. See [`Evidence`].

pub mod bytes;
mod call;
mod model;
mod packet;
mod process;

pub use call::{Arg, Call, CallResult, PollEntry, SocketAddress, TimeForm};
pub use model::{
    ClockPair, EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, Lateness, Machine, Output, RuleCounter,
    SetupNote,
};
pub use packet::{CaptureLoss, Direction, Packet};
pub use process::{Process, Signal};
