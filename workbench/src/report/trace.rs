//! A run as a trace for ui.perfetto.dev and chrome://tracing, in the Trace Event Format (JSON).
//!
//! Hosts are processes of the trace; the command's threads, each TCP socket and its timer are their threads. Links are
//! a process of their own, with as many threads for each direction as packets are on their way at once, because slices
//! of one thread must nest. The order of the file matters: a flow event belongs to the slice that its thread began last,
//! so it stands right behind it, also where virtual time gives many events one stamp. Equal evidence gives equal bytes.

mod calls;
mod event;
mod packets;
mod sockets;
mod tracks;
mod verdict;

use std::io::{self, BufWriter, Write};

use serde_json::json;

use self::event::{Events, TraceEvent};
use self::tracks::Tracks;
use super::views::Run;
use crate::timeline::{Flight, flights};

/// Writes the trace, one event a line.
///
/// # Errors
/// Those of `out`.
pub fn write(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_from(run, &flights(run.evidence), out)
}

/// As [`write`], of a run whose packets have been paired.
fn write_from(run: &Run<'_>, flights: &[Flight], out: &mut dyn Write) -> io::Result<()> {
    let tracks = Tracks::new(run.evidence);
    let mut events = Events::default();
    verdict::add(run, &tracks, &mut events);
    calls::add(run, &tracks, &mut events);
    packets::add(run, &tracks, flights, &mut events);
    sockets::add(run, &tracks, &mut events);
    let (zero_us, events) = events.finish();
    let plan = &run.evidence.plan;
    let about = json!({
        "scenario": plan.scenario, "run": plan.run, "command": plan.command.argv,
        "engine": run.evidence.machine.engine, "kernel": run.evidence.machine.kernel,
        "hz": run.evidence.machine.hz(), "zero_us": zero_us,
        "made_by": concat!("workbench ", env!("CARGO_PKG_VERSION")),
    });
    let mut out = BufWriter::new(out);
    write!(out, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{about},\"traceEvents\":[")?;
    let named: Vec<TraceEvent> = tracks.metadata(&events);
    for (index, event) in named.iter().chain(&events).enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, event)?;
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;
    use crate::verdict::judge;

    fn trace(run: &Fixture) -> Vec<Value> {
        let timeline = build_from(&run.evidence, &run.flights);
        let verdict = judge(&run.evidence, &timeline);
        let mut bytes = Vec::new();
        let view = Run { evidence: &run.evidence, timeline: &timeline, verdict: &verdict };
        write_from(&view, &run.flights, &mut bytes).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["traceEvents"].as_array().unwrap().clone()
    }

    fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
        events.iter().filter(|event| event["name"] == name && event["ph"] == "X").collect()
    }

    #[test]
    fn a_wait_is_a_slice_with_the_time_it_was_armed_for() {
        let events = trace(&Fixture::syn_retries());
        let wait = named(&events, "poll").into_iter().find(|wait| wait["ts"] == 219_700.0).unwrap();
        assert_eq!((&wait["dur"], &wait["args"]["armed_s"]), (&1_001_200.0.into(), &1.0.into()));
    }

    #[test]
    fn a_dropped_packet_is_a_slice_with_an_instant_where_it_ended() {
        let events = trace(&Fixture::syn_retries());
        let packets = named(&events, "SYN");
        assert_eq!(packets.len(), 2);
        assert_eq!((&packets[1]["ts"], &packets[1]["dur"]), (&1_044_150.0.into(), &10.0.into()));
        let fault = "dropped at server by \"drop tcp dport=80\"";
        let ends: Vec<&Value> = events.iter().filter(|e| e["ph"] == "i" && e["name"] == fault).collect();
        assert_eq!((ends.len(), &ends[0]["ts"]), (2, &20_160.0.into()));
    }

    #[test]
    fn the_call_that_sent_a_packet_has_an_arrow_to_it_and_a_retransmission_has_none() {
        let events = trace(&Fixture::syn_retries());
        let starts: Vec<&Value> = events.iter().filter(|event| event["ph"] == "s").collect();
        assert_eq!(starts.len(), 1);
        assert_eq!(starts[0]["ts"], 20_150.0);
    }

    #[test]
    fn stamps_before_zero_move_everything_so_that_none_is_negative() {
        let mut run = Fixture::syn_retries();
        run.segment(-1_500, ("client", 1, "server", 2), "A", 0);
        let events = trace(&run);
        let stamps: Vec<f64> = events.iter().filter_map(|event| event["ts"].as_f64()).collect();
        assert_eq!(stamps.iter().copied().fold(f64::MAX, f64::min), 0.0);
        assert_eq!(named(&events, "connect")[0]["ts"], 21_600.0);
    }
}
