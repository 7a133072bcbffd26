//! Scenario to plan: everything decided, nothing done. See [`Plan`].

mod baseline;
mod build;
mod daemon;
mod describe;
mod describe_daemon;
mod differs;
mod etc_files;
mod fault;
mod model;
mod origin;
mod peer;
mod program;
mod routing;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod tests;

pub use crate::scenario::{Call, Direction, Endpoint, ExpectedResult, Family, OptionValue, Readiness, SocketKind};
pub use build::build;
pub use daemon::{DaemonPlan, FileContent, FilePlan, PreparePlan, Ready};
pub use differs::{DiffersPlan, KernelRange};
pub use fault::{Action, FaultPlace, FaultPlan, Heal};
pub use model::{
    BodyEnd, Cause, CommandPlan, Distribution, DnsMode, Expectations, Expected, Hook, HostPlan, Http, LinkEnd,
    LinkPlan, NeighbourPlan, Netem, NetemPlan, Origin, PLAN_FORMAT_VERSION, PeerKind, Plan, PortRange, Protocol,
    RejectWith, Requirement, RequirementKind, RoutePlan, RouteTarget, RuleAction, RuleMatch, RulePlan, SocketState,
    Speech, StdinPlan, SweepPlan, SysctlPlan, TcpFlagsMatch, Which,
};
pub use peer::PeerPlan;
pub use program::{ProgramPlan, StepPlan};
