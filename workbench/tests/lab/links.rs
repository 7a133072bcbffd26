//! Links, addresses, routes, neighbours: what `ip` shows, and that the first packet gets through.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use serde_json::Value;
use workbench::lab::Lab;
use workbench::plan::RouteTarget;

use crate::support::capture::{inside, numbers_that_arrive, oracle_json};
use crate::support::namespace::Body;
use crate::support::network::{add_ipv6, add_route, ipv4, ipv6, network};

pub const BODIES: &[Body] = &[
    ("ip_shows_the_interfaces_of_the_plan", ip_shows_the_interfaces_of_the_plan),
    ("ip_shows_addresses_and_neighbours_of_the_plan", ip_shows_addresses_and_neighbours_of_the_plan),
    ("ip_shows_the_routes_of_the_plan", ip_shows_the_routes_of_the_plan),
    ("special_routes_give_connect_their_errnos", special_routes_give_connect_their_errnos),
    ("the_first_packet_after_building_arrives", the_first_packet_after_building_arrives),
    ("a_router_passes_packets_on", a_router_passes_packets_on),
    ("a_cut_link_has_no_carrier_and_both_ends_stay_up", a_cut_link_has_no_carrier_and_both_ends_stay_up),
    ("an_end_that_is_down_has_no_routes", an_end_that_is_down_has_no_routes),
    ("building_leaves_one_thread_in_its_own_namespace", building_leaves_one_thread_in_its_own_namespace),
];

fn interface<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().expect("a list").iter().find(|each| each["ifname"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

fn flags(interface: &Value) -> Vec<&str> {
    interface["flags"].as_array().expect("flags").iter().filter_map(Value::as_str).collect()
}

fn ip_shows_the_interfaces_of_the_plan() {
    let mut plan = network(&["client", "server", "third"], &[("client", "server"), ("client", "third")]);
    plan.links[1].mtu = 1280;
    plan.links[1].delay_ns = 1;
    let lab = Lab::build(&plan).expect("a lab");
    assert_eq!(lab.hosts().collect::<Vec<_>>(), ["client", "server", "third"]);
    let ends = [("client", "eth0", "02:00:00:00:00:01", 1500), ("client", "eth1", "02:00:00:00:01:01", 1280)];
    let others = [("server", "eth0", "02:00:00:00:00:02", 1500), ("third", "eth0", "02:00:00:00:01:02", 1280)];
    for (host, name, mac, mtu) in ends.into_iter().chain(others) {
        let list = oracle_json(&lab, host, "ip -d -j link");
        let found = interface(&list, name);
        assert_eq!((&found["address"], &found["mtu"]), (&mac.into(), &mtu.into()), "{host} {name}");
        assert_eq!(found["operstate"], "UP");
        assert_eq!(found["linkinfo"]["info_kind"], "veth");
        assert!(flags(found).contains(&"LOWER_UP"));
        assert!(flags(interface(&list, "lo")).contains(&"UP"));
    }
}

fn ip_shows_addresses_and_neighbours_of_the_plan() {
    let mut plan = network(&["client", "server"], &[("client", "server"), ("client", "server")]);
    add_ipv6(&mut plan, 0);
    let lab = Lab::build(&plan).expect("a lab");
    let list = oracle_json(&lab, "client", "ip -j addr");
    let addresses = |name: &str| -> Vec<String> {
        let infos = interface(&list, name)["addr_info"].as_array().expect("addresses");
        let text = |info: &Value| format!("{}/{}", info["local"].as_str().expect("address"), info["prefixlen"]);
        assert!(infos.iter().all(|info| info["tentative"].is_null()), "no address waits for detection: {infos:?}");
        infos.iter().map(text).collect()
    };
    assert_eq!(addresses("eth0"), ["10.0.0.1/24", "fd00::1/64"]);
    assert_eq!(addresses("eth1"), ["10.1.0.1/24"], "no IPv6 where the plan has none");
    let neighbours = oracle_json(&lab, "client", "ip -j neigh show dev eth0 nud permanent");
    let found: Vec<_> = neighbours.as_array().expect("a list").iter().map(|n| (&n["dst"], &n["lladdr"])).collect();
    for address in ["10.0.0.2", "fd00::2"] {
        assert!(found.contains(&(&address.into(), &"02:00:00:00:00:02".into())), "{address} in {neighbours}");
    }
}

fn ip_shows_the_routes_of_the_plan() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    let (v4, v6) = ("0.0.0.0".parse().expect("v4"), "::".parse().expect("v6"));
    add_route(&mut plan, 0, v4, 0, RouteTarget::Via(ipv4(0, 1)));
    add_route(&mut plan, 0, v6, 0, RouteTarget::Via(ipv6(0, 1)));
    add_route(&mut plan, 0, "10.77.0.0".parse().expect("v4"), 16, RouteTarget::Dev("eth0".to_owned()));
    add_route(&mut plan, 0, "10.78.0.0".parse().expect("v4"), 16, RouteTarget::Blackhole);
    add_route(&mut plan, 0, "fd78::".parse().expect("v6"), 32, RouteTarget::Unreachable);
    let lab = Lab::build(&plan).expect("a lab");
    let route = |family: &str, dst: &str| -> Value {
        let list = oracle_json(&lab, "client", &format!("ip {family} -j route"));
        let found = list.as_array().expect("a list").iter().find(|route| route["dst"] == dst).cloned();
        found.unwrap_or_else(|| panic!("no {dst} in {list}"))
    };
    assert_eq!(route("-4", "default")["gateway"], "10.0.0.2");
    assert_eq!(route("-6", "default")["gateway"], "fd00::2");
    assert_eq!(route("-4", "10.77.0.0/16")["dev"], "eth0");
    assert_eq!(route("-4", "10.78.0.0/16")["type"], "blackhole");
    assert_eq!(route("-6", "fd78::/32")["type"], "unreachable");
    assert_eq!(route("-4", "10.0.0.0/24")["prefsrc"], "10.0.0.1");
}

fn connect_error(lab: &Lab, host: &str, address: IpAddr) -> Option<i32> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    inside(lab, host, || UdpSocket::bind(any).expect("a socket").connect((address, 9))).err()?.raw_os_error()
}

fn special_routes_give_connect_their_errnos() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    let targets = [
        (RouteTarget::Blackhole, libc::EINVAL),
        (RouteTarget::Unreachable, libc::EHOSTUNREACH),
        (RouteTarget::Prohibit, libc::EACCES),
        (RouteTarget::Throw, libc::ENETUNREACH),
    ];
    let networks = |number: usize| -> [(IpAddr, u8); 2] {
        [format!("10.9{number}.0.0").parse().map(|v4| (v4, 16)), format!("fd9{number}::").parse().map(|v6| (v6, 16))]
            .map(|network| network.expect("an address"))
    };
    for (number, (target, _)) in targets.iter().enumerate() {
        for (address, prefix_len) in networks(number) {
            add_route(&mut plan, 0, address, prefix_len, target.clone());
        }
    }
    let lab = Lab::build(&plan).expect("a lab");
    for (number, (target, errno)) in targets.iter().enumerate() {
        for (address, _) in networks(number) {
            assert_eq!(connect_error(&lab, "client", address), Some(*errno), "{target:?} {address}");
        }
    }
}

fn the_first_packet_after_building_arrives() {
    // Several labs in a row, so that the kernel's deferred handling of carrier is met at different moments.
    for _ in 0..20 {
        let mut plan = network(&["client", "server"], &[("client", "server")]);
        add_ipv6(&mut plan, 0);
        let lab = Lab::build(&plan).expect("a lab");
        for address in [ipv4(0, 1), ipv6(0, 1), ipv4(0, 1)] {
            let receiver = inside(&lab, "server", || UdpSocket::bind((address, 7))).expect("a port");
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let sender = inside(&lab, "client", || UdpSocket::bind(any)).expect("a socket");
            sender.send_to(b"first", (address, 7)).expect("the first packet leaves");
            receiver.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
            assert_eq!(receiver.recv(&mut [0; 8]).ok(), Some(5), "the first packet to {address}");
        }
    }
}

fn a_router_passes_packets_on() {
    let mut plan = network(&["client", "router", "server"], &[("client", "router"), ("router", "server")]);
    add_ipv6(&mut plan, 0);
    add_ipv6(&mut plan, 1);
    plan.hosts[1].is_router = true;
    for (host, network, gateway) in [(0, 1, ipv4(0, 1)), (2, 0, ipv4(1, 0))] {
        add_route(&mut plan, host, format!("10.{network}.0.0").parse().expect("v4"), 24, RouteTarget::Via(gateway));
    }
    for (host, network, gateway) in [(0, 1, ipv6(0, 1)), (2, 0, ipv6(1, 0))] {
        add_route(&mut plan, host, format!("fd00:{network}::").parse().expect("v6"), 64, RouteTarget::Via(gateway));
    }
    let lab = Lab::build(&plan).expect("a lab");
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv4(1, 1), 7, 3), [1, 2, 3]);
    assert_eq!(numbers_that_arrive(&lab, "client", "server", ipv6(1, 1), 7, 3), [1, 2, 3]);
    assert_eq!(numbers_that_arrive(&lab, "server", "client", ipv4(0, 0), 7, 1), [1]);
}

fn a_cut_link_has_no_carrier_and_both_ends_stay_up() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    plan.links[0].is_cut = true;
    let lab = Lab::build(&plan).expect("a lab");
    for host in ["client", "server"] {
        let list = oracle_json(&lab, host, "ip -j link");
        let found = flags(interface(&list, "eth0"));
        assert!(found.contains(&"UP") && found.contains(&"NO-CARRIER"), "{host}: {found:?}");
    }
    assert_eq!(connect_error(&lab, "client", ipv4(0, 1)), None, "the route is still there");
    assert!(numbers_that_arrive(&lab, "client", "server", ipv4(0, 1), 7, 2).is_empty());
}

fn an_end_that_is_down_has_no_routes() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_ipv6(&mut plan, 0);
    add_route(&mut plan, 0, "0.0.0.0".parse().expect("v4"), 0, RouteTarget::Via(ipv4(0, 1)));
    add_route(&mut plan, 0, "10.77.0.0".parse().expect("v4"), 16, RouteTarget::Dev("eth0".to_owned()));
    plan.links[0].ends[0].is_down = true;
    let lab = Lab::build(&plan).expect("a lab");
    let list = oracle_json(&lab, "client", "ip -j link");
    assert!(!flags(interface(&list, "eth0")).contains(&"UP"));
    for address in [ipv4(0, 1), ipv6(0, 1), "10.77.0.1".parse().expect("v4"), "8.8.8.8".parse().expect("v4")] {
        assert_eq!(connect_error(&lab, "client", address), Some(libc::ENETUNREACH), "{address}");
    }
    let list = oracle_json(&lab, "server", "ip -j link");
    assert!(flags(interface(&list, "eth0")).contains(&"NO-CARRIER"), "the other end is up and sees nobody");
}

fn building_leaves_one_thread_in_its_own_namespace() {
    let own = || std::fs::read_link("/proc/thread-self/ns/net").expect("own namespace");
    let before = own();
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    plan.links[0].delay_ns = 1_000_000;
    let lab = Lab::build(&plan).expect("a lab");
    assert_eq!(own(), before);
    assert_eq!(std::fs::read_dir("/proc/self/task").expect("threads").count(), 1);
    lab.sysctls().expect("sysctls");
    assert_eq!(own(), before);
    drop(lab);
    plan.hosts.pop();
    Lab::build(&plan).err().expect("a link to nowhere");
    assert_eq!(own(), before, "also when building fails");
}
