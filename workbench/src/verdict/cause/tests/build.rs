//! More of the fixture, for the search: sockets and their options, connections, processes, threads, samples; and the
//! verdict in one line.

use crate::evidence::{
    Arg, CallResult, DestroyedSocket, Ending, Process, SampleReason, Signal, SocketSample, TcpInfo, TcpSocket,
    TcpState, TimeForm, TimerKind,
};
use crate::timeline::fixture::{Fixture, PID, error, ip, ms, place, polled, symbol, value};
use crate::timeline::{Content, Flight};
use crate::verdict::EndedBy;
use crate::verdict::cause::ended_by;

/// The connection that most tests have: the client's end and the server's.
pub const THERE: (&str, u16, &str, u16) = ("client", 40_404, "server", 80);
/// Its other direction.
pub const BACK: (&str, u16, &str, u16) = ("server", 80, "client", 40_404);

/// What ended it.
pub fn judged(run: &Fixture) -> EndedBy {
    ended_by(&run.evidence, &run.flights)
}

/// The verdict in one line: `tool curl: poll, 1 + 2000 ms, Certain`.
pub fn said(run: &Fixture) -> String {
    line(&judged(run))
}

/// As [`said`].
pub fn line(found: &EndedBy) -> String {
    let EndedBy { party, mechanism, who, confidence, .. } = found;
    let whole_ms = |ns: i64| ns / 1_000_000;
    let armed = match (found.armed_at_ns, found.armed_for_ns) {
        (Some(at), Some(ns)) => format!(", {} + {} ms", whole_ms(at), whole_ms(i64::try_from(ns).unwrap())),
        _ => String::new(),
    };
    format!("{party} {who}: {mechanism}{armed}, {confidence:?}")
}

/// As `epoll_wait` fills it in: `data` of what is ready.
pub fn ready(data: &[i64]) -> Arg {
    let entry = |fd: &i64| match polled(*fd, "", "EPOLLIN") {
        Arg::Poll(entries) => entries,
        _ => Vec::new(),
    };
    Arg::Poll(data.iter().flat_map(entry).collect())
}

/// A structure.
pub fn members(members: Vec<(&str, Arg)>) -> Arg {
    Arg::Struct(members.into_iter().map(|(name, arg)| (name.to_owned(), arg)).collect())
}

impl Fixture {
    /// The command exits at `us`.
    pub fn exit(&mut self, us: i64) -> &mut Self {
        self.end(us, Ending::Exit(1))
    }

    /// The last call was another thread's.
    pub fn by(&mut self, tid: u32) -> &mut Self {
        self.evidence.calls.last_mut().expect("a call was added").tid = tid;
        self
    }

    /// Another process, with where it came from and when it was there.
    pub fn process(&mut self, (pid, parent_tid): (u32, u32), name: &str, us: (i64, Option<i64>)) -> &mut Self {
        self.evidence.processes.push(Process {
            program: None,
            pid,
            tid: pid,
            parent_tid,
            argv: vec![name.to_owned()],
            start_ns: us.0 * 1000,
            end_ns: us.1.map(|us| us * 1000),
            exit_code: None,
            killed_by: None,
        });
        self
    }

    /// The last process was killed.
    pub fn killed_by(&mut self, signal: &str) -> &mut Self {
        self.evidence.processes.last_mut().expect("there is the command").killed_by = Some(signal.into());
        self
    }

    /// A signal that `sender` sent.
    pub fn sent(&mut self, us: i64, (sender, pid): (u32, u32), name: &str) -> &mut Self {
        let (name, code) = (name.into(), "SI_USER".into());
        let (t_ns, tid) = (us * 1000, pid);
        self.evidence.signals.push(Signal { t_ns, pid, tid, name, code, sender_pid: Some(sender), errno: None });
        self
    }

    /// `setsockopt` of a number.
    pub fn option(&mut self, us: i64, fd: i32, name: &str, number: i64) -> &mut Self {
        let number = Arg::List(vec![Arg::Int(number)]);
        self.call((us, us + 1), "setsockopt", vec![Arg::Fd(fd), symbol("SOL_TCP"), symbol(name), number], value(0))
    }

    /// `setsockopt` of SO_RCVTIMEO or SO_SNDTIMEO.
    pub fn time_option(&mut self, us: i64, fd: i32, name: &str, ms: u64) -> &mut Self {
        let time = Arg::timeout(Some(ms * 1_000_000), TimeForm::Timeval);
        self.call((us, us + 1), "setsockopt", vec![Arg::Fd(fd), symbol("SOL_SOCKET"), symbol(name), time], value(0))
    }

    /// `recvfrom`.
    pub fn receive(&mut self, us: (i64, i64), fd: i32, result: Option<CallResult>) -> &mut Self {
        self.call(us, "recvfrom", vec![Arg::Fd(fd), Arg::Pointer(1), Arg::Int(100)], result)
    }

    /// `epoll_create1` returning `set`, and each `(fd, data)` put into it.
    pub fn epoll(&mut self, us: i64, set: i32, watched: &[(i32, i64)]) -> &mut Self {
        self.call((us, us + 1), "epoll_create1", vec![Arg::Int(0)], value(set.into()));
        for (fd, data) in watched {
            self.epoll_ctl(us + 2, set, "EPOLL_CTL_ADD", (*fd, *data));
        }
        self
    }

    /// `epoll_ctl`.
    pub fn epoll_ctl(&mut self, us: i64, set: i32, how: &str, (fd, data): (i32, i64)) -> &mut Self {
        let event = members(vec![("events", symbol("EPOLLIN")), ("data", Arg::Int(data))]);
        self.call((us, us + 1), "epoll_ctl", vec![Arg::Fd(set), symbol(how), Arg::Fd(fd), event], value(0))
    }

    /// `epoll_wait`; nothing ready is a wait that ran out.
    pub fn epoll_wait(&mut self, us: (i64, i64), set: i32, timeout_ms: i64, data: &[i64]) -> &mut Self {
        let args = vec![Arg::Fd(set), ready(data), Arg::Int(10), ms(timeout_ms)];
        self.call(us, "epoll_wait", args, value(data.len() as i64))
    }

    /// `socket` and a blocking `connect` of `fd` from `us` on, whose handshake works.
    pub fn connected(&mut self, us: i64, fd: i32) -> &mut Self {
        self.socket(us, fd.into()).connect((us + 10, us + 100), fd, ("server", 80), value(0));
        self.segment(us + 20, THERE, "S", 0).segment(us + 40, BACK, "SA", 0);
        self.segment(us + 60, THERE, "A", 0).but(|flight| numbered(flight, 1))
    }

    /// Data from the client, nth time.
    pub fn data(&mut self, us: i64, seq: u32, nth: u32) -> &mut Self {
        self.segment(us, THERE, "PA", 10).but(|flight| numbered(flight, seq)).again(nth).dropped()
    }

    /// A sysctl of the client.
    pub fn sysctl(&mut self, name: &str, set: &str) -> &mut Self {
        let client = self.evidence.sysctls.entry("client".into()).or_default();
        client.insert(format!("net.ipv4.{name}"), set.into());
        self
    }

    /// The connection as a sample shows it, its timer running for another `expires_ms`.
    pub fn sample(&mut self, us: i64, state: TcpState, timer: TimerKind, expires_ms: u32) -> &mut Self {
        let sockets = vec![socket(state, timer, expires_ms)];
        let (host, because) = ("client".into(), SampleReason::Packet);
        self.evidence.sockets.push(SocketSample { host, t_ns: us * 1000, took_ns: 0, because, sockets });
        self
    }

    /// Changes the socket of the last sample.
    pub fn but_socket(&mut self, change: impl FnOnce(&mut TcpSocket)) -> &mut Self {
        change(&mut self.evidence.sockets.last_mut().expect("a sample was added").sockets[0]);
        self
    }

    /// The connection's socket is destroyed.
    pub fn destroyed(&mut self, us: i64) -> &mut Self {
        let socket = socket(TcpState::Close, TimerKind::Off, 0);
        self.evidence.destroyed.push(DestroyedSocket { host: "client".into(), t_ns: us * 1000, socket });
        self
    }

    /// `accept` of a listener, returning `fd` connected to the server's port 80.
    pub fn accept(&mut self, us: (i64, i64), listener: i32, fd: i64) -> &mut Self {
        self.call(us, "accept", vec![Arg::Fd(listener), place("server", 80), Arg::Int(16)], value(fd))
    }

    /// A call that was refused or that found nothing, on one descriptor.
    pub fn fails(&mut self, us: (i64, i64), name: &str, fd: i32, errno: &str) -> &mut Self {
        self.call(us, name, vec![Arg::Fd(fd)], error(errno))
    }

    /// `fork`'s other side: a child of the command.
    pub fn child(&mut self, pid: u32, name: &str, us: (i64, i64)) -> &mut Self {
        self.process((pid, PID), name, (us.0, Some(us.1)))
    }

    /// `wait4` that returns this child.
    pub fn wait4(&mut self, us: (i64, i64), pid: u32) -> &mut Self {
        self.call(us, "wait4", vec![Arg::Int(-1), Arg::Pointer(0)], value(pid.into()))
    }

    /// A connection to the server's port 81.
    pub fn segment_of_81(&mut self, us: i64, is_back: bool, flags: &str) -> &mut Self {
        let (there, back) = (("client", 40_405, "server", 81), ("server", 81, "client", 40_405));
        self.segment(us, if is_back { back } else { there }, flags, 0)
    }
}

pub fn numbered(flight: &mut Flight, seq: u32) {
    if let Content::Tcp(segment) = &mut flight.content {
        segment.seq = seq;
    }
}

fn socket(state: TcpState, timer: TimerKind, expires_ms: u32) -> TcpSocket {
    TcpSocket {
        local: (ip("client"), 40_404),
        remote: (ip("server"), 80),
        interface: 0,
        interface_name: None,
        only_v6: false,
        cookie: 1,
        state,
        timer,
        expires_ms,
        retransmits: 0,
        recv_queue: 0,
        send_queue: 0,
        uid: 0,
        inode: 1,
        owner: None,
        shutdown: 0,
        congestion: None,
        info: Some(TcpInfo { rto: 204_000, ..TcpInfo::default() }),
    }
}

/// `io_uring_enter` that waits for so long by itself (IORING_ENTER_EXT_ARG).
pub fn enter_for(ms: u64) -> Vec<Arg> {
    let wait = members(vec![("ts", Arg::timeout(Some(ms * 1_000_000), TimeForm::Timespec))]);
    vec![Arg::Fd(4), Arg::Int(0), Arg::Int(1), symbol("IORING_ENTER_EXT_ARG"), wait, Arg::Int(24)]
}
