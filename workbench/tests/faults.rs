//! Faults with a cause on both engines: that they begin and heal when they should, as the packets and the command's own
//! words tell. How soon after its cause one began is asserted in virtual time alone.

use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{Direction, EngineKind, Evidence, FaultRecord, Packet};

use crate::support::virtual_engine::read;
use crate::support::{no_labs, scenario, scratch, texts, virtual_engine, workbench};

const S: i64 = 1_000_000_000;

/// A whole scenario with a run called `run`, and what has to hold of it.
struct Case {
    name: &'static str,
    text: &'static str,
    /// The host engine's kernel need not have what it takes.
    is_virtual_only: bool,
    holds: fn(&Evidence) -> Result<(), String>,
}

pub fn trials() -> Vec<Trial> {
    CASES.iter().flat_map(|case| [on_the_host(case), in_virtual_time(case)]).flatten().collect()
}

fn on_the_host(case: &'static Case) -> Option<Trial> {
    let trial = Trial::ignorable_test(format!("faults::{}::on_the_host", case.name), move || match no_labs() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => {
            let mut command = workbench();
            command.arg("run");
            judge(case, command)
        }
    });
    (!case.is_virtual_only).then_some(trial)
}

fn in_virtual_time(case: &'static Case) -> Option<Trial> {
    let name = format!("faults::{}::in_virtual_time", case.name);
    let body = move || match virtual_engine::virtual_engine() {
        Err(why) => Ok(Completion::ignored_with(why)),
        Ok(command) => judge(case, command),
    };
    Some(Trial::ignorable_test(name, body))
}

fn judge(case: &Case, mut command: Command) -> Result<Completion, Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "faults.kdl", case.text);
    command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file);
    let output = command.output()?;
    let evidence = read(&folder.path().join("faults/run/evidence.json")).map_err(|error| {
        let (out, err) = texts(&output);
        format!("{error}\n{out}{err}")
    })?;
    (case.holds)(&evidence).map_err(|why| {
        let (out, err) = texts(&output);
        format!("{why}\n{:?}\n{out}{err}", evidence.faults)
    })?;
    Ok(Completion::Completed)
}

fn ensure(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn stdout(evidence: &Evidence) -> String {
    String::from_utf8_lossy(&evidence.output.stdout).into_owned()
}

/// The record of a fault, which began at once in virtual time, and never before its cause.
fn fault<'a>(evidence: &'a Evidence, id: &str) -> Result<&'a FaultRecord, String> {
    let record = evidence.faults.iter().find(|record| record.id == id).ok_or(format!("{id} never began"))?;
    ensure(record.refused.is_none(), format!("{id} was refused: {:?}", record.refused))?;
    let late_ns = record.began_ns - record.cause_ns;
    ensure(late_ns >= 0, format!("{id} began before its cause"))?;
    let is_virtual = evidence.machine.engine == EngineKind::Virtual;
    ensure(!is_virtual || late_ns < 1_000_000, format!("{id} began {late_ns} ns late"))?;
    Ok(record)
}

fn healed(record: &FaultRecord) -> Result<i64, String> {
    record.healed_ns.ok_or(format!("{} never healed", record.id))
}

/// Packets of more than a header that a host received.
fn received<'a>(evidence: &'a Evidence, host: &'a str) -> impl Iterator<Item = &'a Packet> {
    evidence.packets.iter().filter(move |p| p.host == host && p.direction == Direction::Received)
}

fn sent<'a>(evidence: &'a Evidence, host: &'a str) -> impl Iterator<Item = &'a Packet> {
    evidence.packets.iter().filter(move |p| p.host == host && p.direction == Direction::Sent)
}

/// A command that sends a datagram of 100 bytes every 200 ms, 20 times.
macro_rules! datagrams {
    () => {
        r#"python3 -c """
    import socket, time
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(20):
        s.sendto(b'x' * 100, ('10.9.0.2', 9))
        time.sleep(0.2)
    """
"#
    };
}

const CASES: &[Case] = &[
    Case {
        name: "a_cable_is_cut_and_plugged_in_again_at_their_times",
        text: concat!(
            "namespace client\nnamespace server {\n    silent udp port=9\n}\n",
            "link client server {\n    at \"1s\" until=\"2s\" { cut; }\n}\nrun run in=client ",
            datagrams!()
        ),
        is_virtual_only: false,
        holds: |evidence| {
            let record = fault(evidence, "client-server-fault-1")?;
            let healed_ns = healed(record)?;
            ensure(record.cause_ns == S && healed_ns >= 2 * S, "not from 1 s to 2 s")?;
            let arrived: Vec<i64> = received(evidence, "server").map(|p| p.t_ns).collect();
            let quiet = arrived.iter().all(|t| *t <= record.began_ns || *t >= healed_ns);
            ensure(quiet, "a packet came through the gap")?;
            ensure(arrived.iter().any(|t| *t < S) && arrived.iter().any(|t| *t > healed_ns), "nothing around the gap")
        },
    },
    Case {
        name: "a_drop_begins_when_the_connection_is_established_and_lasts",
        text: r#"namespace client
namespace server {
    echo port=7
    when client.established port=7 { drop tcp; }
}
link client server
run run in=client python3 -c """
    import socket
    s = socket.create_connection(('10.9.0.2', 7))
    s.settimeout(2)
    try:
        while True: s.sendall(b'x'), s.recv(1)
    except TimeoutError: print('silence')
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            let record = fault(evidence, "server-fault-1")?;
            ensure(record.healed_ns.is_none() && stdout(evidence) == "silence\n", "it healed, or was heard")?;
            let taken = evidence.rule_counters.get("server-fault-1-drop-1").map_or(0, |counter| counter.packets);
            ensure(taken > 0, "the rule took nothing")
        },
    },
    Case {
        name: "bytes_are_counted_where_they_are_sent_and_the_drop_acts_after_them",
        text: concat!(
            "namespace client\nnamespace server {\n    silent udp port=9\n",
            "    after bytes=450 from=client for=\"1s\" { drop udp; }\n",
            "    after bytes=450 from=server { drop udp at=output; }\n}\n",
            "link client server\nrun run in=client ",
            datagrams!()
        ),
        is_virtual_only: false,
        holds: |evidence| {
            let record = fault(evidence, "server-fault-1")?;
            let fifth = sent(evidence, "client").nth(4).ok_or("no fifth packet")?;
            ensure(record.cause_ns == fifth.t_ns, "its cause is not the fifth packet")?;
            let took_ns = healed(record)? - record.began_ns;
            ensure(took_ns >= S, "it healed too soon")?;
            let taken = evidence.rule_counters.get("server-fault-1-drop-1").map_or(0, |counter| counter.packets);
            ensure((3..=5).contains(&taken), format!("{taken} were dropped"))?;
            // What never began leaves no trace.
            ensure(evidence.faults.len() == 1 && evidence.rule_counters.len() == 1, "the other one left a trace")
        },
    },
    Case {
        name: "a_route_turns_into_a_black_hole_and_comes_back",
        text: r#"namespace client {
    at "500ms" for="1s" { route server blackhole; sysctl "net.ipv4.ip_default_ttl" 9; }
    at "600ms" { route "192.0.2.0/24" prohibit; }
}
router middle
namespace server {
    silent udp port=9
}
link client middle
link middle server
run run in=client python3 -c """
    import socket, time
    def tell(to='10.9.1.2'):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try: s.sendto(b'x', (to, 9)); word = 'sent'
        except OSError as e: word = e.strerror
        print(word, open('/proc/sys/net/ipv4/ip_default_ttl').read().strip())
    tell(); time.sleep(1); tell(); tell('192.0.2.1'); time.sleep(1); tell()
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            healed(fault(evidence, "client-fault-1")?)?;
            let expected = "sent 64\nInvalid argument 9\nPermission denied 9\nsent 64\n";
            ensure(stdout(evidence) == expected, stdout(evidence))
        },
    },
    Case {
        name: "an_address_goes_away_and_comes_back_with_its_routes",
        text: r#"namespace client {
    at "500ms" for="1s" { address remove="10.9.0.1"; }
}
router middle
namespace server {
    echo port=7
}
link client middle
link middle server
run run in=client python3 -c """
    import socket, time
    def tell():
        try: socket.create_connection(('10.9.1.2', 7), 3).close(); print('connected')
        except OSError as e: print(e.strerror)
    tell(); time.sleep(1); tell(); time.sleep(1); tell()
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            healed(fault(evidence, "client-fault-1")?)?;
            ensure(stdout(evidence) == "connected\nNetwork is unreachable\nconnected\n", stdout(evidence))
        },
    },
    Case {
        name: "an_end_that_was_down_has_all_it_had_when_it_is_up_again",
        text: r#"namespace client
router middle
namespace server {
    echo port=7
}
link client middle ip=both {
    at "500ms" until="1500ms" { client down; }
}
link middle server ip=both
run run in=client python3 -c """
    import socket, time
    def tell(to):
        try: socket.create_connection((to, 7), 3).close(); print('connected')
        except OSError as e: print(e.strerror)
    tell('10.9.1.2'); tell('fd09:0:0:1::2'); time.sleep(1); tell('10.9.1.2'); time.sleep(2)
    tell('10.9.1.2'); tell('fd09:0:0:1::2')
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            healed(fault(evidence, "client-middle-fault-1")?)?;
            let expected = "connected\nconnected\nNetwork is unreachable\nconnected\nconnected\n";
            ensure(stdout(evidence) == expected, stdout(evidence))
        },
    },
    Case {
        name: "an_mtu_changes_for_both_ends_and_changes_back",
        text: r#"namespace client
namespace server
link client server {
    at "500ms" for="1s" { mtu 600; }
}
run run in=client python3 -c """
    import socket, time
    def tell():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(0, 10, 2)
        try: s.sendto(b'x' * 1000, ('10.9.0.2', 9)); print('sent')
        except OSError as e: print(e.strerror)
    tell(); time.sleep(1); tell(); time.sleep(1); tell()
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            healed(fault(evidence, "client-server-fault-1")?)?;
            ensure(stdout(evidence) == "sent\nMessage too long\nsent\n", stdout(evidence))
        },
    },
    Case {
        name: "netem_comes_and_goes_and_loses_nothing_that_is_under_way",
        text: concat!(
            "namespace client\nnamespace server {\n    silent udp port=9\n}\n",
            "link client server delay=\"500ms\" {\n    netem from=client corrupt=\"1%\" rate=\"10mbit\"\n",
            "    at \"1s\" for=\"1s\" { netem from=client delay=\"100ms\"; }\n",
            "    at \"3100ms\" until=\"3500ms\" { netem loss=\"100%\"; }\n}\nrun run in=client ",
            datagrams!()
        ),
        is_virtual_only: true,
        holds: |evidence| {
            healed(fault(evidence, "client-server-fault-1")?)?;
            healed(fault(evidence, "client-server-fault-2")?)?;
            let sent: Vec<i64> = sent(evidence, "client").map(|p| p.t_ns).collect();
            let arrived: Vec<i64> = received(evidence, "server").map(|p| p.t_ns).collect();
            let transit = |n: usize| arrived[n] - sent[n];
            ensure(transit(0) >= 500_000_000 && transit(0) < 510_000_000, "not 0.5 s to begin with")?;
            ensure(transit(6) >= 600_000_000 && transit(6) < 601_000_000, "not 0.6 s in the fault")?;
            ensure(transit(11) >= 500_000_000 && transit(11) < 510_000_000, "not 0.5 s after it")?;
            let lost = sent.iter().filter(|t| (3_100_000_000..3_500_000_000).contains(*t)).count();
            let late = sent.iter().filter(|t| **t + 500_000_000 > evidence.end.t_ns).count();
            // Those that are late may or may not be waited for.
            let all = (sent.len() - lost - late..=sent.len() - lost).contains(&arrived.len());
            ensure(all, format!("{} sent, {} arrived, {lost} lost, {late} late", sent.len(), arrived.len()))
        },
    },
    Case {
        name: "a_fault_heals_when_the_socket_is_gone_and_a_second_one_begins_by_a_step",
        text: r#"namespace client {
    at "100ms" until=client.gone { drop udp dport=5 at=output; }
    when helper.told for="200ms" { drop udp dport=6 at=output; }
}
namespace server {
    echo port=7
}
link client server
program helper in=client {
    wait client.gone
    step told
}
run run in=client python3 -c """
    import socket, time
    time.sleep(0.3)
    s = socket.create_connection(('10.9.0.2', 7))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0')
    time.sleep(0.3); s.close(); time.sleep(0.8)
    """
"#,
        is_virtual_only: false,
        holds: |evidence| {
            let first = fault(evidence, "client-fault-1")?;
            let healed_ns = healed(first)?;
            ensure(healed_ns >= 600_000_000, format!("healed after {healed_ns} ns"))?;
            let second = fault(evidence, "client-fault-2")?;
            ensure(second.cause_ns >= 600_000_000, "the step came too soon")?;
            ensure(healed(second)? - second.began_ns >= 200_000_000, "the second healed too soon")
        },
    },
    Case {
        name: "what_the_kernel_refuses_is_in_the_evidence",
        text: r#"namespace client {
    at "100ms" { sysctl "net.ipv4.tcp_syn_retries" 0; }
}
run run in=client "sleep 0.3"
"#,
        is_virtual_only: false,
        holds: |evidence| {
            let record = evidence.faults.first().ok_or("it never began")?;
            let refused = record.refused.as_deref().unwrap_or_default();
            ensure(refused.contains("tcp_syn_retries = 0") && refused.contains("EINVAL"), refused)
        },
    },
];
