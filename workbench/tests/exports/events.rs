//! `show RUN events`: every record, each found again in the evidence, in the order of the stamps.

use std::collections::BTreeMap;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::{BUSY, kept, show};
use crate::support::{lab_trial, root, scratch};

pub fn trials() -> Vec<Trial> {
    vec![
        lab_trial("events_are_every_record_of_every_recorder_on_one_clock", every_record),
        lab_trial("events_have_documented_fields_and_no_others", documented),
    ]
}

fn lines(run: &std::path::Path) -> Result<Vec<Value>, Failed> {
    let text = String::from_utf8(show(run, "events")?)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn every_record() -> Result<(), Failed> {
    let folder = scratch();
    let run = kept(folder.path(), BUSY)?;
    let evidence: Value = serde_json::from_slice(&std::fs::read(run.join("evidence.json"))?)?;
    let lines = lines(&run)?;
    let mut seen: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut last_s = f64::MIN;
    for line in &lines {
        let t_s = line["t_s"].as_f64().ok_or("no stamp")?;
        assert!(t_s >= last_s, "not in order: {line}");
        last_s = t_s;
        let recorder = line["recorder"].as_str().ok_or("no recorder")?;
        assert!(line["host"].is_string(), "{line}");
        seen.entry(recorder).or_default().push(line["index"].as_u64().ok_or("no index")?);
    }
    for recorder in ["calls", "packets", "signals", "processes", "sockets", "destroyed", "setup"] {
        let recorded = evidence[recorder].as_array().map_or(0, Vec::len) as u64;
        let mut indices = seen.remove(recorder).unwrap_or_default();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices, (0..recorded).collect::<Vec<_>>(), "{recorder}");
    }
    assert_eq!(seen.get("end").map(Vec::len), Some(1), "{seen:?}");
    Ok(())
}

fn documented() -> Result<(), Failed> {
    let folder = scratch();
    let text = std::fs::read_to_string(root().join("docs/report.md"))?;
    let section = text.split("## Every record").nth(1).and_then(|rest| rest.split("\n## ").next());
    let section = section.ok_or("docs/report.md has no such section")?;
    for line in lines(&kept(folder.path(), BUSY)?)? {
        for field in line.as_object().ok_or("no object")?.keys() {
            assert!(section.contains(&format!("| `{field}` |")), "{field} is not in docs/report.md: {line}");
        }
    }
    Ok(())
}
