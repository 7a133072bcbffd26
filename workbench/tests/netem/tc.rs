//! What the guest's kernel says it was told, through tc(8): every parameter, and its counters.
//!
//! netem stands on the wire, a namespace of its own, where process 1 of the guest is: the run's command enters it by way
//! of /proc. Not to be seen this way: the tables of the jitter's shapes, which no kernel hands out, and the seed, which
//! iproute2 prints from 6.6 on. What the kernel makes of both is in `jitter` and in `chance`.

use std::collections::BTreeMap;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::{Value, json};

use super::traffic::{Seen, Traffic};
use super::{claim, same};
use crate::support::virtual_engine::virtual_trial;

const SHOW: &str = "nsenter --target 1 --net tc -s -j qdisc show";

/// What the client sends leaves the wire through the interface towards the server.
const FROM_CLIENT: &str = "w0b";

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("netem_parameters_are_read_back_by_tc", parameters),
        virtual_trial("netem_and_a_cable_are_two_qdiscs_where_packets_overtake", two),
        virtual_trial("netem_counters_of_tc_are_what_the_captures_saw", counters),
    ]
}

/// Why tc cannot be asked here.
fn is_lacking() -> Option<String> {
    let is_there =
        |program: &&str| Command::new(program).arg("-V").output().is_ok_and(|output| output.status.success());
    ["tc", "nsenter"].iter().find(|program| !is_there(program)).map(|program| format!("there is no {program}"))
}

/// The qdiscs of the wire that are netem's, by interface and handle.
fn qdiscs(seen: &Seen) -> Result<BTreeMap<(String, String), Value>, Failed> {
    let output = &seen.evidence.output;
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("{e}: {}", String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat())))?;
    let text = |qdisc: &Value, key: &str| qdisc[key].as_str().unwrap_or_default().to_owned();
    let netems = all.into_iter().filter(|qdisc| qdisc["kind"] == "netem");
    Ok(netems.map(|qdisc| ((text(&qdisc, "dev"), text(&qdisc, "handle")), qdisc)).collect())
}

fn qdisc(seen: &Seen, handle: &str) -> Result<Value, Failed> {
    let found = qdiscs(seen)?.remove(&(FROM_CLIENT.to_owned(), handle.to_owned()));
    found.ok_or_else(|| format!("no netem {handle} on {FROM_CLIENT}").into())
}

/// A scenario's netem, and what tc prints of it beside what stands in [`options`].
fn table() -> Vec<(&'static str, Value)> {
    let delay = |delay: f64, jitter: f64, correlation: f64| json!({ "delay": delay, "jitter": jitter, "correlation": correlation });
    let rate = |rate: u64, packet: i32, size: u32, cell: i32| json!({ "rate": rate, "packetoverhead": packet, "cellsize": size, "celloverhead": cell });
    vec![
        ("limit=17", json!({ "limit": 17 })),
        ("delay=\"1.5s\"", json!({ "delay": delay(1.5, 0.0, 0.0) })),
        ("delay=\"100ms\" jitter=\"10ms\" correlation=\"25%\"", json!({ "delay": delay(0.1, 0.01, 0.25) })),
        // tc reads ticks of 64 ns and prints whole microseconds.
        ("delay=\"16us\" jitter=\"8us\" distribution=pareto", json!({ "delay": delay(0.000_016, 0.000_008, 0.0) })),
        (
            "duplicate=\"1%\" duplicate-correlation=\"50%\"",
            json!({ "duplicate": { "duplicate": 0.01, "correlation": 0.5 } }),
        ),
        (
            "delay=\"10ms\" reorder=\"25%\" reorder-correlation=\"50%\" gap=5",
            json!({ "delay": delay(0.01, 0.0, 0.0), "reorder": { "reorder": 0.25, "correlation": 0.5 }, "gap": 5 }),
        ),
        (
            "delay=\"10ms\" reorder=\"25%\"",
            json!({ "delay": delay(0.01, 0.0, 0.0), "reorder": { "reorder": 0.25, "correlation": 0 }, "gap": 1 }),
        ),
        (
            "corrupt=\"0.1%\" corrupt-correlation=\"5%\"",
            json!({ "corrupt": { "corrupt": 0.001, "correlation": 0.05 } }),
        ),
        ("rate=\"1mbit\" overhead=-14 cell-size=48 cell-overhead=5", json!({ "rate": rate(125_000, -14, 48, 5) })),
        // More than 32 bits of bytes in a second.
        ("rate=\"40gbit\"", json!({ "rate": rate(5_000_000_000, 0, 0, 0) })),
        (
            "{ slot min=\"800us\" max=\"1ms\" packets=32 bytes=64000; }",
            json!({ "slot": { "min-delay": 0.0008, "max-delay": 0.001, "packets": 32, "bytes": 64000 } }),
        ),
        (
            "{ slot distribution=normal delay=\"2ms\" jitter=\"1ms\" packets=10; }",
            json!({ "slot": { "distribution": 0.002, "jitter": 0.001, "packets": 10, "bytes": 0 } }),
        ),
        ("delay=\"1ms\" seed=99", json!({ "delay": delay(0.001, 0.0, 0.0), "seed": 99 })),
    ]
}

/// The same for the models of loss; what a scenario leaves out has tc's defaults.
fn losses() -> Vec<(&'static str, Value)> {
    vec![
        ("loss=\"30%\"", json!({ "loss-random": { "loss": 0.3, "correlation": 0 } })),
        (
            "loss=\"0.3%\" loss-correlation=\"10%\" ecn",
            json!({ "loss-random": { "loss": 0.003, "correlation": 0.1 }, "ecn": true }),
        ),
        (
            "{ loss random p=\"5%\" correlation=\"50%\"; }",
            json!({ "loss-random": { "loss": 0.05, "correlation": 0.5 } }),
        ),
        (
            "{ loss state p13=\"1%\" p31=\"2%\" p32=\"3%\" p23=\"4%\" p14=\"5%\"; }",
            json!({ "loss-state": { "p13": 0.01, "p31": 0.02, "p32": 0.03, "p23": 0.04, "p14": 0.05 } }),
        ),
        (
            "{ loss state p13=\"1%\"; }",
            json!({ "loss-state": { "p13": 0.01, "p31": 0.99, "p32": 0, "p23": 1, "p14": 0 } }),
        ),
        (
            "{ loss gemodel p=\"1%\" r=\"10%\" \"1-h\"=\"70%\" \"1-k\"=\"0.1%\"; }",
            json!({ "loss-gemodel": { "p": 0.01, "r": 0.1, "1-h": 0.7, "1-k": 0.001 } }),
        ),
        ("{ loss gemodel p=\"1%\"; }", json!({ "loss-gemodel": { "p": 0.01, "r": 0.99, "1-h": 1, "1-k": 0 } })),
    ]
}

/// With what tc prints of every netem.
fn options(said: &Value) -> Value {
    let mut options = json!({ "limit": 1000, "ecn": false, "gap": 0 });
    for (key, value) in said.as_object().into_iter().flatten() {
        options[key] = value.clone();
    }
    options
}

/// Numbers agree to what 32 bits of a probability and a tick of 64 ns can hold.
fn agree(seen: &Value, expected: &Value) -> bool {
    match (seen, expected) {
        (Value::Object(seen), Value::Object(expected)) => {
            let is_same = |(key, value): (&String, &Value)| expected.get(key).is_some_and(|other| agree(value, other));
            seen.len() == expected.len() && seen.iter().all(is_same)
        }
        (Value::Number(seen), Value::Number(expected)) => {
            let (seen, expected) = (seen.as_f64().unwrap_or(f64::NAN), expected.as_f64().unwrap_or(f64::NAN));
            (seen - expected).abs() <= 1e-6 * expected.abs()
        }
        _ => seen == expected,
    }
}

fn parameters() -> Result<Completion, Failed> {
    if let Some(why) = is_lacking() {
        return Ok(Completion::ignored_with(why));
    }
    for (netem, said) in table().into_iter().chain(losses()) {
        let link = format!("netem from=client {netem}");
        let seen = Traffic { then: SHOW, ..Traffic::through(&link, 1) }.run(1)?;
        let mut seen = qdisc(&seen, "1:")?["options"].take();
        let mut expected = options(&said);
        // A kernel that knows seeds has one always; a tc that prints none leaves it to the dice.
        if said.get("seed").is_none() || seen.get("seed").is_none() {
            for options in [&mut seen, &mut expected] {
                options.as_object_mut().map(|options| options.remove("seed"));
            }
        }
        claim(&format!("{netem}: tc says {seen}, expected {expected}"), agree(&seen, &expected))?;
    }
    Ok(Completion::Completed)
}

fn two() -> Result<Completion, Failed> {
    if let Some(why) = is_lacking() {
        return Ok(Completion::ignored_with(why));
    }
    let text = r#"namespace client
        namespace server
        link client server delay="20ms" {
            netem from=client delay="100ms" reorder="25%" gap=3
        }
        run run in=client "nsenter --target 1 --net tc -s -j qdisc show""#;
    let seen = Seen { evidence: crate::support::virtual_engine::evidence(text, 1)? };
    let (cable, declared) = (qdisc(&seen, "1:")?, qdisc(&seen, "2:")?);
    same("delay of the cable, above", &cable["options"]["delay"]["delay"], &json!(0.02))?;
    same("delay declared, below", &declared["options"]["delay"]["delay"], &json!(0.1))?;
    same("parent", &declared["parent"], &json!("1:1"))
}

/// A netem, how many datagrams go through it, and whether some are lost.
const COUNTED: &[(&str, u32, bool)] = &[
    ("loss=\"20%\"", 500, true),
    ("{ loss gemodel p=\"5%\" r=\"20%\"; }", 500, true),
    ("delay=\"1s\" limit=10", 50, true),
    ("delay=\"10ms\" duplicate=\"20%\"", 500, false),
    ("delay=\"10ms\" jitter=\"5ms\" reorder=\"20%\" corrupt=\"10%\"", 500, false),
    ("rate=\"1mbit\"", 50, false),
];

fn counters() -> Result<Completion, Failed> {
    if let Some(why) = is_lacking() {
        return Ok(Completion::ignored_with(why));
    }
    for &(netem, count, is_lossy) in COUNTED {
        let link = format!("netem from=client {netem}");
        let seen = Traffic { then: SHOW, ..Traffic::through(&link, count) }.run(1)?;
        let lost = seen.losses().iter().filter(|&&lost| lost).count();
        let bytes: u32 = seen.arrived().map(|packet| packet.wire_len).sum();
        // With a wrong bit the number may be another: only how many there are counts then.
        let lost = if netem.contains("corrupt") { 0 } else { lost };
        claim(&format!("{netem}: {lost} lost"), (lost > 0) == is_lossy)?;
        let said = qdisc(&seen, "1:")?;
        let counters = ["packets", "bytes", "drops", "backlog"].map(|counter| said[counter].as_u64());
        let expected = [seen.arrived().count() as u64, bytes.into(), lost as u64, 0].map(Some);
        same(netem, counters, expected)?;
    }
    Ok(Completion::Completed)
}
