//! Runs made by hand: a connect that nobody answers, with its timers as late as a test wants them.

use std::collections::BTreeMap;

use crate::evidence::{EVIDENCE_FORMAT_VERSION, End, Ending, EngineKind, Evidence, Lateness, Machine, Output, Process};
use crate::plan::{CommandPlan, Expectations, Origin, PLAN_FORMAT_VERSION, Plan, StdinPlan};
use crate::snapshot::{Comparison, Snapshot, Tolerance, compare};
use crate::timeline::{Event, EventKind, Timeline, Timer, TimerClass, Wait};

pub(super) const MS: i64 = 1_000_000;

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    /// Both ends included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below((high - low + 1).unsigned_abs())).unwrap()
    }
}

fn plan(argv: Vec<String>) -> Plan {
    Plan {
        programs: Vec::new(),
        daemons: Vec::new(),
        faults: Vec::new(),
        format_version: PLAN_FORMAT_VERSION,
        scenario: "syn-retries-0".to_owned(),
        file: "scenarios/syn-retries-0.kdl".to_owned(),
        about: Some("How long does connect(2) wait: \"when\" nobody answers?\n  - always: 3 s\n---\n".to_owned()),
        run: "curl".to_owned(),
        documented: Vec::new(),
        sweep: Vec::new(),
        template: None,
        requires: Vec::new(),
        memory_bytes: 0,
        hosts: Vec::new(),
        links: Vec::new(),
        etc: BTreeMap::new(),
        command: CommandPlan {
            program: None,
            host: "client".to_owned(),
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

pub(super) fn evidence(how: Ending, end_ns: i64) -> Evidence {
    let argv = ["curl", "--connect-timeout", "999", "http://server/"].map(str::to_owned).to_vec();
    let plan = plan(argv);
    let machine = Machine {
        zero_realtime_ns: 1_700_000_000_000_000_000,
        engine: EngineKind::Host,
        kernel: "6.18".to_owned(),
        arch: "x86_64".to_owned(),
        tick_ns: 4_000_000,
        realtime_offsets: Vec::new(),
        wire: None,
        phase: None,
        guest: None,
    };
    Evidence {
        blind_spots: Vec::new(),
        format_version: EVIDENCE_FORMAT_VERSION,
        machine,
        plan,
        setup: Vec::new(),
        sysctls: BTreeMap::new(),
        tools: BTreeMap::from([("curl".to_owned(), "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1".to_owned())]),
        calls: Vec::new(),
        signals: Vec::new(),
        processes: Vec::<Process>::new(),
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
        end: End { t_ns: end_ns, how },
        lateness: Lateness::default(),
    }
}

pub(super) fn event(t_ns: i64, at: &str, text: &str) -> Event {
    Event {
        t_ns,
        at: at.to_owned(),
        kind: EventKind::Packet,
        text: text.to_owned(),
        wait: None,
        is_claim: true,
        evidence: Vec::new(),
    }
}

pub(super) fn after(mut event: Event, gap_ns: i64, name: &str, class: TimerClass, armed_ms: u64) -> Event {
    let timer = Timer { name: name.to_owned(), class, armed_ns: armed_ms * 1_000_000 };
    event.wait = Some(Wait { gap_ns, timer: Some(timer) });
    event
}

pub(super) fn snapshot(how: Ending, events: Vec<Event>) -> Snapshot {
    let end_ns = events.last().map_or(0, |event| event.t_ns);
    Snapshot::from_run(&evidence(how, end_ns), &Timeline { events }, None)
}

const SYN: &str = "SYN, dropped at server by \"drop tcp dport=80\"";

/// What `connect` does when nobody answers.
pub(super) struct Connect {
    /// When `connect` is called.
    pub(super) start_ns: i64,
    /// What each retransmission waited for: armed in milliseconds, and how long it took.
    pub(super) sent: Vec<(u64, i64)>,
    /// When it gives up: armed in milliseconds, and how long it took.
    pub(super) end: (u64, i64),
}

impl Connect {
    /// The textbook's: 1, 2, 4, … s, everything on time.
    pub(super) fn on_time(retries: u32) -> Self {
        let sent = (0..retries).map(|n| (1000u64 << n, (1000i64 << n) * MS)).collect();
        Self { start_ns: 9 * MS, sent, end: ((2000 << retries) - 1000, ((2000i64 << retries) - 1000) * MS) }
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = vec![
            event(0, "lab", "net.ipv4.tcp_syn_retries = 0 refused: EINVAL; net.ipv4.tcp_syn_retries = 1 instead"),
            event(self.start_ns, "client", "connect to server:80"),
            event(self.start_ns + 100_000, "client -> server", SYN),
        ];
        let mut t_ns = self.start_ns + 100_000;
        for (number, (armed_ms, gap_ns)) in (1..).zip(&self.sent) {
            t_ns += gap_ns;
            let text = SYN.replacen("SYN", &format!("SYN, retransmission {number}"), 1);
            events.push(after(event(t_ns, "client -> server", &text), *gap_ns, "RTO", TimerClass::Wheel, *armed_ms));
        }
        let end_ns = self.start_ns + self.end.1;
        let failed = event(end_ns, "client", "connect failed: ETIMEDOUT");
        events.push(after(failed, self.end.1, "SYN retries", TimerClass::Wheel, self.end.0));
        events.push(event(end_ns + 300_000, "client", "exit 28"));
        events
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        snapshot(Ending::Exit(28), self.events())
    }
}

pub(super) fn against(expected: &Snapshot, observed: &Snapshot) -> Comparison {
    compare(expected, observed, &Tolerance { tick_ns: 4_000_000, lateness_ns: 0, engine: EngineKind::Host })
}
