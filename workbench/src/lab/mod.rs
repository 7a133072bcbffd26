//! Builds the network of a plan in namespaces, all through netlink: links, addresses, routes, rules, netem, sysctls.

mod address;
mod cable;
mod counters;
mod error;
mod expression;
mod fault;
mod fault_host;
mod fault_wire;
mod link;
mod matching;
mod namespace;
mod netem;
#[cfg(test)]
mod netem_golden;
mod netem_tables;
mod netlink;
mod network;
mod qdisc;
mod relay;
mod requires;
mod route;
mod rules;
mod sysctl;
mod wire;

pub use error::LabError;
pub use fault::Fault;
pub use network::Lab;
