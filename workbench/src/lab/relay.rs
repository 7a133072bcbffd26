//! A cable's propagation delay where the kernel has no netem: a process that passes frames on after a while.
//!
//! It is a child of its own, so that the lab's process stays free to do other things, and sleeps unless a frame is on
//! its way. It knows no loss and no jitter: those are netem's.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, send};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::error::LabError;
use crate::sys::fork::fork_companion;
use crate::sys::frame_socket::FrameSocket;

/// The longest frame: the largest MTU of a veth (ETH_MAX_MTU) with its Ethernet header.
const FRAME_BYTES: usize = 65_535 + 14;

/// One direction of a link: from the interface frames come in at to the one they leave through.
pub(super) struct Direction {
    /// Index of the interface to read from.
    pub from_index: u32,
    /// Index of the interface to write to.
    pub to_index: u32,
    /// How long a frame is on its way.
    pub delay_ns: u64,
}

/// The running process. It ends with this value or with the thread that made it; init reaps it.
pub(super) struct Relay {
    process: Pid,
    sockets: Vec<FrameSocket>,
}

impl Relay {
    /// Opens the sockets in the calling thread's namespace, in which the interfaces are up, and starts the process.
    pub fn start(directions: &[Direction]) -> Result<Self, LabError> {
        let open = |direction: &Direction| FrameSocket::open(direction.from_index);
        let sockets = directions.iter().map(open).collect::<Result<Vec<_>, _>>();
        let sockets = sockets.map_err(LabError::machine("opening a packet socket on the wire"))?;
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let queues = directions.iter().enumerate().map(|(source, direction)| Queue {
            source,
            target: directions.iter().position(|other| other.from_index == direction.to_index).unwrap_or(source),
            delay_ns: direction.delay_ns as i64,
            frames: VecDeque::new(),
        });
        let mut queues: Vec<Queue> = queues.collect();
        let process = fork_companion(&fds, || relay(&sockets, &mut queues))
            .map_err(LabError::machine("starting the wire's relay"))?;
        Ok(Self { process, sockets })
    }

    /// Frames that the relay was too slow to take, since the last time this was asked.
    pub fn take_lost(&self) -> Result<u64, LabError> {
        let lost = self.sockets.iter().map(FrameSocket::take_lost).sum::<std::io::Result<u64>>();
        lost.map_err(LabError::machine("reading a packet socket's statistics"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = kill(self.process, Signal::SIGKILL);
    }
}

/// Frames under way in one direction, in the order they arrive: all take equally long.
struct Queue {
    source: usize,
    target: usize,
    delay_ns: i64,
    frames: VecDeque<(i64, Vec<u8>)>,
}

/// Passes frames on for ever.
fn relay(sockets: &[FrameSocket], queues: &mut [Queue]) {
    // Sleeps end on time and not up to 50 us later (prctl(2), PR_SET_TIMERSLACK); no harm if refused.
    let _ = prctl::set_timerslack(1);
    let _ = prctl::set_name(c"wire-relay");
    let mut buffer = vec![0; FRAME_BYTES];
    loop {
        let Ok(()) = queues.iter_mut().try_for_each(|queue| receive(&sockets[queue.source], queue, &mut buffer)) else {
            return;
        };
        let Ok(now_ns) = now_ns(ClockId::CLOCK_MONOTONIC) else { return };
        for queue in queues.iter_mut() {
            deliver(&sockets[queue.target], queue, now_ns);
        }
        if !sleep(sockets, queues, now_ns) {
            return;
        }
    }
}

/// Takes all that has come in. A frame's way began when the kernel stamped it, not when this process got to run.
fn receive(socket: &FrameSocket, queue: &mut Queue, buffer: &mut [u8]) -> nix::Result<()> {
    let mut space = nix::cmsg_space!(libc::timespec);
    loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty());
        let message = match message {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(()),
            // The interface went down: what comes after it is up again comes here again.
            Err(Errno::ENETDOWN | Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        let stamp_ns = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec()),
            _ => None,
        });
        let waited_ns = match stamp_ns {
            Some(stamp_ns) => (now_ns(ClockId::CLOCK_REALTIME)? - stamp_ns).clamp(0, queue.delay_ns),
            None => 0,
        };
        let due_ns = now_ns(ClockId::CLOCK_MONOTONIC)? - waited_ns + queue.delay_ns;
        let length = message.bytes;
        queue.frames.push_back((due_ns, buffer[..length].to_vec()));
    }
}

/// Sends what is due. A frame that the interface will not take is lost, as on a cable that is not plugged in.
fn deliver(socket: &FrameSocket, queue: &mut Queue, now_ns: i64) {
    while let Some((_, frame)) = queue.frames.pop_front_if(|(due_ns, _)| *due_ns <= now_ns) {
        let _ = send(socket.as_fd().as_raw_fd(), &frame, MsgFlags::empty());
    }
}

/// Until a frame comes in or the next one is due; for ever if none is under way. False when waiting fails.
fn sleep(sockets: &[FrameSocket], queues: &[Queue], now_ns: i64) -> bool {
    let due_ns = queues.iter().filter_map(|queue| queue.frames.front()).map(|(due_ns, _)| *due_ns).min();
    let timeout = due_ns.map(|due_ns| {
        let left_ns = (due_ns - now_ns).max(0);
        TimeSpec::new(left_ns / 1_000_000_000, left_ns % 1_000_000_000)
    });
    let mut fds: Vec<PollFd<'_>> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    matches!(ppoll(&mut fds, timeout, None), Ok(_) | Err(Errno::EINTR))
}

fn now_ns(clock: ClockId) -> nix::Result<i64> {
    let now = clock_gettime(clock)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
