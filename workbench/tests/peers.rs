//! Built-in peers, the lab's name service and names with several addresses, met by real clients on both engines. What
//! holds is read off packets, output and exit codes; how long it took is asserted in virtual time alone.

use std::collections::BTreeMap;
use std::process::Command;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{Direction, Ending, Evidence};

use crate::support::virtual_engine::read;
use crate::support::{no_labs, scenario, scratch, texts, virtual_engine, workbench};

/// What was seen of each run of a scenario.
type Runs = BTreeMap<String, Evidence>;

/// A scenario without its hosts' link, and what has to hold of its runs.
struct Case {
    name: &'static str,
    server: &'static str,
    /// Nodes of the file itself.
    rest: &'static str,
    holds: fn(&Runs) -> Result<(), String>,
}

pub fn trials() -> Vec<Trial> {
    CASES.iter().flat_map(|case| [on_the_host(case), in_virtual_time(case)]).collect()
}

fn on_the_host(case: &'static Case) -> Trial {
    Trial::ignorable_test(format!("peers::{}::on_the_host", case.name), move || match no_labs() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => {
            let mut command = workbench();
            command.arg("run");
            (case.holds)(&runs(command, case)?)?;
            Ok(Completion::Completed)
        }
    })
}

fn in_virtual_time(case: &'static Case) -> Trial {
    Trial::ignorable_test(
        format!("peers::{}::in_virtual_time", case.name),
        move || match virtual_engine::virtual_engine() {
            Err(why) => Ok(Completion::ignored_with(why)),
            Ok(command) => {
                (case.holds)(&runs(command, case)?)?;
                Ok(Completion::Completed)
            }
        },
    )
}

fn runs(mut command: Command, case: &Case) -> Result<Runs, Failed> {
    let folder = scratch();
    let text = format!(
        "namespace client\nnamespace server {{\n{}\n}}\nlink client server ip=both\n{}",
        case.server, case.rest
    );
    let file = scenario(folder.path(), "peers.kdl", &text);
    let output = command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg(&file).output()?;
    let told = || Failed::from(format!("{text}\n{}{}", texts(&output).0, texts(&output).1));
    let mut runs = Runs::new();
    for entry in std::fs::read_dir(folder.path().join("peers")).map_err(|_| told())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        runs.insert(name, read(&path.join("evidence.json")).map_err(|_| told())?);
    }
    if runs.len() == text.matches("\nrun ").count() { Ok(runs) } else { Err(told()) }
}

/// A TCP segment or a datagram that left or reached the server.
struct Seen {
    is_sent: bool,
    is_v6: bool,
    is_rst: bool,
    is_fin: bool,
    is_syn: bool,
    window: u16,
    data: usize,
    t_ns: i64,
}

/// What the server's port saw.
fn at_server(evidence: &Evidence, port: u16) -> Vec<Seen> {
    let seen = |packet: &workbench::evidence::Packet| {
        let sliced = LaxSlicedPacket::from_ethernet(&packet.bytes).ok()?;
        let is_v6 = matches!(sliced.net, Some(LaxNetSlice::Ipv6(_)));
        let is_sent = packet.direction == Direction::Sent;
        let plain =
            Seen { is_sent, is_v6, is_rst: false, is_fin: false, is_syn: false, window: 0, data: 0, t_ns: packet.t_ns };
        match sliced.transport? {
            TransportSlice::Tcp(tcp) => {
                let own = if is_sent { tcp.source_port() } else { tcp.destination_port() };
                let headers = 14 + if is_v6 { 40 } else { 20 } + tcp.slice().len() - tcp.payload().len();
                (own == port).then_some(Seen {
                    is_rst: tcp.rst(),
                    is_fin: tcp.fin(),
                    is_syn: tcp.syn(),
                    window: tcp.window_size(),
                    data: packet.wire_len as usize - headers,
                    ..plain
                })
            }
            TransportSlice::Udp(udp) => {
                let own = if is_sent { udp.source_port() } else { udp.destination_port() };
                (own == port).then_some(Seen { data: udp.payload().len(), ..plain })
            }
            _ => None,
        }
    };
    evidence.packets.iter().filter(|packet| packet.host == "server").filter_map(seen).collect()
}

/// How many bytes of data the server sent from a port.
fn said(evidence: &Evidence, port: u16) -> usize {
    at_server(evidence, port).iter().filter(|seen| seen.is_sent).map(|seen| seen.data).sum()
}

fn output(evidence: &Evidence) -> String {
    String::from_utf8_lossy(&evidence.output.stdout).into_owned()
}

fn is_virtual(evidence: &Evidence) -> bool {
    evidence.machine.guest.is_some()
}

/// For `holds`: that something is so, or in whose words it is not.
fn ensure(is_so: bool, evidence: &Evidence, what: &str) -> Result<(), String> {
    let told = || {
        let errors = String::from_utf8_lossy(&evidence.output.stderr);
        format!("{}: not so: {what}; it ended by {:?}\n{}{errors}", evidence.plan.run, evidence.end, output(evidence))
    };
    if is_so { Ok(()) } else { Err(told()) }
}

fn exits(evidence: &Evidence, code: i32) -> Result<(), String> {
    ensure(evidence.end.how == Ending::Exit(code), evidence, &format!("it exits with {code}"))
}

const CASES: &[Case] = &[
    Case {
        name: "refuse_answers_with_a_reset_on_both_families",
        server: "refuse port=80\nrefuse udp port=81",
        rest: "run v4 in=client \"curl -sS -4 http://server/\"\nrun v6 in=client \"curl -sS -6 http://server/\"\n",
        holds: |runs| {
            for (run, is_v6) in [("v4", false), ("v6", true)] {
                exits(&runs[run], 7)?;
                let is_refused = at_server(&runs[run], 80).iter().any(|s| s.is_sent && s.is_rst && s.is_v6 == is_v6);
                ensure(is_refused, &runs[run], "a RST of the family")?;
            }
            Ok(())
        },
    },
    Case {
        name: "silent_accepts_and_says_nothing",
        server: "silent port=80\nsilent udp port=81",
        rest: "run v4 in=client \"curl -sS -4 -m 1 http://server/\"\nrun v6 in=client \"curl -sS -6 -m 1 http://server/\"\n\
               run udp in=client \"nc -u -w 1 server 81\" {\n stdin text=\"x\"\n}\n",
        holds: |runs| {
            for run in ["v4", "v6"] {
                exits(&runs[run], 28)?;
                let seen = at_server(&runs[run], 80);
                ensure(seen.iter().any(|s| s.is_sent && s.is_syn), &runs[run], "it accepts")?;
                ensure(said(&runs[run], 80) == 0, &runs[run], "it says nothing")?;
                ensure(!seen.iter().any(|s| s.is_sent && s.is_fin), &runs[run], "it does not close")?;
            }
            ensure(at_server(&runs["udp"], 81).iter().all(|s| !s.is_sent), &runs["udp"], "no datagram comes back")
        },
    },
    Case {
        name: "backlog_drops_every_syn_and_leaves_no_trace_of_its_own_connection",
        server: "backlog port=80",
        rest: "run v4 in=client \"curl -sS -4 --connect-timeout 2 http://server/\"\n\
               run v6 in=client \"curl -sS -6 --connect-timeout 2 http://server/\"\n",
        holds: |runs| {
            for evidence in runs.values() {
                exits(evidence, 28)?;
                let seen = at_server(evidence, 80);
                ensure(seen.iter().filter(|s| s.is_syn).count() >= 2, evidence, "the SYN is sent again")?;
                ensure(!seen.iter().any(|s| s.is_sent), evidence, "nothing answers it")?;
                ensure(evidence.packets.iter().all(|p| p.interface != "lo"), evidence, "nothing is seen on lo")?;
                ensure(evidence.destroyed.iter().all(|d| d.host != "server"), evidence, "no socket of its own ends")?;
                let others = evidence.sockets.iter().filter(|sample| sample.host == "server");
                let is_quiet = others.flat_map(|sample| &sample.sockets).all(|s| s.remote.0.is_unspecified());
                ensure(is_quiet, evidence, "it has a listening socket and nothing else")?;
            }
            Ok(())
        },
    },
    Case {
        name: "stall_says_so_much_at_once_or_when_it_is_asked",
        server: "stall port=80 text=\"@RSYNCD: 31.0\\n\"\nstall port=81 bytes=100 when=asked\n\
                 stall udp port=82 bytes=20",
        rest: "run greeting in=client \"nc -w 1 server 80\"\nrun asked in=client \"curl -sS --http0.9 -m 1 http://server:81/\"\n\
               run unasked in=client \"nc -w 1 server 81\"\n\
               run udp in=client \"nc -u -w 1 server 82\" {\n stdin text=\"x\"\n}\n",
        holds: |runs| {
            ensure(output(&runs["greeting"]) == "@RSYNCD: 31.0\n", &runs["greeting"], "its text")?;
            exits(&runs["asked"], 28)?;
            ensure(said(&runs["asked"], 81) == 100, &runs["asked"], "100 bytes")?;
            ensure(said(&runs["unasked"], 81) == 0, &runs["unasked"], "nothing unasked")?;
            ensure(output(&runs["udp"]) == "0123456789abcde\n0123", &runs["udp"], "one datagram of 20 bytes")
        },
    },
    Case {
        name: "drip_says_a_little_every_second_to_the_millisecond",
        server: "drip port=80 bytes=4 every=\"1s\" total=10\ndrip udp port=81 bytes=2 every=\"500ms\" total=4",
        rest: "run tcp in=client \"nc server 80\"\nrun udp in=client \"nc -u -w 1 server 81\" {\n stdin text=\"x\"\n}\n",
        holds: |runs| {
            exits(&runs["tcp"], 0)?;
            ensure(output(&runs["tcp"]) == "0123456789", &runs["tcp"], "ten bytes and the end")?;
            ensure(output(&runs["udp"]) == "0123", &runs["udp"], "two datagrams")?;
            let said: Vec<Seen> = at_server(&runs["tcp"], 80).into_iter().filter(|s| s.is_sent && s.data > 0).collect();
            ensure(said.iter().map(|s| s.data).eq([4, 4, 2]), &runs["tcp"], "4, 4 and 2 bytes")?;
            let is_exact = said.windows(2).all(|w| (w[1].t_ns - w[0].t_ns - 1_000_000_000).abs() < 1_000_000);
            ensure(!is_virtual(&runs["tcp"]) || is_exact, &runs["tcp"], "a second between them")
        },
    },
    Case {
        name: "reset_says_so_much_and_resets",
        server: "reset port=80\nreset port=81 bytes=\"10KiB\" when=asked\nreset port=82 received=5",
        rest: "run at-once in=client \"nc server 80\"\nrun later in=client \"curl -sS --http0.9 -o /dev/null http://server:81/\"\n\
               run asked in=client \"nc server 82\" {\n stdin text=\"hello\"\n}\n",
        holds: |runs| {
            for (run, port, bytes) in [("at-once", 80, 0), ("later", 81, 10_240), ("asked", 82, 0)] {
                let seen = at_server(&runs[run], port);
                ensure(said(&runs[run], port) == bytes, &runs[run], "so many bytes")?;
                ensure(seen.iter().any(|s| s.is_sent && s.is_rst), &runs[run], "a RST")?;
                ensure(!seen.iter().any(|s| s.is_sent && s.is_fin), &runs[run], "no FIN")?;
            }
            exits(&runs["later"], 56)
        },
    },
    Case {
        name: "close_and_half_close_send_a_fin",
        server: "close port=80 text=\"bye\\n\" after=\"1s\"\nhalf-close port=81 text=\"bye\\n\"",
        rest: "run close in=client \"nc server 80\"\nrun half in=client \"nc -N server 81\" {\n stdin text=\"hello\"\n}\n",
        holds: |runs| {
            for (run, port) in [("close", 80), ("half", 81)] {
                let seen = at_server(&runs[run], port);
                ensure(output(&runs[run]) == "bye\n", &runs[run], "its text")?;
                ensure(seen.iter().any(|s| s.is_sent && s.is_fin), &runs[run], "a FIN")?;
                ensure(!seen.iter().any(|s| s.is_sent && s.is_rst), &runs[run], "no RST")?;
            }
            let heard: usize = at_server(&runs["half"], 81).iter().filter(|s| !s.is_sent).map(|s| s.data).sum();
            ensure(heard == 5, &runs["half"], "what is sent to it is taken")
        },
    },
    Case {
        name: "hoard_closes_its_window",
        server: "hoard port=80",
        rest: "run full in=client sh -c \"head -c 1000000 /dev/zero | nc server 80\" deadline=\"3s\"\n",
        holds: |runs| {
            let seen = at_server(&runs["full"], 80);
            let is_shut = seen.iter().any(|s| s.is_sent && !s.is_rst && s.window == 0);
            ensure(is_shut, &runs["full"], "a window of zero")?;
            ensure(runs["full"].end.how == Ending::Deadline, &runs["full"], "the sender goes on")
        },
    },
    Case {
        name: "echo_says_it_back",
        server: "echo port=7\necho udp port=7",
        rest: "run v4 in=client \"nc -4 -N server 7\" {\n stdin text=\"hello\"\n}\n\
               run v6 in=client \"nc -6 -N server 7\" {\n stdin text=\"hello\"\n}\n\
               run udp4 in=client \"nc -4 -u -w 1 server 7\" {\n stdin text=\"hello\"\n}\n\
               run udp6 in=client \"nc -6 -u -w 1 server 7\" {\n stdin text=\"hello\"\n}\n",
        holds: |runs| runs.values().try_for_each(|e| ensure(output(e) == "hello", e, "the same text")),
    },
    Case {
        name: "http_answers_as_it_should",
        server: "http port=80 size=\"100KiB\"\nhttp port=81 status=503 text=\"no\\n\" delay=\"1s\"",
        rest: "run twice in=client \"curl -sS -w '%{num_connects} %{size_download}\\n' -o /dev/null http://server/ -o /dev/null http://server/\"\n\
               run head in=client \"curl -sS -I http://server/\"\n\
               run post in=client \"curl -sS -i -d x=y http://server:81/\"\n\
               run continue in=client sh -c \"head -c 2000000 /dev/zero | curl -sS -H 'Expect: 100-continue' -H 'Content-Length: 2000000' --data-binary @- http://server:81/\"\n\
               run old in=client \"curl -sS -0 -o /dev/null -w '%{size_download}' http://server/\"\n",
        holds: |runs| {
            ensure(output(&runs["twice"]) == "1 102400\n0 102400\n", &runs["twice"], "one connection for two bodies")?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 102400\r\n\r\n";
            ensure(output(&runs["head"]) == head, &runs["head"], "a head")?;
            let post = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\n";
            ensure(output(&runs["post"]) == post, &runs["post"], "a response to POST")?;
            ensure(output(&runs["continue"]) == "no\n", &runs["continue"], "a large body is taken")?;
            ensure(output(&runs["old"]) == "102400", &runs["old"], "HTTP/1.0 is served")
        },
    },
    Case {
        name: "http_fails_inside_the_body",
        server: "http port=80 size=\"1MiB\" stall=\"10KiB\"\nhttp port=81 size=\"1MiB\" reset=\"10KiB\"\n\
                 http port=82 size=\"1MiB\" close=\"10KiB\"\nhttp port=83 size=\"1KiB\" rate=\"512B\"\n\
                 http port=84 text=\"abc\" bytes=1 every=\"100ms\"",
        rest: "run stall in=client \"curl -sS -m 2 -o /dev/null -w '%{size_download}' http://server/\"\n\
               run reset in=client \"curl -sS -o /dev/null -w '%{size_download}' http://server:81/\"\n\
               run close in=client \"curl -sS -o /dev/null -w '%{size_download}' http://server:82/\"\n\
               run rate in=client \"curl -sS -o /dev/null -w '%{size_download}' http://server:83/\"\n\
               run drip in=client \"curl -sS http://server:84/\"\n",
        holds: |runs| {
            for (run, code, size) in [("stall", 28, "10240"), ("reset", 56, "10240"), ("close", 18, "10240")] {
                exits(&runs[run], code)?;
                ensure(output(&runs[run]) == size, &runs[run], "so much of the body")?;
            }
            ensure(output(&runs["rate"]) == "1024", &runs["rate"], "all of the body")?;
            ensure(output(&runs["drip"]) == "abc", &runs["drip"], "all of the body")?;
            let pieces = at_server(&runs["rate"], 83).iter().filter(|s| s.is_sent && s.data > 0).count();
            ensure(!is_virtual(&runs["rate"]) || (20..=23).contains(&pieces), &runs["rate"], "ten pieces a second")
        },
    },
    Case {
        name: "dns_answers_what_it_knows",
        server: "dns {\n answer \"db.example\" \"10.9.0.5\"\n}\ndns truncated port=54",
        rest: "resolver server timeout=\"1s\" attempts=1\nname \"www.example\" \"10.9.0.9\" \"10.9.0.8\"\n\
               run known in=client \"getent ahostsv4 db.example\"\nrun unknown in=client \"getent ahosts nobody.example\"\n\
               run other in=client \"getent ahostsv6 db.example\"\nrun hosts in=client \"getent ahostsv4 www.example\"\n",
        holds: |runs| {
            exits(&runs["known"], 0)?;
            ensure(output(&runs["known"]).starts_with("10.9.0.5 "), &runs["known"], "the answer")?;
            exits(&runs["unknown"], 2)?;
            ensure(said(&runs["unknown"], 53) > 0, &runs["unknown"], "NXDOMAIN is said")?;
            exits(&runs["hosts"], 0)?;
            let text = output(&runs["hosts"]);
            let order: Vec<&str> = text.lines().filter(|l| l.contains("STREAM")).collect();
            ensure(order.len() == 2 && order[0].starts_with("10.9.0.9 "), &runs["hosts"], "the order of the file")?;
            ensure(said(&runs["hosts"], 53) == 0, &runs["hosts"], "what is in hosts is not asked for")
        },
    },
    Case {
        name: "dns_comes_over_tcp_when_it_was_truncated",
        server: "dns truncated {\n answer \"db.example\" \"10.9.0.5\"\n}",
        rest: "resolver server\nrun known in=client \"getent ahostsv4 db.example\"\n",
        holds: |runs| {
            ensure(output(&runs["known"]).starts_with("10.9.0.5 "), &runs["known"], "the answer")?;
            ensure(at_server(&runs["known"], 53).iter().any(|s| s.is_syn), &runs["known"], "it is asked over TCP")
        },
    },
    Case {
        name: "dns_is_silent_slow_and_wrong",
        server: "dns silent\ndns servfail port=54\ndns wrong-id port=55",
        rest: "resolver server timeout=\"1s\" attempts=2\nrun silent in=client \"getent ahostsv4 db.example\"\n",
        holds: |runs| {
            exits(&runs["silent"], 2)?;
            let asked = at_server(&runs["silent"], 53).iter().filter(|s| !s.is_sent).count();
            ensure(asked == 2, &runs["silent"], "asked twice")?;
            ensure(said(&runs["silent"], 53) == 0, &runs["silent"], "no answer")
        },
    },
];
