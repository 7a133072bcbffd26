//! Hand-made evidence for tests: two hosts, one link, a rule, and whatever calls, packets and signals a test adds.
//!
//! Times are microseconds since zero. Nothing here resembles a particular tool more than it has to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::flight::{Content, Fate, Flight, TcpSegment};
use crate::evidence::{
    Arg, Call, CallResult, EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, Lateness, Machine, Output,
    PollEntry, Process, Signal, SocketAddress, TimeForm,
};
use crate::plan::{
    CommandPlan, Expectations, Hook, HostPlan, LinkEnd, LinkPlan, Origin, PLAN_FORMAT_VERSION, Plan, Protocol,
    RuleAction, RuleMatch, RulePlan, StdinPlan, Which,
};

/// The client's process.
pub const PID: u32 = 7;

/// Evidence in the making.
pub struct Fixture {
    /// What was seen.
    pub evidence: Evidence,
    /// Its packets, paired.
    pub flights: Vec<Flight>,
}

/// `client`, `server`, or an address.
pub fn ip(host: &str) -> IpAddr {
    match host {
        "client" => "10.9.0.1".parse().unwrap(),
        "server" => "10.9.0.2".parse().unwrap(),
        address => address.parse().unwrap(),
    }
}

/// A place as a socket's address.
pub fn place(host: &str, port: u16) -> Arg {
    Arg::Address(SocketAddress::Inet { ip: ip(host), port })
}

/// A constant.
pub fn symbol(name: &str) -> Arg {
    Arg::Symbol(name.into())
}

/// A timeout in milliseconds; -1 is for ever.
pub fn ms(ms: i64) -> Arg {
    Arg::timeout(u64::try_from(ms).ok().map(|ms| ms * 1_000_000), TimeForm::Ms)
}

/// A timeout in nanoseconds.
pub fn timeout(ns: u64) -> Arg {
    Arg::timeout(Some(ns), TimeForm::Timespec)
}

/// A timer that fires once.
pub fn timer(value_ns: u64) -> Arg {
    Arg::Timer { value_ns, interval_ns: 0, form: TimeForm::Timespec, at_ns: None }
}

/// `poll`'s set with one descriptor.
pub fn polled(fd: i64, events: &str, revents: &str) -> Arg {
    Arg::Poll(vec![PollEntry { fd, events: events.into(), revents: revents.into() }])
}

/// -1 with this errno.
pub fn error(errno: &str) -> Option<CallResult> {
    Some(CallResult::Error(errno.into()))
}

/// A value.
pub fn value(value: i64) -> Option<CallResult> {
    Some(CallResult::Value(value))
}

impl Fixture {
    /// `client` and `server`, linked; the server drops TCP to port 80. The command runs in `client`.
    pub fn new(command: &str) -> Self {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let process = Process {
            program: None,
            pid: PID,
            tid: PID,
            parent_tid: 0,
            argv: argv.clone(),
            start_ns: 0,
            end_ns: None,
            exit_code: None,
            killed_by: None,
        };
        let sysctls = [("net.ipv4.tcp_syn_retries", "1"), ("net.ipv4.tcp_syn_linear_timeouts", "0")];
        let sysctls: BTreeMap<String, String> = sysctls.map(|(k, v)| (k.into(), v.into())).into();
        let evidence = Evidence {
            format_version: EVIDENCE_FORMAT_VERSION,
            blind_spots: Vec::new(),
            machine: Machine {
                engine: EngineKind::Host,
                kernel: "6.18.44".into(),
                arch: "x86_64".into(),
                tick_ns: 4_000_000,
                zero_realtime_ns: 0,
                realtime_offsets: Vec::new(),
                wire: None,
                phase: None,
                guest: None,
            },
            plan: plan(argv),
            setup: Vec::new(),
            sysctls: BTreeMap::from([("client".into(), sysctls)]),
            tools: BTreeMap::new(),
            calls: Vec::new(),
            signals: Vec::new(),
            processes: vec![process],
            packets: Vec::new(),
            capture_loss: Vec::new(),
            sockets: Vec::new(),
            destroyed: Vec::new(),
            counters: BTreeMap::new(),
            faults: Vec::new(),
            daemons: Vec::new(),
            steps: Vec::new(),
            rule_counters: BTreeMap::new(),
            output: Output::default(),
            end: End { t_ns: 0, how: Ending::Exit(0) },
            lateness: Lateness::default(),
        };
        Self { evidence, flights: Vec::new() }
    }

    /// A call of the command.
    pub fn call(&mut self, us: (i64, i64), name: &str, args: Vec<Arg>, result: Option<CallResult>) -> &mut Self {
        self.call_of(PID, us, name, args, result)
    }

    /// A call of another process.
    pub fn call_of(
        &mut self,
        pid: u32,
        (entry, exit): (i64, i64),
        name: &str,
        args: Vec<Arg>,
        result: Option<CallResult>,
    ) -> &mut Self {
        let exit_ns = result.is_some().then_some(exit * 1000);
        let seq = self.evidence.calls.len() as u64;
        let name = name.into();
        self.evidence.calls.push(Call { seq, pid, tid: pid, name, args, result, entry_ns: entry * 1000, exit_ns });
        self
    }

    /// `socket` returning `fd`, at `us`.
    pub fn socket(&mut self, us: i64, fd: i64) -> &mut Self {
        let args = vec![symbol("AF_INET"), symbol("SOCK_STREAM"), symbol("IPPROTO_TCP")];
        self.call((us, us + 1), "socket", args, value(fd))
    }

    /// `connect` of `fd` to `host:port`.
    pub fn connect(
        &mut self,
        us: (i64, i64),
        fd: i32,
        (host, port): (&str, u16),
        result: Option<CallResult>,
    ) -> &mut Self {
        self.call(us, "connect", vec![Arg::Fd(fd), place(host, port), Arg::Int(16)], result)
    }

    /// `poll` of one descriptor; empty `revents` is a wait that ran out.
    pub fn poll(&mut self, us: (i64, i64), fd: i64, timeout_ms: i64, revents: &str) -> &mut Self {
        let args = vec![polled(fd, "POLLOUT", revents), Arg::Int(1), ms(timeout_ms)];
        self.call(us, "poll", args, value(i64::from(!revents.is_empty())))
    }

    /// `getsockopt(fd, SOL_SOCKET, SO_ERROR)`.
    pub fn socket_error(&mut self, us: i64, fd: i32, errno: &str) -> &mut Self {
        let args = vec![Arg::Fd(fd), symbol("SOL_SOCKET"), symbol("SO_ERROR"), Arg::List(vec![symbol(errno)])];
        self.call((us, us + 1), "getsockopt", args, value(0))
    }

    /// `close`.
    pub fn close(&mut self, us: i64, fd: i32) -> &mut Self {
        self.call((us, us + 1), "close", vec![Arg::Fd(fd)], value(0))
    }

    /// A TCP segment; flags as in `S`, `SA`, `R`, `RA`, `A`, `FA`. Sequence number 0 for SYNs.
    pub fn segment(&mut self, us: i64, ends: (&str, u16, &str, u16), flags: &str, payload_len: u32) -> &mut Self {
        let (from, sport, to, dport) = ends;
        let bits = [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('A', 16)];
        let flags: u8 = bits.iter().filter(|(letter, _)| flags.contains(*letter)).map(|(_, bit)| *bit).sum();
        // The SYN has taken 0.
        let seq = u32::from(flags & 2 == 0);
        let segment = TcpSegment { sport, dport, seq, ack: 0, flags, window: 64_240, payload_len };
        self.flight(us, from, to, Content::Tcp(segment))
    }

    /// A packet that arrives 10 us after it was sent.
    pub fn flight(&mut self, us: i64, from: &str, to: &str, content: Content) -> &mut Self {
        self.flights.push(Flight {
            from: from.into(),
            to: to.into(),
            link: if from == to { "lo".into() } else { "client-server".into() },
            sent_ns: Some(us * 1000),
            arrived_ns: Some(us * 1000 + 10_000),
            fate: Fate::Arrived,
            addresses: Some((ip(from), ip(to))),
            content,
            wire_len: 74,
            retransmission: 0,
            sent_index: None,
            arrived_index: None,
        });
        self
    }

    /// Changes the last packet.
    pub fn but(&mut self, change: impl FnOnce(&mut Flight)) -> &mut Self {
        change(self.flights.last_mut().expect("a packet was added"));
        self
    }

    /// The last packet is the `nth` retransmission.
    pub fn again(&mut self, nth: u32) -> &mut Self {
        self.but(|flight| flight.retransmission = nth)
    }

    /// The last packet is dropped by the server's rule.
    pub fn dropped(&mut self) -> &mut Self {
        self.but(|flight| flight.fate = Fate::TakenByRule { rule: "server-drop-1".into(), at: "server".into() })
    }

    /// A signal to the command.
    pub fn signal(&mut self, us: i64, name: &str, code: &str) -> &mut Self {
        let (name, code) = (name.into(), code.into());
        let t_ns = us * 1000;
        self.evidence.signals.push(Signal { t_ns, pid: PID, tid: PID, name, code, sender_pid: None, errno: None });
        self
    }

    /// The end.
    pub fn end(&mut self, us: i64, how: Ending) -> &mut Self {
        self.evidence.end = End { t_ns: us * 1000, how };
        self
    }

    /// A name that does not answer for 3 s: what `syn-retries-0` gives with a tool that polls once a second.
    pub fn syn_retries() -> Self {
        let mut run = Self::new("curl --connect-timeout 999 http://server/");
        run.evidence.setup.push(crate::evidence::SetupNote {
            at: "client".into(),
            asked: "net.ipv4.tcp_syn_retries = 0".into(),
            refused: "EINVAL".into(),
            instead: "net.ipv4.tcp_syn_retries = 1".into(),
            origin: Origin::default(),
        });
        let syn = ("client", 40_404, "server", 80);
        run.socket(20_000, 5).connect((20_100, 20_200), 5, ("server", 80), error("EINPROGRESS"));
        run.segment(20_150, syn, "S", 0).dropped();
        run.poll((20_300, 219_500), 5, 198, "").poll((219_600, 219_601), 5, 0, "");
        run.poll((219_700, 1_220_900), 5, 1000, "");
        run.segment(1_044_150, syn, "S", 0).again(1).dropped();
        run.poll((1_221_000, 1_221_001), 5, 0, "").poll((1_221_100, 2_222_000), 5, 1000, "");
        run.poll((2_222_050, 2_222_051), 5, 0, "");
        run.poll((2_222_100, 3_069_200), 5, 1000, "POLLOUT|POLLERR|POLLHUP");
        run.socket_error(3_069_300, 5, "ETIMEDOUT").close(3_069_400, 5);
        run.evidence.output.stderr = b"curl: (28) Failed to connect to server port 80 after 3049 ms\n".to_vec();
        run.end(3_071_000, Ending::Exit(28));
        run
    }
}

fn plan(argv: Vec<String>) -> Plan {
    let host = |name: &str, rules: Vec<RulePlan>| HostPlan {
        name: name.into(),
        is_router: false,
        sysctls: Vec::new(),
        routes: Vec::new(),
        rules,
        peers: Vec::new(),
        origin: Origin::default(),
    };
    let end = |name: &str, mac: u8| LinkEnd {
        host: name.into(),
        interface: "eth0".into(),
        mac: [2, 0, 0, 0, 0, mac],
        addresses: vec![(ip(name), 24)],
        neighbours: Vec::new(),
        netem: None,
        drops: Vec::new(),
        is_down: false,
    };
    let link = link([end("client", 1), end("server", 2)]);
    Plan {
        programs: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        format_version: PLAN_FORMAT_VERSION,
        scenario: "syn-retries-0".into(),
        file: "scenarios/syn-retries-0.kdl".into(),
        about: None,
        run: argv[0].clone(),
        documented: Vec::new(),
        sweep: Vec::new(),
        template: None,
        requires: Vec::new(),
        memory_bytes: 0,
        hosts: vec![host("client", Vec::new()), host("server", vec![drop_rule()])],
        links: vec![link],
        etc: BTreeMap::new(),
        command: CommandPlan {
            program: None,
            host: "client".into(),
            argv,
            env: BTreeMap::new(),
            stdin: StdinPlan::Empty,
            deadline_ns: None,
            files: Vec::new(),
            has_default_deadline: false,
            is_horizon: false,
            origin: Origin::default(),
        },
        expect: Expectations::default(),
        differs: Vec::new(),
    }
}

fn link(ends: [LinkEnd; 2]) -> LinkPlan {
    LinkPlan { name: "client-server".into(), ends, mtu: 1500, delay_ns: 0, is_cut: false, origin: Origin::default() }
}

fn drop_rule() -> RulePlan {
    RulePlan {
        id: "server-drop-1".into(),
        text: "drop tcp dport=80".into(),
        hook: Some(Hook::Input),
        matching: RuleMatch {
            protocol: Protocol::Tcp,
            sport: None,
            dport: None,
            flags: None,
            from: None,
            to: None,
            which: Which::All,
        },
        from: Vec::new(),
        to: Vec::new(),
        action: RuleAction::Drop,
        origin: Origin::default(),
    }
}
