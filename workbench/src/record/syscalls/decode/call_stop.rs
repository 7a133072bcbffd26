//! A thread stopped at a system call, with the simple ways to read an argument.

use crate::evidence::Arg;
use crate::record::syscalls::memory::Memory;
use crate::record::syscalls::names::{Names, constant, flags};

/// What a call returned: a value, or an errno.
pub type Outcome = Result<i64, i32>;

/// Bytes of a buffer that are kept: as many as strace shows.
const HEAD_BYTES: u64 = 32;

/// A thread stopped at a system call: its raw arguments and the memory they point into.
#[derive(Debug, Clone, Copy)]
pub struct CallStop {
    /// Thread.
    pub tid: i32,
    /// Arguments.
    pub raw: [u64; 6],
    /// The thread's memory.
    pub memory: Memory,
    /// CLOCK_MONOTONIC at the call's entry.
    pub entry_ns: i64,
}

impl CallStop {
    /// A stop of this thread.
    pub fn new(tid: i32, raw: [u64; 6], entry_ns: i64) -> Self {
        Self { tid, raw, memory: Memory::of(tid), entry_ns }
    }

    /// Argument `i` as the kernel's `int`.
    pub fn raw_int(&self, i: usize) -> i32 {
        self.raw[i] as i32
    }

    /// Argument `i`, a descriptor.
    pub fn fd(&self, i: usize) -> Arg {
        Arg::Fd(self.raw_int(i))
    }

    /// Argument `i`, an `int`.
    pub fn int(&self, i: usize) -> Arg {
        Arg::Int(self.raw_int(i).into())
    }

    /// Argument `i`, an `unsigned int`.
    pub fn unsigned(&self, i: usize) -> Arg {
        Arg::Int((self.raw[i] as u32).into())
    }

    /// Argument `i`, a `size_t`.
    pub fn size(&self, i: usize) -> Arg {
        Arg::Int(self.raw[i].cast_signed())
    }

    /// Argument `i`, an address.
    pub fn pointer(&self, i: usize) -> Arg {
        Arg::Pointer(self.raw[i])
    }

    /// Argument `i`, one of these constants.
    pub fn constant(&self, i: usize, names: Names, unknown: &str) -> Arg {
        Arg::Symbol(constant(names, self.raw[i] as u32, unknown))
    }

    /// Argument `i`, any of these flags.
    pub fn flags(&self, i: usize, names: Names, unknown: &str) -> Arg {
        Arg::Symbol(flags(names, self.raw[i] as u32, unknown))
    }

    /// The buffer at this address; its address alone if it cannot be read.
    pub fn buffer(&self, address: u64, total: u64) -> Arg {
        if address == 0 {
            return Arg::Pointer(0);
        }
        match self.memory.bytes(address, total.min(HEAD_BYTES) as usize) {
            Some(head) => Arg::Bytes { head, total },
            None => Arg::Pointer(address),
        }
    }

    /// The `int` argument `i` points to, in brackets; its address alone if it cannot be read.
    pub fn int_at(&self, i: usize) -> Arg {
        match self.memory.int(self.raw[i]) {
            Some(value) if self.raw[i] != 0 => Arg::List(vec![Arg::Int(value.into())]),
            _ => self.pointer(i),
        }
    }
}
