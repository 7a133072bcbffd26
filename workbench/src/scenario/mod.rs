//! KDL text to a typed scenario, with the span of every value. Parsing never acts.

mod error;
mod fault;
mod source;
mod span;
mod structure;
mod suggest;
mod syntax;
mod tokens;

pub use error::{Diagnostics, Problem};
pub use fault::{
    Chance, Distribution, Hook, LossModel, Netem, PortRange, Protocol, Rate, RejectWith, RuleAction, RuleMatch, Slot,
    TcpFlagsMatch, Which,
};
pub use source::SourceFile;
pub use span::Spanned;
