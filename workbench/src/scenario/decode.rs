//! The nodes at the top of a file: what the scenario is about, what it needs, its hosts, links and runs.

use std::sync::Arc;

use kdl::{KdlDocument, KdlNode};

use super::error::Problem;
use super::fields::{Fields, unknown_node};
use super::model::{Requires, Scenario};
use super::source::SourceFile;
use super::span::Spanned;
use super::value::{Reading, Value};
use super::{decode_host, decode_link, decode_run, name_service, program};

const NODES: &[&str] = &[
    "about",
    "source",
    "tag",
    "requires",
    "memory",
    "namespace",
    "router",
    "link",
    "resolver",
    "name",
    "program",
    "run",
    "use",
    "sweep",
];

/// The scenario that a document declares, as far as it can be understood; what cannot is added to the problems.
pub(super) fn scenario(source: &Arc<SourceFile>, document: &KdlDocument, problems: &mut Vec<Problem>) -> Scenario {
    let mut scenario = Scenario {
        source: Arc::clone(source),
        sweep: Vec::new(),
        about: None,
        documented: Vec::new(),
        tags: Vec::new(),
        requires: Vec::new(),
        memory_bytes: None,
        hosts: Vec::new(),
        links: Vec::new(),
        resolver: None,
        extra_names: Vec::new(),
        programs: Vec::new(),
        runs: Vec::new(),
    };
    for node in document.nodes() {
        match node.name().value() {
            "about" => about(node, &mut scenario, problems),
            "source" => documented(node, &mut scenario, problems),
            "tag" => tags(node, &mut scenario, problems),
            "requires" => requires(node, &mut scenario, problems),
            "memory" => memory(node, &mut scenario, problems),
            "namespace" => scenario.hosts.extend(decode_host::host(node, false, problems)),
            "router" => scenario.hosts.extend(decode_host::host(node, true, problems)),
            "link" => scenario.links.extend(decode_link::link(node, problems)),
            "resolver" => resolver(node, &mut scenario, problems),
            "name" => scenario.extra_names.extend(name_service::name(node, problems)),
            "program" => scenario.programs.push(program::program(node, problems)),
            "run" => scenario.runs.push(decode_run::run(node, problems)),
            _ => problems.push(unknown_node(node, "a scenario", NODES)),
        }
    }
    scenario
}

fn about(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let about = fields.required_argument("a text", "about \"What ends the connect, and when?\"", |value| {
        let text = value.text()?;
        // It is shown as it is; nothing in it may steer a terminal.
        match text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            true => Err(Problem::new("control characters in `about`").help("only line breaks and tabs are text")),
            false => Ok(text.to_owned()),
        }
    });
    if let (Some(first), Some(_)) = (&scenario.about, &about) {
        let again = Problem::new("`about` is given twice").label("again").also(first.span, "first here");
        fields.problem(again.help("a text of several lines stands between `\"\"\"` and `\"\"\"`"));
    }
    scenario.about = scenario.about.take().or(about);
    fields.finish_leaf();
}

/// A page, a section, a file of the kernel: enough to look it up, and one line where it is listed.
const MAX_DOCUMENTED_CHARS: usize = 200;

fn documented(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    const EXAMPLE: &str = "source \"tcp(7)\" \"RFC 9293, 3.8.6\" \"net/ipv4/tcp_timer.c\"";
    let read = |value: Value<'_>| {
        let text = value.text()?;
        let is_told = !text.trim().is_empty() && !text.chars().any(char::is_control);
        match is_told && text.chars().count() <= MAX_DOCUMENTED_CHARS {
            true => Ok(text.to_owned()),
            false => Err(value.expected("one line that names a document, at most 200 characters").help(EXAMPLE)),
        }
    };
    let mut fields = Fields::new(node, problems);
    let mut found: Vec<_> = fields.required_argument("where it is documented", EXAMPLE, read).into_iter().collect();
    for value in fields.rest() {
        found.extend(fields.read(value, read));
    }
    for document in found {
        match scenario.documented.iter().find(|known| known.value == document.value) {
            Some(known) => {
                let again = Problem::new("this source is named twice").at(document.span).label("again");
                fields
                    .problem(again.also(known.span, "first here").help("each document once; give the section of each"));
            }
            None => scenario.documented.push(document),
        }
    }
    fields.finish_leaf();
}

fn tags(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let mut tags: Vec<_> =
        fields.required_argument("a tag", "tag \"quick\"", |v| v.name("-_.", 32)).into_iter().collect();
    for value in fields.rest() {
        tags.extend(fields.read(value, |v| v.name("-_.", 32)));
    }
    scenario.tags.extend(tags);
    fields.finish_leaf();
}

fn requires(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let found = [
        fields.argument(|v| v.one_of("a kernel feature", &[("netem", ())]).map(|()| Requires::Netem)),
        fields.property("tool", |v| program(v).map(Requires::Tool)),
        fields.property("kernel", |v| v.kernel_version("kernel=\"6.5\"").map(Requires::Kernel)),
        fields.property("sysctl", |v| decode_host::sysctl_name(v).map(Requires::Sysctl)),
    ];
    let found: Vec<Spanned<Requires>> = found.into_iter().flatten().collect();
    if found.is_empty() && node.entries().is_empty() {
        let help = "requires \"netem\", tool=\"mysql\", kernel=\"6.5\" or sysctl=\"net.ipv4.tcp_rto_max_ms\"";
        fields.problem(Problem::new("`requires` names nothing").help(help));
    }
    scenario.requires.extend(found);
    fields.finish_leaf();
}

/// A kernel that boots and a command fit into the least of it; the most is more than any machine would give.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 32 << 20..=64 << 30;

fn memory(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let memory = fields.required_argument("a size", "memory \"512MiB\"", |value| {
        let bytes = value.size_bytes()?;
        let is_whole = bytes % (1 << 20) == 0;
        match is_whole && MEMORY_BYTES.contains(&bytes) {
            true => Ok(bytes),
            false => Err(value.expected("whole MiB, from 32 MiB to 64 GiB").help("memory \"512MiB\"")),
        }
    });
    if let (Some(first), Some(_)) = (&scenario.memory_bytes, &memory) {
        fields.problem(Problem::new("`memory` is given twice").label("again").also(first.span, "first here"));
    }
    scenario.memory_bytes = scenario.memory_bytes.take().or(memory);
    fields.finish_leaf();
}

fn resolver(node: &KdlNode, scenario: &mut Scenario, problems: &mut Vec<Problem>) {
    let resolver = name_service::resolver(node, problems);
    if let (Some(first), Some(second)) = (&scenario.resolver, &resolver) {
        let problem = Problem::new("`resolver` is given twice").at(second.span).label("again");
        let problem = problem.also(first.span, "first here");
        problems.push(problem.help("name all servers in one node, in the order they are asked"));
    }
    scenario.resolver = scenario.resolver.take().or(resolver);
}

fn program(value: Value<'_>) -> Reading<String> {
    let text = value.text()?;
    match text.contains(char::is_whitespace) {
        true => Err(value.expected("a program's name").help("one program for each `requires tool=`")),
        false => Ok(text.to_owned()),
    }
}
