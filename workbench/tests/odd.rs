//! Ends that are easily taken for something else: programs that a verdict of ours once had wrong, or did not come to an
//! end with. The catalogue proves each mechanism by itself; here it stands beside others.

use libtest_mimic::{Failed, Trial};

use crate::catalogue::run::{Engine, Outcome};
use crate::catalogue::{Armed, Engines, Entry, Proof};
use crate::traced::{compiled, is_installed};

/// The server drops what comes for port 80.
const DROPPED: &str = "namespace client\nnamespace server {\n drop tcp dport=80\n}\nlink client server";

/// The same with two retries: the kernel gives up after about 7 s.
const TWO_RETRIES: &str = "namespace client {\n sysctl \"net.ipv4.tcp_syn_retries\" 2\n}\n\
    namespace server {\n drop tcp dport=80\n}\nlink client server";

/// The first SYN is answered by ICMP, while connect(2) holds the socket; all others by nobody.
const ONCE_UNREACHABLE: &str = "namespace client {\n sysctl \"net.ipv4.tcp_syn_retries\" 1\n}\n\
    namespace server {\n reject tcp dport=80 first=1 with=host-unreachable\n drop tcp dport=80\n}\nlink client server";

/// A connection over which data goes unanswered, but for ICMP.
const UNREACHABLE_LATER: &str = "namespace client {\n sysctl \"net.ipv4.tcp_retries2\" 3\n\
    reject tcp dport=7000 after=2 with=host-unreachable\n}";

/// A host alone, for a program that is its own peer.
const ALONE: &str = "namespace client";

/// A program of `odd.c` that gives up after 1.5 s.
const fn odd(name: &'static str, network: &'static str, command: &'static str, mechanism: &'static str) -> Entry {
    Entry::new(name, network, command).ends(1.49, 1.8).by("tool", mechanism).armed(Armed::For(1.5)).who("odd")
}

const ODD: &[Entry] = &[
    // There are ways without number through what two threads told each other.
    Entry::new("threads_that_wake_each_other", ALONE, "odd take-turns").ends(0.0, 10.0).by("tool", "exit").who("odd"),
    odd("the_third_firing_of_a_timer", DROPPED, "odd three-firings 10.9.0.2 80", "setitimer")
        .ends(1.69, 2.0)
        .seen(&[Proof::Signal("SIGALRM")])
        .armed(Armed::For(1.7)),
    odd("the_first_of_two_timers", DROPPED, "odd two-timers 10.9.0.2 80", "timer_create")
        .seen(&[Proof::Signal("SIGALRM")]),
    odd("a_timer_that_is_set_anew_once_it_has_fired", DROPPED, "odd set-anew 10.9.0.2 80", "timerfd"),
    odd("shut_down_by_its_own_thread", ALONE, "mechanisms with-peer silent odd shut-down", "clock_nanosleep")
        .seen(&[Proof::Call("shutdown", "= 0"), Proof::Call("recvfrom", "= 0")]),
    odd("a_wait_that_was_stopped", ALONE, "mechanisms with-peer silent odd stopped", "poll")
        .seen(&[Proof::Signal("SIGSTOP"), Proof::Call("restart_syscall", "= 0")])
        .ends(2.99, 3.2)
        .armed(Armed::For(3.0)),
    odd(
        "a_wait_until_an_instant_that_was_stopped",
        ALONE,
        "mechanisms with-peer silent odd stopped-until",
        "clock_nanosleep",
    )
    .seen(&[Proof::Signal("SIGSTOP")])
    .ends(2.99, 3.2)
    .armed(Armed::About(3.0)),
    odd("that_it_may_send_is_no_news", ALONE, "mechanisms with-peer silent odd goodbye", "poll")
        .seen(&[Proof::Call("poll", "POLLOUT}]")]),
    odd("killed_by_itself", ALONE, "mechanisms with-peer silent odd end-itself", "poll")
        .seen(&[Proof::Call("kill", "SIGKILL")]),
    odd("sigpipe", ALONE, "mechanisms with-peer closes odd talk-on", "RST")
        .seen(&[Proof::Signal("SIGPIPE")])
        .ends(1.19, 1.5)
        .by("peer", "RST")
        .armed(Armed::No)
        .who("127.0.0.1"),
    odd("a_connect_that_is_asked_about", TWO_RETRIES, "odd ask-again 10.9.0.2 80", "SYN retries")
        .seen(&[Proof::Call("connect", "EALREADY"), Proof::Call("connect", "ETIMEDOUT")])
        .ends(7.0, 7.6)
        .by("kernel", "SYN retries")
        .armed(Armed::Within(6.9, 7.2))
        .who("client"),
    odd("a_connect_that_icmp_did_not_end", ONCE_UNREACHABLE, "mechanisms connect 10.9.0.2 80", "SYN retries")
        .seen(&[Proof::Call("connect", "EHOSTUNREACH")])
        .ends(3.0, 3.2)
        .by("kernel", "SYN retries")
        .armed(Armed::Within(2.9, 3.2))
        .who("client")
        .virtual_only(),
    odd("a_connection_that_icmp_did_not_end", UNREACHABLE_LATER, "mechanisms ask silent", "retransmissions")
        .seen(&[Proof::Call("recvfrom", "EHOSTUNREACH"), Proof::Event("host unreachable")])
        .ends(1.0, 8.0)
        .by("kernel", "retransmissions")
        .armed(Armed::Within(1.0, 8.0))
        .who("client")
        .virtual_only(),
    Entry::new("a_name_server_that_is_not_there", ALONE, "mechanisms resolve 127.0.0.1")
        .by("peer", "ICMP port unreachable"),
    Entry::new("timeout_that_kills", DROPPED, "timeout -s KILL 2 curl -sS http://10.9.0.2/")
        .ends(1.99, 2.3)
        .by("tool", "timer_create")
        .armed(Armed::For(2.0))
        .who("timeout"),
];

pub fn trials() -> Vec<Trial> {
    let trial = |entry: &'static Entry, prefix: &str, on: Engine| {
        Trial::ignorable_test(format!("odd_{prefix}_{}", entry.name), move || entry.holds(&carry_out(entry, on)?))
    };
    let both = |entry: &'static Entry| {
        let host = (entry.engines == Engines::Both).then(|| trial(entry, "host", Engine::Host));
        [Some(trial(entry, "virtual", Engine::Virtual)), host].into_iter().flatten()
    };
    ODD.iter().flat_map(both).collect()
}

fn carry_out(entry: &Entry, on: Engine) -> Result<Outcome, Failed> {
    let absent =
        entry.command.split_whitespace().find(|word| ["curl", "timeout"].contains(word) && !is_installed(word));
    let (Some(odd), None) = (compiled("odd.c")?, absent) else {
        return Ok(Outcome::Skipped(format!("needs {}", absent.unwrap_or("gcc"))));
    };
    entry.carry_out_with(on, |word| (word == "odd").then(|| odd.to_owned()))
}
