//! Plans made by hand: hosts, links between them, rules. As the planner would make them, without a scenario.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use workbench::plan::{
    CommandPlan, Expectations, Hook, HostPlan, LinkEnd, LinkPlan, NeighbourPlan, Origin, PLAN_FORMAT_VERSION, Plan,
    PortRange, Protocol, RoutePlan, RouteTarget, RuleAction, RuleMatch, RulePlan, StdinPlan, SysctlPlan, Which,
};

/// A place in a scenario that never was.
pub fn origin(line: usize) -> Origin {
    Origin { file: "by-hand.kdl".to_owned(), line, column: 1, offset: 0, len: 1, text: format!("line {line}") }
}

/// Hosts with these names and links between them; link k has 10.k.0.1/24 and 10.k.0.2/24, neighbours pinned.
pub fn network(hosts: &[&str], links: &[(&str, &str)]) -> Plan {
    let mut plan = Plan {
        programs: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        format_version: PLAN_FORMAT_VERSION,
        scenario: "by-hand".to_owned(),
        file: "by-hand.kdl".to_owned(),
        about: None,
        run: "run".to_owned(),
        documented: Vec::new(),
        sweep: Vec::new(),
        template: None,
        requires: vec![],
        hosts: hosts.iter().map(|name| host(name)).collect(),
        links: vec![],
        etc: BTreeMap::new(),
        memory_bytes: 256 << 20,
        command: CommandPlan {
            program: None,
            host: hosts[0].to_owned(),
            argv: vec!["true".to_owned()],
            env: BTreeMap::new(),
            files: Vec::new(),
            stdin: StdinPlan::Empty,
            deadline_ns: None,
            has_default_deadline: true,
            is_horizon: false,
            origin: origin(1),
        },
        expect: Expectations::default(),
        differs: Vec::new(),
    };
    let mut interfaces: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (one, other)) in links.iter().enumerate() {
        let ends = [one, other].map(|host| {
            let next = interfaces.entry(host).or_default();
            *next += 1;
            (*host, format!("eth{}", *next - 1))
        });
        plan.links.push(link(number as u8, ends));
    }
    plan
}

fn host(name: &str) -> HostPlan {
    HostPlan {
        name: name.to_owned(),
        is_router: false,
        sysctls: vec![],
        routes: vec![],
        rules: vec![],
        peers: Vec::new(),
        origin: origin(2),
    }
}

/// The IPv4 address of an end of link `link`; `side` is 0 or 1.
pub fn ipv4(link: u8, side: u8) -> IpAddr {
    Ipv4Addr::new(10, link, 0, side + 1).into()
}

/// The IPv6 address of an end of a link with IPv6.
pub fn ipv6(link: u8, side: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, link.into(), 0, 0, 0, 0, 0, u16::from(side) + 1).into()
}

/// The MAC of an end of a link.
pub fn mac(link: u8, side: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, link, side + 1]
}

fn link(number: u8, ends: [(&str, String); 2]) -> LinkPlan {
    let mut sides = [0, 1].into_iter();
    let name = format!("{}-{}", ends[0].0, ends[1].0);
    let ends = ends.map(|(host, interface)| {
        let side = sides.next().expect("two sides");
        LinkEnd {
            host: host.to_owned(),
            interface,
            mac: mac(number, side),
            addresses: vec![(ipv4(number, side), 24)],
            neighbours: vec![neighbour(ipv4(number, 1 - side), mac(number, 1 - side))],
            netem: None,
            drops: vec![],
            is_down: false,
        }
    });
    LinkPlan { name, ends, mtu: 1500, delay_ns: 0, is_cut: false, origin: origin(3) }
}

fn neighbour(address: IpAddr, mac: [u8; 6]) -> NeighbourPlan {
    NeighbourPlan { address, mac, origin: origin(0) }
}

/// Gives both ends of a link an IPv6 address as well.
pub fn add_ipv6(plan: &mut Plan, number: u8) {
    for side in [0, 1] {
        let end = &mut plan.links[usize::from(number)].ends[usize::from(side)];
        end.addresses.push((ipv6(number, side), 64));
        end.neighbours.push(neighbour(ipv6(number, 1 - side), mac(number, 1 - side)));
    }
}

/// Adds a route to the host with this index.
pub fn add_route(plan: &mut Plan, host: usize, destination: IpAddr, prefix_len: u8, target: RouteTarget) {
    let route = RoutePlan { destination, prefix_len, target, is_automatic: false, origin: origin(4) };
    plan.hosts[host].routes.push(route);
}

/// Adds a sysctl to the host with this index.
pub fn add_sysctl(plan: &mut Plan, host: usize, name: &str, value: &str, or: Option<&str>, if_present: bool) {
    plan.hosts[host].sysctls.push(SysctlPlan {
        name: name.to_owned(),
        value: value.to_owned(),
        or: or.map(str::to_owned),
        if_present,
        origin: origin(5),
    });
}

/// A rule that matches everything of a protocol.
pub fn rule(id: &str, hook: Option<Hook>, protocol: Protocol, action: RuleAction) -> RulePlan {
    RulePlan {
        id: id.to_owned(),
        text: format!("rule {id}"),
        hook,
        matching: RuleMatch {
            protocol,
            sport: None,
            dport: None,
            flags: None,
            from: None,
            to: None,
            which: Which::All,
        },
        from: vec![],
        to: vec![],
        action,
        origin: origin(6),
    }
}

/// A rule that drops UDP to one port.
pub fn drop_udp(id: &str, hook: Option<Hook>, port: u16, which: Which) -> RulePlan {
    let mut rule = rule(id, hook, Protocol::Udp, RuleAction::Drop);
    rule.matching.dport = Some(PortRange { first: port, last: port });
    rule.matching.which = which;
    rule
}
