//! TCP sockets as they were sampled: states and timers as slices, queues, window and RTO as counters.
//!
//! Between two samples nothing is known: a state lasts until a sample shows another one. A timer's slice begins where it
//! was first seen and ends where it was due, or where a sample shows that it was stopped or armed anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::event::{Events, Key, Track, args};
use super::tracks::Tracks;
use crate::evidence::{Evidence, TcpSocket, TimerKind};
use crate::report::evidence_line::{state, timer};
use crate::report::views::Run;

/// How much two readings of one timer's due time may differ: it is told in milliseconds, from jiffies.
const SAME_DUE_NS: i64 = 12_000_000;

/// A socket at one moment; `None` where it was not there any more.
struct Seen<'a> {
    t_ns: i64,
    socket: Option<&'a TcpSocket>,
}

pub(super) fn add(run: &Run<'_>, tracks: &Tracks<'_>, events: &mut Events) {
    for ((host, _, number), seen) in lives(run.evidence) {
        let Some(last) = seen.iter().rev().find_map(|seen| seen.socket) else { continue };
        // The place it had longest: a socket that is not bound yet has none.
        let named = seen.iter().filter_map(|seen| seen.socket).find(|s| s.remote.1 != 0).unwrap_or(last);
        let (local, remote) = (SocketAddr::from(named.local), SocketAddr::from(named.remote));
        let again = if number == 0 { String::new() } else { format!(" #{}", number + 1) };
        let name = format!("{local} -> {remote}{again}");
        states(&seen, tracks.host(host, &name), events);
        timers(&seen, tracks.host(host, &format!("{name} timer")), events);
        counters(&seen, tracks.host(host, &name), &name, events);
    }
}

/// Host, order of appearance, and which one of those with the same two ends.
type Id<'a> = (&'a str, usize, usize);

/// Each socket with its samples in order; the last one says where it was not seen any more.
fn lives(evidence: &Evidence) -> BTreeMap<Id<'_>, Vec<Seen<'_>>> {
    let mut found: BTreeMap<(&str, u64), Vec<Seen<'_>>> = BTreeMap::new();
    let mut order: Vec<(&str, u64)> = Vec::new();
    let destroyed = evidence.destroyed.iter().map(|gone| (gone.host.as_str(), gone.t_ns, None, Some(&gone.socket)));
    let sampled =
        evidence.sockets.iter().map(|sample| (sample.host.as_str(), sample.t_ns, Some(&sample.sockets), None));
    let mut looks: Vec<_> = sampled.chain(destroyed).collect();
    looks.sort_by_key(|(_, t_ns, ..)| *t_ns);
    for (host, t_ns, all, gone) in looks {
        for socket in all.into_iter().flatten().chain(gone) {
            let id = (host, socket.cookie);
            let seen = found.entry(id).or_insert_with(|| {
                order.push(id);
                Vec::new()
            });
            seen.push(Seen { t_ns, socket: Some(socket) });
            if gone.is_some() {
                seen.push(Seen { t_ns, socket: None });
            }
        }
        if let Some(all) = all {
            let is_there = |cookie: u64| all.iter().any(|socket| socket.cookie == cookie);
            for ((_, cookie), seen) in found.iter_mut().filter(|((of, _), _)| *of == host) {
                if !is_there(*cookie) && seen.last().is_some_and(|last| last.socket.is_some()) {
                    seen.push(Seen { t_ns, socket: None });
                }
            }
        }
    }
    let end_ns = evidence.sockets.last().map_or(evidence.end.t_ns, |sample| sample.t_ns.max(evidence.end.t_ns));
    let mut numbers: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut lives = BTreeMap::new();
    for (place, id) in order.into_iter().enumerate() {
        let mut seen = found.remove(&id).unwrap_or_default();
        if seen.last().is_some_and(|last| last.socket.is_some()) {
            seen.push(Seen { t_ns: end_ns, socket: None });
        }
        let ends = seen.iter().filter_map(|seen| seen.socket).find(|s| s.remote.1 != 0);
        let number = numbers.entry((id.0, ends.map(|s| format!("{:?} {:?}", s.local, s.remote)).unwrap_or_default()));
        let number = number.and_modify(|number| *number += 1).or_insert(0);
        lives.insert((id.0, place, *number), seen);
    }
    lives
}

fn states(seen: &[Seen<'_>], track: Track, events: &mut Events) {
    let mut from = 0;
    for at in 1..seen.len() {
        let (Some(was), is) = (seen[from].socket, seen[at].socket) else {
            from = at;
            continue;
        };
        if is.is_some_and(|is| is.state == was.state) {
            continue;
        }
        let owner = was.owner.as_ref().map(|owner| format!("{} {}", owner.name, owner.pid));
        let said = args([("owner", owner.into()), ("congestion", was.congestion.clone().into())]);
        events.slice(Key::at(seen[from].t_ns), seen[at].t_ns, track, "socket", &state(was), said);
        from = at;
    }
}

/// A timer that was seen.
struct Armed {
    from_ns: i64,
    due_ns: i64,
    kind: TimerKind,
    retransmits: u8,
}

fn timers(seen: &[Seen<'_>], track: Track, events: &mut Events) {
    let mut running: Option<Armed> = None;
    for Seen { t_ns, socket } in seen {
        let now = socket.filter(|socket| socket.timer != TimerKind::Off).map(|socket| Armed {
            from_ns: *t_ns,
            due_ns: t_ns.saturating_add(i64::from(socket.expires_ms) * 1_000_000),
            kind: socket.timer,
            retransmits: socket.retransmits,
        });
        let is_same = match (&running, &now) {
            // 0 ms is also what a timer shows that is late.
            (Some(was), Some(is)) => {
                let same_due = (is.due_ns - was.due_ns).abs() <= SAME_DUE_NS || is.due_ns == *t_ns;
                was.kind == is.kind && was.retransmits == is.retransmits && same_due
            }
            _ => false,
        };
        if is_same {
            continue;
        }
        if let Some(was) = running.take() {
            end(&was, *t_ns, track, events);
        }
        running = now;
    }
}

fn end(was: &Armed, seen_ns: i64, track: Track, events: &mut Events) {
    let is_due = seen_ns + SAME_DUE_NS >= was.due_ns;
    let end_ns = was.due_ns.clamp(was.from_ns, seen_ns.max(was.from_ns));
    let seconds = |ns: i64| ns as f64 / 1e9;
    let said = args([
        ("due_s", seconds(was.due_ns).into()),
        ("left_s", seconds(was.due_ns - was.from_ns).into()),
        ("retransmits", was.retransmits.into()),
        ("ended", if is_due { "fired" } else { "stopped or armed anew" }.into()),
    ]);
    events.slice(Key::at(was.from_ns), end_ns, track, "timer", &timer(was.kind), said);
}

/// Each counter where it changes; all of them are 0 from where the socket is gone.
fn counters(seen: &[Seen<'_>], track: Track, name: &str, events: &mut Events) {
    let mut last = [None; 3];
    for Seen { t_ns, socket } in seen {
        let info = socket.and_then(|socket| socket.info);
        let queues = socket.map_or((0, 0), |socket| (socket.recv_queue, socket.send_queue));
        let (cwnd, rto_us) = info.map_or((0, 0), |info| (info.snd_cwnd, info.rto));
        for (at, values) in [queues, (cwnd, 0), (rto_us, 0)].into_iter().enumerate() {
            if last[at].replace(values) == Some(values) {
                continue;
            }
            let (what, said) = match at {
                0 => ("queues", args([("not read", values.0.into()), ("not acknowledged", values.1.into())])),
                1 => ("cwnd", args([("segments", values.0.into())])),
                _ => ("rto", args([("ms", (f64::from(values.0) / 1e3).into())])),
            };
            events.counter(*t_ns, track, "socket", &format!("{name} {what}"), said);
        }
    }
}
