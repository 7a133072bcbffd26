//! A run for people: a headline, the timeline in columns, what the command wrote, and what does not hold.
//!
//! Everything that comes from outside is escaped: captured output is data and cannot steer a terminal.

use std::fmt::Write as _;

use super::table::{Row, table};
use super::transit::took_ns;
use super::words::wrap;
use crate::evidence::{Ending, Evidence};
use crate::timeline::{Event, EventKind, Range, Spread, Timeline, Wait, duration, escape};
use crate::verdict::Verdict;

/// A packet that was on its way for at least this long has it told among the details.
const TRANSIT_NS: i64 = 1_000_000;

/// Lines of each output stream that are shown.
const OUTPUT_LINES: usize = 20;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// With SGR colours.
    pub color: bool,
    /// Columns of the terminal; 100 is a good default.
    pub width: usize,
    /// With the calls that are no claims: how the tool is written.
    pub details: bool,
    /// Six decimals of a second instead of three.
    pub micros: bool,
    /// For eyes: without spaces at the ends of lines, which only make a terminal break them.
    pub is_terminal: bool,
}

impl Options {
    /// How a timeline is kept in a file: no colours, and as wide as documents are.
    pub const KEPT: Self = Self { color: false, width: 100, details: true, micros: false, is_terminal: false };
}

/// Select Graphic Rendition (ECMA-48, 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
    Magenta,
}

impl Style {
    /// `text` in this style, if colours are wanted.
    pub(super) fn paint(self, text: &str, options: Options) -> String {
        let code = match self {
            _ if !options.color => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Magenta => "35",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The report of a run, with a line feed at its end.
pub fn render(evidence: &Evidence, timeline: &Timeline, verdict: &Verdict, options: Options) -> String {
    render_spread(evidence, timeline, verdict, None, options)
}

/// The report of a run with the range of every wait over other phases, if it was made at more than one.
pub fn render_spread(
    evidence: &Evidence,
    timeline: &Timeline,
    verdict: &Verdict,
    spread: Option<&Spread>,
    options: Options,
) -> String {
    let mut out = head(evidence, timeline, options);
    if let Some(Spread { count, step_ns, .. }) = spread {
        let words = format!("waits over {count} phases of the timer wheel, spread over {}", duration(*step_ns));
        let _ = writeln!(out, "  {}", Style::Dim.paint(&words, options));
    }
    out.push('\n');
    let told: Vec<&Event> = timeline.events.iter().filter(|event| event.is_claim || options.details).collect();
    let mut ranges = spread.into_iter().flat_map(|spread| &spread.ranges);
    let mut range_of = |event: &Event| if event.is_claim { ranges.next() } else { None };
    let groups = collapse(&told);
    let row = |group: &Group<'_>| group.row(range_of(group.first), &transit(evidence, group, options), options);
    let rows: Vec<Row> = groups.iter().map(row).collect();
    out.push_str(&table(&rows, options));
    output(&mut out, "stdout", &evidence.output.stdout, options);
    output(&mut out, "stderr", &evidence.output.stderr, options);
    if !verdict.findings.is_empty() || !verdict.inconclusive.is_empty() {
        for daemon in &evidence.daemons {
            let name = escape(&daemon.name);
            output(&mut out, &format!("daemon {name}, stdout"), &daemon.output.stdout, options);
            output(&mut out, &format!("daemon {name}, stderr"), &daemon.output.stderr, options);
        }
    }
    if evidence.output.discarded_bytes > 0 {
        let _ = writeln!(out, "  {} more bytes of output were not kept", evidence.output.discarded_bytes);
    }
    for note in evidence.machine.guest.iter().flat_map(|guest| &guest.notes) {
        let _ = writeln!(out, "\n{}: {}", Style::Yellow.paint("note", options), escape(note));
    }
    cause(&mut out, verdict, options);
    judgement(&mut out, verdict, options);
    out
}

/// `syn-retries-0 / curl: exit 28 after 3.049 s`.
pub fn headline(evidence: &Evidence, timeline: &Timeline, options: Options) -> String {
    let plan = &evidence.plan;
    let end = timeline.events.iter().find(|event| event.kind == EventKind::End);
    let end = end.map_or("no end", |event| event.text.as_str());
    let after = match evidence.end.how {
        Ending::Exit(_) | Ending::Signal(_) => format!(" after {} s", seconds(evidence.end.t_ns, options)),
        Ending::Deadline | Ending::ExecFailed(_) => String::new(),
    };
    format!("{} / {}: {end}{after}", escape(&plan.scenario), escape(&plan.run))
}

/// The headline, and what ran where.
fn head(evidence: &Evidence, timeline: &Timeline, options: Options) -> String {
    let headline = headline(evidence, timeline, options);
    format!(
        "{}\n  $ {}\n  {}\n",
        Style::Bold.paint(&headline, options),
        command_line(&evidence.plan.command.argv),
        Style::Dim.paint(&place(evidence), options)
    )
}

/// Host, engine and kernel, and what else decides about times.
pub(super) fn place(evidence: &Evidence) -> String {
    let machine = &evidence.machine;
    let host = &evidence.plan.command.host;
    let mut place = format!("in {host}, {} engine, Linux {}, HZ={}", machine.engine, machine.kernel, machine.hz());
    if let Some(phase_ns) = machine.phase_ns() {
        place.push_str(&format!(", phase {:.3} s", std::time::Duration::from_nanos(phase_ns).as_secs_f64()));
    }
    if let Some(guest) = &machine.guest {
        place.push_str(&format!(", seed {}", guest.seed));
    }
    escape(&place)
}

/// As one would type it into a shell.
pub(super) fn command_line(argv: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quote = |arg: &String| match !arg.is_empty() && arg.chars().all(is_plain) {
        true => arg.clone(),
        false => format!("'{}'", escape(arg).replace('\'', "'\\''")),
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Events that stand in one row: a claim alone, details of one kind together.
struct Group<'a> {
    first: &'a Event,
    count: usize,
    is_uniform: bool,
}

/// Details between two claims that differ in nothing but their result are one row, where the first of them stood.
fn collapse<'a>(events: &[&'a Event]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut since_claim = 0;
    for &event in events {
        let same = groups[since_claim..].iter_mut().find(|group| !event.is_claim && shape(group.first) == shape(event));
        match same {
            Some(group) => {
                group.count += 1;
                group.is_uniform &= group.first.text == event.text;
            }
            None => groups.push(Group { first: event, count: 1, is_uniform: true }),
        }
        if event.is_claim {
            since_claim = groups.len();
        }
    }
    groups
}

/// What a detail has in common with others of its kind: everything but a result that is no error.
fn shape(event: &Event) -> (EventKind, &str, &str, &str) {
    let (head, result) = event.text.rsplit_once(" = ").unwrap_or((&event.text, ""));
    let error = if result.starts_with("-1") || result == "0" { result } else { "" };
    (event.kind, &event.at, head, error)
}

impl Group<'_> {
    fn row(&self, range: Option<&Range>, transit: &str, options: Options) -> Row {
        let event = self.first;
        let text = match (self.count, self.is_uniform) {
            (1, _) => format!("{}{transit}", event.text),
            (count, true) => format!("{}  x{count}", event.text),
            (count, false) => format!("{}  x{count}", event.text.rsplit_once(" = ").map_or("", |(head, _)| head)),
        };
        let style = match event.kind {
            _ if !event.is_claim => Style::Dim,
            EventKind::Packet => Style::Cyan,
            EventKind::Signal => Style::Magenta,
            EventKind::Setup | EventKind::Fault => Style::Yellow,
            EventKind::End => Style::Bold,
            EventKind::Call | EventKind::Process | EventKind::State => Style::Plain,
        };
        let wait = event.wait.as_ref().filter(|_| self.count == 1).map_or(String::new(), |w| wait(w, range, options));
        let indent = if event.is_claim { "" } else { "  " };
        Row { time: seconds(event.t_ns, options), wait, at: event.at.clone(), what: text, indent, style }
    }
}

/// `, 40 ms on the way`, to the millisecond; nothing for a packet that was quick, and where no details are told.
fn transit(evidence: &Evidence, group: &Group<'_>, options: Options) -> String {
    let took_ns = took_ns(evidence, group.first).filter(|took_ns| options.details && *took_ns >= TRANSIT_NS);
    let whole_ns = |took_ns: i64| took_ns.unsigned_abs().saturating_add(500_000) / 1_000_000 * 1_000_000;
    took_ns.map_or(String::new(), |took_ns| format!(", {} on the way", duration(whole_ns(took_ns))))
}

/// `+1.024 RTO 1 s`, and over several phases `+1.004..1.031 RTO 1 s`.
fn wait(wait: &Wait, range: Option<&Range>, options: Options) -> String {
    let (low_ns, high_ns) = range.and_then(|range| range.gap_ns).unwrap_or((wait.gap_ns, wait.gap_ns));
    let (low, high) = (seconds(low_ns, options), seconds(high_ns, options));
    let gap = if low == high { format!("+{low}") } else { format!("+{low}..{high}") };
    match &wait.timer {
        Some(timer) => format!("{gap} {} {}", timer.name, duration(timer.armed_ns)),
        None => gap,
    }
}

pub(super) fn seconds(ns: i64, options: Options) -> String {
    let decimals = if options.micros { 6 } else { 3 };
    format!("{:.decimals$}", ns as f64 / 1e9)
}

/// The first lines of what the command wrote.
pub(super) fn output(out: &mut String, name: &str, bytes: &[u8], options: Options) {
    if bytes.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let _ = writeln!(out, "\n{}", Style::Bold.paint(&format!("{name}, {} bytes", bytes.len()), options));
    for line in lines.iter().take(OUTPUT_LINES) {
        let line = escape(line);
        let room = options.width.saturating_sub(4).max(20);
        let shown: String = line.chars().take(room).collect();
        let _ = writeln!(out, "  | {shown}");
    }
    if lines.len() > OUTPUT_LINES {
        let _ = writeln!(out, "  ... {} more lines", lines.len() - OUTPUT_LINES);
    }
}

/// What ended it, and what would have come next: wrapped, so that it can be read at a glance.
fn cause(out: &mut String, verdict: &Verdict, options: Options) {
    let Some(ended_by) = &verdict.ended_by else { return };
    let label = format!("ended by {}, {}", ended_by.party, ended_by.mechanism);
    let _ = writeln!(out, "\n{}", Style::Bold.paint(&escape(&label), options));
    let next = ended_by.next.iter().map(|next| next.words.clone());
    let also = ended_by.also.iter().map(|also| format!("or else: {}", also.words));
    for sentence in std::iter::once(ended_by.words.clone()).chain(next).chain(also) {
        for line in wrap(&escape(&sentence), options.width.saturating_sub(2).max(20)) {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// What does not hold, and what makes the run doubtful.
fn judgement(out: &mut String, verdict: &Verdict, options: Options) {
    for finding in &verdict.findings {
        let place = format!("{}:{}", escape(&finding.origin.file), finding.origin.line);
        let _ =
            writeln!(out, "\n{}", Style::Red.paint(&format!("{} is not as expected ({place})", finding.what), options));
        let _ = writeln!(out, "  expected  {}", finding.expected);
        let _ = writeln!(out, "  observed  {}", finding.observed);
        let _ = writeln!(out, "  allowed   {}", finding.allowed);
    }
    for reason in &verdict.inconclusive {
        let _ = writeln!(out, "\n{}", Style::Yellow.paint(&format!("inconclusive: {}", escape(reason)), options));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Expected, Origin};
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;
    use crate::verdict::judge;

    const PLAIN: Options = Options::KEPT;

    fn rendered(run: &Fixture, options: Options) -> String {
        let timeline = build_from(&run.evidence, &run.flights);
        render(&run.evidence, &timeline, &judge(&run.evidence, &timeline), options)
    }

    #[test]
    fn the_headline_says_how_it_ended_and_when() {
        let text = rendered(&Fixture::syn_retries(), PLAIN);
        assert_eq!(text.lines().next(), Some("syn-retries-0 / curl: exit 28 after 3.071 s"));
        assert_eq!(text.lines().nth(1), Some("  $ curl --connect-timeout 999 http://server/"));
    }

    #[test]
    fn the_columns_are_aligned_and_say_what_armed_a_wait() {
        let text = rendered(&Fixture::syn_retries(), PLAIN);
        let line = text.lines().find(|line| line.contains("retransmission 1")).unwrap();
        let expected = "1.044  +1.024 RTO 1 s          client -> server  SYN to server:80, retransmission 1, dropped";
        assert!(line.trim_start().starts_with(expected), "{line}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [72, 80, 100, 140] {
            let text = rendered(&Fixture::syn_retries(), Options { width, ..PLAIN });
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} > {width}\n{text}");
        }
    }

    #[test]
    fn repeated_details_between_two_claims_are_one_row() {
        let mut run = Fixture::new("tool");
        for second in 0..14 {
            run.poll((second * 1_000_000, second * 1_000_000 + 1_000_300), 9, 1000, "");
            run.poll((second * 1_000_000 + 1_000_310, second * 1_000_000 + 1_000_311), 9, 0, "");
        }
        let text = rendered(run.end(15_000_000, Ending::Exit(0)), PLAIN);
        assert!(text.contains("poll([9 POLLOUT], 1, 1 s) = 0  x14"), "{text}");
        assert!(text.contains("poll([9 POLLOUT], 1, 0) = 0  x14"), "{text}");
    }

    #[test]
    fn captured_output_cannot_steer_a_terminal() {
        let mut run = Fixture::syn_retries();
        run.evidence.output.stdout = b"\x1b]0;owned\x07\x1b[2J\r\xe2\x80\xaeabc\x00\n".to_vec();
        run.evidence.plan.command.argv.push("\x1b[31m".into());
        let text = rendered(&run, PLAIN);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains("  | \\x1b]0;owned\\x07\\x1b[2J\\r\\u{202e}abc\\x00"), "{text}");
    }

    #[test]
    fn colours_are_there_only_if_asked_for_and_change_no_letter() {
        let run = Fixture::syn_retries();
        let coloured = rendered(&run, Options { color: true, ..PLAIN });
        let codes = ["0", "1", "2", "31", "33", "35", "36"].map(|code| format!("\x1b[{code}m"));
        let stripped = codes.iter().fold(coloured.clone(), |text, code| text.replace(code.as_str(), ""));
        assert_ne!(coloured, stripped);
        assert_eq!(stripped, rendered(&run, PLAIN));
    }

    #[test]
    fn a_finding_says_expected_observed_allowed_and_where() {
        let mut run = Fixture::syn_retries();
        let origin = Origin { file: "scenarios/x.kdl".into(), line: 12, ..Origin::default() };
        run.evidence.plan.expect.exit = Some(Expected { value: 0, origin });
        let text = rendered(&run, PLAIN);
        assert!(text.ends_with(
            "\nexit is not as expected (scenarios/x.kdl:12)\n  expected  exit 0\n  observed  exit 28\n  allowed   this exit code\n"
        ));
    }
}
