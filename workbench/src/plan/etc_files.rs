//! The files of a lab's private `/etc` that follow from the scenario: who is who, and that nobody else is anybody.
//!
//! Files that are the same everywhere (`services`, `protocols`, certificates) are not made here; the lab takes them from
//! the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::scenario::Scenario;

/// For programs with a resolver of their own, which do not read nsswitch.conf: 127.0.0.1 refuses at once, because
/// nothing listens there; an empty file would mean the same (resolv.conf(5)) to glibc alone.
const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// Without a name service: what is not in `hosts` does not exist. With `dns` behind `files`, a program that asks for each
/// family by itself (curl 8.23 was seen to) would send a question for the one that is not in `hosts`.
const NSSWITCH_CONF: &str = "\
passwd: files
group: files
shadow: files
hosts: files
networks: files
protocols: files
services: files
ethers: files
rpc: files
netgroup: files
";

/// All of a name's addresses are used, as glibc does unless host.conf(5) says otherwise.
const HOST_CONF: &str = "multi on\n";

/// One id is mapped in a lab; nobody is there for programs that look it up by name.
const PASSWD: &str = "\
root:x:0:0:root:/tmp/home:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The files by name below `/etc`.
pub(super) fn etc_files(scenario: &Scenario) -> BTreeMap<String, String> {
    let files = [
        ("hosts", hosts(scenario)),
        ("resolv.conf", RESOLV_CONF.into()),
        ("nsswitch.conf", NSSWITCH_CONF.into()),
        ("host.conf", HOST_CONF.into()),
        ("passwd", PASSWD.into()),
        ("group", GROUP.into()),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Each name with its addresses on its first link: a second address under a name doubles every wait, so only a link that
/// asks for both families gives two.
fn hosts(scenario: &Scenario) -> String {
    let is_v6 = |address: &IpAddr| address.is_ipv6();
    let all: Vec<IpAddr> = scenario.names().flat_map(|name| scenario.addresses_of(&name.value)).collect();
    let mut text = String::new();
    if all.is_empty() || !all.iter().all(is_v6) {
        text.push_str("127.0.0.1 localhost\n");
    } else {
        text.push_str("::1 localhost\n");
    }
    if all.iter().any(is_v6) {
        text.push_str("::1 ip6-localhost ip6-loopback\n");
    }
    for name in scenario.names() {
        for address in first_link_addresses(scenario, &name.value) {
            let _ = writeln!(text, "{address} {}", name.value);
        }
    }
    text
}

fn first_link_addresses(scenario: &Scenario, name: &str) -> Vec<IpAddr> {
    let on_end = scenario.ends_of(name).next().map(|(_, end)| &end.addresses);
    let mut absent = scenario.links.iter().flat_map(|link| &link.absent);
    let as_absent = || absent.find(|absent| absent.name.value == name).map(|absent| &absent.addresses);
    on_end.or_else(as_absent).into_iter().flatten().map(|address| address.address).collect()
}
