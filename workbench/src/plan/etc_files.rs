//! The files of a lab's private `/etc` that follow from the scenario: who is who, and that nobody else is anybody.
//!
//! Files that are the same everywhere (`services`, `protocols`, certificates) are not made here; the lab takes them from
//! the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::scenario::{Resolver, Scenario};

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
        ("resolv.conf", scenario.resolver.as_ref().map_or(RESOLV_CONF.into(), |asked| resolv_conf(scenario, asked))),
        ("nsswitch.conf", nsswitch_conf(scenario)),
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
        for address in scenario.addresses_under(&name.value) {
            let _ = writeln!(text, "{address} {}", name.value);
        }
    }
    for extra in &scenario.extra_names {
        for address in extra.addresses.iter().flat_map(|party| scenario.addresses_of_party(&party.value)) {
            let _ = writeln!(text, "{address} {}", extra.name.value);
        }
    }
    text
}

/// One address of each server, so that a server that does not answer costs its attempts once: of its first link, and IPv4
/// where it has that.
fn resolv_conf(scenario: &Scenario, resolver: &Resolver) -> String {
    let mut text = String::new();
    for server in &resolver.servers {
        let addresses = scenario.addresses_of_party(&server.value);
        let chosen = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let _ = chosen.map(|address| writeln!(text, "nameserver {address}"));
    }
    let timeout = resolver.timeout_s.map(|seconds| format!(" timeout:{seconds}"));
    let attempts = resolver.attempts.map(|attempts| format!(" attempts:{attempts}"));
    let rotate = resolver.rotate.then(|| " rotate".to_owned());
    let options: String = [timeout, attempts, rotate].into_iter().flatten().collect();
    if !options.is_empty() {
        let _ = writeln!(text, "options{options}");
    }
    text
}

fn nsswitch_conf(scenario: &Scenario) -> String {
    match scenario.resolver {
        Some(_) => NSSWITCH_CONF.replace("hosts: files\n", "hosts: files dns\n"),
        None => NSSWITCH_CONF.to_owned(),
    }
}
