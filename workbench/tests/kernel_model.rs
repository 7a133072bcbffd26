//! The model of the kernel's timers against kernels: every timer that a program lets run out ends at the instant that
//! the model computes from the place of the run in the timer wheel, to a jiffy.

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::evidence::{Direction, Evidence};
use workbench::kernel_model::{
    Connection, Neighbours, Prediction, Settings, SocketOptions, Start, connect_gives_up, fin_wait2_ends,
    keepalive_gives_up, neighbour_gives_up, persist_gives_up, retransmissions_give_up, socket_timeout, time_wait_ends,
};
use workbench::kernels;

use crate::support::virtual_engine::{read, virtual_engine};
use crate::support::{root, scenario, scratch, texts};

/// How often the program looks whether a state has ended.
const LOOK_NS: u64 = 20_000_000;

/// Scenarios: what the client's sysctls are, and which functions of the program run.
const CASES: &[(&str, &[(&str, u64)], &str)] = &[
    ("kernel_model_says_when_a_connect_gives_up", &[], "connects connects_with_user_timeout asks_for_neighbours"),
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
    let trial = |(name, sysctls, functions): &(&'static str, &'static [(&str, u64)], &'static str)| {
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
    if line["what"] == "persist" {
        start_ns = window_closed_ns(evidence, number("port").ok_or("no port")?, end_ns).ok_or("no closed window")?;
    }
    let start = Start::of(&evidence.machine, start_ns);
    let prediction = prediction(evidence, line, &start)?;
    let took_ns = (end_ns - start_ns) as u64;
    // What is looked for now and then is seen later than it happens.
    let is_looked_for = ["FIN_WAIT2", "TIME_WAIT", "orphan"].iter().any(|what| line["what"] == *what);
    let look_ns = if is_looked_for { LOOK_NS } else { 0 };
    let exact = prediction.exact.as_ref().ok_or("the run's place in the timer wheel is not known")?.gives_up;
    let tick_ns = evidence.machine.tick_ns;
    let is_exact = (exact.earliest_ns.saturating_sub(tick_ns)..=exact.latest_ns + tick_ns + look_ns).contains(&took_ns);
    let range = prediction.gives_up;
    let is_in_range = (range.earliest_ns..=range.latest_ns + tick_ns + look_ns).contains(&took_ns);
    let words = format!("{line}\n  took {took_ns}, computed {exact:?} in {range:?}");
    Ok((!is_exact || !is_in_range).then_some(words))
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
        "FIN_WAIT2" | "TIME_WAIT" | "orphan" => "None",
        _ => "ETIMEDOUT",
    };
    if line["error"] != expected {
        return Err(format!("ended otherwise: {line}"));
    }
    let zero_ns = evidence.machine.zero_realtime_ns - evidence.machine.realtime_offsets[0].offset_ns;
    let connection = Connection { rto_ns, is_orphan: what == "orphan" };
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
        "neighbour" => neighbour_gives_up(&settings, &Neighbours::of(evidence, "client", "eth0", false), start),
        "socket timeout" => {
            socket_timeout(&settings, "SO_RCVTIMEO", number("timeout_ms").unwrap_or(0) * 1_000_000, start)
        }
        other => return Err(format!("the program says {other}")),
    })
}

/// When the last segment with a window of 0 reached this port on the loopback interface.
fn window_closed_ns(evidence: &Evidence, port: u64, before_ns: i64) -> Option<i64> {
    let field = |bytes: &[u8], at: usize| Some(u64::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    // Ethernet and IPv4 without options stand before the TCP header.
    let on_lo = evidence.packets.iter().filter(|p| p.interface == "lo" && p.direction == Direction::Received);
    let closing = on_lo.filter(|p| field(&p.bytes, 36) == Some(port) && field(&p.bytes, 48) == Some(0));
    closing.map(|p| p.t_ns).filter(|t_ns| *t_ns < before_ns).max()
}
