//! `run`: a command, the host it runs in, what it reads, how long it may take, what is expected of it, and from which
//! kernels on it goes otherwise. Does not run or compare anything.

use kdl::KdlNode;

use super::daemon;
use super::error::{Problem, is_direction_mark, quoted};
use super::fields::{Fields, unknown_node};
use super::kernel_version::KernelVersion;
use super::model::{Differs, Expect, Run, Stdin};
use super::span::Spanned;
use super::suggest::did_you_mean;
use super::value::{Reading, Value};
use super::words;

/// A run without a deadline of its own is ended after ten minutes: longer than any default of TCP's connection set-up,
/// shorter than an unattended test may hang.
pub(super) const DEFAULT_DEADLINE_NS: u64 = 600 * 1_000_000_000;

const REMEDY: &str = "run curl in=client \"curl http://server/\"";

const NODES: &[&str] = &["env", "file", "folder", "stdin", "expect", "differs"];

/// Signals by name (signal(7)).
const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGKILL",
    "SIGPIPE",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// One run. What could not be read in it is empty, and then there is a problem with it.
pub(super) fn run(node: &KdlNode, problems: &mut Vec<Problem>) -> Run {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let has_name = node.entries().iter().any(|entry| entry.name().is_none());
    let name = fields.required_argument("a name", REMEDY, |value| value.name("-_.", 64));
    let program = fields.property("program", |value| value.text().map(str::to_owned));
    let argv = match &program {
        Some(program) => no_command(&mut fields, program),
        None if has_name => command(&mut fields, REMEDY),
        None => None,
    };
    let host = if program.is_some() {
        None
    } else {
        fields.required("in", || format!("name the host it runs in: {REMEDY}"), |v| v.text().map(str::to_owned))
    };
    let deadline = fields.property("deadline", deadline);
    let mut run = Run {
        template: None,
        name: name.unwrap_or_else(|| Spanned::new(String::new(), span)),
        host: host.unwrap_or_else(|| Spanned::new(String::new(), span)),
        argv: argv.unwrap_or_default(),
        program,
        env: Vec::new(),
        files: Vec::new(),
        stdin: Stdin::default(),
        has_default_deadline: deadline.is_none(),
        deadline_ns: deadline.map_or(Some(DEFAULT_DEADLINE_NS), |deadline| deadline.value),
        expect: Expect::default(),
        differs: Vec::new(),
        span,
    };
    let mut stdin_at = None;
    for child in fields.children() {
        match child.name().value() {
            "env" => env(child, &mut run.env, fields.problems()),
            "file" => daemon::file(child, &mut run.files, fields.problems()),
            "folder" => daemon::folder(child, &mut run.files, fields.problems()),
            "stdin" => stdin(child, &mut run, &mut stdin_at, fields.problems()),
            "expect" => expect(child, &mut run.expect, fields.problems()),
            "differs" => differs(child, &mut run.differs, fields.problems()),
            _ => fields.problems().push(unknown_node(child, "a run", NODES)),
        }
    }
    check_expect(&mut fields, &run);
    fields.finish();
    run
}

/// A socket program is no command, stands in its own host, and reads and inherits nothing.
fn no_command(fields: &mut Fields<'_, '_>, program: &Spanned<String>) -> Option<Vec<String>> {
    const REMEDY: &str = "run asks program=client";
    if let Some(value) = fields.rest().first() {
        let problem = Problem::new("a run is a command or a socket program, not both").at(value.span());
        fields.problem(problem.label("the command").also(program.span, "the program").help(REMEDY));
    }
    if let Some(host) = fields.property("in", |value| value.text().map(str::to_owned)) {
        let problem = Problem::new("a socket program has its host already").at(host.span).label("not here");
        fields.problem(problem.help("remove `in=`: it stands at the program"));
    }
    for child in fields.children().iter().filter(|child| matches!(child.name().value(), "env" | "stdin")) {
        let name = child.name();
        let problem = Problem::new(format!("a socket program has no use for {}", quoted(name.value()))).at(name.span());
        fields.problem(problem.label("not here").help("remove it"));
    }
    Some(vec![program.value.clone()])
}

/// The command of a node: one text that is split into words, or several arguments that are taken as they are. `remedy`
/// shows how to write it.
pub(super) fn command(fields: &mut Fields<'_, '_>, remedy: &str) -> Option<Vec<String>> {
    let values = fields.rest();
    let words = match &values[..] {
        [] => {
            let message = format!("{} lacks a command", quoted(fields.node_name()));
            fields.problem(Problem::new(message).label("missing here").help(remedy));
            return None;
        }
        [line] => fields.read(*line, command_line)?.value,
        several => {
            let words: Vec<_> = several.iter().map(|value| fields.read(*value, argument)).collect();
            words.into_iter().map(|word| word.map(|word| word.value)).collect::<Option<_>>()?
        }
    };
    match words.first().map(String::as_str) {
        None | Some("") => {
            fields.problem(Problem::new("an empty command runs nothing").at(values[0].span()).help(remedy));
            None
        }
        Some(first) if first.contains('=') => {
            let problem = Problem::new(format!("{} is no program", quoted(first))).at(values[0].span());
            fields.problem(problem.help("the environment is set inside the node: `env \"NAME\" \"value\"`"));
            None
        }
        Some(_) => Some(words),
    }
}

fn command_line(value: Value<'_>) -> Reading<Vec<String>> {
    let line = value.any_text()?;
    no_nul(&line)?;
    words::split(&line, &|part| value.span_of(part))
}

fn argument(value: Value<'_>) -> Reading<String> {
    let text = if value.any_text().is_ok() { value.any_text()? } else { value.text_or_number()? };
    no_nul(&text)?;
    Ok(text)
}

fn no_nul(text: &str) -> Reading<()> {
    match text.contains('\0') {
        true => Err(Problem::new("a NUL byte ends a text for the kernel").help("it can stand only in `stdin text=`")),
        false => Ok(()),
    }
}

fn deadline(value: Value<'_>) -> Reading<Option<u64>> {
    if matches!(value.text(), Ok("never")) {
        return Ok(None);
    }
    match value.duration_ns()? {
        0 => Err(Problem::new("a deadline of nothing").help("\"10s\", or \"never\"")),
        ns => Ok(Some(ns)),
    }
}

/// `env NAME VALUE`.
pub(super) fn env(node: &KdlNode, known: &mut Vec<(Spanned<String>, String)>, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "env \"LANG\" \"C\"";
    let mut fields = Fields::new(node, problems);
    let name = fields.required_argument("a name", REMEDY, |value| {
        let text = value.text()?;
        let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match text.chars().all(is_fine) && !text.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(text.to_owned()),
            false => Err(value.expected("a variable's name").help(REMEDY)),
        }
    });
    let has_name = !node.entries().is_empty();
    let value = if has_name { fields.required_argument("a value", REMEDY, argument) } else { None };
    if let (Some(name), Some(value)) = (name, value) {
        if let Some((first, _)) = known.iter().find(|(first, _)| first.value == name.value) {
            let problem = Problem::new(format!("{} is set twice", quoted(&name.value))).at(name.span).label("again");
            fields.problem(problem.also(first.span, "first here"));
        }
        known.push((name, value.value));
    }
    fields.finish_leaf();
}

fn stdin(node: &KdlNode, run: &mut Run, first: &mut Option<miette::SourceSpan>, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "stdin \"empty\", stdin \"silent\", stdin text=\"…\" or stdin file=\"…\"";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let words = &[("empty", ()), ("silent", ())];
    let given = [
        fields.argument(|value| {
            value.one_of("a kind of standard input", words)?;
            Ok(if value.text()? == "empty" { Stdin::Empty } else { Stdin::Silent })
        }),
        fields.property("text", |value| value.any_text().map(Stdin::Text)),
        fields.property("file", |value| value.text().map(|path| Stdin::File(path.to_owned()))),
    ];
    let given: Vec<_> = given.into_iter().flatten().collect();
    if given.len() > 1 || node.entries().is_empty() {
        fields.problem(Problem::new("a command reads one thing").help(REMEDY));
    }
    if let Some(first) = first.replace(span) {
        let problem = Problem::new("`stdin` is given twice").label("again").also(first, "first here");
        fields.problem(problem.help("keep one of them"));
    }
    run.stdin = given.into_iter().next().map_or(Stdin::Empty, |stdin| stdin.value);
    fields.finish_leaf();
}

fn expect(node: &KdlNode, expect: &mut Expect, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let exit = fields.property("exit", |value| value.integer("an exit code", 0..=255));
    let signal = fields.property("signal", signal);
    let after = fields.property("after", Value::duration_ns);
    let within = fields.property("within", Value::duration_ns);
    once(&mut fields, "exit", &mut expect.exit, exit);
    once(&mut fields, "signal", &mut expect.signal, signal);
    once(&mut fields, "after", &mut expect.after_ns, after);
    once(&mut fields, "within", &mut expect.within_ns, within);
    expect.stdout.extend(fields.property("stdout", |value| value.text().map(str::to_owned)));
    expect.stderr.extend(fields.property("stderr", |value| value.text().map(str::to_owned)));
    if node.entries().is_empty() {
        fields.problem(Problem::new("`expect` claims nothing").help("expect exit=28 after=\"3s\" within=\"500ms\""));
    }
    fields.finish_leaf();
}

/// A claim that several `expect` nodes of a run may not make twice.
fn once<T>(fields: &mut Fields<'_, '_>, name: &str, slot: &mut Option<Spanned<T>>, claim: Option<Spanned<T>>) {
    let Some(claim) = claim else { return };
    match slot {
        Some(first) => {
            let problem = Problem::new(format!("{} is claimed twice", quoted(name))).at(claim.span).label("again");
            fields.problem(problem.also(first.span, "first here").help("a run ends once"));
        }
        None => *slot = Some(claim),
    }
}

fn signal(value: Value<'_>) -> Reading<String> {
    let text = value.text().map_err(|_| value.expected("a signal's name").help("as in signal=\"SIGALRM\""))?;
    match SIGNALS.contains(&text) {
        true => Ok(text.to_owned()),
        false => {
            let full = format!("SIG{}", text.to_uppercase());
            let near = if SIGNALS.contains(&full.as_str()) {
                did_you_mean(&full, SIGNALS)
            } else {
                did_you_mean(text, SIGNALS)
            };
            Err(value.expected("a signal's name").help_if(near))
        }
    }
}

fn differs(node: &KdlNode, known: &mut Vec<Differs>, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "differs since=\"6.5\" \"tcp_syn_linear_timeouts: the first four timeouts are not doubled\"";
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let since = fields.required("since", || REMEDY.to_owned(), |value| value.kernel_version("since=\"6.5\""));
    let why = fields.required_argument("a reason", REMEDY, reason);
    if let (Some(since), Some(why)) = (since, why) {
        let version = |differs: &Differs| KernelVersion::of(&differs.since.value);
        match known.iter().find(|first| version(first) == KernelVersion::of(&since.value)) {
            Some(first) => {
                let message = format!("the run differs twice since {}", quoted(&since.value));
                let problem = Problem::new(message).at(since.span).label("again");
                fields.problem(problem.also(first.since.span, "first here").help("give both reasons in one text"));
            }
            None => known.push(Differs { since, why: why.value, span }),
        }
    }
    fields.finish_leaf();
}

/// One line of text that says something; it is shown as it is, so nothing in it may steer a terminal.
fn reason(value: Value<'_>) -> Reading<String> {
    let text = value.text()?.trim();
    if text.is_empty() {
        return Err(Problem::new("expected a reason, found spaces").help("say what the kernel does otherwise, and why"));
    }
    if text.contains(|c: char| c.is_control() || is_direction_mark(c)) {
        return Err(Problem::new("a reason is one line of text").help("without line breaks and control characters"));
    }
    Ok(text.to_owned())
}

fn check_expect(fields: &mut Fields<'_, '_>, run: &Run) {
    let expect = &run.expect;
    if let (Some(exit), Some(signal)) = (&expect.exit, &expect.signal) {
        let problem = Problem::new("a command exits or is killed, not both").at(signal.span).label("and this");
        fields.problem(problem.also(exit.span, "this").help("keep one of exit= and signal="));
    }
    if let (Some(within), None) = (&expect.within_ns, &expect.after_ns) {
        let problem = Problem::new("`within` is the allowed lateness of an `after`").at(within.span);
        fields.problem(problem.label("late for what?").help("expect after=\"3s\" within=\"500ms\""));
    }
    if let (Some(after), Some(deadline)) = (&expect.after_ns, run.deadline_ns)
        && after.value >= deadline
    {
        let problem = Problem::new("the run is ended before it can end by itself").at(after.span);
        let deadline = super::units::format_duration(deadline);
        fields.problem(
            problem
                .label(format!("the deadline is {deadline}"))
                .help("raise deadline= above it, or say deadline=\"never\""),
        );
    }
}
