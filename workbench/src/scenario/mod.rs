//! KDL text to a typed scenario, with the span of every value. Parsing never acts.

mod fault;

pub use fault::{
    Chance, Distribution, Hook, LossModel, Netem, PortRange, Protocol, Rate, RejectWith, RuleAction, RuleMatch, Slot,
    TcpFlagsMatch, Which,
};
