//! The packet recorder: one capture for each host, on all its interfaces, kept in memory until the run is over.
//!
//! It decodes nothing and pairs nothing; it does not know when zero was.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::evidence::{CaptureLoss, Direction, Packet};
use crate::sys::packet_ring::{Frame, PACKET_OUTGOING, PacketRing};

/// A capture could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The namespace could not be entered.
    #[error("host `{host}`: cannot enter its network namespace to record packets (setns)")]
    Enter {
        /// Host.
        host: String,
        /// The kernel's answer.
        source: nix::Error,
    },
    /// The packet socket or its ring could not be made.
    #[error("host `{host}`: cannot record packets (AF_PACKET socket with a receive ring; needs CONFIG_PACKET)")]
    Ring {
        /// Host.
        host: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Records all packets of one host. [`AsFd`] gives what poll(2) says is readable when packets wait for [`drain`].
///
/// Dropping a capture closes its socket, which takes tens of milliseconds; [`finish`] does not.
///
/// [`drain`]: Capture::drain
/// [`finish`]: Capture::finish
#[derive(Debug)]
pub struct Capture {
    host: String,
    ring: PacketRing,
    /// Names of the interfaces that packets were seen on, by index.
    interfaces: BTreeMap<i32, String>,
    seen: Vec<Seen>,
    /// The packets' bytes, one after the other.
    bytes: Vec<u8>,
}

/// A packet as it left the ring; its bytes stand in [`Capture::bytes`] up to `end`, from the one before on.
#[derive(Debug)]
struct Seen {
    ifindex: i32,
    direction: Direction,
    realtime_ns: i64,
    wire_len: u32,
    end: usize,
}

/// A packet that left a host, while the capture goes on.
pub struct SentFrame<'a> {
    /// The kernel's stamp on CLOCK_REALTIME.
    pub realtime_ns: i64,
    /// Its first bytes, from the Ethernet header on.
    pub bytes: &'a [u8],
}

/// Captures that are being opened, each on a thread of its own that ends when its capture is open.
pub struct Opening {
    threads: Vec<thread::JoinHandle<Result<Capture, CaptureError>>>,
    open: Vec<Capture>,
}

impl Opening {
    /// Waits until all captures are open.
    ///
    /// # Errors
    /// The first host's whose capture cannot be started.
    pub fn wait(mut self) -> Result<Vec<Capture>, CaptureError> {
        self.join()?;
        Ok(self.open)
    }

    /// Waits until all captures are open and no thread is left.
    ///
    /// # Errors
    /// As [`Opening::wait`].
    pub fn join(&mut self) -> Result<(), CaptureError> {
        for thread in std::mem::take(&mut self.threads) {
            self.open.push(thread.join().expect("a thread that opens a capture does not panic")?);
        }
        Ok(())
    }

    /// Throws away the packets that open captures hold so far.
    pub fn forget(&mut self) {
        for capture in &mut self.open {
            while capture.ring.pop(|_| ()).is_some() {}
        }
    }
}

impl Capture {
    /// Starts a capture in each host's network namespace, all at once: each waits for an RCU grace period of 8 to
    /// 20 ms, and threads that wait together wait for the same one. The interfaces need not be there yet.
    ///
    /// The caller's own namespace stays as it is.
    ///
    /// # Errors
    /// A host's namespace cannot be kept open for its thread.
    pub fn open_all(hosts: &[(&str, BorrowedFd<'_>)]) -> Result<Opening, CaptureError> {
        let mut threads = Vec::new();
        for &(host, netns) in hosts {
            let (host, netns) = (host.to_owned(), netns.try_clone_to_owned());
            let netns = netns.map_err(|source| CaptureError::Ring { host: host.clone(), source })?;
            threads.push(thread::spawn(move || Self::open_on_own_thread(&host, netns.as_fd())));
        }
        Ok(Opening { threads, open: Vec::new() })
    }

    /// Moves the calling thread into `netns` and leaves it there.
    fn open_on_own_thread(host: &str, netns: BorrowedFd<'_>) -> Result<Capture, CaptureError> {
        setns(netns, CloneFlags::CLONE_NEWNET)
            .map_err(|source| CaptureError::Enter { host: host.to_owned(), source })?;
        let ring = PacketRing::open().map_err(|source| CaptureError::Ring { host: host.to_owned(), source })?;
        Ok(Capture { host: host.to_owned(), ring, interfaces: BTreeMap::new(), seen: Vec::new(), bytes: Vec::new() })
    }

    /// Moves all packets that wait in the ring into memory, in order.
    pub fn drain(&mut self) {
        while let Some(ifindex) = self.take_one() {
            if !self.interfaces.contains_key(&ifindex) {
                // Asked for now, while the interface is there. It can have gone since: then its number has to do.
                let name = self.ring.interface_name(ifindex).unwrap_or_else(|_| format!("if{ifindex}"));
                self.interfaces.insert(ifindex, name);
            }
        }
    }

    /// How many packets have been moved so far.
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// Whose it is.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The packets behind the first `count` that the host sent, or that crossed its `lo`, where one copy alone is kept.
    pub fn sent_from(&self, count: usize) -> impl Iterator<Item = SentFrame<'_>> {
        let starts = [0].into_iter().chain(self.seen.iter().map(|seen| seen.end));
        let all = self.seen.iter().zip(starts).skip(count);
        let is_sent = |seen: &Seen| {
            seen.direction == Direction::Sent || self.interfaces.get(&seen.ifindex).is_some_and(|name| name == "lo")
        };
        all.filter(move |(seen, _)| is_sent(seen))
            .map(|(seen, start)| SentFrame { realtime_ns: seen.realtime_ns, bytes: &self.bytes[start..seen.end] })
    }

    /// Moves one packet and says which interface it was on.
    fn take_one(&mut self) -> Option<i32> {
        let Self { ring, seen, bytes, .. } = self;
        ring.pop(|frame: Frame<'_>| {
            bytes.extend_from_slice(frame.bytes);
            seen.push(Seen {
                ifindex: frame.ifindex,
                direction: if frame.pkttype == PACKET_OUTGOING { Direction::Sent } else { Direction::Received },
                realtime_ns: frame.realtime_ns,
                wire_len: frame.wire_len,
                end: bytes.len(),
            });
            frame.ifindex
        })
    }

    /// Ends the capture: what was seen, in order, and how much was lost, if anything was.
    ///
    /// `to_zero` turns the kernel's stamps, nanoseconds on CLOCK_REALTIME, into nanoseconds since zero. A packet gets
    /// its place in the order first and its stamp a moment later, so two packets that two CPUs record at the same time
    /// may have stamps in the other order.
    ///
    /// The socket stays open until the process ends. Closing it would wait for RCU grace periods (24 ms measured),
    /// and whoever finishes a capture is about to hand over its evidence and exit.
    pub fn finish(mut self, to_zero: &dyn Fn(i64) -> i64) -> (Vec<Packet>, Option<CaptureLoss>) {
        self.drain();
        let lost = self.ring.take_drops().expect("PACKET_STATISTICS has no error for an open packet socket");
        self.ring.leak();
        let mut start = 0;
        let packets = self.seen.iter().zip(0..).map(|(seen, seq)| Packet {
            host: self.host.clone(),
            interface: self.interfaces[&seen.ifindex].clone(),
            seq,
            direction: seen.direction,
            t_ns: to_zero(seen.realtime_ns),
            wire_len: seen.wire_len,
            bytes: self.bytes[std::mem::replace(&mut start, seen.end)..seen.end].to_vec(),
        });
        let packets = packets.collect();
        (packets, (lost > 0).then_some(CaptureLoss { host: self.host, packets: lost }))
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
