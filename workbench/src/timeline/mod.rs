//! Evidence to one ordered story: names instead of addresses, roles instead of ports, pids and sequence numbers.

mod event;
mod flight;

pub use event::{Event, EventKind, EvidenceRef, Timeline, Timer, TimerClass, Wait};
pub use flight::{Content, Dns, Fate, Flight, QuotedFlow, TcpSegment};
