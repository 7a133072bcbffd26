//! `workbench show DIR sockets`: what ss(8) and netstat(8) would have printed at the moments that matter.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{moments, netstat, ss};
use crate::evidence::{Evidence, SampleReason, SocketSample};
use crate::report::text::{self, Options, Style};
use crate::timeline::{Timeline, escape};

/// All of it, with a line feed at its end. `details` tells every sample.
pub fn render(evidence: &Evidence, timeline: &Timeline, options: Options) -> String {
    let told: Vec<&SocketSample> = match options.details {
        true => evidence.sockets.iter().collect(),
        false => moments(&evidence.sockets, timeline),
    };
    let mut out = Style::Bold.paint(&text::headline(evidence, timeline, options), options);
    let (count, all) = (told.len(), evidence.sockets.len());
    let _ = writeln!(out, "\n  {}", Style::Dim.paint(&summary(count, all), options));
    for sample in told {
        moment(&mut out, sample, evidence.machine.tick_ns, options);
    }
    for host in without_sockets(evidence) {
        let _ = writeln!(out, "\n{}: no TCP socket was seen", escape(host));
    }
    if options.is_terminal { without_trailing_spaces(&out) } else { out }
}

fn summary(count: usize, all: usize) -> String {
    match (count, all) {
        (_, 0) => "TCP sockets were not recorded".to_owned(),
        (count, all) if count == all => format!("TCP sockets, {all} samples"),
        (count, all) => format!("TCP sockets, {count} of {all} samples: those where something changed"),
    }
}

fn moment(out: &mut String, sample: &SocketSample, tick_ns: u64, options: Options) {
    let heading =
        format!("{} at {} s, {}", escape(&sample.host), text::seconds(sample.t_ns, options), reason(sample.because));
    let _ = writeln!(out, "\n{}", Style::Bold.paint(&heading, options));
    for (command, text) in [("ss -tanoi", ss(&sample.sockets)), ("netstat -antpo", netstat(&sample.sockets, tick_ns))] {
        let _ = writeln!(out, "{}", Style::Dim.paint(&format!("$ {command}"), options));
        out.push_str(&lines_escaped(&text));
    }
}

/// Why it was looked at.
fn reason(because: SampleReason) -> &'static str {
    match because {
        SampleReason::Start => "the run begins",
        SampleReason::Packet => "a packet",
        SampleReason::Call => "a call",
        SampleReason::Due => "a timer was due",
        SampleReason::Destroyed => "a socket was destroyed",
        SampleReason::End => "the run ends",
    }
}

/// A program's name may hold anything; ss begins a socket's second line with a tabulator.
fn lines_escaped(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('\t') {
        Some(rest) => format!("\t{}\n", escape(rest)),
        None => format!("{}\n", escape(line)),
    };
    text.lines().map(line).collect()
}

/// On a terminal, lines that are wide with spaces alone would be broken.
fn without_trailing_spaces(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Hosts that were looked at and never had a socket.
fn without_sockets(evidence: &Evidence) -> BTreeSet<&str> {
    let hosts = |has_sockets: bool| {
        let samples = evidence.sockets.iter().filter(move |sample| sample.sockets.is_empty() != has_sockets);
        samples.map(|sample| sample.host.as_str())
    };
    let with: BTreeSet<&str> = hosts(true).collect();
    hosts(false).filter(|host| !with.contains(host)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::evidence::Ending;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;

    fn run() -> Fixture {
        let mut run = Fixture::new("tool");
        run.end(3_000_000, Ending::Exit(0));
        let sample =
            |host: &str, t_ns, because, sockets| SocketSample { host: host.into(), t_ns, took_ns: 0, because, sockets };
        run.evidence.sockets = vec![
            sample("client", 0, SampleReason::Start, vec![]),
            sample("server", 0, SampleReason::Start, vec![]),
            sample("client", 1_024_000_000, SampleReason::Packet, fixture::sockets()),
            sample("client", 1_124_000_000, SampleReason::Call, fixture::sockets()),
            sample("client", 3_000_000_000, SampleReason::End, vec![]),
        ];
        run
    }

    fn rendered(run: &Fixture, options: Options) -> String {
        render(&run.evidence, &build_from(&run.evidence, &run.flights), options)
    }

    const SHORT: Options = Options { details: false, ..Options::KEPT };

    #[test]
    fn a_moment_has_its_heading_and_both_listings() {
        let text = rendered(&run(), SHORT);
        let expected = format!(
            "\nclient at 1.024 s, a packet\n$ ss -tanoi\n{}$ netstat -antpo\n{}\nclient at 3.000 s, the run ends\n",
            fixture::SS,
            fixture::NETSTAT
        );
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("  TCP sockets, 2 of 5 samples: those where something changed\n"), "{text}");
        assert!(text.ends_with("\nserver: no TCP socket was seen\n"), "{text}");
    }

    #[test]
    fn with_details_every_sample_is_told() {
        let text = rendered(&run(), Options { details: true, ..SHORT });
        assert_eq!(text.matches("$ ss -tanoi\n").count(), 5);
    }

    #[test]
    fn on_a_terminal_no_line_ends_in_spaces_and_nothing_else_is_lost() {
        let (piped, shown) = (rendered(&run(), SHORT), rendered(&run(), Options { is_terminal: true, ..SHORT }));
        assert!(shown.lines().all(|line| line.trim_end() == line));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&piped), words(&shown));
    }

    #[test]
    fn a_name_from_outside_cannot_steer_a_terminal() {
        let mut run = run();
        for owner in run.evidence.sockets[2].sockets.iter_mut().filter_map(|socket| socket.owner.as_mut()) {
            owner.argument = "\x1b[31mred".into();
        }
        let text = rendered(&run, SHORT);
        assert!(text.contains("9561/\\x1b[31mred"), "{text}");
        assert!(text.chars().all(|c| ['\n', '\t'].contains(&c) || !c.is_control()));
    }
}
