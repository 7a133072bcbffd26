//! Reads the memory of a stopped thread (process_vm_readv(2)).

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Longest text read: PATH_MAX.
const TEXT_LIMIT: usize = 4096;
/// Smallest page of any architecture: a read that does not cross one never fails half-way.
const PAGE: usize = 4096;

/// A thread's memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    tid: Pid,
}

impl Memory {
    /// Of this thread, which must be stopped for what is read to mean anything.
    pub fn of(tid: i32) -> Self {
        Self { tid: Pid::from_raw(tid) }
    }

    /// `len` bytes; `None` if any of them cannot be read.
    pub fn bytes(self, address: u64, len: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; len];
        (self.fill(address, &mut buffer)? == len).then_some(buffer)
    }

    /// `N` bytes.
    pub fn array<const N: usize>(self, address: u64) -> Option<[u8; N]> {
        let mut buffer = [0; N];
        (self.fill(address, &mut buffer)? == N).then_some(buffer)
    }

    /// A 32-bit number.
    pub fn int(self, address: u64) -> Option<i32> {
        self.array(address).map(i32::from_ne_bytes)
    }

    /// A 64-bit number: a pointer, a `size_t`.
    pub fn word(self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_ne_bytes)
    }

    /// Bytes up to a NUL, at most [`TEXT_LIMIT`].
    pub fn text(self, address: u64) -> Option<String> {
        let mut text = Vec::new();
        while text.len() < TEXT_LIMIT {
            let at = usize::try_from(address).ok()?.checked_add(text.len())?;
            let chunk = self.bytes(at as u64, (PAGE - at % PAGE).min(256))?;
            let end = chunk.iter().position(|&b| b == 0);
            text.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            if end.is_some() {
                break;
            }
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// The pointers of a NULL-terminated array, at most `limit`.
    pub fn pointers(self, address: u64, limit: usize) -> Option<Vec<u64>> {
        let mut pointers = Vec::new();
        while pointers.len() < limit {
            match self.word(address.checked_add(8 * pointers.len() as u64)?)? {
                0 => break,
                pointer => pointers.push(pointer),
            }
        }
        Some(pointers)
    }

    fn fill(self, address: u64, buffer: &mut [u8]) -> Option<usize> {
        let base = usize::try_from(address).ok()?;
        if buffer.is_empty() {
            return Some(0);
        }
        let remote = [RemoteIoVec { base, len: buffer.len() }];
        process_vm_readv(self.tid, &mut [IoSliceMut::new(buffer)], &remote).ok()
    }
}
