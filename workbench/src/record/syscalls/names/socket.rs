//! Names for socket calls: families, types, protocols, options, message flags.

use super::{Names, constant, flags, names};

/// Address families.
pub const FAMILIES: Names = names![
    AF_UNSPEC,
    AF_UNIX,
    AF_INET,
    AF_AX25,
    AF_IPX,
    AF_APPLETALK,
    AF_X25,
    AF_INET6,
    AF_KEY,
    AF_NETLINK,
    AF_PACKET,
    AF_RDS,
    AF_LLC,
    AF_CAN,
    AF_TIPC,
    AF_BLUETOOTH,
    AF_RXRPC,
    AF_ALG,
    AF_NFC,
    AF_VSOCK,
    AF_XDP,
];
const TYPES: Names = names![SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP];
/// Flags in a socket's type, and of `accept4`.
pub const TYPE_FLAGS: Names = names![SOCK_CLOEXEC, SOCK_NONBLOCK];
const INET_PROTOCOLS: Names = names![
    IPPROTO_IP,
    IPPROTO_ICMP,
    IPPROTO_IGMP,
    IPPROTO_IPIP,
    IPPROTO_TCP,
    IPPROTO_EGP,
    IPPROTO_PUP,
    IPPROTO_UDP,
    IPPROTO_IDP,
    IPPROTO_TP,
    IPPROTO_DCCP,
    IPPROTO_IPV6,
    IPPROTO_RSVP,
    IPPROTO_GRE,
    IPPROTO_ESP,
    IPPROTO_AH,
    IPPROTO_ICMPV6,
    IPPROTO_PIM,
    IPPROTO_COMP,
    IPPROTO_SCTP,
    IPPROTO_UDPLITE,
    IPPROTO_MPLS,
    IPPROTO_RAW,
    IPPROTO_MPTCP,
];
const NETLINK_PROTOCOLS: Names = names![
    NETLINK_ROUTE,
    NETLINK_UNUSED,
    NETLINK_USERSOCK,
    NETLINK_FIREWALL,
    NETLINK_SOCK_DIAG,
    NETLINK_NFLOG,
    NETLINK_XFRM,
    NETLINK_SELINUX,
    NETLINK_ISCSI,
    NETLINK_AUDIT,
    NETLINK_FIB_LOOKUP,
    NETLINK_CONNECTOR,
    NETLINK_NETFILTER,
    NETLINK_IP6_FW,
    NETLINK_DNRTMSG,
    NETLINK_KOBJECT_UEVENT,
    NETLINK_GENERIC,
    NETLINK_SCSITRANSPORT,
    NETLINK_ECRYPTFS,
    NETLINK_RDMA,
    NETLINK_CRYPTO,
];
const ETHERNET_PROTOCOLS: Names = names![ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, ETH_P_ARP];
/// Flags of `send`, `recv` and kin.
pub const MESSAGE_FLAGS: Names = names![
    MSG_OOB,
    MSG_PEEK,
    MSG_DONTROUTE,
    MSG_CTRUNC,
    MSG_TRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_WAITALL,
    MSG_FIN,
    MSG_SYN,
    MSG_CONFIRM,
    MSG_RST,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_MORE,
    MSG_WAITFORONE,
    MSG_ZEROCOPY,
    MSG_FASTOPEN,
    MSG_CMSG_CLOEXEC,
];
/// `shutdown`'s directions.
pub const SHUTDOWN: Names = names![SHUT_RD, SHUT_WR, SHUT_RDWR];
/// Option levels. strace says SOL_IP and SOL_TCP where setsockopt(2)'s users write IPPROTO_IP and IPPROTO_TCP.
pub const LEVELS: Names = &[
    ("SOL_IP", libc::SOL_IP as u32),
    ("SOL_SOCKET", libc::SOL_SOCKET as u32),
    ("SOL_TCP", libc::SOL_TCP as u32),
    ("SOL_UDP", libc::SOL_UDP as u32),
    ("SOL_IPV6", libc::SOL_IPV6 as u32),
    ("SOL_ICMPV6", libc::SOL_ICMPV6 as u32),
    ("SOL_SCTP", 132),
    ("SOL_UDPLITE", 136),
    ("SOL_RAW", libc::SOL_RAW as u32),
    ("SOL_PACKET", libc::SOL_PACKET as u32),
    ("SOL_NETLINK", libc::SOL_NETLINK as u32),
    ("SOL_TLS", libc::SOL_TLS as u32),
    ("SOL_MPTCP", 284),
];
const SOCKET_OPTIONS: Names = &[
    ("SO_DEBUG", libc::SO_DEBUG as u32),
    ("SO_REUSEADDR", libc::SO_REUSEADDR as u32),
    ("SO_TYPE", libc::SO_TYPE as u32),
    ("SO_ERROR", libc::SO_ERROR as u32),
    ("SO_DONTROUTE", libc::SO_DONTROUTE as u32),
    ("SO_BROADCAST", libc::SO_BROADCAST as u32),
    ("SO_SNDBUF", libc::SO_SNDBUF as u32),
    ("SO_RCVBUF", libc::SO_RCVBUF as u32),
    ("SO_KEEPALIVE", libc::SO_KEEPALIVE as u32),
    ("SO_OOBINLINE", libc::SO_OOBINLINE as u32),
    ("SO_NO_CHECK", libc::SO_NO_CHECK as u32),
    ("SO_PRIORITY", libc::SO_PRIORITY as u32),
    ("SO_LINGER", libc::SO_LINGER as u32),
    ("SO_REUSEPORT", libc::SO_REUSEPORT as u32),
    ("SO_PASSCRED", libc::SO_PASSCRED as u32),
    ("SO_PEERCRED", libc::SO_PEERCRED as u32),
    ("SO_RCVLOWAT", libc::SO_RCVLOWAT as u32),
    ("SO_SNDLOWAT", libc::SO_SNDLOWAT as u32),
    ("SO_RCVTIMEO_OLD", libc::SO_RCVTIMEO as u32),
    ("SO_SNDTIMEO_OLD", libc::SO_SNDTIMEO as u32),
    ("SO_BINDTODEVICE", libc::SO_BINDTODEVICE as u32),
    ("SO_ATTACH_FILTER", libc::SO_ATTACH_FILTER as u32),
    ("SO_DETACH_FILTER", libc::SO_DETACH_FILTER as u32),
    ("SO_PEERNAME", libc::SO_PEERNAME as u32),
    ("SO_TIMESTAMP_OLD", libc::SO_TIMESTAMP as u32),
    ("SO_ACCEPTCONN", libc::SO_ACCEPTCONN as u32),
    ("SO_PEERSEC", libc::SO_PEERSEC as u32),
    ("SO_SNDBUFFORCE", libc::SO_SNDBUFFORCE as u32),
    ("SO_RCVBUFFORCE", libc::SO_RCVBUFFORCE as u32),
    ("SO_PASSSEC", libc::SO_PASSSEC as u32),
    ("SO_TIMESTAMPNS_OLD", libc::SO_TIMESTAMPNS as u32),
    ("SO_MARK", libc::SO_MARK as u32),
    ("SO_TIMESTAMPING_OLD", libc::SO_TIMESTAMPING as u32),
    ("SO_PROTOCOL", libc::SO_PROTOCOL as u32),
    ("SO_DOMAIN", libc::SO_DOMAIN as u32),
    ("SO_RXQ_OVFL", libc::SO_RXQ_OVFL as u32),
    ("SO_PEEK_OFF", libc::SO_PEEK_OFF as u32),
    ("SO_BUSY_POLL", libc::SO_BUSY_POLL as u32),
    ("SO_MAX_PACING_RATE", libc::SO_MAX_PACING_RATE as u32),
    ("SO_INCOMING_CPU", libc::SO_INCOMING_CPU as u32),
    ("SO_ATTACH_BPF", libc::SO_ATTACH_BPF as u32),
    ("SO_MEMINFO", libc::SO_MEMINFO as u32),
    ("SO_COOKIE", libc::SO_COOKIE as u32),
    ("SO_ZEROCOPY", libc::SO_ZEROCOPY as u32),
    ("SO_TXTIME", libc::SO_TXTIME as u32),
    ("SO_BINDTOIFINDEX", libc::SO_BINDTOIFINDEX as u32),
    ("SO_TIMESTAMP_NEW", 63),
    ("SO_TIMESTAMPNS_NEW", 64),
    ("SO_TIMESTAMPING_NEW", 65),
    ("SO_RCVTIMEO_NEW", 66),
    ("SO_SNDTIMEO_NEW", 67),
    ("SO_PREFER_BUSY_POLL", 69),
    ("SO_BUF_LOCK", 72),
    ("SO_TXREHASH", 74),
];
const TCP_OPTIONS: Names = &[
    ("TCP_NODELAY", libc::TCP_NODELAY as u32),
    ("TCP_MAXSEG", libc::TCP_MAXSEG as u32),
    ("TCP_CORK", libc::TCP_CORK as u32),
    ("TCP_KEEPIDLE", libc::TCP_KEEPIDLE as u32),
    ("TCP_KEEPINTVL", libc::TCP_KEEPINTVL as u32),
    ("TCP_KEEPCNT", libc::TCP_KEEPCNT as u32),
    ("TCP_SYNCNT", libc::TCP_SYNCNT as u32),
    ("TCP_LINGER2", libc::TCP_LINGER2 as u32),
    ("TCP_DEFER_ACCEPT", libc::TCP_DEFER_ACCEPT as u32),
    ("TCP_WINDOW_CLAMP", libc::TCP_WINDOW_CLAMP as u32),
    ("TCP_INFO", libc::TCP_INFO as u32),
    ("TCP_QUICKACK", libc::TCP_QUICKACK as u32),
    ("TCP_CONGESTION", libc::TCP_CONGESTION as u32),
    ("TCP_THIN_LINEAR_TIMEOUTS", libc::TCP_THIN_LINEAR_TIMEOUTS as u32),
    ("TCP_THIN_DUPACK", libc::TCP_THIN_DUPACK as u32),
    ("TCP_USER_TIMEOUT", libc::TCP_USER_TIMEOUT as u32),
    ("TCP_FASTOPEN", libc::TCP_FASTOPEN as u32),
    ("TCP_TIMESTAMP", libc::TCP_TIMESTAMP as u32),
    ("TCP_NOTSENT_LOWAT", 25),
    ("TCP_FASTOPEN_CONNECT", libc::TCP_FASTOPEN_CONNECT as u32),
    ("TCP_ULP", 31),
    ("TCP_TX_DELAY", 37),
    ("TCP_RTO_MAX_MS", 44),
    ("TCP_RTO_MIN_US", 45),
    ("TCP_DELACK_MAX_US", 46),
];
const IP_OPTIONS: Names = names![
    IP_TOS,
    IP_TTL,
    IP_HDRINCL,
    IP_OPTIONS,
    IP_ROUTER_ALERT,
    IP_RECVOPTS,
    IP_RETOPTS,
    IP_PKTINFO,
    IP_PKTOPTIONS,
    IP_MTU_DISCOVER,
    IP_RECVERR,
    IP_RECVTTL,
    IP_RECVTOS,
    IP_MTU,
    IP_FREEBIND,
    IP_TRANSPARENT,
    IP_ORIGDSTADDR,
    IP_MINTTL,
    IP_NODEFRAG,
    IP_BIND_ADDRESS_NO_PORT,
    IP_MULTICAST_IF,
    IP_MULTICAST_TTL,
    IP_MULTICAST_LOOP,
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    IP_MULTICAST_ALL,
    IP_UNICAST_IF,
];
const IPV6_OPTIONS: Names = names![
    IPV6_ADDRFORM,
    IPV6_CHECKSUM,
    IPV6_NEXTHOP,
    IPV6_FLOWINFO,
    IPV6_UNICAST_HOPS,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_LOOP,
    IPV6_ADD_MEMBERSHIP,
    IPV6_DROP_MEMBERSHIP,
    IPV6_ROUTER_ALERT,
    IPV6_MTU_DISCOVER,
    IPV6_MTU,
    IPV6_RECVERR,
    IPV6_V6ONLY,
    IPV6_RECVPKTINFO,
    IPV6_PKTINFO,
    IPV6_RECVHOPLIMIT,
    IPV6_HOPLIMIT,
    IPV6_DONTFRAG,
    IPV6_RECVTCLASS,
    IPV6_TCLASS,
    IPV6_AUTOFLOWLABEL,
    IPV6_ADDR_PREFERENCES,
    IPV6_MINHOPCOUNT,
    IPV6_TRANSPARENT,
    IPV6_UNICAST_IF,
    IPV6_FREEBIND,
];
const SCM_TYPES: Names = &[
    ("SCM_RIGHTS", libc::SCM_RIGHTS as u32),
    ("SCM_CREDENTIALS", libc::SCM_CREDENTIALS as u32),
    ("SO_TIMESTAMP_OLD", libc::SO_TIMESTAMP as u32),
    ("SO_TIMESTAMPNS_OLD", libc::SO_TIMESTAMPNS as u32),
    ("SO_TIMESTAMPING_OLD", libc::SO_TIMESTAMPING as u32),
];

/// A socket's type with its flags.
pub fn socket_type(value: u32) -> String {
    let kind = constant(TYPES, value & 0xf, "SOCK_???");
    match value & !0xf {
        0 => kind,
        rest => format!("{kind}|{}", flags(TYPE_FLAGS, rest, "SOCK_???")),
    }
}

/// A socket's protocol, which depends on its family; `None` where a family's have no names here.
pub fn protocol(family: i32, value: u32) -> Option<String> {
    match family {
        libc::AF_INET | libc::AF_INET6 => Some(constant(INET_PROTOCOLS, value, "IPPROTO_???")),
        libc::AF_NETLINK => Some(constant(NETLINK_PROTOCOLS, value, "NETLINK_???")),
        libc::AF_PACKET => {
            let value = u32::from(u16::from_be(value as u16));
            Some(format!("htons({})", constant(ETHERNET_PROTOCOLS, value, "ETH_P_???")))
        }
        _ => None,
    }
}

/// An option's name, which depends on its level; `None` where a level's have no names here.
pub fn option(level: i32, value: u32) -> Option<String> {
    Some(match level {
        libc::SOL_SOCKET => constant(SOCKET_OPTIONS, value, "SO_???"),
        libc::SOL_TCP => constant(TCP_OPTIONS, value, "TCP_???"),
        libc::SOL_IP => constant(IP_OPTIONS, value, "IP_???"),
        libc::SOL_IPV6 => constant(IPV6_OPTIONS, value, "IPV6_???"),
        _ => return None,
    })
}

/// A control message's type, which depends on its level; `None` where a level's have no names here.
pub fn control_type(level: i32, value: u32) -> Option<String> {
    match level {
        libc::SOL_SOCKET => Some(constant(SCM_TYPES, value, "SCM_???")),
        libc::SOL_IP => Some(constant(IP_OPTIONS, value, "IP_???")),
        _ => None,
    }
}
