//! What a pcapng says about single packets, as tshark shows it.

use std::fs;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::report::pcapng;
use workbench::report::views::Run;
use workbench::timeline::{self, EvidenceRef};
use workbench::verdict::{self, Confidence, EndedBy, Mechanism, Next, Party};

use super::{DROPPED, kept};
use crate::support::virtual_engine::read;
use crate::support::{no_labs, scratch, texts};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tshark_shows_what_became_of_every_packet_of_a_kept_run", fates),
        trial("tshark_shows_at_each_packet_what_the_verdict_makes_of_it", verdicts),
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
