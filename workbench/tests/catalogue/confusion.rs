//! What was brought about against what the verdict said, over the whole catalogue: the list that is covered, and the
//! table of docs/verdict.md, which is made here and held against the trials.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::verdict::Mechanism;

use super::outcome;
use super::run::Outcome;
use crate::support::root;

const BEGIN: &str = "<!-- made by `just confusion`: begin -->\n";
const END: &str = "<!-- end -->\n";
const FILE: &str = "docs/verdict.md";

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("catalogue_every_mechanism_that_a_verdict_can_name_has_a_trial", nothing_is_left_out),
        Trial::ignorable_test("catalogue_the_confusion_table_is_what_the_trials_say", table_is_true),
    ]
}

/// What a program's waits can be.
const WAITS: &[&str] = &[
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "nanosleep",
    "clock_nanosleep",
    "futex",
    "rt_sigtimedwait",
    "io_uring",
    "recvmmsg",
];

/// What arms a timer.
const TIMERS: &[&str] = &["alarm", "setitimer", "timer_create", "timerfd"];

/// The ICMP errors that a host of a scenario sends.
const ICMP: &[&str] = &[
    "net unreachable",
    "host unreachable",
    "protocol unreachable",
    "port unreachable",
    "network administratively prohibited",
    "host administratively prohibited",
    "communication administratively prohibited",
    "time to live exceeded in transit",
    "no route to destination",
    "address unreachable",
    "hop limit exceeded in transit",
];

/// What a name server says.
const ANSWERS: &[&str] = &["NXDOMAIN", "SERVFAIL", "REFUSED"];

/// Every mechanism, once; those with a name of their own inside with each that a program can bring about.
fn all() -> Vec<Mechanism> {
    use Mechanism as M;
    let mut all = vec![
        M::KeptDeadline { by: "poll".into(), waits: 2 },
        M::ReceiveTimeout,
        M::SendTimeout,
        M::SynRetries,
        M::Retransmissions,
        M::OrphanLimit,
        M::FinWait2,
        M::TimeWait,
        M::UserTimeout,
        M::Keepalive,
        M::Persist,
        M::Neighbour,
        M::Route("ENETUNREACH".into()),
        M::Refused("EADDRNOTAVAIL".into()),
        M::Reset,
        M::Fin,
        M::Data,
        M::ResolverTimeout,
        M::Exec("ENOENT".into()),
        M::Signal("SIGTERM".into()),
        M::RunDeadline,
        M::Exit,
    ];
    type Named = (&'static [&'static str], fn(String) -> Mechanism);
    let named: [Named; 4] = [(WAITS, M::Wait), (TIMERS, M::Timer), (ICMP, M::Icmp), (ANSWERS, M::ResolverAnswer)];
    all.extend(named.into_iter().flat_map(|(names, make)| names.iter().map(move |name| make((*name).to_owned()))));
    all
}

/// Why no program brings a mechanism about as its own end. A new mechanism does not compile before it is thought of here
/// and in [`all`].
fn cannot_be(mechanism: &Mechanism) -> Option<&'static str> {
    use Mechanism as M;
    match mechanism {
        M::Wait(_) | M::KeptDeadline { .. } | M::Timer(_) | M::ReceiveTimeout | M::SendTimeout => None,
        M::SynRetries | M::Retransmissions | M::OrphanLimit | M::UserTimeout | M::Keepalive | M::Persist => None,
        M::Neighbour | M::Route(_) | M::Refused(_) | M::Reset | M::Fin | M::Data | M::Icmp(_) => None,
        M::ResolverTimeout | M::ResolverAnswer(_) => None,
        M::FinWait2 | M::TimeWait => Some("no process has the socket any more; only `wait HOST.gone` waits for it"),
        M::Exec(_) | M::Signal(_) | M::RunDeadline | M::Exit => None,
    }
}

fn nothing_is_left_out() -> Result<(), Failed> {
    let trials = |mechanism: &Mechanism| super::entries().filter(|e| e.mechanism == mechanism.name()).count();
    let (mut covered, mut left_out, mut without) = (0, Vec::new(), Vec::new());
    for mechanism in all() {
        match (trials(&mechanism), cannot_be(&mechanism)) {
            (0, None) => without.push(mechanism.name()),
            (0, Some(why)) => left_out.push(format!("{}: {why}", mechanism.name())),
            _ => covered += 1,
        }
    }
    let names: Vec<String> = all().iter().map(Mechanism::name).collect();
    let unknown = super::entries().filter(|entry| !names.iter().any(|name| name == entry.mechanism));
    without.extend(unknown.map(|entry| format!("{}: no mechanism is called {}", entry.name, entry.mechanism)));
    println!("{covered} mechanisms have {} trials; left out: {left_out:?}", super::entries().count());
    if without.is_empty() { Ok(()) } else { Err(format!("without a trial: {without:#?}").into()) }
}

fn table_is_true() -> Result<Completion, Failed> {
    let table = match table()? {
        Ok(table) => table,
        Err(why) => return Ok(Completion::ignored_with(why)),
    };
    let file = root().join(FILE);
    let text = fs::read_to_string(&file)?;
    let ends = text.find(BEGIN).zip(text.find(END));
    let (begin, end) = ends.ok_or_else(|| format!("{FILE} has no place for the table"))?;
    let begin = begin + BEGIN.len();
    if text[begin..end] == table {
        return Ok(Completion::Completed);
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, [&text[..begin], &table, &text[end..]].concat())?;
        return Ok(Completion::Completed);
    }
    let differs = table.lines().filter(|line| !text.contains(line)).collect::<Vec<_>>().join("\n");
    Err(format!("{FILE} is not what the trials say; `just confusion` makes it anew:\n{differs}").into())
}

/// The table, or why it cannot be made: one trial that is skipped, and it would not be the whole.
fn table() -> Result<Result<String, String>, Failed> {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    for entry in super::entries() {
        match outcome(entry)? {
            Outcome::Skipped(why) => return Ok(Err(why.clone())),
            Outcome::Ran(ran) => {
                let row = rows.entry((entry.party, entry.mechanism)).or_default();
                let text = |field: &str| ran.report["ended_by"][field].as_str().unwrap_or("nothing").to_owned();
                row.trials.push(entry.name);
                *row.said.entry((text("party"), text("mechanism"))).or_default() += 1;
            }
        }
    }
    Ok(Ok(render(&rows)))
}

/// The trials of one mechanism.
#[derive(Default)]
struct Row {
    trials: Vec<&'static str>,
    /// How often the verdict said what, party and mechanism.
    said: BTreeMap<(String, String), usize>,
}

/// One line for each mechanism that was brought about. Most of the 40 columns that a square table had would be empty, so
/// what is not on its diagonal is named.
fn render(rows: &BTreeMap<(&str, &str), Row>) -> String {
    let mut text = String::from("| party | brought about | trials | said | said otherwise |\n|---|---|---|---|---|\n");
    let (mut trials, mut right) = (0, 0);
    for ((party, mechanism), row) in rows {
        let is_right = |said: &(String, String)| said.0 == *party && said.1 == *mechanism;
        let of_row: usize = row.said.iter().filter(|(said, _)| is_right(said)).map(|(_, count)| count).sum();
        let others = row.said.iter().filter(|(said, _)| !is_right(said));
        let others: Vec<String> = others.map(|((p, m), count)| format!("{p}, {m}: {count}")).collect();
        let others = if others.is_empty() { String::new() } else { format!(" {}", others.join("; ")) };
        let _ = writeln!(text, "| {party} | {mechanism} | {} | {of_row} |{others} |", row.trials.len());
        trials += row.trials.len();
        right += of_row;
    }
    let _ = writeln!(
        text,
        "\n{} mechanisms, {trials} trials, {right} of them said as they were brought about.",
        rows.len()
    );
    text
}
