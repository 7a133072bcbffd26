//! What was seen in one run: the seam between acting and reasoning. See [`Evidence`].

mod arguments;
pub mod bytes;
mod call;
mod cast;
mod check;
mod jiffies;
mod model;
mod packet;
mod process;
mod ring;
mod roots;
mod socket;
mod steps;
mod tcp_info;

pub use call::{Arg, Call, CallResult, PollEntry, SocketAddress, TimeForm};
pub use cast::{DaemonRecord, FaultRecord, StepRecord, StepResult};
pub use jiffies::{JiffiesClock, Phase, wheel_step_jiffies};
pub use model::{
    ClockPair, EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, GuestMachine, Lateness, Machine, Output,
    RuleCounter, SetupNote, TimeTravel,
};
pub use packet::{CaptureLoss, Direction, Packet};
pub use process::{Process, Signal};
pub use ring::{RingCompletion, RingSubmission};
pub use socket::{
    CounterChange, DestroyedSocket, SampleReason, SocketOwner, SocketSample, TcpSocket, TcpState, TimerKind,
};
pub use steps::Step;
pub use tcp_info::TcpInfo;
