//! The catalogue's words of others: resets, FINs, data, ICMP errors; and the ends that no timer makes: a signal, an exit,
//! a program that is not there, the deadline.

use super::entry::{Armed, Entry, Proof};
use super::networks::{ALONE, DROPPED, ROUTED, ROUTED6, TWO, rejecting};

const CONNECT: &str = "mechanisms connect 10.9.0.2 80";
const CONNECT6: &str = "mechanisms connect fd09::2 80";

pub const PEER: &[Entry] = &[
    Entry::new("rst_of_a_closed_port", TWO, CONNECT)
        .seen(&[Proof::Call("connect", "ECONNREFUSED"), Proof::Event("RST from")])
        .by("peer", "RST"),
    Entry::new("rst_in_the_middle", ALONE, "mechanisms recv resets")
        .ends(0.49, 0.7)
        .seen(&[Proof::Call("recvfrom", "ECONNRESET"), Proof::Event("RST from")])
        .by("peer", "RST"),
    Entry::new("fin", ALONE, "mechanisms recv closes")
        .ends(0.49, 0.7)
        .seen(&[Proof::Call("recvfrom", "= 0"), Proof::Event("FIN from")])
        .by("peer", "FIN"),
    Entry::new("data", ALONE, "mechanisms recv answers")
        .ends(0.49, 0.7)
        .seen(&[Proof::Call("recvfrom", "= 6")])
        .by("peer", "data"),
];

const fn icmp(
    name: &'static str,
    network: &'static str,
    command: &'static str,
    mechanism: &'static str,
    proof: &'static [Proof],
) -> Entry {
    Entry::new(name, network, command).seen(proof).by("peer", mechanism)
}

const UNREACH_NET: &[Proof] = &[Proof::Call("connect", "ENETUNREACH")];
const UNREACH_HOST: &[Proof] = &[Proof::Call("connect", "EHOSTUNREACH")];
const REFUSED: &[Proof] = &[Proof::Call("connect", "ECONNREFUSED")];

pub const ICMP: &[Entry] = &[
    icmp(
        "icmp_net_unreachable",
        rejecting!("tcp", "net-unreachable", "v4"),
        CONNECT,
        "ICMP net unreachable",
        UNREACH_NET,
    ),
    icmp(
        "icmp_host_unreachable",
        rejecting!("tcp", "host-unreachable", "v4"),
        CONNECT,
        "ICMP host unreachable",
        UNREACH_HOST,
    ),
    icmp(
        "icmp_protocol_unreachable",
        rejecting!("tcp", "protocol-unreachable", "v4"),
        CONNECT,
        "ICMP protocol unreachable",
        &[Proof::Call("connect", "ENOPROTOOPT")],
    ),
    icmp(
        "icmp_port_unreachable",
        rejecting!("tcp", "port-unreachable", "v4"),
        CONNECT,
        "ICMP port unreachable",
        REFUSED,
    ),
    icmp(
        "icmp_net_prohibited",
        rejecting!("tcp", "net-prohibited", "v4"),
        CONNECT,
        "ICMP network administratively prohibited",
        UNREACH_NET,
    ),
    icmp(
        "icmp_host_prohibited",
        rejecting!("tcp", "host-prohibited", "v4"),
        CONNECT,
        "ICMP host administratively prohibited",
        UNREACH_HOST,
    ),
    icmp(
        "icmp_admin_prohibited",
        rejecting!("tcp", "admin-prohibited", "v4"),
        CONNECT,
        "ICMP communication administratively prohibited",
        UNREACH_HOST,
    ),
    icmp(
        "icmp_time_exceeded",
        ROUTED,
        "mechanisms ttl 10.9.1.2",
        "ICMP time to live exceeded in transit",
        UNREACH_HOST,
    ),
    icmp(
        "icmp_port_unreachable_for_a_datagram",
        TWO,
        "mechanisms udp 10.9.0.2",
        "ICMP port unreachable",
        &[Proof::Call("recvfrom", "ECONNREFUSED")],
    ),
    icmp(
        "icmpv6_no_route",
        rejecting!("tcp", "net-unreachable", "v6"),
        CONNECT6,
        "ICMP no route to destination",
        UNREACH_NET,
    ),
    icmp(
        "icmpv6_address_unreachable",
        rejecting!("tcp", "host-unreachable", "v6"),
        CONNECT6,
        "ICMP address unreachable",
        UNREACH_HOST,
    ),
    icmp(
        "icmpv6_port_unreachable",
        rejecting!("tcp", "port-unreachable", "v6"),
        CONNECT6,
        "ICMP port unreachable",
        REFUSED,
    ),
    icmp(
        "icmpv6_admin_prohibited",
        rejecting!("tcp", "admin-prohibited", "v6"),
        CONNECT6,
        "ICMP communication administratively prohibited",
        &[Proof::Call("connect", "EACCES")],
    ),
    icmp(
        "icmpv6_hop_limit_exceeded",
        ROUTED6,
        "mechanisms ttl fd09:0:0:1::2",
        "ICMP hop limit exceeded in transit",
        UNREACH_HOST,
    ),
    icmp(
        "icmpv6_port_unreachable_for_a_datagram",
        rejecting!("tcp", "tcp-reset", "v6"),
        "mechanisms udp fd09::2",
        "ICMP port unreachable",
        &[Proof::Call("recvfrom", "ECONNREFUSED")],
    ),
];

pub const OTHERS: &[Entry] = &[
    Entry::new("partner_that_watches_the_clock", DROPPED, "mechanisms partner")
        .ends(1.499, 1.8)
        .seen(&[Proof::Call("poll", "= 0")])
        .by("tool", "poll")
        .armed(Armed::For(1.5))
        .who("watcher"),
    Entry::new("timeout_of_coreutils", DROPPED, "timeout 2 mechanisms connect 10.9.0.2 80")
        .ends(1.99, 2.3)
        .seen(&[Proof::Signal("SIGTERM")])
        .by("tool", "timer_create")
        .armed(Armed::For(2.0))
        .who("timeout"),
    Entry::new("signal_of_another_process", DROPPED, "mechanisms killed")
        .seen(&[Proof::Signal("SIGTERM")])
        .by("tool", "SIGTERM"),
    Entry::new("signal_of_another_process_after_its_sleep", DROPPED, "mechanisms killed later")
        .ends(1.49, 1.8)
        .seen(&[Proof::Signal("SIGTERM")])
        .by("tool", "nanosleep")
        .armed(Armed::For(1.5)),
    // A command that is not there at all is no run; this one is there and cannot execute the next.
    Entry::new("exec_failure", DROPPED, "env no-such-program")
        .seen(&[Proof::Call("execve", "ENOENT")])
        .by("kernel", "exec failure"),
    Entry::new("refused_at_once", DROPPED, "mechanisms bind 10.9.0.77")
        .seen(&[Proof::Call("bind", "EADDRNOTAVAIL")])
        .by("kernel", "refused at once"),
    Entry::new("exit", DROPPED, "mechanisms exit").by("tool", "exit"),
    Entry::new("deadline", DROPPED, CONNECT)
        .run("deadline=\"2s\"")
        .ends(1.99, 2.3)
        .by("deadline", "nothing yet at the deadline")
        .armed(Armed::For(2.0)),
];
