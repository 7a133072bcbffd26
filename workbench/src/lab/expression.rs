//! The words of an nf_tables rule, in the kernel's numbers: load, compare, count, decide.
//!
//! Thin constructors over `netlink-packet-netfilter`, which has some expressions typed and takes the others as
//! attributes (include/uapi/linux/netfilter/nf_tables.h). What they are put together for is in `rules`.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Meta, MetaKey, Operator,
    Payload, Register, Verdict, VerdictAttribute,
};

use crate::plan::RejectWith;

/// One expression of a rule.
pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// The only register we need: each value is compared as soon as it is loaded.
const REGISTER: Register = Register::Reg1;

/// Which header a payload offset counts from.
#[derive(Clone, Copy)]
pub(super) enum Base {
    /// IPv4 or IPv6.
    Network = 1,
    /// TCP, UDP, ICMP.
    Transport = 2,
}

/// What a `numgen` draws.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    /// 0, 1, 2, … and round again: the number of packets before this one.
    Incremental = 0,
    /// Any, each as likely.
    Random = 1,
}

/// NF_DROP (include/uapi/linux/netfilter.h).
const NF_DROP: Verdict = Verdict::Other(0);

/// Loads something that the kernel knows about the packet.
pub(super) fn load_meta(key: MetaKey) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(REGISTER)]).into()
}

/// Loads `len` bytes of a header.
pub(super) fn load_payload(base: Base, offset: u32, len: u32) -> Expression {
    Expressions::Payload(vec![
        Payload::DestinationRegister(REGISTER),
        Payload::Base(base as u32),
        Payload::Offset(offset),
        Payload::Len(len),
    ])
    .into()
}

/// Keeps the bits of `mask`.
pub(super) fn mask(mask: &[u8]) -> Expression {
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(REGISTER),
        Bitwise::DestinationRegister(REGISTER),
        Bitwise::Length(mask.len() as u32),
        Bitwise::Mask(DataAttribute::Value(mask.to_vec())),
        Bitwise::Xor(DataAttribute::Value(vec![0; mask.len()])),
    ])
    .into()
}

/// The rule ends here unless the comparison holds; bytes are compared from the first, as memcmp(3) does.
pub(super) fn compare(operator: Operator, value: &[u8]) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(REGISTER),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(value.to_vec())),
    ])
    .into()
}

/// Draws a number below `modulus` and makes it big-endian, so that [`compare`] can order it.
pub(super) fn draw(draw: Draw, modulus: u32) -> [Expression; 2] {
    [
        other("numgen", &[(1, REGISTER.into()), (2, modulus), (3, draw as u32), (4, 0)]),
        // dreg, sreg, NFT_BYTEORDER_HTON, 4 bytes in words of 4.
        other("byteorder", &[(1, REGISTER.into()), (2, REGISTER.into()), (3, 1), (4, 4), (5, 4)]),
    ]
}

/// Holds once more than `bytes` bytes have come by here (NFT_QUOTA_F_INV).
pub(super) fn quota_over(bytes: u64) -> Expression {
    let limit = DefaultNla::new(1, bytes.to_be_bytes().to_vec());
    let inverted = DefaultNla::new(2, 1u32.to_be_bytes().to_vec());
    Expressions::Other { expression_type: "quota".to_owned(), attributes: vec![limit, inverted] }.into()
}

/// Counts packets and bytes.
pub(super) fn counter() -> Expression {
    other("counter", &[])
}

/// The packet is gone.
pub(super) fn drop() -> Expression {
    verdict(vec![VerdictAttribute::Code(NF_DROP)])
}

/// On with the rules of another chain, and back here.
pub(super) fn jump(chain: &str) -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Jump), VerdictAttribute::Chain(chain.to_owned())])
}

/// Out through another device of the namespace.
pub(super) fn forward_to(index: u32) -> [Expression; 2] {
    let load = Expressions::Immediate(vec![
        Immediate::DestinationRegister(REGISTER),
        Immediate::Data(DataAttribute::Value(index.to_ne_bytes().to_vec())),
    ]);
    [load.into(), other("fwd", &[(1, REGISTER.into())])]
}

/// The packet is gone and its sender is told.
pub(super) fn reject(with: RejectWith) -> Expression {
    /// NFT_REJECT_ICMP_UNREACH: the code is ICMP's own.
    const ICMP: u32 = 0;
    const TCP_RST: u32 = 1;
    /// NFT_REJECT_ICMPX_UNREACH: the kernel takes ICMP's or ICMPv6's code, whichever the packet needs.
    const ICMPX: u32 = 2;
    let (kind, code) = match with {
        RejectWith::TcpReset => (TCP_RST, 0),
        RejectWith::NetUnreachable => (ICMPX, 0),
        RejectWith::PortUnreachable => (ICMPX, 1),
        RejectWith::HostUnreachable => (ICMPX, 2),
        RejectWith::AdminProhibited => (ICMPX, 3),
        RejectWith::ProtocolUnreachable => (ICMP, 2),
        RejectWith::NetProhibited => (ICMP, 9),
        RejectWith::HostProhibited => (ICMP, 10),
    };
    let kind = DefaultNla::new(1, u32::to_be_bytes(kind).to_vec());
    let code = DefaultNla::new(2, vec![code]);
    Expressions::Other { expression_type: "reject".to_owned(), attributes: vec![kind, code] }.into()
}

/// Whether a rejection exists only in ICMP, so that its rule must leave IPv6 alone.
pub(super) fn is_ipv4_only(with: RejectWith) -> bool {
    matches!(with, RejectWith::ProtocolUnreachable | RejectWith::NetProhibited | RejectWith::HostProhibited)
}

fn verdict(attributes: Vec<VerdictAttribute>) -> Expression {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(attributes)),
    ])
    .into()
}

/// An expression whose attributes are all 32 bits wide, big-endian.
fn other(name: &str, attributes: &[(u16, u32)]) -> Expression {
    let attributes = attributes.iter().map(|&(kind, value)| DefaultNla::new(kind, value.to_be_bytes().to_vec()));
    Expressions::Other { expression_type: name.to_owned(), attributes: attributes.collect() }.into()
}
