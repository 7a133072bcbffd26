//! What a pcapng says about single packets, as tshark shows it.

use std::fs;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::report::SnapshotStatus;
use workbench::report::json::RunReport;
use workbench::report::pcapng;
use workbench::report::text::Options;
use workbench::report::views::Run;
use workbench::timeline::{self, EvidenceRef};
use workbench::verdict::{self, Confidence, EndedBy, Mechanism, Next, Party};

use super::{DROPPED, kept};
use crate::support::virtual_engine::{evidence, read, virtual_trial};
use crate::support::{no_labs, scratch, texts};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tshark_shows_what_became_of_every_packet_of_a_kept_run", fates),
        trial("tshark_shows_at_each_packet_what_the_verdict_makes_of_it", verdicts),
        virtual_trial("tshark_reckons_for_every_packet_the_transit_that_the_report_says", transits),
    ]
}

fn trial(name: &'static str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::ignorable_test(name, move || {
        if Command::new("tshark").arg("--version").output().is_err() {
            return Ok(Completion::ignored_with("needs tshark"));
        }
        match no_labs() {
            Some(why) => Ok(Completion::ignored_with(why)),
            None => body().map(|()| Completion::Completed),
        }
    })
}

/// The comments of every packet, and of the whole file where capinfos is there to read them.
fn comments(bytes: &[u8]) -> Result<(Vec<String>, Option<String>), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("packets.pcapng");
    fs::write(&path, bytes)?;
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).args(args).arg(&path).output()
    };
    let output = run(
        "tshark",
        &["-n", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-e", "frame.comment", "-r"],
    )?;
    let (out, err) = texts(&output);
    if !output.status.success() {
        return Err(err.into());
    }
    let about = run("capinfos", &["-k"]).ok().map(|output| texts(&output).0);
    Ok((out.lines().map(str::to_owned).collect(), about))
}

fn fates() -> Result<(), Failed> {
    let folder = scratch();
    let (comments, about) = comments(&fs::read(kept(folder.path(), DROPPED)?.join("packets.pcapng"))?)?;
    let of = |words: &str| comments.iter().filter(|comment| comment.starts_with(words)).count();
    assert_eq!(of("dropped at server by \"drop tcp dport=80\""), 2, "{comments:?}");
    assert_eq!(of("retransmission 1, RTO 1 s, 1.0"), 1, "{comments:?}");
    let ended = comments.iter().filter(|comment| comment.contains("ended by: the kernel of client gave up")).count();
    assert_eq!(ended, 1, "the verdict's sentence stands at one packet: {comments:?}");
    if let Some(about) = about {
        assert!(about.contains("x / it: exit 28 after 3.0"), "{about}");
    }
    Ok(())
}

fn verdicts() -> Result<(), Failed> {
    let folder = scratch();
    let evidence = read(&kept(folder.path(), DROPPED)?.join("evidence.json"))?;
    let timeline = timeline::build(&evidence);
    let mut verdict = verdict::judge(&evidence, &timeline);
    let sent: Vec<usize> = timeline::flights(&evidence).iter().filter_map(|flight| flight.sent_index).collect();
    let [.., first, last] = sent[..] else { return Err("two SYNs".into()) };
    verdict.ended_by = Some(EndedBy {
        party: Party::Kernel,
        mechanism: Mechanism::SynRetries,
        who: "client".into(),
        armed_at_ns: Some(0),
        armed_for_ns: Some(3_000_000_000),
        fired_at_ns: evidence.end.t_ns,
        evidence: vec![EvidenceRef::Packet(first), EvidenceRef::Packet(last)],
        confidence: Confidence::Certain,
        words: "the kernel of client gave up after 3 s".into(),
        next: Some(Next {
            mechanism: None,
            earliest_ns: None,
            latest_ns: None,
            words: "nothing else would have ended it".into(),
        }),
        also: Vec::new(),
    });
    let mut bytes = Vec::new();
    pcapng::write_run(&Run { evidence: &evidence, timeline: &timeline, verdict: &verdict }, &mut bytes)?;
    let (comments, about) = comments(&bytes)?;
    assert_eq!(comments[first], "evidence for: SYN retries of client");
    assert!(comments[last].ends_with("|ended by: the kernel of client gave up after 3 s"), "{}", comments[last]);
    if let Some(about) = about {
        assert!(about.contains("nothing else would have ended it"), "{about}");
    }
    Ok(())
}

/// Each way has a delay of its own, so that no sum can pass for a transit.
const DELAYED: &str = "namespace client\nnamespace server\nlink client server {\n netem from=client delay=\"300ms\"\n \
    netem from=server delay=\"100ms\"\n}\nrun run in=client \"curl -s http://server/\"\n";

fn transits() -> Result<Completion, Failed> {
    if Command::new("tshark").arg("--version").output().is_err() {
        return Ok(Completion::ignored_with("needs tshark"));
    }
    let evidence = evidence(DELAYED, 1)?;
    let timeline = timeline::build(&evidence);
    let verdict = verdict::judge(&evidence, &timeline);
    let run = Run { evidence: &evidence, timeline: &timeline, verdict: &verdict };
    let report = RunReport::new(&evidence, &timeline, &verdict, SnapshotStatus::None);
    let told: Vec<f64> = report.events.iter().filter_map(|event| event.took_s).collect();
    let shown = shown_twice(&run.packets()?)?;
    let near = |(told, shown): (&f64, &f64)| (told - shown).abs() < 1e-6;
    assert!(told.len() == 2 && shown.len() == 2 && told.iter().zip(&shown).all(near), "{told:?} and {shown:?}");
    assert!((told[0] - 0.3).abs() < 1e-5 && (told[1] - 0.1).abs() < 1e-5, "{told:?}");

    let mut lines = Vec::new();
    workbench::report::events::write(&run, &mut lines)?;
    let lines = String::from_utf8(lines)?;
    let arrivals: Vec<&str> = lines.lines().filter(|line| line.contains("\"direction\":\"received\"")).collect();
    assert!(arrivals.len() == 2 && arrivals.iter().all(|line| line.contains("\"took_s\":")), "{arrivals:?}");
    let details = run.timeline(Options { width: 140, ..Options::KEPT });
    assert!(details.contains("SYN to server:80, 300 ms on the way\n"), "{details}");
    assert!(details.contains("RST from server:80, 100 ms on the way\n"), "{details}");
    let claims = run.timeline(Options { width: 140, details: false, ..Options::KEPT });
    assert!(!claims.contains("on the way"), "{claims}");
    Ok(Completion::Completed)
}

/// The seconds between the two sightings of each packet, as tshark shows them: its flags and sequence number tell it.
fn shown_twice(bytes: &[u8]) -> Result<Vec<f64>, Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("packets.pcapng");
    fs::write(&path, bytes)?;
    let fields = ["tcp.flags", "tcp.seq_raw", "frame.time_epoch"].map(|field| ["-e", field]).concat();
    let mut command = Command::new("tshark");
    command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    let output = command.args(["-n", "-T", "fields"]).args(fields).arg("-r").arg(&path).output()?;
    let mut first: Vec<(String, f64)> = Vec::new();
    let mut took = Vec::new();
    for line in texts(&output).0.lines() {
        let (packet, time) = line.rsplit_once('\t').ok_or("three fields")?;
        let time: f64 = time.parse()?;
        match first.iter().find(|(seen, _)| seen == packet) {
            Some((_, sent)) => took.push(time - sent),
            None => first.push((packet.to_owned(), time)),
        }
    }
    Ok(took)
}
