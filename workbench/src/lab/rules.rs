//! Packet rules as nf_tables: one table for each host, one for the wire, each in a single transaction.
//!
//! A rule is: match, which of those, count, decide; in that order, because each step sees what the one before let pass.
//! Reading the counters is in `counters`.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DevHookNumber, Hook as HookAttribute, HookNumber, InetHookNumber, MetaKey,
    NfTablesMessage, Operator, RuleAttribute, RuleMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use nix::errno::Errno;

use super::error::{Ask, LabError};
use super::expression::{self, Base, Expression, compare, load_meta, load_payload};
use super::fault::{self, Gate};
use super::matching::{self, Family};
use super::netlink::{Batch, Connection};
use crate::plan::{FaultPlan, Hook, HostPlan, Origin, Plan, RuleAction, RulePlan};

/// Name of every table of ours.
pub(super) const TABLE: &str = "workbench";

/// NFNL_SUBSYS_NFTABLES, which a transaction is addressed to.
const SUBSYSTEM: u16 = 10;

/// NF_ACCEPT, the policy: what no rule takes, passes.
const POLICY_ACCEPT: u32 = 1;

/// Type of the TLV in a rule's user data that nft(8) shows as `comment` (NFTNL_UDATA_RULE_COMMENT).
pub(super) const USERDATA_COMMENT: u8 = 0;

/// Multicast Listener Report, version 2 (RFC 3810, 5.2).
const MLD_REPORT: u8 = 143;

/// What runs a scenario that needs packet rules where the kernel has none.
const NF_TABLES_REMEDY: &str = "load or install the kernel's nf_tables modules (nft_fwd_netdev for the wire), or run it \
                                on a kernel that has them";

/// A transaction that makes one table.
pub(super) struct Ruleset {
    batch: Batch,
    family: Family,
    at: String,
}

/// The hooks that a host's rules can have.
const HOOKS: [Hook; 3] = [Hook::Input, Hook::Forward, Hook::Output];

/// Whose table.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    /// A host's.
    Host,
    /// The wire's.
    Wire,
}

/// Where on the wire a direction's rules stand.
#[derive(Clone, Copy)]
pub(super) enum WireHook {
    /// As frames come in on a device.
    Ingress,
    /// As frames leave through a device, before its qdisc.
    Egress,
}

impl Ruleset {
    /// The rules of a host; `None` if it needs no table. `has_ipv6` silences its multicast listener reports.
    pub fn for_host(plan: &Plan, host: &HostPlan, has_ipv6: bool) -> Option<Self> {
        let mut hooks: Vec<Hook> = host.rules.iter().filter_map(|rule| rule.hook).collect();
        hooks.extend(HOOKS.into_iter().filter(|&hook| fault::of_host(plan, &host.name, hook).next().is_some()));
        hooks.extend(has_ipv6.then_some(Hook::Output));
        hooks.sort_unstable();
        hooks.dedup();
        if hooks.is_empty() {
            return None;
        }
        let mut rules = Self::begin(Family::Inet, &host.name);
        for &hook in &hooks {
            rules.push_hook(chain_name(hook), HookNumber::Inet(inet_hook(hook)), None, &host.origin);
        }
        if has_ipv6 {
            rules.push_mld_silence(&host.origin);
        }
        for rule in &host.rules {
            rules.push_rule(chain_name(rule.hook.unwrap_or(Hook::Input)), rule);
        }
        for hook in HOOKS {
            for (fault, behind) in fault::of_host(plan, &host.name, hook) {
                rules.push_gate(chain_name(hook), &Gate::of(fault, chain_name(hook)), &behind, fault);
            }
        }
        Some(rules)
    }

    /// The wire's rules, to begin with none.
    pub fn for_wire() -> Self {
        Self::begin(Family::Netdev, "wire")
    }

    /// Adds a chain on a device of the wire, with the drops of a link's direction.
    pub fn push_wire(&mut self, device: &str, hook: WireHook, drops: &[RulePlan], link: &str, origin: &Origin) {
        self.at = link.to_owned();
        let number = match hook {
            WireHook::Ingress => DevHookNumber::Ingress,
            WireHook::Egress => DevHookNumber::Egress,
        };
        self.push_hook(device, HookNumber::Dev(number), Some(device), origin);
        for rule in drops {
            self.push_rule(device, rule);
        }
    }

    /// Adds a closed gate to a chain that packets come through, with a fault's rules behind it.
    pub fn push_gate(&mut self, chain: &str, gate: &Gate, behind: &[&RulePlan], fault: &FaultPlan) {
        for name in [&gate.gate, &gate.behind] {
            self.push_chain(name, &fault.text, &fault.origin);
        }
        for rule in behind {
            self.push_rule(&gate.behind, rule);
        }
        self.push_message(chain, vec![expression::jump(&gate.gate)], None, &fault.text, &fault.origin);
    }

    /// The transaction that opens a gate.
    pub fn open_gate(scope: Scope, gate: &Gate, asked: &str, origin: &Origin) -> Batch {
        let mut rules = Self::begin_batch(scope, asked);
        rules.push_message(&gate.gate, vec![expression::jump(&gate.behind)], None, asked, origin);
        push_bracket(&mut rules.batch, ControlMessage::BatchEnd);
        rules.batch
    }

    /// The transaction that closes it: all rules of the gate's chain are deleted (`nf_tables_delrule` without a handle).
    pub fn close_gate(scope: Scope, gate: &Gate, asked: &str, origin: &Origin) -> Batch {
        let mut rules = Self::begin_batch(scope, asked);
        let attributes = vec![RuleAttribute::Table(TABLE.to_owned()), RuleAttribute::Chain(gate.gate.clone())];
        rules.push(NfTablesMessage::DeleteRule(RuleMessage { attributes }), 0, asked, origin);
        push_bracket(&mut rules.batch, ControlMessage::BatchEnd);
        rules.batch
    }

    fn begin_batch(scope: Scope, at: &str) -> Self {
        let family = match scope {
            Scope::Host => Family::Inet,
            Scope::Wire => Family::Netdev,
        };
        let mut rules = Self { batch: Batch::default(), family, at: at.to_owned() };
        push_bracket(&mut rules.batch, ControlMessage::BatchBegin);
        rules
    }

    /// A chain that packets come to by a jump alone.
    fn push_chain(&mut self, name: &str, asked: &str, origin: &Origin) {
        let attributes = vec![ChainAttribute::Table(TABLE.to_owned()), ChainAttribute::Name(name.to_owned())];
        self.push(NfTablesMessage::NewChain(ChainMessage { attributes }), 0, asked, origin);
    }

    /// Lets every frame that is left in a device's chain out through the device `index`.
    pub fn push_forward(&mut self, device: &str, index: u32, origin: &Origin) {
        self.push_message(device, expression::forward_to(index).to_vec(), None, "forward on the wire", origin);
    }

    /// Hands the whole table to the kernel, at once.
    pub fn commit(mut self, netfilter: &Connection) -> Result<(), LabError> {
        push_bracket(&mut self.batch, ControlMessage::BatchEnd);
        match netfilter.execute(self.batch)? {
            None => Ok(()),
            // No nf_tables, no such family, no such expression, and no module that has it.
            Some(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::EOPNOTSUPP) => Err(LabError::Unsupported {
                feature: format!("nf_tables for `{}` at {}", refusal.ask.asked, refusal.ask.at),
                why: refusal.kernel(),
                remedy: NF_TABLES_REMEDY.to_owned(),
                origin: refusal.ask.origin,
            }),
            Some(refusal) => Err(refusal.into()),
        }
    }

    fn begin(family: Family, at: &str) -> Self {
        let mut rules = Self { batch: Batch::default(), family, at: at.to_owned() };
        push_bracket(&mut rules.batch, ControlMessage::BatchBegin);
        let table = TableMessage { attributes: vec![TableAttribute::Name(TABLE.to_owned())] };
        rules.push(NfTablesMessage::NewTable(table), 0, "table", &Origin::default());
        rules
    }

    fn push(&mut self, message: NfTablesMessage, flags: u16, asked: &str, origin: &Origin) {
        let family = match self.family {
            Family::Inet => NetfilterProtoFamily::Inet,
            Family::Netdev => NetfilterProtoFamily::NetDev,
        };
        let message = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message);
        self.batch.push(message, NLM_F_CREATE | flags, Ask::new(&self.at, asked, origin));
    }

    /// A chain that packets come through.
    fn push_hook(&mut self, chain: &str, number: HookNumber, device: Option<&str>, origin: &Origin) {
        let mut hook = vec![HookAttribute::Number(number), HookAttribute::Priority(0)];
        hook.extend(device.map(|device| HookAttribute::NetDeviceName(device.to_owned())));
        let attributes = vec![
            ChainAttribute::Table(TABLE.to_owned()),
            ChainAttribute::Name(chain.to_owned()),
            ChainAttribute::Hook(hook),
            ChainAttribute::Policy(POLICY_ACCEPT),
            ChainAttribute::Type("filter".to_owned()),
        ];
        self.push(NfTablesMessage::NewChain(ChainMessage { attributes }), 0, &format!("chain {chain}"), origin);
    }

    /// A rule of the plan. Where it stands for several addresses, any one of them leads to a chain of its own, so that
    /// it counts as one.
    fn push_rule(&mut self, chain: &str, rule: &RulePlan) {
        let (action, is_ipv4_only) = match rule.action {
            RuleAction::Drop => (expression::drop(), false),
            RuleAction::Reject(with) => (expression::reject(with), expression::is_ipv4_only(with)),
        };
        let mut consequence = matching::which(rule.matching.which);
        consequence.extend([expression::counter(), action]);
        let headers = matching::headers(&rule.matching);

        let ways = matching::addresses(rule, self.family, is_ipv4_only);
        if let [way] = ways.as_slice() {
            let whole = [way.clone(), headers, consequence].concat();
            return self.push_message(chain, whole, Some(&rule.id), &rule.text, &rule.origin);
        }
        self.push_chain(&rule.id, &rule.text, &rule.origin);
        self.push_message(&rule.id, consequence, Some(&rule.id), &rule.text, &rule.origin);
        for way in ways {
            let leading = [way, headers.clone(), vec![expression::jump(&rule.id)]].concat();
            self.push_message(chain, leading, None, &rule.text, &rule.origin);
        }
    }

    /// Every IPv6 address makes the kernel report its solicited-node group to routers that are not there (RFC 3810),
    /// some jiffies later and in the middle of a run.
    fn push_mld_silence(&mut self, origin: &Origin) {
        let expressions = vec![
            load_meta(MetaKey::L4Proto),
            compare(Operator::Equal, &[libc::IPPROTO_ICMPV6 as u8]),
            load_payload(Base::Transport, 0, 1),
            compare(Operator::Equal, &[MLD_REPORT]),
            expression::drop(),
        ];
        self.push_message(chain_name(Hook::Output), expressions, None, "no multicast listener reports", origin);
    }

    fn push_message(
        &mut self,
        chain: &str,
        expressions: Vec<Expression>,
        id: Option<&str>,
        asked: &str,
        origin: &Origin,
    ) {
        let mut attributes = vec![
            RuleAttribute::Table(TABLE.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(expressions),
        ];
        attributes.extend(id.map(|id| RuleAttribute::UserData(comment(id))));
        self.push(NfTablesMessage::NewRule(RuleMessage { attributes }), NLM_F_APPEND, asked, origin);
    }
}

/// The TLV that holds a comment.
fn comment(text: &str) -> Vec<u8> {
    let mut value = vec![USERDATA_COMMENT, (text.len() + 1) as u8];
    value.extend(text.as_bytes());
    value.push(0);
    value
}

fn push_bracket(batch: &mut Batch, bracket: ControlMessage) {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM);
    let ask = Ask::new("nf_tables", "transaction", &Origin::default());
    batch.push_control(NetfilterMessage::new(header, bracket), 0, ask);
}

/// The name of a hook's chain.
pub(super) fn chain_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
    }
}

fn inet_hook(hook: Hook) -> InetHookNumber {
    match hook {
        Hook::Input => InetHookNumber::LocalIn,
        Hook::Forward => InetHookNumber::Forward,
        Hook::Output => InetHookNumber::LocalOut,
    }
}
