//! `link`: two ends, their addresses and settings, and what happens on the wire between them.

use kdl::KdlNode;
use miette::SourceSpan;

use super::address::{Family, mac, network, prefix_or_address};
use super::decode_caused::{self, CAUSES, Place};
use super::decode_host::{declared_name, interface_name};
use super::error::{Problem, quoted};
use super::fault::Netem;
use super::fields::{Fields, unknown_node};
use super::model::{Absent, Address, End, Link, Rule};
use super::span::Spanned;
use super::value::{Reading, Value};
use super::{netem, rule};

/// One link.
pub(super) fn link(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Link> {
    const REMEDY: &str = "link client server";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let host = |value: Value<'_>| value.text().map(str::to_owned);
    let first = fields.required_argument("its two hosts", REMEDY, host);
    let second = first.is_some().then(|| fields.required_argument("a second host", REMEDY, host)).flatten();
    let name = fields.property("name", |value| value.name("-_.", 72));
    let families = fields.property("ip", |value| value.one_of("a family", &[("v4", 4), ("v6", 6), ("both", 10)]));
    let mut link = Link {
        is_named: name.is_some(),
        name: Spanned::new(String::new(), span),
        ends: [end(&first, span), end(&second, span)],
        families: match families.map(|ip| ip.value) {
            Some(6) => vec![Family::V6],
            Some(10) => vec![Family::V4, Family::V6],
            _ => vec![Family::V4],
        },
        subnet: fields.property("subnet", |value| subnet(value, Family::V4)),
        subnet6: fields.property("subnet6", |value| subnet(value, Family::V6)),
        networks: Vec::new(),
        mtu: fields.property("mtu", mtu),
        delay_ns: fields.property("delay", Value::duration_ns),
        learns_neighbours: fields
            .property("neighbours", |v| v.one_of("a way to find neighbours", &[("learn", true), ("pinned", false)]))
            .is_some_and(|learns| learns.value),
        absent: Vec::new(),
        is_cut: false,
        faults: Vec::new(),
        span,
    };
    let by_rule = format!("{}-{}", link.ends[0].host.value, link.ends[1].host.value);
    link.name = name.unwrap_or_else(|| Spanned::new(by_rule, span));
    if first.is_some() && second.is_some() {
        children(&mut fields, &mut link);
    }
    check_families(&mut fields, &link);
    check_overtaking(&mut fields, &link);
    fields.finish();
    (first.is_some() && second.is_some()).then_some(link)
}

/// 68 is the least that IPv4 works with (RFC 791); 65535 is the most that a device takes (ETH_MAX_MTU).
pub(super) fn mtu(value: Value<'_>) -> Reading<u32> {
    value.integer("an MTU", 68..=65535)
}

fn end(host: &Option<Spanned<String>>, span: SourceSpan) -> End {
    End {
        host: host.clone().unwrap_or_else(|| Spanned::new(String::new(), span)),
        addresses: Vec::new(),
        interface: None,
        mac: None,
        is_down: false,
        netem: None,
        drops: Vec::new(),
    }
}

/// Networks that hold two hosts and are small enough to be one link's.
fn subnet(value: Value<'_>, family: Family) -> Reading<super::address::Prefix> {
    let prefix = network(value.text()?)?;
    if prefix.family() != family {
        let other = if family == Family::V4 { "subnet6" } else { "subnet" };
        return Err(value
            .expected(&format!("an {family} network"))
            .help(format!("write {other}={}", value.spelling())));
    }
    let longest = family.bits() - 2;
    if prefix.len > longest {
        return Err(Problem::new(format!("{prefix} is too small for a link"))
            .label("too small")
            .help(format!("two hosts, the network's own address and room to spare need /{longest} or less")));
    }
    if prefix.len < 8 {
        return Err(Problem::new(format!("{prefix} is too large for a link")).help("a /24 is plenty"));
    }
    let is_special = prefix.address.is_loopback()
        || prefix.address.is_multicast()
        || match prefix.address {
            std::net::IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.octets()[0] >= 240,
            std::net::IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[0] == 0,
        };
    match is_special {
        true => Err(Problem::new(format!("{prefix} cannot number a link"))
            .help("loopback, multicast, link-local and reserved networks have a meaning of their own")),
        false => Ok(prefix),
    }
}

fn children(fields: &mut Fields<'_, '_>, link: &mut Link) {
    for child in fields.children() {
        let name = child.name().value();
        let end = link.ends.iter().position(|end| end.host.value == name);
        match (name, end) {
            ("netem", _) => {
                let (from, netem) = netem::netem(child, fields.problems());
                add_netem(fields, link, &from, &netem);
            }
            ("drop", _) => {
                if let Some((from, rule)) = rule::on_wire(child, fields.problems()) {
                    add_drop(fields, link, &from, &rule);
                }
            }
            ("reject", _) => {
                let problem = Problem::new("a wire answers nobody: no `reject` on a link").at(child.name().span());
                fields.problem(problem.label("not here").help("put it into the `namespace` or `router` that answers"));
            }
            ("cut", _) => {
                Fields::new(child, fields.problems()).finish_leaf();
                link.is_cut = true;
            }
            (name, _) if CAUSES.contains(&name) => {
                let ends = link.ends.each_ref().map(|end| end.host.value.clone());
                let place = Place::Link { ends: [&ends[0], &ends[1]] };
                link.faults.extend(decode_caused::fault(child, &place, fields.problems()));
            }
            ("absent", _) => link.absent.extend(absent(child, fields.problems())),
            (_, Some(end)) => settings(child, &mut link.ends[end], fields.problems()),
            _ => {
                let [a, b] = [&link.ends[0].host.value, &link.ends[1].host.value];
                let problem =
                    unknown_node(child, "a link", &["netem", "drop", "cut", "absent", "at", "when", "after", a, b]);
                fields.problem(problem);
            }
        }
    }
}

/// The ends that `from=` means: one of them, or both when it is not said.
fn ends_meant(fields: &mut Fields<'_, '_>, link: &Link, from: &Option<Spanned<String>>) -> Vec<usize> {
    let Some(from) = from else { return vec![0, 1] };
    let found = link.ends.iter().position(|end| end.host.value == from.value);
    if found.is_none() {
        let [a, b] = [&link.ends[0].host.value, &link.ends[1].host.value];
        let problem = Problem::new(format!("{} is no end of this link", quoted(&from.value))).at(from.span);
        let problem = problem.label("not an end").also(link.span, "this link");
        fields.problem(problem.help(format!("on a link `from` is the end that sends: {a} or {b}")));
    }
    found.into_iter().collect()
}

fn add_netem(fields: &mut Fields<'_, '_>, link: &mut Link, from: &Option<Spanned<String>>, netem: &Spanned<Netem>) {
    for end in ends_meant(fields, link, from) {
        let end = &mut link.ends[end];
        if let Some(first) = &end.netem {
            let who = quoted(&end.host.value);
            let problem = Problem::new(format!("two `netem` for what {who} sends")).at(netem.span).label("again");
            fields.problem(problem.also(first.span, "first here").help("put all parameters into one, or say from="));
            return;
        }
        end.netem = Some(netem.clone());
    }
}

/// What overtakes needs a netem of its own, below that of the cable's delay. A copy made there begins at the upper one
/// again (net/sched/sch_netem.c, `netem_enqueue`: `rootq`): it would travel the cable twice, and be copied once more by
/// kernels that do not mark it as a copy.
fn check_overtaking(fields: &mut Fields<'_, '_>, link: &Link) {
    let has_delay = link.delay_ns.as_ref().is_some_and(|delay| delay.value > 0);
    let both = |netem: &&Spanned<Netem>| netem.value.reorder.is_some() && netem.value.duplicate.is_some();
    // One that is for both ends is told once.
    let found = link.ends.iter().filter_map(|end| end.netem.as_ref()).find(both);
    if let Some(netem) = found.filter(|_| has_delay) {
        let problem = Problem::new("`reorder` and `duplicate` on a link with a `delay` of its own").at(netem.span);
        let problem = problem.label("both").also(link.span, "this link");
        fields.problem(problem.help("give the delay to the netem, or leave one of the two out"));
    }
}

fn add_drop(fields: &mut Fields<'_, '_>, link: &mut Link, from: &Option<Spanned<String>>, rule: &Rule) {
    for end in ends_meant(fields, link, from) {
        link.ends[end].drops.push(rule.clone());
    }
}

/// `client address= address6= name= mac= down`.
fn settings(node: &KdlNode, end: &mut End, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    end.addresses.extend(addresses(&mut fields));
    end.interface = fields.property("name", interface_name).or(end.interface.take());
    end.mac = fields.property("mac", |value| mac(value.text()?)).or(end.mac);
    end.is_down |= fields.flag("down").is_some();
    if node.entries().is_empty() {
        let problem = Problem::new("nothing is set here");
        fields.problem(problem.help("address=, address6=, name=, mac= or down"));
    }
    fields.finish_leaf();
}

fn absent(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Absent> {
    let mut fields = Fields::new(node, problems);
    let name = declared_name(&mut fields, "absent ghost");
    let addresses = addresses(&mut fields);
    fields.finish_leaf();
    Some(Absent { name: name?, addresses })
}

fn addresses(fields: &mut Fields<'_, '_>) -> Vec<Address> {
    let v4 = fields.property("address", |value| address_of(value, Family::V4));
    let v6 = fields.property("address6", |value| address_of(value, Family::V6));
    let given = [v4, v6].into_iter().flatten();
    given.map(|Spanned { value: (address, len), span }| Address { address, len, span }).collect()
}

fn address_of(value: Value<'_>, family: Family) -> Reading<(std::net::IpAddr, Option<u8>)> {
    let (address, len) = prefix_or_address(value.text()?)?;
    if Family::of(address) != family {
        let other = if family == Family::V4 { "address6" } else { "address" };
        return Err(value
            .expected(&format!("an {family} address"))
            .help(format!("write {other}={}", value.spelling())));
    }
    Ok((address, len))
}

/// What is given for a family that the link does not have.
fn check_families(fields: &mut Fields<'_, '_>, link: &Link) {
    let subnets = [&link.subnet, &link.subnet6].into_iter().flatten().map(|subnet| (subnet.value.address, subnet.span));
    let absent = link.absent.iter().flat_map(|absent| &absent.addresses);
    let addresses = link.ends.iter().flat_map(|end| &end.addresses).chain(absent);
    for (address, span) in subnets.chain(addresses.map(|address| (address.address, address.span))) {
        let family = Family::of(address);
        if !link.families.contains(&family) {
            let problem = Problem::new(format!("this link has no {family}")).at(span).label(format!("{family}"));
            fields.problem(problem.also(link.span, "this link").help("say ip=\"both\" on the link"));
        }
    }
    if let Some(mtu) = link.mtu.filter(|mtu| mtu.value < 1280 && link.families.contains(&Family::V6)) {
        let problem = Problem::new("IPv6 needs an MTU of 1280 or more").at(mtu.span).label("too small");
        fields.problem(problem.help("RFC 8200, section 5"));
    }
}
