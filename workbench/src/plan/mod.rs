//! Scenario to plan: everything decided, nothing done. See [`Plan`].

mod model;

pub use model::{
    CommandPlan, Expectations, Expected, Hook, HostPlan, LinkEnd, LinkPlan, NeighbourPlan, Netem, NetemPlan, Origin,
    PLAN_FORMAT_VERSION, Plan, PortRange, Protocol, RejectWith, Requirement, RequirementKind, RoutePlan, RouteTarget,
    RuleAction, RuleMatch, RulePlan, StdinPlan, SysctlPlan, TcpFlagsMatch, Which,
};
