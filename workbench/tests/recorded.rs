//! Runs that were recorded once, in virtual time on older kernels, and kept beside this file: judged again without
//! privileges, whole, without what older formats did not have, and with what no recorder writes.
//!
//! `UPDATE=1` writes what is seen into `evidence/NAME.ended_by.json`; look at the difference. How one is recorded stands in
//! `evidence/README.md`. `CHANGES=5000` changes each by hand so often, and the first ones in the same way as ever.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use workbench::evidence::Evidence;
use workbench::report::json::RunReport;
use workbench::report::{SnapshotStatus, strace, text};
use workbench::{timeline, verdict};

use crate::support::{root, scratch, texts, workbench};

/// What is kept: `curl` and others that gave up by themselves, and the kernel that did.
const RUNS: &[&str] = &[
    "curl-5.10",
    "curl-6.12",
    "nc-6.12",
    "retransmissions-5.10",
    "retransmissions-6.12",
    "syn-retries-5.10",
    "syn-retries-6.12",
    "wget-5.10",
];

pub fn trials() -> Vec<Trial> {
    let replays = RUNS.iter().map(|name| {
        Trial::test(format!("recorded_{name}_is_ended_by_the_same_as_when_it_was_recorded"), || replays(name))
    });
    let older = RUNS.iter().map(|name| {
        Trial::test(format!("recorded_{name}_without_sockets_and_counters_has_the_same_mechanism"), || older(name))
    });
    let changed = RUNS.iter().map(|name| {
        Trial::test(format!("recorded_{name}_changed_by_hand_is_judged_or_refused_and_never_a_panic"), || changed(name))
    });
    let own = [Trial::test("recorded_evidence_is_small_and_says_nothing_of_a_machine", is_presentable)];
    replays.chain(older).chain(changed).chain(own).collect()
}

fn folder() -> PathBuf {
    root().join("workbench/tests/evidence")
}

fn kept(name: &str) -> Result<Value, Failed> {
    let text = std::fs::read(folder().join(format!("{name}.json")))?;
    Ok(serde_json::from_slice(&text)?)
}

/// `ended_by` as `workbench judge --format json` prints it.
fn judged(evidence: &Path) -> Result<Value, Failed> {
    let output = workbench().args(["judge", "--format", "json"]).arg(evidence).output()?;
    let (out, err) = texts(&output);
    let report: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}{err}"))?;
    Ok(report["ended_by"].clone())
}

fn replays(name: &str) -> Result<(), Failed> {
    let seen = judged(&folder().join(format!("{name}.json")))?;
    let stored = folder().join(format!("{name}.ended_by.json"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&stored, format!("{seen:#}\n"))?;
    }
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(&stored)?)?;
    if seen == expected { Ok(()) } else { Err(format!("now {seen:#}\nand not {expected:#}").into()) }
}

/// Evidence as it was before sockets, counters and the phase of the clock were recorded.
fn older(name: &str) -> Result<(), Failed> {
    let mut evidence = kept(name)?;
    for key in ["sockets", "destroyed", "counters"] {
        evidence.as_object_mut().ok_or("no object")?.remove(key).ok_or(key)?;
    }
    evidence["machine"].as_object_mut().ok_or("no machine")?.remove("phase");
    let scratch = scratch();
    let file = scratch.path().join("evidence.json");
    std::fs::write(&file, evidence.to_string())?;
    let now = judged(&file)?;
    let then = judged(&folder().join(format!("{name}.json")))?;
    for key in ["party", "mechanism", "who", "fired_at_s"] {
        if now[key] != then[key] {
            return Err(format!("{key} is {}, not {}: {now:#}", now[key], then[key]).into());
        }
    }
    // The timer of a connection shows in samples alone: without them it is told from packets.
    let is_guess = then["mechanism"] == "retransmissions";
    let confidence = if is_guess { &json!("likely") } else { &then["confidence"] };
    if now["confidence"] == *confidence { Ok(()) } else { Err(format!("{now:#}").into()) }
}

/// A generator of which nothing is asked but that it gives the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }
}

/// All places in a value, as JSON pointers (RFC 6901).
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{at}/{n}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| places(member, &format!("{at}/{}", key.replace('/', "~1")), found));
        }
        _ => {}
    }
}

fn change(value: &mut Value, numbers: &mut Numbers) {
    let odd = [
        json!(0),
        json!(1),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(i32::MIN),
        json!(1_000_000_000_000_000_000_i64),
        Value::Null,
    ];
    match value {
        Value::Array(items) => match (numbers.below(4), items.len()) {
            (0, _) => items.clear(),
            (1, _) => items.reverse(),
            (_, 0) => {}
            (2, len) => items.push(items[numbers.below(len)].clone()),
            (_, len) => drop(items.remove(numbers.below(len))),
        },
        Value::String(text) if text.parse::<i64>().is_ok() => *text = odd[numbers.below(9)].to_string(),
        Value::String(text) => text.clear(),
        Value::Number(_) | Value::Null => *value = odd[numbers.below(odd.len())].clone(),
        Value::Bool(_) | Value::Object(_) => {}
    }
}

/// What a verdict looks at most, and what it looks at all.
const SECTIONS: &[&str] = &["calls", "packets", "processes", "sockets", "end", "machine", "sysctls", "signals", ""];

fn changed(name: &str) -> Result<(), Failed> {
    let changes: u64 = std::env::var("CHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let whole = kept(name)?;
    let mut judged = 0;
    for seed in 0..changes {
        let mut evidence = whole.clone();
        let mut numbers = Numbers(seed);
        for _ in 0..=numbers.below(6) {
            let section = SECTIONS[numbers.below(SECTIONS.len())];
            let at = if section.is_empty() { String::new() } else { format!("/{section}") };
            let mut found = Vec::new();
            evidence.pointer(&at).into_iter().for_each(|value| places(value, &at, &mut found));
            let at = found.get(numbers.below(found.len())).cloned().unwrap_or_default();
            evidence.pointer_mut(&at).into_iter().for_each(|value| change(value, &mut numbers));
        }
        let Ok(evidence) = serde_json::from_value::<Evidence>(evidence) else { continue };
        let told = std::panic::catch_unwind(|| tell(&evidence)).map_err(|_| format!("panic at seed {seed}"))?;
        judged += u64::from(told.is_some());
    }
    if judged > changes / 4 { Ok(()) } else { Err(format!("only {judged} could be read").into()) }
}

/// As `workbench judge` and `workbench show` do. `None` if it is refused.
fn tell(evidence: &Evidence) -> Option<()> {
    evidence.check().ok()?;
    let timeline = timeline::build(evidence);
    let verdict = verdict::judge(evidence, &timeline);
    RunReport::new(evidence, &timeline, &verdict, SnapshotStatus::None).to_line().ok()?;
    let options = text::Options { color: false, width: 100, details: true, is_terminal: false, micros: false };
    text::render(evidence, &timeline, &verdict, options);
    evidence.calls.iter().for_each(|call| drop(strace::render(call)));
    Some(())
}

fn is_presentable() -> Result<(), Failed> {
    for name in RUNS {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json")))?;
        let evidence: Evidence = serde_json::from_str(&text)?;
        let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
        let own = [Some(root().to_string_lossy().into_owned()), home];
        let found = own.iter().flatten().find(|path| text.contains(path.as_str()));
        if text.len() >= 60_000 || evidence.machine.guest.is_none() || found.is_some() {
            return Err(format!("{name}: {} bytes, {:?}, {found:?}", text.len(), evidence.machine.guest).into());
        }
    }
    Ok(())
}
