//! The catalogue's timers of the kernel: TCP's, the neighbour's, routes; and the resolver's. The program's own stand in
//! `waits.rs`, what the network says in `network.rs`.

use super::entry::{Armed, Entry, Proof};
use super::networks::{ALONE, ALONE_BY_DEFAULT, DROPPED, GHOST, GHOST_ONE_RETRY, ONE_RETRY, ROUTES};

const fn kernel(
    name: &'static str,
    network: &'static str,
    command: &'static str,
    mechanism: &'static str,
    seconds: (f64, f64),
) -> Entry {
    let entry = Entry::new(name, network, command).by("kernel", mechanism).ends(seconds.0, seconds.1 + 0.1);
    entry.armed(Armed::Within(seconds.0 - 0.05, seconds.1))
}

/// connect(2), or recv(2) and send(2), with ETIMEDOUT.
const CONNECT: &[Proof] = &[Proof::Call("connect", "ETIMEDOUT")];
const RECV: &[Proof] = &[Proof::Call("recvfrom", "ETIMEDOUT")];
const SEND: &[Proof] = &[Proof::Call("sendto", "ETIMEDOUT")];

pub const TCP: &[Entry] = &[
    kernel("syn_retries", ONE_RETRY, "mechanisms connect 10.9.0.2 80", "SYN retries", (3.01, 3.2)).seen(CONNECT),
    kernel("syn_retries_of_tcp_syncnt", DROPPED, "mechanisms syncnt", "SYN retries", (3.01, 3.2)).seen(CONNECT),
    kernel("syn_retries_by_default", DROPPED, "mechanisms connect 10.9.0.2 80", "SYN retries", (129.0, 138.3))
        .seen(CONNECT)
        // The sum of its timers: 127 s, or 131 with tcp_syn_linear_timeouts (since 6.5).
        .armed(Armed::Within(126.9, 138.3))
        .virtual_only(),
    kernel("retransmissions", ALONE, "mechanisms ask deaf", "retransmissions", (3.0, 7.2)).seen(RECV),
    kernel("retransmissions_by_default", ALONE_BY_DEFAULT, "mechanisms ask deaf", "retransmissions", (924.0, 1000.0))
        .seen(RECV)
        .virtual_only(),
    // The program waits for the kernel's word that the socket is gone.
    kernel("orphan_limit", ALONE, "mechanisms orphan", "orphan limit", (0.5, 4.0)),
    kernel("tcp_user_timeout", ALONE, "mechanisms user-timeout deaf", "TCP_USER_TIMEOUT", (1.5, 2.1)).seen(RECV),
    kernel("tcp_user_timeout_of_connect", DROPPED, "mechanisms user-timeout connect", "TCP_USER_TIMEOUT", (1.5, 3.1))
        .seen(CONNECT),
    kernel(
        "tcp_user_timeout_at_a_closed_window",
        ALONE,
        "mechanisms user-timeout silent",
        "TCP_USER_TIMEOUT",
        (1.5, 3.0),
    )
    .seen(SEND),
    kernel("keepalive", ALONE, "mechanisms keepalive", "keepalive", (4.0, 4.5)).seen(RECV),
    kernel("keepalive_of_sysctls", ALONE, "mechanisms keepalive sysctls", "keepalive", (4.0, 4.5)).seen(RECV),
    kernel(
        "keepalive_by_default",
        ALONE_BY_DEFAULT,
        "mechanisms keepalive sysctls",
        "keepalive",
        (7200.0 + 675.0, 8300.0),
    )
    .seen(RECV)
    .virtual_only(),
    kernel("persist", ALONE, "mechanisms send full-then-deaf", "persist timer", (1.0, 8.0)).seen(SEND),
    kernel("neighbour", GHOST, "mechanisms connect 10.9.0.9 80", "neighbour", (2.9, 3.2))
        .seen(&[Proof::Call("connect", "EHOSTUNREACH")]),
    // Nobody has the address, and with one retry the SYN's timer runs out before the neighbour is given up. No SYN was seen.
    kernel(
        "syn_retries_before_the_neighbour",
        GHOST_ONE_RETRY,
        "mechanisms connect 10.9.0.9 80",
        "SYN retries",
        (3.0, 3.2),
    )
    .seen(CONNECT)
    .virtual_only(),
];

const fn route(name: &'static str, command: &'static str, proof: &'static [Proof]) -> Entry {
    Entry::new(name, ROUTES, command).by("kernel", "no route").seen(proof)
}

pub const ROUTING: &[Entry] = &[
    route("no_route", "mechanisms connect 198.51.100.1 80", &[Proof::Call("connect", "ENETUNREACH")]),
    route("route_blackhole", "mechanisms connect 203.0.113.1 80", &[Proof::Call("connect", "EINVAL")]),
    route("route_unreachable", "mechanisms connect 203.0.113.2 80", &[Proof::Call("connect", "EHOSTUNREACH")]),
    route("route_prohibit", "mechanisms connect 203.0.113.3 80", &[Proof::Call("connect", "EACCES")]),
    route("route_throw", "mechanisms connect 203.0.113.4 80", &[Proof::Call("connect", "ENETUNREACH")]),
];

pub const RESOLVER: &[Entry] = &[
    Entry::new("resolver_timeout", DROPPED, "mechanisms resolve 10.9.0.2")
        .ends(1.99, 2.3)
        .seen(&[Proof::Output("Temporary failure in name resolution")])
        .by("resolver", "resolver timeout x attempts")
        .armed(Armed::About(2.0)),
    Entry::new("resolver_nxdomain", ALONE, "mechanisms resolve-answered 3")
        .seen(&[Proof::Output("Name or service not known")])
        .by("resolver", "DNS NXDOMAIN"),
    Entry::new("resolver_servfail", ALONE, "mechanisms resolve-answered 2")
        .seen(&[Proof::Output("Temporary failure in name resolution")])
        .by("resolver", "DNS SERVFAIL"),
    Entry::new("resolver_refused", ALONE, "mechanisms resolve-answered 5")
        .seen(&[Proof::Output("Temporary failure in name resolution")])
        .by("resolver", "DNS REFUSED"),
];
