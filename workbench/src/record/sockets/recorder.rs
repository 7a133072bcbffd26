//! Looks at the TCP sockets of all hosts when it is told to, hears of those that are destroyed, and reads the network
//! stacks' counters. Stamps stay on CLOCK_MONOTONIC until [`SocketRecorder::finish`]; when to look is [`Schedule`]'s.
//!
//! [`Schedule`]: super::Schedule

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::destroyed::DestroyedSockets;
use super::diag::Diag;
use super::families::Families;
use super::owners::Owners;
use crate::evidence::{CounterChange, DestroyedSocket, SampleReason, SocketSample, TcpSocket};
use crate::record::counters::CounterFiles;
use crate::sys::interface;

/// The sockets of a host cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("host `{host}`: cannot {what}: {source}")]
pub struct SocketError {
    /// Host.
    pub host: String,
    /// What was tried.
    pub what: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

/// Records the TCP sockets of all hosts.
pub struct SocketRecorder {
    hosts: Vec<Host>,
    owners: Owners,
    samples: Vec<SocketSample>,
    destroyed: Vec<DestroyedSocket>,
    counters: BTreeMap<String, BTreeMap<String, CounterChange>>,
    /// Why this kernel tells nothing of its sockets.
    unsupported: Option<io::Error>,
}

/// One host's network stack.
struct Host {
    name: String,
    diag: Diag,
    destroyed: DestroyedSockets,
    families: Families,
    counters: CounterFiles,
    had_sockets: bool,
}

/// What was recorded, since zero.
pub struct Recorded {
    /// Samples, in order.
    pub samples: Vec<SocketSample>,
    /// Destroyed sockets, in order.
    pub destroyed: Vec<DestroyedSocket>,
    /// Counters that changed, by host.
    pub counters: BTreeMap<String, BTreeMap<String, CounterChange>>,
    /// What could not be recorded, with the kernel's word for it: the run's other evidence holds all the same.
    pub missing: Vec<(&'static str, io::Error)>,
}

impl SocketRecorder {
    /// Opens what is needed in each host's network namespace, on a thread of its own that ends then. The hosts may
    /// still be empty.
    ///
    /// # Errors
    /// The first host's whose namespace cannot be entered, or whose files and sockets cannot be opened. That the kernel
    /// has no sock_diag at all is none: nothing is recorded then.
    pub fn open_all(hosts: &[(&str, BorrowedFd<'_>)]) -> Result<Self, SocketError> {
        let open = |(name, netns): &(&str, BorrowedFd<'_>)| Host::open(name, *netns);
        let hosts: Result<Vec<Host>, _> = thread::scope(|scope| {
            let opening = scope.spawn(|| hosts.iter().map(open).collect());
            opening.join().expect("a thread that opens files does not panic")
        });
        let (hosts, unsupported) = match hosts {
            Err(error) if error.source.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                (Vec::new(), Some(error.source))
            }
            hosts => (hosts?, None),
        };
        Ok(Self {
            hosts,
            owners: Owners::default(),
            samples: Vec::new(),
            destroyed: Vec::new(),
            counters: BTreeMap::new(),
            unsupported,
        })
    }

    /// Those that were destroyed so far, in order.
    pub fn destroyed(&self) -> &[DestroyedSocket] {
        &self.destroyed
    }

    /// What poll(2) says is readable when [`SocketRecorder::hear`] has something to take.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.hosts.iter().map(|host| host.destroyed.as_fd())
    }

    /// Takes what the kernel tells of destroyed sockets, and says whether it did.
    ///
    /// # Errors
    /// The kernel's, with the host.
    pub fn hear(&mut self, now: impl Fn() -> i64) -> Result<bool, SocketError> {
        let before = self.destroyed.len();
        for host in &mut self.hosts {
            let sockets = host.destroyed.take().map_err(error(&host.name, "hear of destroyed sockets"))?;
            let of_host = |socket| DestroyedSocket { host: host.name.clone(), t_ns: now(), socket };
            self.destroyed.extend(sockets.into_iter().map(of_host));
        }
        Ok(self.destroyed.len() > before)
    }

    /// Throws away what the kernel has told of destroyed sockets so far.
    ///
    /// # Errors
    /// As [`SocketRecorder::hear`].
    pub fn forget(&mut self, now: impl Fn() -> i64) -> Result<(), SocketError> {
        self.hear(now)?;
        self.destroyed.clear();
        Ok(())
    }

    /// Looks at all hosts, and says what it saw. A host without sockets, which had none the last time, is left out,
    /// except at the beginning and at the end.
    ///
    /// # Errors
    /// The kernel's, with the host. That it has no `tcp_diag` is none: nothing is seen then.
    pub fn look(&mut self, because: SampleReason, now: impl Fn() -> i64) -> Result<&[SocketSample], SocketError> {
        let first = self.samples.len();
        for host in &mut self.hosts {
            if self.unsupported.is_some() {
                break;
            }
            match host.look(because, &now) {
                Ok(sample) => self.samples.extend(sample),
                Err(error) if error.source.raw_os_error() == Some(libc::ENOENT) => {
                    self.unsupported = Some(error.source);
                }
                Err(error) => return Err(error),
            }
        }
        let sockets = self.samples[first..].iter_mut().flat_map(|sample| &mut sample.sockets);
        self.owners.name(&mut sockets.collect::<Vec<_>>());
        Ok(&self.samples[first..])
    }

    /// The samples so far, in order.
    pub fn samples(&self) -> &[SocketSample] {
        &self.samples
    }

    /// Reads the counters that changes are counted from.
    ///
    /// # Errors
    /// The kernel's, with the host.
    pub fn begin_counting(&mut self) -> Result<(), SocketError> {
        for host in &mut self.hosts {
            host.counters.begin().map_err(error(&host.name, "read the network stack's counters"))?;
        }
        Ok(())
    }

    /// Reads the counters again, and keeps those that have changed.
    ///
    /// # Errors
    /// The kernel's, with the host.
    pub fn end_counting(&mut self) -> Result<(), SocketError> {
        for host in &mut self.hosts {
            let changes = host.counters.changes().map_err(error(&host.name, "read the network stack's counters"))?;
            self.counters.insert(host.name.clone(), changes);
        }
        Ok(())
    }

    /// What was recorded.
    pub fn finish(self, zero_ns: i64) -> Recorded {
        let Self { samples, destroyed, counters, .. } = self;
        let mut recorded = Recorded { samples, destroyed, counters, missing: Vec::new() };
        for sample in &mut recorded.samples {
            sample.t_ns -= zero_ns;
        }
        for socket in &mut recorded.destroyed {
            socket.t_ns -= zero_ns;
        }
        recorded.missing.extend(self.unsupported.map(|error| ("the timers of TCP sockets (sock_diag)", error)));
        if self.hosts.iter().any(|host| host.destroyed.has_lost) {
            let error = io::Error::from_raw_os_error(libc::ENOBUFS);
            recorded.missing.push(("some sockets' last state (SKNLGRP_INET_TCP_DESTROY)", error));
        }
        recorded
    }
}

impl Host {
    /// Moves the calling thread into `netns` and leaves it there.
    fn open(name: &str, netns: BorrowedFd<'_>) -> Result<Self, SocketError> {
        setns(netns, CloneFlags::CLONE_NEWNET)
            .map_err(io::Error::from)
            .map_err(error(name, "enter its network namespace to record sockets"))?;
        Ok(Self {
            name: name.to_owned(),
            diag: Diag::open().map_err(error(name, "open a NETLINK_SOCK_DIAG socket"))?,
            destroyed: DestroyedSockets::join().map_err(error(name, "join SKNLGRP_INET_TCP_DESTROY"))?,
            families: Families::open().map_err(error(name, "open /proc/net/sockstat"))?,
            counters: CounterFiles::open().map_err(error(name, "open /proc/net/snmp and netstat"))?,
            had_sockets: false,
        })
    }

    fn look(&mut self, because: SampleReason, now: impl Fn() -> i64) -> Result<Option<SocketSample>, SocketError> {
        let t_ns = now();
        let mut sockets: Vec<TcpSocket> = Vec::new();
        let families = self.families.present().map_err(error(&self.name, "read /proc/net/sockstat"))?;
        for family in families {
            sockets.extend(self.diag.dump(family).map_err(error(&self.name, "ask for its TCP sockets"))?);
        }
        let took_ns = (now() - t_ns).max(0) as u64;
        for socket in sockets.iter_mut().filter(|socket| socket.interface != 0) {
            socket.interface_name = interface::name(self.destroyed.as_fd(), socket.interface as i32).ok();
        }
        let had_sockets = std::mem::replace(&mut self.had_sockets, !sockets.is_empty());
        let is_edge = matches!(because, SampleReason::Start | SampleReason::End);
        let is_kept = is_edge || had_sockets || self.had_sockets;
        Ok(is_kept.then(|| SocketSample { host: self.name.clone(), t_ns, took_ns, because, sockets }))
    }
}

/// For `map_err`.
fn error(host: &str, what: &'static str) -> impl FnOnce(io::Error) -> SocketError {
    move |source| SocketError { host: host.to_owned(), what, source }
}
