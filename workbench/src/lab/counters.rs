//! What the rules of a namespace have counted, by the id that each rule carries as its comment.

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_DUMP, Nla};
use netlink_packet_netfilter::nftables::{
    ExpressionAttribute, Expressions, ListAttribute, NfTablesMessage, RuleAttribute, RuleMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::error::LabError;
use super::netlink::Connection;
use super::rules::{TABLE, USERDATA_COMMENT};
use crate::evidence::RuleCounter;

/// NFTA_COUNTER_BYTES and NFTA_COUNTER_PACKETS (include/uapi/linux/netfilter/nf_tables.h), 64 bits each, big-endian.
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

/// Reads all rules of all our tables in the connection's namespace.
pub(super) fn read(netfilter: &Connection) -> Result<BTreeMap<String, RuleCounter>, LabError> {
    let attributes = vec![RuleAttribute::Table(TABLE.to_owned())];
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    let question = NetfilterMessage::new(header, NfTablesMessage::GetRule(RuleMessage { attributes }));
    let answer = netfilter.query(question, NLM_F_DUMP)?;
    let rules = answer.into_iter().filter_map(|message| match message.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewRule(rule)) => Some(rule),
        _ => None,
    });
    Ok(rules.filter_map(|rule| Some((id(&rule)?, counter(&rule)?))).collect())
}

/// The comment, without its TLV's header and the NUL at its end.
fn id(rule: &RuleMessage) -> Option<String> {
    rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::UserData(data) => match data.as_slice() {
            [USERDATA_COMMENT, _, text @ .., 0] => String::from_utf8(text.to_vec()).ok(),
            _ => None,
        },
        _ => None,
    })
}

fn counter(rule: &RuleMessage) -> Option<RuleCounter> {
    let lists = rule.attributes.iter().filter_map(|attribute| match attribute {
        RuleAttribute::Expressions(list) => Some(list),
        _ => None,
    });
    let elements = lists.flatten().filter_map(|element| match element {
        ListAttribute::Element(attributes) => Some(attributes),
        _ => None,
    });
    elements.flatten().find_map(|attribute| match attribute {
        ExpressionAttribute::Data(Expressions::Other { expression_type, attributes })
            if expression_type == "counter" =>
        {
            let number = |kind| attributes.iter().find(|attribute| attribute.kind() == kind).map(number);
            Some(RuleCounter { packets: number(COUNTER_PACKETS)?, bytes: number(COUNTER_BYTES)? })
        }
        _ => None,
    })
}

/// A 64-bit attribute; 0 if it is shorter.
fn number(attribute: &impl Nla) -> u64 {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    value.try_into().map_or(0, u64::from_be_bytes)
}
