//! Five netlink requests that show what a kernel can do: a veth pair, netem, an nf_tables table, a forwarding rule, a
//! list of TCP sockets.
//!
//! Each is written out byte for byte and answered at once, without a runtime. Nothing here builds a lab.

use std::io;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG};
use netlink_sys::{Socket, SocketAddr};

// linux/netlink.h
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_ACK: u16 = 0x004;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLMSGERR_ATTR_MSG: u16 = 1;
const HEADER_LEN: usize = 16;
// linux/netfilter.h, linux/netfilter/nfnetlink.h
const NFPROTO_INET: u8 = 1;
const NFPROTO_NETDEV: u8 = 5;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

/// Index of the device that [`make_veth_pair`] makes; the other end's is one more.
const DEVICE: u32 = 10;

/// A kernel's no: the error number and its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) errno: i32,
    pub(super) words: String,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or_default(), words: error.to_string() }
    }
}

/// A veth pair, both ends in this namespace (rtnetlink(7), drivers/net/veth.c).
pub(super) fn make_veth_pair() -> Result<(), Refused> {
    let mut request = Request::new(16 /* RTM_NEWLINK */, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    request.put(&interface(DEVICE));
    request.text(3 /* IFLA_IFNAME */, "probe0");
    request.nest(18 /* IFLA_LINKINFO */, |info| {
        info.text(1 /* IFLA_INFO_KIND */, "veth");
        info.nest(2 /* IFLA_INFO_DATA */, |data| {
            data.nest(1 /* VETH_INFO_PEER */, |peer| {
                peer.put(&interface(DEVICE + 1));
                peer.text(3 /* IFLA_IFNAME */, "probe1");
            });
        });
    });
    ask(NETLINK_ROUTE, &[request])
}

/// netem with its default queue at the root of the first end (net/sched/sch_netem.c).
pub(super) fn add_netem() -> Result<(), Refused> {
    let mut options = [0u8; 24]; // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
    options[4..8].copy_from_slice(&1000u32.to_ne_bytes());
    let mut request = Request::new(36 /* RTM_NEWQDISC */, NLM_F_ACK | NLM_F_CREATE);
    let header = [0, DEVICE, 0, 0xFFFF_FFFF /* TC_H_ROOT */, 0]; // struct tcmsg: family, index, handle, parent, info
    request.put(&header.map(u32::to_ne_bytes).concat());
    request.text(1 /* TCA_KIND */, "netem");
    request.attribute(2 /* TCA_OPTIONS */, &options);
    ask(NETLINK_ROUTE, &[request])
}

/// A list of the TCP sockets, of which a fresh namespace has none (net/ipv4/tcp_diag.c): its end comes, or a refusal.
pub(super) fn list_tcp_sockets() -> Result<(), Refused> {
    let mut request = Request::new(20 /* SOCK_DIAG_BY_FAMILY */, 0x300 /* NLM_F_DUMP */);
    let mut asked = [0; 56]; // struct inet_diag_req_v2: family, protocol, extensions, padding, states, socket
    asked[..2].copy_from_slice(&[2 /* AF_INET */, 6 /* IPPROTO_TCP */]);
    asked[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    request.put(&asked);
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.send(&request.finish(), 0)?;
    let bytes = socket.recv_from_full()?.0;
    let is_refused = bytes.get(4..6) == Some(&NLMSG_ERROR.to_ne_bytes());
    if is_refused { answer(&bytes) } else { Ok(()) }
}

/// An empty table of the inet family (net/netfilter/nf_tables_api.c).
pub(super) fn add_table() -> Result<(), Refused> {
    ask_nf_tables(NFPROTO_INET, |batch| batch.add(0 /* NFT_MSG_NEWTABLE */, |table| table.text(1, "probe")))
}

/// A rule that puts what arrives at the first end onto the second (net/netfilter/nft_fwd_netdev.c).
pub(super) fn add_forward() -> Result<(), Refused> {
    let register = 1u32.to_be_bytes(); // NFT_REG_1
    ask_nf_tables(NFPROTO_NETDEV, |batch| {
        batch.add(0 /* NFT_MSG_NEWTABLE */, |table| table.text(1 /* NFTA_TABLE_NAME */, "probe"));
        batch.add(3 /* NFT_MSG_NEWCHAIN */, |chain| {
            chain.text(1 /* NFTA_CHAIN_TABLE */, "probe");
            chain.text(3 /* NFTA_CHAIN_NAME */, "ingress");
            chain.nest(4 /* NFTA_CHAIN_HOOK */, |hook| {
                hook.attribute(1 /* NFTA_HOOK_HOOKNUM */, &0u32.to_be_bytes());
                hook.attribute(2 /* NFTA_HOOK_PRIORITY */, &0u32.to_be_bytes());
                hook.text(3 /* NFTA_HOOK_DEV */, "probe0");
            });
            chain.text(7 /* NFTA_CHAIN_TYPE */, "filter");
        });
        batch.add(6 /* NFT_MSG_NEWRULE */, |rule| {
            rule.text(1 /* NFTA_RULE_TABLE */, "probe");
            rule.text(2 /* NFTA_RULE_CHAIN */, "ingress");
            rule.nest(4 /* NFTA_RULE_EXPRESSIONS */, |list| {
                list.expression("immediate", |immediate| {
                    immediate.attribute(1 /* NFTA_IMMEDIATE_DREG */, &register);
                    immediate.nest(2 /* NFTA_IMMEDIATE_DATA */, |data| {
                        data.attribute(1 /* NFTA_DATA_VALUE */, &(DEVICE + 1).to_ne_bytes());
                    });
                });
                list.expression("fwd", |fwd| fwd.attribute(1 /* NFTA_FWD_SREG_DEV */, &register));
            });
        });
    })
}

/// nf_tables takes batches only: a begin, what is to be added, an end.
fn ask_nf_tables(family: u8, fill: impl FnOnce(&mut Batch)) -> Result<(), Refused> {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    let mark = |kind| {
        let mut request = Request::new(kind, 0);
        request.put(&[0, 0, high, low]);
        request
    };
    let mut batch = Batch { family, requests: vec![mark(0x10 /* NFNL_MSG_BATCH_BEGIN */)] };
    fill(&mut batch);
    batch.requests.push(mark(0x11 /* NFNL_MSG_BATCH_END */));
    ask(NETLINK_NETFILTER, &batch.requests)
}

/// Additions to nf_tables in one family.
struct Batch {
    family: u8,
    requests: Vec<Request>,
}

impl Batch {
    fn add(&mut self, kind: u16, fill: impl FnOnce(&mut Request)) {
        let mut request = Request::new(NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_ACK | NLM_F_CREATE);
        request.put(&[self.family, 0, 0, 0]);
        fill(&mut request);
        self.requests.push(request);
    }
}

/// `struct ifinfomsg` with nothing but an index.
fn interface(index: u32) -> [u8; 16] {
    let mut message = [0; 16];
    message[4..8].copy_from_slice(&index.to_ne_bytes());
    message
}

/// A netlink message being written.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        Self(bytes)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |inside| inside.put(value));
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// One expression of an nf_tables rule: its name and its own attributes.
    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.nest(1 /* NFTA_LIST_ELEM */, |element| {
            element.text(1 /* NFTA_EXPR_NAME */, name);
            element.nest(2 /* NFTA_EXPR_DATA */, fill);
        });
    }

    /// An attribute whose length is known once `fill` has run; the padding to four bytes is not part of it.
    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.put(&[0; 4]);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn wants_answer(&self) -> bool {
        u16::from_ne_bytes([self.0[6], self.0[7]]) & NLM_F_ACK != 0
    }

    fn finish(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        let length = bytes.len() as u32;
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }
}

/// Sends requests and waits for the answers of those that want one, up to the first that is no.
///
/// Each answer is a datagram of its own, also where many requests were one (net/netlink/af_netlink.c, `netlink_ack`).
fn ask(protocol: isize, requests: &[Request]) -> Result<(), Refused> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    let bytes: Vec<u8> = requests.iter().flat_map(Request::finish).collect();
    socket.send(&bytes, 0)?;
    let wanted = requests.iter().filter(|request| request.wants_answer()).count();
    (0..wanted).try_for_each(|_| answer(&socket.recv_from_full()?.0))
}

/// Reads an `NLMSG_ERROR`: 0 is yes; else the kernel's extended words, or the error's name when it has none.
fn answer(bytes: &[u8]) -> Result<(), Refused> {
    let short =
        || Refused { errno: 0, words: format!("an answer of {} bytes that is no acknowledgement", bytes.len()) };
    let half = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let word = |at: usize| bytes.get(at..at + 4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    if half(4) != Some(NLMSG_ERROR) {
        return Err(short());
    }
    let errno = -word(HEADER_LEN).ok_or_else(short)?;
    if errno == 0 {
        return Ok(());
    }
    let has_words = half(6).is_some_and(|flags| flags & NLM_F_ACK_TLVS != 0);
    let attributes = bytes.get(HEADER_LEN + 4 + HEADER_LEN..).filter(|_| has_words);
    let words = attributes.and_then(extended_words);
    Err(Refused { errno, words: words.unwrap_or_else(|| nix::errno::Errno::from_raw(errno).desc().to_owned()) })
}

/// The text among the attributes after the header that the kernel quotes.
fn extended_words(mut rest: &[u8]) -> Option<String> {
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([c, d]) == NLMSGERR_ATTR_MSG {
            return Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledgement(errno: i32, flags: u16, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend((-errno).to_ne_bytes());
        bytes.extend([0; HEADER_LEN]);
        bytes.extend(tail);
        bytes
    }

    #[test]
    fn the_kernels_own_words_are_passed_on() {
        let mut tail = Request(vec![]);
        tail.attribute(2, &[0; 4]);
        tail.attribute(NLMSGERR_ATTR_MSG, b"Specified qdisc kind is unknown\0");
        let refused = answer(&acknowledgement(2, NLM_F_ACK_TLVS, &tail.0)).unwrap_err();
        assert_eq!(refused, Refused { errno: 2, words: "Specified qdisc kind is unknown".into() });
    }

    #[test]
    fn a_refusal_without_words_gets_the_errors_name() {
        let refused = answer(&acknowledgement(1, 0, &[])).unwrap_err();
        assert_eq!(refused, Refused { errno: 1, words: "Operation not permitted".into() });
        assert_eq!(answer(&acknowledgement(0, 0, &[])), Ok(()));
    }

    #[test]
    fn a_broken_answer_is_a_refusal_and_not_a_panic() {
        let whole = acknowledgement(1, NLM_F_ACK_TLVS, &[255, 255, 1, 0]);
        for length in 0..=whole.len() {
            assert!(answer(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_nest_counts_its_content_without_the_padding() {
        let mut request = Request(vec![]);
        request.nest(7, |inside| inside.attribute(1, b"abc"));
        assert_eq!(request.0, [12, 0, 7, 0, 7, 0, 1, 0, b'a', b'b', b'c', 0]);
    }
}
