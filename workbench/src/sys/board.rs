//! Words in memory that a process shares with those it forks: each is read and written whole, and can be waited for.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Shared words, all 0 at first.
#[derive(Debug)]
pub struct Board {
    base: NonNull<AtomicI64>,
    words: usize,
}

impl Board {
    /// Maps so many words. Processes forked from now on have the same.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn new(words: usize) -> io::Result<Self> {
        let words = words.max(1);
        let length = NonZeroUsize::new(words * size_of::<AtomicI64>()).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, of memory that nothing else refers to.
        let base = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_SHARED) }?;
        Ok(Self { base: base.cast(), words })
    }

    fn word(&self, at: usize) -> &AtomicI64 {
        assert!(at < self.words, "word {at} of {}", self.words);
        // SAFETY: inside of the mapping, whose base is aligned to a page.
        let word = unsafe { self.base.add(at) };
        // SAFETY: mapped as long as `self` lives, and nobody accesses it but through atomics.
        unsafe { word.as_ref() }
    }

    /// What a word is.
    pub fn get(&self, at: usize) -> i64 {
        self.word(at).load(Ordering::Acquire)
    }

    /// Sets a word.
    pub fn set(&self, at: usize, value: i64) {
        self.word(at).store(value, Ordering::Release);
    }

    /// Sets a word that is 0 and wakes who waits for it; whether it was 0.
    pub fn raise(&self, at: usize, value: i64) -> bool {
        let word = self.word(at);
        let was_zero = word.compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if was_zero {
            // SAFETY: FUTEX_WAKE reads nothing at the address.
            unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, i32::MAX) };
        }
        was_zero
    }

    /// Waits, without a limit, until a word is not 0. Only values below 2^31 are waited for.
    pub fn wait(&self, at: usize) -> i64 {
        loop {
            let value = self.get(at);
            if value != 0 {
                return value;
            }
            let none = std::ptr::null::<libc::timespec>();
            // SAFETY: the kernel reads 4 bytes of a live word; without a timeout it reads nothing else.
            unsafe { libc::syscall(libc::SYS_futex, low_half(self.word(at)), libc::FUTEX_WAIT, 0, none) };
        }
    }
}

/// A futex is 32 bits wide (futex(2)): the half of a word that small values change.
fn low_half(word: &AtomicI64) -> *const u32 {
    word.as_ptr().cast::<u32>().wrapping_add(usize::from(cfg!(target_endian = "big")))
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, and nothing refers to it any more.
        let _ = unsafe { munmap(self.base.cast(), self.words * size_of::<AtomicI64>()) };
    }
}
