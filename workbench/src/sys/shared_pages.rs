//! Pages that another process shares with the kernel, mapped here as well, for reading only.
//!
//! What they hold changes while they are read: the kernel and the other process write there. So they are read word by
//! word, each whole. What the words mean is not known here.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping; dropping it takes it down.
#[derive(Debug)]
pub struct SharedPages {
    base: NonNull<AtomicU32>,
    length: NonZeroUsize,
}

impl SharedPages {
    /// Maps the first `length` bytes behind `offset` of a file. It keeps the file open until it is dropped.
    ///
    /// # Errors
    ///
    /// The kernel's; EINVAL for nothing.
    pub fn map(file: impl AsFd, offset: i64, length: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice, of pages that belong to the kernel's object and stay
        // as long as the mapping does: they cannot be cut short as those of a file can.
        let base = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, offset) }?;
        Ok(Self { base: base.cast(), length })
    }

    /// The 32-bit word at this byte; `None` outside of the mapping and where it is not aligned.
    pub fn word(&self, at: usize) -> Option<u32> {
        if !at.is_multiple_of(4) || at.checked_add(4)? > self.length.get() {
            return None;
        }
        // SAFETY: inside of the mapping, and the mapping begins at a page.
        let word = unsafe { self.base.add(at / 4) };
        // SAFETY: readable as long as `self` lives; whoever writes there does so behind the compiler's back, which is what
        // atomics are for.
        let word = unsafe { word.as_ref() };
        // What was written before an index was moved on is seen by who has seen the index.
        Some(word.load(Ordering::Acquire))
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        // SAFETY: what `map` mapped, and nothing refers to it any more.
        let _ = unsafe { munmap(self.base.cast(), self.length.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn words_are_read_inside_of_the_mapping_only() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        let pages = SharedPages::map(&file, 0, 8).unwrap();
        assert_eq!([0, 4, 8, 2].map(|at| pages.word(at)), [Some(1), Some(2), None, None]);
        assert!(SharedPages::map(&file, 0, 0).is_err());
    }
}
