//! Coarse clocks in virtual time: `CLOCK_REALTIME_COARSE` and `CLOCK_MONOTONIC_COARSE` stand still while a program computes,
//! because reading them, unlike the others, does not read the machine's clock, which is what moves it on. A program that
//! waits by reading one would wait for ever: mariadbd does when it measures its timers (mysys/my_rdtsc.c). So the kernel is
//! asked to let this process answer instead (seccomp_unotify(2)), with the clock that moves; and who asks again and again
//! waits for the next tick, as one who reads them so often would on a machine.
//!
//! Only for daemons of a virtual machine, and for programs that are asked for their version there.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::{seccomp_data, sock_filter};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::clock;
use crate::sys::seccomp;

/// `AUDIT_ARCH_X86_64` (linux/audit.h), the only architecture that User-Mode Linux has.
const ARCH: u32 = 0xc000_003e;

/// More readings than this in one tick are a program that waits for the next.
const READS_IN_A_TICK: u32 = 64;

/// So many in a row then do, so that a program that compares each second reading with the one before sees it move.
const TICKS_AT_ONCE: u32 = 4;

/// The end through which a daemon's coarse clocks are answered.
pub struct CoarseClock {
    listener: OwnedFd,
    /// The tick in which it was last read, and how often in that one.
    tick: i64,
    reads: u32,
    /// So many of the next readings wait for a tick.
    ticks_to_wait: u32,
}

impl CoarseClock {
    /// Puts the calling thread, and all that it will start, under the filter.
    ///
    /// # Errors
    ///
    /// The kernel's; one before 5.0 has no such thing.
    pub fn for_this_thread() -> io::Result<Self> {
        Ok(Self { listener: seccomp::install_listening(&program())?, tick: 0, reads: 0, ticks_to_wait: 0 })
    }

    /// Answers who waits. `false` once nobody is left under the filter.
    ///
    /// # Errors
    ///
    /// The kernel's. A reader that was killed meanwhile is none.
    pub fn answer(&mut self) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO)?;
            let events = fds[0].revents().unwrap_or(PollFlags::empty());
            if !events.contains(PollFlags::POLLIN) {
                return Ok(!events.contains(PollFlags::POLLHUP));
            }
            match seccomp::receive(self.listener.as_fd()).and_then(|call| self.give(&call)) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                given => given?,
            }
        }
    }

    fn wait_for_tick(&mut self) -> io::Result<()> {
        let (now_ns, tick_ns) = (clock::monotonic_ns(), clock::tick_ns().max(1).cast_signed());
        let tick = now_ns / tick_ns;
        self.reads = if tick == self.tick { self.reads + 1 } else { 0 };
        self.tick = tick;
        if self.reads > READS_IN_A_TICK {
            (self.reads, self.ticks_to_wait) = (0, TICKS_AT_ONCE);
        }
        if self.ticks_to_wait > 0 {
            self.ticks_to_wait -= 1;
            clock::sleep_until((tick + 1) * tick_ns)?;
        }
        Ok(())
    }

    fn give(&mut self, call: &seccomp::Waiting) -> io::Result<()> {
        self.wait_for_tick()?;
        let clock = match call.args[0] as libc::clockid_t {
            libc::CLOCK_REALTIME_COARSE => ClockId::CLOCK_REALTIME,
            _ => ClockId::CLOCK_MONOTONIC,
        };
        let now = clock_gettime(clock)?;
        let bytes = [now.tv_sec().to_ne_bytes(), now.tv_nsec().to_ne_bytes()].concat();
        let to = [RemoteIoVec { base: call.args[1] as usize, len: bytes.len() }];
        let written = process_vm_writev(Pid::from_raw(call.tid.cast_signed()), &[io::IoSlice::new(&bytes)], &to);
        seccomp::answer(self.listener.as_fd(), call.id, if written.is_ok() { None } else { Some(Errno::EFAULT) })
    }
}

impl AsFd for CoarseClock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Asks for `clock_gettime` of the two clocks; everything else passes.
fn program() -> [sock_filter; 9] {
    let load = |at: usize| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at as u32);
    let give = |action| statement(libc::BPF_RET | libc::BPF_K, action);
    [
        load(offset_of!(seccomp_data, arch)),
        unless(ARCH, 5),
        load(offset_of!(seccomp_data, nr)),
        unless(libc::SYS_clock_gettime as u32, 3),
        // The lower half of a number that has only one.
        load(offset_of!(seccomp_data, args)),
        sock_filter { jt: 2, jf: 0, ..unless(libc::CLOCK_REALTIME_COARSE as u32, 0) },
        sock_filter { jt: 1, jf: 0, ..unless(libc::CLOCK_MONOTONIC_COARSE as u32, 0) },
        give(libc::SECCOMP_RET_ALLOW),
        give(libc::SECCOMP_RET_USER_NOTIF),
    ]
}

/// Goes on if what was loaded is `value`, and past so many instructions if not.
fn unless(value: u32, past: u8) -> sock_filter {
    sock_filter { jf: past, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value) }
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
