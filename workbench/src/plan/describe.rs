//! A plan in words: everything that would be built, for people who want to read it before they run it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::describe_daemon;
use super::differs::DiffersPlan;
use super::fault::{FaultPlace, FaultPlan};
use super::model::{
    CommandPlan, Expectations, HostPlan, LinkEnd, LinkPlan, Origin, Plan, RequirementKind, RoutePlan, RouteTarget,
    RulePlan, StdinPlan, SysctlPlan,
};
use super::peer::PeerPlan;
use crate::scenario::{Hook, format_duration};

impl Plan {
    /// The whole plan as text of at most 120 columns, as far as names and commands allow.
    pub fn describe(&self) -> String {
        let file = self.file.as_str();
        let mut text = format!("{} / {}\n", self.scenario, self.run);
        if let Some(about) = &self.about {
            paragraphs(about).into_iter().for_each(|paragraph| section(&mut text, "", std::iter::once(paragraph)));
        }
        section(&mut text, "Documented in", self.documented.iter().cloned());
        section(&mut text, "Sweep", self.sweep.iter().map(|swept| format!("{} is {}", swept.name, swept.value)));
        section(&mut text, "Needs", self.requires.iter().map(|requirement| requirement_text(&requirement.what)));
        section(&mut text, "Links", self.links.iter().map(|it| link_text(file, it)));
        section(&mut text, "Hosts", self.hosts.iter().map(|it| host_text(file, it)));
        section(&mut text, "Daemons", self.daemons.iter().map(|it| describe_daemon::daemon_text(file, it)));
        section(&mut text, "Faults with a cause", self.faults.iter().map(|fault| fault_text(&self.file, fault)));
        section(&mut text, "Command", std::iter::once(command_text(&self.command)));
        let memory = format!("{} MiB, in virtual time", self.memory_bytes >> 20);
        section(&mut text, "Memory of the machine", std::iter::once(memory));
        section(&mut text, "Expected", expectation_texts(&self.expect).into_iter());
        section(&mut text, "Differs by kernel", self.differs.iter().map(|it| differs_text(file, it)));
        section(
            &mut text,
            "/etc/hosts",
            self.etc.get("hosts").into_iter().flat_map(|hosts| hosts.lines()).map(str::to_owned),
        );
        section(&mut text, "/etc/resolv.conf", resolver_lines(self).map(str::to_owned));
        section(&mut text, "Sysctls that every lab pins", baselines(self).into_iter());
        text
    }
}

/// A headline, if there is one, and its entries, which may have several lines each; nothing at all without entries.
fn section(text: &mut String, headline: &str, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() {
        return;
    }
    text.push('\n');
    if !headline.is_empty() {
        let _ = writeln!(text, "{headline}");
    }
    for line in entries.iter().flat_map(|entry| entry.lines()) {
        let _ = writeln!(text, "  {line}");
    }
}

/// Words in lines of at most 100 columns, the later ones indented by `indent`.
fn wrapped<'a>(words: impl Iterator<Item = &'a str>, indent: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in words {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > 98 {
            let _ = write!(text, "\n{indent}");
            column = indent.len();
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += len;
    }
    text
}

/// A text in paragraphs, which empty lines separate.
fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
    blocks.map(|block| wrapped(block.iter().flat_map(|line| line.split_whitespace()), "")).collect()
}

fn requirement_text(what: &RequirementKind) -> String {
    match what {
        RequirementKind::Netem => "the netem qdisc".into(),
        RequirementKind::Tool(name) => format!("the program {name}"),
        RequirementKind::Kernel(version) => format!("kernel {version} or newer"),
        RequirementKind::Sysctl(name) => format!("the sysctl {name}"),
    }
}

fn link_text(file: &str, link: &LinkPlan) -> String {
    let mut text = format!("{}, MTU {}", link.name, link.mtu);
    if link.delay_ns > 0 {
        let _ = write!(text, ", {} each way", format_duration(link.delay_ns));
    }
    if link.is_cut {
        text.push_str(", CUT: no carrier at either end");
    }
    text.push('\n');
    for end in &link.ends {
        text.push_str(&end_text(file, end));
    }
    text
}

fn end_text(file: &str, end: &LinkEnd) -> String {
    let addresses: Vec<String> = end.addresses.iter().map(|(address, len)| format!("{address}/{len}")).collect();
    let place = format!("{} {}", end.host, end.interface);
    let mut text = format!("  {place:<20} {:<20} {}", addresses.join(" "), mac_text(end.mac));
    if end.is_down {
        text.push_str("  DOWN");
    }
    text.push('\n');
    for neighbour in &end.neighbours {
        let _ = writeln!(text, "    knows {} as {}", neighbour.address, mac_text(neighbour.mac));
    }
    if end.neighbours.is_empty() {
        text.push_str("    learns its neighbours by asking\n");
    }
    if let Some(netem) = &end.netem {
        let _ = writeln!(text, "    sends through {}  {}", netem.origin.text, place_text(file, &netem.origin));
    }
    for rule in &end.drops {
        let _ =
            writeln!(text, "    loses on the wire: {}  {} [{}]", rule.text, place_text(file, &rule.origin), rule.id);
    }
    text
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// The line that says it, and its file where that is one that the scenario uses.
pub(super) fn place_text(file: &str, origin: &Origin) -> String {
    match origin.file == file {
        true => format!("(line {})", origin.line),
        false => format!("({}:{})", origin.file, origin.line),
    }
}

fn host_text(file: &str, host: &HostPlan) -> String {
    let mut text = host.name.clone();
    if host.is_router {
        text.push_str(", a router");
    }
    text.push('\n');
    for route in &host.routes {
        let _ = writeln!(text, "  route {}", route_text(file, route));
    }
    for rule in &host.rules {
        let _ = writeln!(text, "  {}", rule_text(file, rule));
    }
    for peer in &host.peers {
        text.push_str(&peer_text(file, peer));
    }
    for sysctl in host.sysctls.iter().filter(|sysctl| sysctl.origin.line > 0) {
        let _ = writeln!(text, "  sysctl {}  {}", sysctl_text(sysctl), place_text(file, &sysctl.origin));
    }
    text
}

/// A peer, what it listens on, and what a name server knows.
fn peer_text(file: &str, peer: &PeerPlan) -> String {
    let on = |transport: &str, addresses: &[IpAddr]| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        (!addresses.is_empty()).then(|| format!("{transport} port {} of {}", peer.port, addresses.join(" ")))
    };
    let on: Vec<String> = [on("TCP", &peer.tcp), on("UDP", &peer.udp)].into_iter().flatten().collect();
    let on = if on.is_empty() { format!("nobody at port {}", peer.port) } else { on.join(", ") };
    let mut text = format!("  peer: {}  {}\n    {on}\n", peer.text, place_text(file, &peer.origin));
    for (name, addresses) in &peer.zone {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "    knows {name} as {}", addresses.join(" "));
    }
    text
}

/// Of a lab with a name service: who is asked, and how.
fn resolver_lines(plan: &Plan) -> impl Iterator<Item = &str> {
    let has_service = plan.etc.get("nsswitch.conf").is_some_and(|switch| switch.contains("hosts: files dns"));
    plan.etc.get("resolv.conf").filter(|_| has_service).into_iter().flat_map(|file| file.lines())
}

/// The baseline of each host; hosts that have the same one are told together.
fn baselines(plan: &Plan) -> Vec<String> {
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for host in &plan.hosts {
        let ends = plan.links.iter().flat_map(|link| &link.ends).filter(|end| end.host == host.name);
        let text = baseline_text(host, &ends.map(|end| end.interface.as_str()).collect::<Vec<_>>());
        match told.iter_mut().find(|(other, _)| *other == text) {
            Some((_, hosts)) => hosts.push(&host.name),
            None => told.push((text, vec![&host.name])),
        }
    }
    told.into_iter().map(|(text, hosts)| format!("{}\n{text}", hosts.join(", "))).collect()
}

/// A host's baseline, by the folder the sysctls are in, with what is the same for every interface told once.
fn baseline_text(host: &HostPlan, interfaces: &[&str]) -> String {
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sysctl in host.sysctls.iter().filter(|sysctl| sysctl.origin.line == 0) {
        let (folder, name) = sysctl.name.rsplit_once('.').unwrap_or(("", &sysctl.name));
        let (parent, interface) = folder.rsplit_once('.').unwrap_or(("", folder));
        let folder = match interfaces.iter().position(|name| *name == interface) {
            None => folder.to_owned(),
            Some(0) => format!("{parent}.ETH"),
            Some(_) => continue,
        };
        folders.entry(folder).or_default().push(format!("{name}={}", shell_word(&sysctl.value)));
    }
    let line = |(folder, settings): (&String, &Vec<String>)| {
        let words = std::iter::once(folder.as_str()).chain(settings.iter().map(String::as_str));
        format!("  {}\n", wrapped(words, "      "))
    };
    let mut text: String = folders.iter().map(line).collect();
    if !interfaces.is_empty() {
        let _ = writeln!(text, "  where ETH is {}", interfaces.join(" and "));
    }
    text
}

fn sysctl_text(sysctl: &SysctlPlan) -> String {
    let mut text = format!("{} = {}", sysctl.name, sysctl.value);
    if let Some(or) = &sysctl.or {
        let _ = write!(text, ", or {or} if that is refused");
    }
    if sysctl.if_present {
        text.push_str(", where it exists");
    }
    text
}

fn route_text(file: &str, route: &RoutePlan) -> String {
    let is_default = route.prefix_len == 0;
    let destination = match (is_default, route.destination) {
        (true, IpAddr::V4(_)) => "default".to_owned(),
        (_, address) => format!("{address}/{}", route.prefix_len),
    };
    let target = match &route.target {
        RouteTarget::Via(address) => format!("via {address}"),
        RouteTarget::Dev(interface) => format!("onto {interface}"),
        RouteTarget::Blackhole => "into a black hole".into(),
        RouteTarget::Unreachable => "unreachable".into(),
        RouteTarget::Prohibit => "prohibited".into(),
        RouteTarget::Throw => "thrown back".into(),
    };
    let place = if route.is_automatic { "(automatic)".to_owned() } else { place_text(file, &route.origin) };
    format!("{destination} {target}  {place}")
}

fn rule_text(file: &str, rule: &RulePlan) -> String {
    let hook = match rule.hook {
        Some(Hook::Input) | None => "input",
        Some(Hook::Forward) => "forward",
        Some(Hook::Output) => "output",
    };
    format!("at {hook}: {}  {} [{}]", rule.text, place_text(file, &rule.origin), rule.id)
}

fn fault_text(file: &str, fault: &FaultPlan) -> String {
    let (FaultPlace::Host(place) | FaultPlace::Link(place)) = &fault.at;
    let heals = if fault.heals.is_none() { ", to the end" } else { "" };
    let sentence = fault.sentence();
    format!("{place}, {sentence}{heals}  {} [{}]", place_text(file, &fault.origin), fault.id)
}

fn command_text(command: &CommandPlan) -> String {
    let words: Vec<String> = command.argv.iter().map(|word| shell_word(word)).collect();
    let mut text = format!("in {}: {}\n", command.host, words.join(" "));
    for (name, value) in &command.env {
        let _ = writeln!(text, "  with {name}={}", shell_word(value));
    }
    let stdin = match &command.stdin {
        StdinPlan::Empty => "is empty: end of file at once".to_owned(),
        StdinPlan::Silent => "is open and never readable".to_owned(),
        StdinPlan::Text(content) => format!("is a text of {} bytes, then end of file", content.len()),
        StdinPlan::File(path) => format!("is the file {}, then end of file", shell_word(path)),
    };
    for file in &command.files {
        let _ = writeln!(text, "  {}", describe_daemon::file_text(file));
    }
    let _ = writeln!(text, "  standard input {stdin}");
    match command.deadline_ns {
        Some(ns) => writeln!(text, "  ended after {} if it has not ended by itself", format_duration(ns)),
        None => writeln!(text, "  never ended from outside"),
    }
    .ok();
    text
}

/// A word as a shell would have to be given it; control characters are escaped, so that none reaches a terminal.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    if word.contains(char::is_control) {
        return format!("$'{}'", word.escape_debug());
    }
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn differs_text(file: &str, differs: &DiffersPlan) -> String {
    let since = format!("since {}:", differs.since);
    let place = place_text(file, &differs.origin);
    let words = std::iter::once(since.as_str()).chain(differs.why.split_whitespace()).chain([place.as_str()]);
    wrapped(words, "  ")
}

fn expectation_texts(expect: &Expectations) -> Vec<String> {
    let mut texts = Vec::new();
    texts.extend(expect.exit.as_ref().map(|exit| format!("exit code {}", exit.value)));
    texts.extend(expect.signal.as_ref().map(|signal| format!("ended by {}", signal.value)));
    texts.extend(expect.after_ns.as_ref().map(|after| {
        let late = expect.within_ns.as_ref().map(|within| format!(", at most {} late", format_duration(within.value)));
        format!(
            "after {}{}",
            format_duration(after.value),
            late.unwrap_or_else(|| ", late only as its timers are".into())
        )
    }));
    texts.extend(
        expect.stdout_contains.iter().map(|part| format!("standard output contains {}", shell_word(&part.value))),
    );
    texts.extend(
        expect.stderr_contains.iter().map(|part| format!("standard error contains {}", shell_word(&part.value))),
    );
    texts
}
