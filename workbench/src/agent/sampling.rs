//! Looks at the hosts' TCP sockets whenever the schedule says so: a clock for the recorder, errors for the agent.

use std::os::fd::BorrowedFd;

use super::clock::{self, monotonic_ns};
use super::execute::Stop;
use crate::evidence::{DestroyedSocket, SampleReason, SocketSample};
use crate::record::sockets::{Recorded, Schedule, SocketRecorder};

/// The socket recorder and when it looks.
pub struct Sampling {
    recorder: SocketRecorder,
    schedule: Schedule,
    /// Packets and calls that had been seen at the last turn.
    seen: (usize, usize),
}

impl Sampling {
    /// With a recorder for all hosts.
    pub fn new(recorder: SocketRecorder) -> Self {
        Self { recorder, schedule: Schedule::new(clock::tick_ns()), seen: (0, 0) }
    }

    /// Before the command is let go.
    pub fn begin(&mut self) -> Result<(), Stop> {
        self.look(SampleReason::Start)
    }

    /// The command was let go then.
    pub fn set_zero(&mut self, zero_ns: i64) {
        self.schedule.set_zero(zero_ns);
    }

    /// What poll(2) has to listen to.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.recorder.descriptors()
    }

    /// When [`Sampling::turn`] has something to do although nothing happened.
    pub fn next_ns(&self) -> Option<i64> {
        self.schedule.next_ns()
    }

    /// Takes note of what happened: so many packets and calls have been seen by now.
    pub fn note(&mut self, packets: usize, calls: usize) -> Result<(), Stop> {
        let before = std::mem::replace(&mut self.seen, (packets, calls));
        if self.recorder.hear(monotonic_ns)? {
            self.schedule.note(SampleReason::Destroyed);
        }
        if packets > before.0 {
            self.schedule.note(SampleReason::Packet);
        }
        if calls > before.1 {
            self.schedule.note(SampleReason::Call);
        }
        Ok(())
    }

    /// Looks, if there is a reason to.
    pub fn turn(&mut self) -> Result<(), Stop> {
        self.schedule.reason(monotonic_ns()).map_or(Ok(()), |reason| self.look(reason))
    }

    /// The last look.
    pub fn end(&mut self) -> Result<(), Stop> {
        self.recorder.end_counting()?;
        self.look(SampleReason::End)
    }

    /// Somebody waits for a socket's state, or nobody does.
    pub fn hurry(&mut self, is_hurried: bool) {
        self.schedule.hurry(is_hurried);
    }

    /// The samples so far, in order.
    pub fn samples(&self) -> &[SocketSample] {
        self.recorder.samples()
    }

    /// The sockets that were destroyed so far, in order.
    pub fn destroyed(&self) -> &[DestroyedSocket] {
        self.recorder.destroyed()
    }

    /// What was recorded, since zero.
    pub fn finish(self, zero_ns: i64) -> Recorded {
        self.recorder.finish(zero_ns)
    }

    fn look(&mut self, reason: SampleReason) -> Result<(), Stop> {
        let began_ns = monotonic_ns();
        let samples = self.recorder.look(reason, monotonic_ns)?;
        self.schedule.looked(began_ns, monotonic_ns(), samples);
        Ok(())
    }
}
