//! Evidence to one ordered story: names instead of addresses, roles instead of ports, pids and sequence numbers.

mod bounds;
mod build;
mod calls;
mod cast;
mod data;
mod decode;
mod decode_dns;
mod decode_icmp;
#[cfg(test)]
mod decode_tests;
mod ends;
mod escape;
mod event;
#[cfg(test)]
pub mod fixture;
mod flight;
mod flight_lanes;
mod flight_order;
mod flight_rules;
#[cfg(test)]
mod flight_rules_tests;
mod flights;
#[cfg(test)]
mod flights_fixture;
#[cfg(test)]
mod flights_tests;
mod flows;
mod index;
mod names;
pub mod objects;
mod order;
mod packet_facts;
mod packets;
mod phases;
mod probes;
mod program_names;
mod programs;
mod render;
mod retries;
mod sockets;
mod states;
pub mod tcp_flags;
mod tcp_labels;
#[cfg(test)]
mod tests;
mod waits;
mod windows;

pub use build::{build, build_from};
pub use calls::neighbour_wait_ns;
pub use escape::escape;
pub use event::{Event, EventKind, EvidenceRef, Timeline, Timer, TimerClass, Wait};
pub use flight::{Content, Dns, Fate, Flight, QuotedFlow, TcpSegment};
pub use flights::flights;
pub use flows::Flows;
pub use index::Index;
pub use names::{IN_FLIGHT, Names, fate};
pub use phases::{Range, Spread, Stray, longest_wheel_ns, phases_ns, sampling_ns};
pub use render::duration;
pub use sockets::Sockets;
pub use tcp_labels::{TcpLabel, TcpLabels};
pub use waits::{Due, PROGRAMS_GRAIN_NS, armed_until_then, asked_for};
