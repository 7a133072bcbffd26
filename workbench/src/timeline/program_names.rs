//! What a scenario calls the sockets of its programs: which name each call is about. What a call says is told elsewhere.

use std::collections::BTreeMap;

use super::escape::escape;
use crate::evidence::{Arg, Call, Evidence};

/// What a scenario calls the sockets of each program that has several, by call: that which it is about, and that which it
/// makes. The nth call of a kind is the nth step of that kind; a name goes with its descriptor from there on.
pub(super) fn called(evidence: &Evidence) -> (BTreeMap<usize, String>, BTreeMap<usize, String>) {
    let (mut called, mut made) = (BTreeMap::new(), BTreeMap::new());
    for program in &evidence.plan.programs {
        let declared: Vec<(&str, &str)> = program.steps.iter().filter_map(|step| declares(&step.text)).collect();
        if declared.len() < 2 {
            continue;
        }
        let of_kind = |kind: &'static str| declared.iter().filter(move |(of, _)| *of == kind).map(|(_, name)| *name);
        let mut left: Vec<_> = ["socket", "accept", "dup"].map(|kind| (kind, of_kind(kind))).into_iter().collect();
        let mut by_fd: BTreeMap<i64, String> = BTreeMap::new();
        let calls = evidence.calls.iter().enumerate();
        for (index, call) in calls.filter(|(_, call)| evidence.program_of(call.pid) == Some(&program.name)) {
            let fd = call.fd().map(i64::from).or_else(|| polled_fd(call));
            called.extend(fd.and_then(|fd| by_fd.get(&fd)).map(|name| (index, name.clone())));
            let names = left.iter_mut().find(|(kind, _)| call.name.starts_with(kind));
            let name = names.and_then(|(_, names)| names.next());
            if let (Some(name), Some(fd)) = (name, call.value()) {
                by_fd.insert(fd, escape(name));
                made.insert(index, escape(name));
            }
        }
    }
    (called, made)
}

/// The first descriptor that a poll is about.
fn polled_fd(call: &Call) -> Option<i64> {
    call.args.iter().find_map(|arg| match arg {
        Arg::Poll(entries) => entries.first().map(|entry| entry.fd),
        _ => None,
    })
}

/// What a step makes and what it calls it: `socket listener tcp`, `accept listener as=conn`.
fn declares(step: &str) -> Option<(&'static str, &str)> {
    let mut words = step.split_whitespace();
    let kind = match words.next()? {
        "socket" => return Some(("socket", words.next()?)),
        "accept" => "accept",
        "dup" => "dup",
        _ => return None,
    };
    let name = words.find_map(|word| word.strip_prefix("as="))?;
    Some((kind, name.trim_matches('"')))
}
