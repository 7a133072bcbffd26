//! The networks that the catalogue's programs run in, in the language of scenarios. Who runs there stands in the tables.

/// Nobody answers on port 80: the SYN is dropped.
pub const DROPPED: &str =
    "namespace client\nnamespace server {\n drop tcp dport=80\n drop udp dport=53\n}\nlink client server";

/// As [`DROPPED`], with one retry: the kernel gives up after about 3 s.
pub const ONE_RETRY: &str = "namespace client {\n sysctl \"net.ipv4.tcp_syn_retries\" 1\n}\n\
    namespace server {\n drop tcp dport=80\n}\nlink client server";

/// A host alone, for a program that is its own peer. Retransmissions end after about 3 s, orphans after less.
pub const ALONE: &str = "namespace client {\n sysctl \"net.ipv4.tcp_retries2\" 3\n sysctl \"net.ipv4.tcp_orphan_retries\" 2\n\
    sysctl \"net.ipv4.tcp_keepalive_time\" 3\n sysctl \"net.ipv4.tcp_keepalive_intvl\" 1\n\
    sysctl \"net.ipv4.tcp_keepalive_probes\" 1\n}";

/// A host alone, as the kernel is by itself.
pub const ALONE_BY_DEFAULT: &str = "namespace client";

/// Two hosts; nobody listens on the server. The delay lets an ICMP error find connect(2) asleep.
pub const TWO: &str = "namespace client\nnamespace server\nlink client server delay=\"20ms\"";

/// Somebody has an address and no MAC.
pub const GHOST: &str = "namespace client\nnamespace server\n\
    link client server {\n absent ghost address=\"10.9.0.9\"\n}";

/// The same, with one retry.
pub const GHOST_ONE_RETRY: &str = "namespace client {\n sysctl \"net.ipv4.tcp_syn_retries\" 1\n}\nnamespace server\n\
    link client server {\n absent ghost address=\"10.9.0.9\"\n}";

/// The server is behind a router.
pub const ROUTED: &str = "namespace client\nrouter middle\nnamespace server\nlink client middle delay=\"20ms\"\n\
    link middle server";

/// The same with IPv6.
pub const ROUTED6: &str = "namespace client\nrouter middle\nnamespace server\n\
    link client middle delay=\"20ms\" ip=v6\nlink middle server ip=v6";

/// Routes that end at the host itself.
pub const ROUTES: &str = "namespace client {\n route \"203.0.113.1\" blackhole\n route \"203.0.113.2\" unreachable\n\
    route \"203.0.113.3\" prohibit\n route \"203.0.113.4\" throw\n}\nnamespace server\nlink client server";

/// The server rejects what comes for port 80 with one of the words of docs/scenario.md.
macro_rules! rejecting {
    ($protocol:literal, $with:literal, $ip:literal) => {
        concat!(
            "namespace client\nnamespace server {\n reject ",
            $protocol,
            " dport=80 with=",
            $with,
            "\n}\nlink client server delay=\"20ms\" ip=",
            $ip
        )
    };
}
pub(super) use rejecting;
