//! The world that every lab starts from, whatever machine it runs on.
//!
//! Most of a network namespace's sysctls begin with constants of the kernel. Those here do not: they are copied from the
//! machine when a namespace or an interface is made, so that a distribution's or an administrator's setting would colour
//! a result. They are pinned to what the kernel itself begins with, except where a line says otherwise. A scenario's own
//! sysctls come after them and win.

use std::net::IpAddr;

use super::model::SysctlPlan;
use super::origin::by_rule;

/// Copied from the machine for each interface (`devinet_init_net` in net/ipv4/devinet.c; also the `all` that is combined
/// with it): how a host takes part in ARP and routing.
const IPV4_CONF: &[(&str, &str, &str)] = &[
    ("rp_filter", "0", "distributions set 1 or 2, which drops what comes back another way"),
    ("accept_redirects", "1", "a redirect changes a route"),
    ("send_redirects", "1", "a router's redirects are packets that a result shows"),
    ("accept_local", "0", "whether a packet from an own address is taken"),
    ("route_localnet", "0", "whether 127/8 leaves the host"),
    ("ignore_routes_with_linkdown", "0", "whether a pulled cable takes its routes away"),
    ("arp_ignore", "0", "who answers an ARP request"),
    ("arp_announce", "0", "which address an ARP request names"),
    ("arp_filter", "0", "who answers an ARP request"),
    ("arp_accept", "0", "whether a gratuitous ARP makes a neighbour"),
    ("arp_notify", "0", "whether an interface that comes up announces itself"),
    ("proxy_arp", "0", "whether a router answers for others"),
];

/// Copied from the machine for each interface (`neigh_parms_alloc` in net/core/neighbour.c): how long, and how often, a
/// neighbour that does not answer is asked.
const NEIGHBOUR: &[(&str, &str)] = &[
    ("mcast_solicit", "3"),
    ("ucast_solicit", "3"),
    ("app_solicit", "0"),
    ("mcast_resolicit", "0"),
    ("retrans_time_ms", "1000"),
    ("base_reachable_time_ms", "30000"),
    ("delay_first_probe_time", "5"),
];

/// What the baseline has to know of a host.
pub(super) struct Facts<'a> {
    pub(super) is_router: bool,
    pub(super) interfaces: &'a [String],
    pub(super) addresses: &'a [IpAddr],
    /// Whether it has a daemon that is not root.
    pub(super) has_daemon_of_nobody: bool,
}

/// The baseline's sysctls for one host, in the order in which they are written.
pub(super) fn sysctls(host: &Facts<'_>) -> Vec<SysctlPlan> {
    let mut all = ipv4(host);
    all.extend(ipv6(host));
    if host.has_daemon_of_nobody {
        all.push(pin("net.ipv4.ip_unprivileged_port_start", "0", "a daemon here is not root, and may have any port"));
    }
    all
}

fn ipv4(host: &Facts<'_>) -> Vec<SysctlPlan> {
    let mut all = vec![
        // First, because the kernel resets others with it (Documentation/networking/ip-sysctl.rst).
        pin("net.ipv4.ip_forward", flag(host.is_router), "copied from the machine; 1 in a router, 0 elsewhere"),
        pin("net.ipv4.tcp_congestion_control", "reno", "copied from the machine; the only one that is always allowed"),
        pin("net.ipv4.tcp_rmem", "4096 131072 6291456", "copied from the machine, where it follows from its memory"),
        pin("net.ipv4.tcp_wmem", "4096 16384 4194304", "copied from the machine, where it follows from its memory"),
        // Not the kernel's own value: a rule that answers has to answer each time, and the limit for all namespaces of
        // a machine together (icmp_msgs_per_sec) would let labs that run side by side disturb each other.
        pin(
            "net.ipv4.icmp_ratemask",
            "0",
            "no ICMP error is held back by a rate limit, neither a lab's nor the machine's",
        ),
    ];
    for (name, value, why) in IPV4_CONF {
        // A router takes no redirects: the kernel clears `all` when forwarding is switched on.
        let value_of_all = if host.is_router && *name == "accept_redirects" { "0" } else { value };
        all.push(pin(&format!("net.ipv4.conf.all.{name}"), value_of_all, why));
        all.extend(host.interfaces.iter().map(|eth| pin(&format!("net.ipv4.conf.{eth}.{name}"), value, why)));
    }
    all.extend(neighbour("ipv4", host.interfaces));
    all
}

fn ipv6(host: &Facts<'_>) -> Vec<SysctlPlan> {
    if !host.addresses.iter().any(IpAddr::is_ipv6) {
        let why = "a host without IPv6 addresses has no IPv6: no second address to try, no multicast on its links";
        return ["all", "default"]
            .map(|which| SysctlPlan {
                if_present: true,
                ..pin(&format!("net.ipv6.conf.{which}.disable_ipv6"), "1", why)
            })
            .into();
    }
    let mut all = vec![
        pin("net.ipv6.conf.all.disable_ipv6", "0", "the machine may have it switched off"),
        pin("net.ipv6.conf.all.forwarding", flag(host.is_router), "1 in a router, 0 elsewhere"),
        pin("net.ipv6.icmp.ratelimit", "0", "no ICMP error is held back by a rate limit"),
    ];
    for eth in host.interfaces {
        let conf = |name: &str, why: &str| pin(&format!("net.ipv6.conf.{eth}.{name}"), "0", why);
        all.push(conf("accept_dad", "an address is usable at once, not after a second of duplicate detection"));
        all.push(conf("accept_ra", "addresses and routes are the plan's"));
        all.push(conf("router_solicitations", "nobody is asked for addresses and routes"));
    }
    all.extend(neighbour("ipv6", host.interfaces));
    all
}

fn neighbour(family: &str, interfaces: &[String]) -> Vec<SysctlPlan> {
    let why = "copied from the machine; how long a neighbour that does not answer is asked";
    let of = |eth: &String| {
        let pin = |(name, value): &(&str, &str)| pin(&format!("net.{family}.neigh.{eth}.{name}"), value, why);
        // Older kernels hide them from all user namespaces but the first.
        NEIGHBOUR.iter().map(pin).map(|sysctl| SysctlPlan { if_present: true, ..sysctl }).collect::<Vec<_>>()
    };
    interfaces.iter().flat_map(of).collect()
}

fn flag(is_on: bool) -> &'static str {
    if is_on { "1" } else { "0" }
}

fn pin(name: &str, value: &str, why: &str) -> SysctlPlan {
    SysctlPlan { name: name.into(), value: value.into(), or: None, if_present: false, origin: by_rule(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(host: &Facts<'_>, name: &str) -> Option<String> {
        sysctls(host).iter().rev().find(|sysctl| sysctl.name == name).map(|sysctl| sysctl.value.clone())
    }

    #[test]
    fn a_router_forwards_and_takes_no_redirects() {
        let interfaces = ["eth0".to_owned()];
        let addresses = ["10.9.0.1".parse().expect("v4"), "fd09::1".parse().expect("v6")];
        let router =
            Facts { is_router: true, interfaces: &interfaces, addresses: &addresses, has_daemon_of_nobody: false };
        let host = Facts { is_router: false, ..router };
        for (name, of_router, of_host) in [
            ("net.ipv4.ip_forward", "1", "0"),
            ("net.ipv6.conf.all.forwarding", "1", "0"),
            ("net.ipv4.conf.all.accept_redirects", "0", "1"),
        ] {
            assert_eq!(value(&router, name).as_deref(), Some(of_router), "{name}");
            assert_eq!(value(&host, name).as_deref(), Some(of_host), "{name}");
        }
    }

    #[test]
    fn every_interface_is_pinned_because_it_has_a_copy_of_its_own() {
        let interfaces = ["eth0".to_owned(), "wan".to_owned()];
        let host = Facts { is_router: false, interfaces: &interfaces, addresses: &[], has_daemon_of_nobody: false };
        assert_eq!(value(&host, "net.ipv4.conf.wan.rp_filter").as_deref(), Some("0"));
        assert_eq!(value(&host, "net.ipv4.neigh.eth0.mcast_solicit").as_deref(), Some("3"));
        assert_eq!(value(&host, "net.ipv6.conf.all.disable_ipv6").as_deref(), Some("1"));
    }

    #[test]
    fn each_line_says_why_and_stands_in_no_file() {
        let interfaces = ["eth0".to_owned()];
        let host = Facts { is_router: false, interfaces: &interfaces, addresses: &[], has_daemon_of_nobody: false };
        assert!(sysctls(&host).iter().all(|sysctl| sysctl.origin.line == 0 && !sysctl.origin.text.is_empty()));
    }
}
