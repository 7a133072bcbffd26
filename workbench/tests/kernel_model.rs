//! The model of the kernel's timers against kernels: every timer that a program lets run out ends at the instant that
//! the model computes from the place of the run in the timer wheel, to 0.1 ms.

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::evidence::{Direction, Evidence, Packet};
use workbench::kernel_model::{
    Connection, Neighbours, Prediction, Settings, SocketOptions, Span, Start, connect_gives_up, fin_wait2_ends,
    keepalive_gives_up, neighbour_gives_up, persist_gives_up, retransmissions_give_up, socket_timeout,
    syn_ack_gives_up, time_wait_ends,
};
use workbench::kernels;

use crate::support::virtual_engine::{read, virtual_engine};
use crate::support::{root, scenario, scratch, texts};

/// How much later than the timer something may be seen: computing takes no time here, but each call takes a little.
const LATE_NS: u64 = 100_000;

/// How often the program looks whether a state has ended.
const LOOK_NS: u64 = 20_000_000;

/// A trial: its name, the client's sysctls, and which functions of the program run.
type Case = (&'static str, &'static [(&'static str, u64)], &'static str);

const CASES: &[Case] = &[
    (
        "kernel_model_says_when_a_connect_gives_up",
        &[],
        "connects connects_with_user_timeout asks_for_neighbours half_opens",
    ),
    (
        "kernel_model_counts_from_the_tail_loss_probe",
        &[("tcp_retries2", 4)],
        "retransmits retransmits_with_user_timeout",
    ),
    (
        "kernel_model_says_when_a_connect_without_linear_timeouts_gives_up",
        &[("tcp_syn_linear_timeouts", 0), ("tcp_syn_retries", 3)],
        "connects connects_by_default",
    ),
    (
        "kernel_model_says_when_a_silent_peer_is_given_up",
        &[("tcp_retries2", 3), ("tcp_orphan_retries", 3), ("tcp_early_retrans", 0), ("tcp_fin_timeout", 7)],
        "retransmits retransmits_with_user_timeout keeps_alive probes probes_with_user_timeout socket_times_out \
         lingers is_orphaned",
    ),
    (
        "kernel_model_says_when_a_silent_peer_is_given_up_by_the_kernels_own_settings",
        &[("tcp_early_retrans", 0), ("tcp_fin_timeout", 90)],
        "retransmits probes keeps_alive_by_default lingers",
    ),
    (
        "kernel_model_knows_a_largest_rto_of_two_seconds",
        &[("tcp_early_retrans", 0), ("tcp_rto_max_ms", 2_000), ("tcp_retries2", 6)],
        "connects retransmits probes",
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, sysctls, functions): &Case| {
        let (sysctls, functions) = (*sysctls, *functions);
        Trial::ignorable_test(*name, move || compared(sysctls, functions))
    };
    CASES.iter().map(trial).collect()
}

fn compared(sysctls: &[(&str, u64)], functions: &str) -> Result<Completion, Failed> {
    let releases: Vec<String> = match kernels::select(Some("all"), kernels::host_hz()) {
        Ok(kernels) => kernels.into_iter().map(|kernel| kernel.about.release).collect(),
        Err(why) => return Ok(Completion::ignored_with(why.to_string())),
    };
    let set = |(name, value): &(&str, u64)| format!("    sysctl \"net.ipv4.{name}\" {value} if-present=#true\n");
    let program = root().join("workbench/tests/programs/kernel_timers.py");
    let text = format!(
        "namespace client {{\n{}}}\nnamespace server {{\n    drop tcp dport=80\n}}\nlink client server\n\
         run run in=client \"/usr/bin/python3 {} {functions}\" deadline=\"9h\"\n",
        sysctls.iter().map(set).collect::<String>(),
        program.display()
    );
    let folder = scratch();
    let file = scenario(folder.path(), "timers.kdl", &text);
    let mut command = virtual_engine()?;
    command.args(["--kernel", "all", "--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file);
    let (out, err) = texts(&command.output()?);
    for release in &releases {
        let name = if releases.len() == 1 { "run".into() } else { format!("run@{release}") };
        let path = folder.path().join("timers").join(name).join("evidence.json");
        let evidence = read(&path).map_err(|e| format!("{e}\n{out}{err}"))?;
        let complaints = complaints(&evidence)?;
        if !complaints.is_empty() {
            return Err(format!("Linux {release}:\n{}", complaints.join("\n")).into());
        }
    }
    Ok(Completion::Completed)
}

/// What went otherwise than computed. Every function of the program has to have said something.
fn complaints(evidence: &Evidence) -> Result<Vec<String>, Failed> {
    let text = String::from_utf8_lossy(&evidence.output.stdout).into_owned();
    let said: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let errors = String::from_utf8_lossy(&evidence.output.stderr).into_owned();
    if said.is_empty() || !errors.is_empty() {
        return Err(format!("{text}{errors}").into());
    }
    Ok(said.iter().filter_map(|line| complaint(evidence, line).transpose()).collect::<Result<_, _>>()?)
}

fn complaint(evidence: &Evidence, line: &Value) -> Result<Option<String>, String> {
    let number = |name: &str| line[name].as_u64();
    let zero_ns = evidence.machine.zero_realtime_ns - evidence.machine.realtime_offsets[0].offset_ns;
    let since_zero = |name: &str| number(name).map(|ns| ns as i64 - zero_ns).ok_or(format!("no {name}: {line}"));
    let end_ns = since_zero("end_ns")?;
    let mut start_ns = since_zero("start_ns")?;
    let began_ns = match line["what"].as_str() {
        Some("persist") => window_closed_ns(evidence, line, end_ns),
        Some("retransmissions") if has_loss_probes(evidence) => loss_probe_ns(evidence, line, start_ns),
        _ => Some(start_ns),
    };
    start_ns = began_ns.ok_or_else(|| format!("the beginning was not seen: {line}"))?;
    let start = Start::of(&evidence.machine, start_ns);
    let prediction = prediction(evidence, line, &start)?;
    let took_ns = (end_ns - start_ns) as u64;
    // What is looked for now and then is seen later than it happens.
    let is_looked_for = ["FIN_WAIT2", "TIME_WAIT", "orphan", "SYN-ACK"].iter().any(|what| line["what"] == *what);
    let look_ns = if is_looked_for { LOOK_NS } else { 0 };
    let exact = prediction.exact.as_ref().ok_or("the run's place in the timer wheel is not known")?;
    let latest_ns = exact.gives_up.latest_ns + LATE_NS + look_ns;
    let is_exact = (exact.gives_up.earliest_ns..=latest_ns).contains(&took_ns);
    let range = prediction.gives_up;
    let is_in_range = (range.earliest_ns..=range.latest_ns + LATE_NS + look_ns).contains(&took_ns);
    let sent_ns = sent_again_ns(evidence, line, start_ns, end_ns);
    let before_end = &exact.firings[..exact.firings.len() - 1];
    let is_sent = |(sent_ns, firing): (&u64, &Span)| firing.contains(*sent_ns, LATE_NS);
    let are_sent = !["connect", "SYN-ACK"].iter().any(|what| line["what"] == *what)
        || sent_ns.len() == before_end.len() && sent_ns.iter().zip(before_end).all(is_sent);
    let words = format!("{line}\n  took {took_ns}, computed {:?} in {range:?}", exact.gives_up);
    Ok((!is_exact || !is_in_range || !are_sent).then(|| format!("{words}\n  sent {sent_ns:?} for {before_end:?}")))
}

fn prediction(evidence: &Evidence, line: &Value, start: &Start) -> Result<Prediction, String> {
    let number = |name: &str| line[name].as_u64();
    let settings = Settings::of(evidence, "client").ok_or("no sysctls")?;
    let options = SocketOptions {
        syn_count: number("syn_count").map(|count| count as u32),
        user_timeout_ms: number("user_timeout_ms"),
        keep_idle_s: number("keep_idle_s"),
        keep_interval_s: number("keep_interval_s"),
        keep_count: number("keep_count").map(|count| count as u32),
        ..Default::default()
    };
    let rto_ns = number("rto_us").unwrap_or(0) * 1_000;
    let what = line["what"].as_str().unwrap_or_default();
    let expected = match what {
        "neighbour" => "EHOSTUNREACH",
        "socket timeout" => "EAGAIN",
        "FIN_WAIT2" | "TIME_WAIT" | "orphan" | "SYN-ACK" => "None",
        _ => "ETIMEDOUT",
    };
    if line["error"] != expected {
        return Err(format!("ended otherwise: {line}"));
    }
    let zero_ns = evidence.machine.zero_realtime_ns - evidence.machine.realtime_offsets[0].offset_ns;
    let connection = Connection { rto_ns, is_orphan: what == "orphan", backoff: 0 };
    Ok(match what {
        "connect" => connect_gives_up(&settings, &options, start),
        "retransmissions" | "orphan" => retransmissions_give_up(&settings, &options, &connection, start),
        "persist" => persist_gives_up(&settings, &options, &connection, start),
        "keepalive" => {
            let heard_ns = number("heard_ns").ok_or("no heard_ns")? as i64 - zero_ns;
            keepalive_gives_up(&settings, &options, heard_ns, start)
        }
        "FIN_WAIT2" => fin_wait2_ends(&settings, &options, rto_ns, start),
        "TIME_WAIT" => time_wait_ends(&settings, start),
        "SYN-ACK" => syn_ack_gives_up(&settings, &options, start),
        "neighbour" => neighbour_gives_up(&settings, &Neighbours::of(evidence, "client", "eth0", false), start),
        "socket timeout" => {
            socket_timeout(&settings, "SO_RCVTIMEO", number("timeout_ms").unwrap_or(0) * 1_000_000, start)
        }
        other => return Err(format!("the program says {other}")),
    })
}

/// A 16-bit field of a packet, counted from the Ethernet header.
fn field(packet: &Packet, at: usize) -> Option<u64> {
    Some(u64::from(u16::from_be_bytes(packet.bytes.get(at..at + 2)?.try_into().ok()?)))
}

/// Segments that reached the port of a line on the loopback interface; Ethernet and IPv4 without options stand before
/// the TCP header.
fn segments<'a>(evidence: &'a Evidence, line: &Value) -> impl Iterator<Item = &'a Packet> {
    let port = line["port"].as_u64();
    let on_lo = evidence.packets.iter().filter(|p| p.interface == "lo" && p.direction == Direction::Received);
    on_lo.filter(move |p| port.is_some() && field(p, 36) == port)
}

/// When the window was closed that nothing opened again.
fn window_closed_ns(evidence: &Evidence, line: &Value, before_ns: i64) -> Option<i64> {
    const WINDOW: usize = 48;
    segments(evidence, line).filter(|p| field(p, WINDOW) == Some(0) && p.t_ns < before_ns).map(|p| p.t_ns).max()
}

fn has_loss_probes(evidence: &Evidence) -> bool {
    evidence.sysctls["client"].get("net.ipv4.tcp_early_retrans").is_some_and(|value| value == "3")
}

/// When what was sent at `sent_ns` was sent for the second time.
fn loss_probe_ns(evidence: &Evidence, line: &Value, sent_ns: i64) -> Option<i64> {
    segments(evidence, line).map(|p| p.t_ns).filter(|t_ns| *t_ns > sent_ns + 1_000_000).min()
}

/// When SYNs left for the server while a line's connect was under way, and SYN-ACKs for its half-open connection.
fn sent_again_ns(evidence: &Evidence, line: &Value, from_ns: i64, to_ns: i64) -> Vec<u64> {
    const SYN: u64 = 0x02;
    const SYN_ACK: u64 = 0x12;
    let flags = if line["what"] == "connect" { SYN } else { SYN_ACK };
    let on_wire = evidence.packets.iter().filter(|p| p.host == "client" && p.interface == "eth0");
    let sent = on_wire.filter(|p| p.direction == Direction::Sent && field(p, 12) == Some(0x0800));
    let wanted = sent.filter(|p| field(p, 46).is_some_and(|offset_and_flags| offset_and_flags & 0x3f == flags));
    let after = wanted.filter(|p| p.t_ns > from_ns + 1_000_000 && p.t_ns < to_ns);
    after.map(|p| (p.t_ns - from_ns) as u64).collect()
}
