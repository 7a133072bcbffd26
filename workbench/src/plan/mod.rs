//! Scenario to plan: everything decided, nothing done. See [`Plan`].

mod baseline;
mod build;
mod daemon;
mod describe;
mod describe_daemon;
mod differs;
mod etc_files;
mod model;
mod origin;
mod program;
mod routing;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod tests;

pub use build::build;
pub use daemon::{DaemonPlan, FileContent, FilePlan, PreparePlan, Ready};
pub use differs::{DiffersPlan, KernelRange};
pub use model::{
    Cause, CommandPlan, Distribution, Expectations, Expected, Hook, HostPlan, LinkEnd, LinkPlan, NeighbourPlan, Netem,
    NetemPlan, Origin, PLAN_FORMAT_VERSION, Plan, PortRange, Protocol, RejectWith, Requirement, RequirementKind,
    RoutePlan, RouteTarget, RuleAction, RuleMatch, RulePlan, SocketState, StdinPlan, SweepPlan, SysctlPlan,
    TcpFlagsMatch, Which,
};
pub use program::{ProgramPlan, StepPlan};
