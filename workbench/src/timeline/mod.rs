//! Evidence to one ordered story: names instead of addresses, roles instead of ports, pids and sequence numbers.

mod decode;
mod decode_dns;
mod decode_icmp;
#[cfg(test)]
mod decode_tests;
mod event;
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

pub use event::{Event, EventKind, EvidenceRef, Timeline, Timer, TimerClass, Wait};
pub use flight::{Content, Dns, Fate, Flight, QuotedFlow, TcpSegment};
pub use flights::flights;
