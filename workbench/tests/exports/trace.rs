//! The trace of a run: in order, complete, and the same in every repeat.

use std::fs;
use std::path::Path;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::{Value, json};
use workbench::report::{trace, views::Run};
use workbench::timeline;
use workbench::verdict::{self, Confidence, EndedBy, Mechanism, Party};

use super::trace_format::Found;
use super::{BUSY, DROPPED, kept, show};
use crate::support::virtual_engine::{evidence, read, virtual_trial};
use crate::support::{lab_trial, scratch, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        lab_trial("a_trace_of_packets_processes_and_signals_is_in_order_and_kept_with_the_run", busy),
        lab_trial("a_trace_shows_sampled_sockets_their_timers_and_their_queues", sockets),
        lab_trial("a_trace_shows_what_ended_the_run_from_armed_to_fired", ended),
        virtual_trial("a_trace_of_virtual_time_where_much_has_one_stamp_is_in_order", at_one_stamp),
    ]
}

fn busy() -> Result<(), Failed> {
    let folder = scratch();
    let run = kept(folder.path(), BUSY)?;
    let bytes = show(&run, "trace")?;
    let found = Found::read(&bytes);
    for category in ["run", "process", "call", "packet", "flow", "signal"] {
        assert!(found.categories.contains_key(category), "no {category}: {found:?}");
    }
    // Four datagrams are on their way at once, and each is a slice of its own.
    let lanes = found.threads.iter().filter(|name| name.starts_with("client -> server on client-server")).count();
    assert!(lanes >= 4, "{:?}", found.threads);
    assert!(found.threads.iter().any(|name| name.starts_with("curl ")), "{:?}", found.threads);
    assert!(bytes == fs::read(run.join("trace.json"))?, "the kept one is the shown one");
    let made = folder.path().join("a/new/folder/x.json");
    let output = workbench().arg("show").arg(&run).args(["trace", "--output"]).arg(&made).output()?;
    assert!(output.status.success() && output.stdout.is_empty() && fs::read(&made)? == bytes);
    Ok(())
}

/// Puts what a socket recorder might have seen in place of what it saw: a SYN_SENT socket whose timer fires once, then is gone.
fn add_samples(run: &Path) -> Result<(), Failed> {
    let file = run.join("evidence.json");
    let mut evidence: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let socket = |expires_ms: u32, retransmits: u32| {
        json!({ "local": ["10.9.0.1", 40404], "remote": ["10.9.0.2", 80], "cookie": 1, "state": "SYN_SENT", "timer": 1,
            "expires_ms": expires_ms, "retransmits": retransmits, "info": { "rto": 1_000_000, "snd_cwnd": 10 } })
    };
    let sample = |ms: u64, sockets: Value| json!({ "host": "client", "t_ns": ms * 1_000_000, "took_ns": 1000, "because": "packet", "sockets": sockets });
    evidence["destroyed"] = json!([]);
    evidence["sockets"] = json!([
        sample(1, json!([socket(1000, 0)])),
        sample(500, json!([socket(501, 0)])),
        sample(1004, json!([socket(2000, 1)])),
        sample(2000, json!([])),
    ]);
    Ok(fs::write(file, evidence.to_string())?)
}

fn sockets() -> Result<(), Failed> {
    let folder = scratch();
    let run = kept(folder.path(), DROPPED)?;
    add_samples(&run)?;
    let bytes = show(&run, "trace")?;
    let found = Found::read(&bytes);
    let name = "10.9.0.1:40404 -> 10.9.0.2:80";
    assert!(found.threads.contains(name) && found.threads.contains(&format!("{name} timer")), "{:?}", found.threads);
    let trace: Value = serde_json::from_slice(&bytes)?;
    let events = trace["traceEvents"].as_array().ok_or("no events")?;
    let of = |category: &str, phase: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["cat"] == category && event["ph"] == phase).collect()
    };
    let zero_us = trace["otherData"]["zero_us"].as_f64().ok_or("no zero")?;
    let span = |event: &Value| (event["ts"].as_f64().map(|ts| (ts - zero_us).round()), event["dur"].as_f64());
    let states = of("socket", "X");
    assert_eq!((states.len(), &states[0]["name"]), (1, &"SYN_SENT".into()));
    assert_eq!(span(states[0]), (Some(1_000.0), Some(1_999_000.0)));
    let timers = of("timer", "X");
    assert_eq!(
        timers.iter().map(|timer| span(timer)).collect::<Vec<_>>(),
        [(Some(1_000.0), Some(1_000_000.0)), (Some(1_004_000.0), Some(996_000.0)),]
    );
    assert_eq!((&timers[0]["name"], &timers[0]["args"]["ended"]), (&"on (retransmission)".into(), &"fired".into()));
    assert_eq!(timers[1]["args"]["ended"], "stopped or armed anew");
    let counters: Vec<&str> = of("socket", "C").iter().filter_map(|event| event["name"].as_str()).collect();
    for counter in ["queues", "cwnd", "rto"] {
        assert!(counters.contains(&format!("{name} {counter}").as_str()), "{counters:?}");
    }
    Ok(())
}

fn ended() -> Result<(), Failed> {
    let folder = scratch();
    let evidence = read(&kept(folder.path(), DROPPED)?.join("evidence.json"))?;
    let timeline = timeline::build(&evidence);
    let mut verdict = verdict::judge(&evidence, &timeline);
    verdict.ended_by = Some(EndedBy {
        party: Party::Kernel,
        mechanism: Mechanism::SynRetries,
        who: "client".into(),
        armed_at_ns: Some(1_000_000),
        armed_for_ns: Some(3_000_000_000),
        fired_at_ns: 3_001_000_000,
        evidence: Vec::new(),
        confidence: Confidence::Certain,
        words: "the kernel gave up".into(),
        next: None,
        also: Vec::new(),
    });
    let mut bytes = Vec::new();
    trace::write(&Run { evidence: &evidence, timeline: &timeline, verdict: &verdict }, &mut bytes)?;
    let found = Found::read(&bytes);
    assert_eq!(found.categories.get("verdict"), Some(&2), "a slice and an instant");
    let text = String::from_utf8(bytes)?;
    let slice = text.lines().find(|line| line.contains("\"SYN retries of client\"")).ok_or("no slice")?;
    assert!(slice.contains("\"dur\":3000000.0") && slice.contains("\"armed_for_s\":3.0"), "{slice}");
    Ok(())
}

fn at_one_stamp() -> Result<Completion, Failed> {
    for text in [BUSY, DROPPED, &BUSY.replace(" delay=\"50ms\"", "")] {
        let evidence = evidence(&text.replace("run it", "run run"), 1)?;
        let timeline = timeline::build(&evidence);
        let verdict = verdict::judge(&evidence, &timeline);
        let write = || -> Result<Vec<u8>, Failed> {
            let mut bytes = Vec::new();
            trace::write(&Run { evidence: &evidence, timeline: &timeline, verdict: &verdict }, &mut bytes)?;
            Ok(bytes)
        };
        let found = Found::read(&write()?);
        assert!(found.categories["packet"] >= 2 && found.categories["flow"] >= 2, "{found:?}");
        assert!(write()? == write()?, "equal evidence gives equal bytes");
    }
    Ok(Completion::Completed)
}
