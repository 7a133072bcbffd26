//! `daemon NAME "COMMAND"` inside a host, and the files that a daemon or a command finds. Reads them; writes no file and
//! starts nothing.

use kdl::KdlNode;
use miette::SourceSpan;
use serde::{Deserialize, Serialize};

use super::decode_run::{command, env};
use super::error::{Problem, quoted};
use super::fields::{Fields, unknown_node};
use super::span::Spanned;
use super::value::{Reading, Value};

/// A daemon that has not become ready by then will not; a database that has to be told otherwise says `within=`.
const READY_WITHIN_NS: u64 = 10 * 1_000_000_000;

/// Making a database's tables takes some seconds on a busy machine.
const PREPARE_WITHIN_NS: u64 = 60 * 1_000_000_000;

/// What all files of one daemon or command may have together: it is memory.
const LARGEST_FILE_BYTES: u64 = 4 << 30;

const REMEDY: &str = "daemon rsyncd \"rsync --daemon --no-detach --config=rsyncd.conf\"";
const FILE_REMEDY: &str = "file \"rsyncd.conf\" text=\"…\", or file \"big.bin\" size=\"64MiB\"";
const READY_REMEDY: &str = "ready port=873, ready line=\"ready for connections\" or ready file=\"server.sock\"";
const NODES: &[&str] = &["file", "folder", "prepare", "env", "ready"];

/// A real server that runs beside the command.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// Its name, and that of its folder below `/run`.
    pub name: Spanned<String>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether it is root, and not `nobody`.
    pub is_root: bool,
    /// Added to the environment.
    pub env: Vec<(Spanned<String>, String)>,
    /// What it finds in its folder.
    pub files: Vec<File>,
    /// Commands that are run to their end before it.
    pub prepare: Vec<Prepare>,
    /// When it is ready.
    pub ready: Ready,
    /// How long that may take.
    pub within_ns: u64,
    /// The node.
    pub span: SourceSpan,
}

/// `file PATH …` and `folder PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the folder of whom it is for.
    pub path: Spanned<String>,
    /// What is in it.
    pub content: FileContent,
    /// Its permissions.
    pub mode: u32,
    /// The node.
    pub span: SourceSpan,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// This text.
    Text(String),
    /// So many bytes that look like chance and are always the same.
    Size(u64),
    /// It is a folder.
    Folder,
}

/// `prepare COMMAND within="60s"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How long it may take.
    pub within_ns: u64,
    /// The node.
    pub span: SourceSpan,
}

/// What shows that a daemon is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// A TCP socket of its host listens on this port.
    TcpPort(u16),
    /// A UDP socket of its host is bound to this port.
    UdpPort(u16),
    /// Its output contains this.
    Line(String),
    /// This file is there, relative to its folder.
    File(String),
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TcpPort(port) => write!(f, "port {port} listens"),
            Self::UdpPort(port) => write!(f, "UDP port {port} is bound"),
            Self::Line(text) => write!(f, "it prints \"{}\"", text.escape_debug()),
            Self::File(path) => write!(f, "the file {} is there", path.escape_debug()),
        }
    }
}

/// One daemon; `None` if it has no name to refer to.
pub(super) fn daemon(node: &KdlNode, problems: &mut Vec<Problem>) -> Option<Daemon> {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let has_name = node.entries().iter().any(|entry| entry.name().is_none());
    let name = fields.required_argument("a name", REMEDY, |value| value.name("-_.", 32));
    let argv = if has_name { command(&mut fields, REMEDY) } else { None };
    let is_root =
        fields.property("as", |value| value.one_of("who the daemon is", &[("nobody", false), ("root", true)]));
    let mut daemon = Daemon {
        name: name.unwrap_or_else(|| Spanned::new(String::new(), span)),
        argv: argv.unwrap_or_default(),
        is_root: is_root.is_some_and(|is_root| is_root.value),
        env: Vec::new(),
        files: Vec::new(),
        prepare: Vec::new(),
        ready: Ready::Line(String::new()),
        within_ns: READY_WITHIN_NS,
        span,
    };
    let mut ready_at = None;
    for child in fields.children() {
        match child.name().value() {
            "file" => file(child, &mut daemon.files, fields.problems()),
            "folder" => folder(child, &mut daemon.files, fields.problems()),
            "prepare" => prepare(child, &mut daemon.prepare, fields.problems()),
            "env" => env(child, &mut daemon.env, fields.problems()),
            "ready" => ready(child, &mut daemon, &mut ready_at, fields.problems()),
            _ => fields.problems().push(unknown_node(child, "a daemon", NODES)),
        }
    }
    if ready_at.is_none() {
        let problem = Problem::new("the daemon does not say when it is ready").label("no `ready` in its block");
        fields.problem(problem.help(READY_REMEDY));
    }
    fields.finish();
    (!daemon.name.value.is_empty()).then_some(daemon)
}

/// `file PATH text="…"` or `size="64MiB"`, with `mode="0600"`.
pub(super) fn file(node: &KdlNode, files: &mut Vec<File>, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let path = fields.required_argument("a path", FILE_REMEDY, relative_path);
    let given =
        [fields.property("text", |value| value.any_text().map(FileContent::Text)), fields.property("size", size)];
    let says = ["text", "size"].iter().filter(|name| fields.says(name)).count();
    match says {
        0 => fields.problem(Problem::new("`file` does not say what is in it").label("missing here").help(FILE_REMEDY)),
        1 => {}
        _ => fields.problem(Problem::new("a file holds one thing").help("keep one of text= and size=")),
    }
    let mode = fields.property("mode", mode).map_or(0o644, |mode| mode.value);
    fields.finish_leaf();
    let content = given.into_iter().flatten().next().map(|content| content.value);
    if let (Some(path), Some(content)) = (path, content) {
        add(File { path, content, mode, span }, files, problems);
    }
}

/// `folder PATH`.
pub(super) fn folder(node: &KdlNode, files: &mut Vec<File>, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let path = fields.required_argument("a path", "folder \"data\"", relative_path);
    let mode = fields.property("mode", mode).map_or(0o755, |mode| mode.value);
    fields.finish_leaf();
    if let Some(path) = path {
        add(File { path, content: FileContent::Folder, mode, span }, files, problems);
    }
}

/// Adds a file, unless its path is taken, or one of the two would have to be a folder and is a file.
fn add(file: File, files: &mut Vec<File>, problems: &mut Vec<Problem>) {
    let own = file.path.value.as_str();
    let is_below = |path: &str, of: &File| {
        of.content != FileContent::Folder && path.strip_prefix(&of.path.value).is_some_and(|rest| rest.starts_with('/'))
    };
    let clash = files.iter().find(|other| {
        let path = other.path.value.as_str();
        path == own || is_below(own, other) || is_below(path, &file)
    });
    if let Some(first) = clash {
        let (message, help) = match first.path.value == own {
            true => (format!("{} is given twice", quoted(own)), "keep one of them"),
            false => (format!("{} would be inside a file", quoted(own)), "one path cannot be a file and a folder"),
        };
        let problem = Problem::new(message).at(file.path.span).label("again").also(first.path.span, "first here");
        problems.push(problem.help(help));
        return;
    }
    files.push(file);
}

/// A path that stays in its folder.
fn relative_path(value: Value<'_>) -> Reading<String> {
    let text = value.text()?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let inside: Vec<&str> = parts.iter().copied().filter(|part| *part != "..").collect();
    let remedy = match inside.is_empty() {
        true => "a path relative to the folder it is put into, as in \"etc/server.conf\"".to_owned(),
        false => format!("a path relative to the folder it is put into: \"{}\"", inside.join("/").escape_debug()),
    };
    if text.starts_with('/') {
        return Err(Problem::new(format!("{} is an absolute path", quoted(text))).help(remedy));
    }
    if parts.len() != inside.len() || parts.is_empty() {
        return Err(Problem::new(format!("{} leaves the folder", quoted(text))).help(remedy));
    }
    if text.contains(char::is_control) || text.len() > 200 {
        return Err(value.expected("a path").help("at most 200 bytes of text without control characters"));
    }
    Ok(parts.join("/"))
}

fn size(value: Value<'_>) -> Reading<FileContent> {
    match value.size_bytes()? {
        bytes if bytes <= LARGEST_FILE_BYTES => Ok(FileContent::Size(bytes)),
        _ => Err(value.expected("a size of at most 4 GiB").help("a lab's files are memory")),
    }
}

fn mode(value: Value<'_>) -> Reading<u32> {
    let problem = || value.expected("permissions").help("octal and in quotes, as in mode=\"0600\"");
    let text = value.text().map_err(|_| problem())?;
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if !is_octal {
        return Err(problem());
    }
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(problem)
}

fn prepare(node: &KdlNode, known: &mut Vec<Prepare>, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let argv = command(&mut fields, "prepare \"mariadb-install-db --datadir=data\"");
    let within = fields.property("within", within);
    fields.finish_leaf();
    if let Some(argv) = argv {
        known.push(Prepare { argv, within_ns: within.map_or(PREPARE_WITHIN_NS, |within| within.value), span });
    }
}

fn within(value: Value<'_>) -> Reading<u64> {
    match value.duration_ns()? {
        0 => Err(Problem::new("nothing is ready at once").help("within=\"10s\"")),
        ns => Ok(ns),
    }
}

fn ready(node: &KdlNode, daemon: &mut Daemon, first: &mut Option<SourceSpan>, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let udp = fields.flag("udp");
    let port = fields.property("port", |value| value.integer("a port", 1..=65535));
    let port = port.map(|port: Spanned<u16>| match udp {
        Some(_) => Ready::UdpPort(port.value),
        None => Ready::TcpPort(port.value),
    });
    let given = [
        port,
        fields.property("line", line).map(|line| Ready::Line(line.value)),
        fields.property("file", relative_path).map(|path| Ready::File(path.value)),
    ];
    let says = ["port", "line", "file"].iter().filter(|name| fields.says(name)).count();
    if says == 0 {
        fields.problem(Problem::new("`ready` names no condition").label("ready when?").help(READY_REMEDY));
    }
    if says > 1 {
        fields.problem(Problem::new("a daemon is ready by one condition").help("keep one of port=, line= and file="));
    }
    if let Some(udp) = udp.filter(|_| !fields.says("port")) {
        fields.problem(Problem::new("`udp` goes with a port").at(udp).help("ready udp port=53"));
    }
    if let Some(within) = fields.property("within", within) {
        daemon.within_ns = within.value;
    }
    if let Some(first) = first.replace(span) {
        let problem = Problem::new("`ready` is given twice").label("again").also(first, "first here");
        fields.problem(problem.help("keep the condition that comes last"));
    }
    if let Some(ready) = given.into_iter().flatten().next() {
        daemon.ready = ready;
    }
    fields.finish_leaf();
}

fn line(value: Value<'_>) -> Reading<String> {
    let text = value.text()?;
    match text.contains('\n') {
        true => Err(Problem::new("expected a part of one line, found a line break").help("a few words of it will do")),
        false => Ok(text.to_owned()),
    }
}
