//! A process's io_uring rings: what is handed to the kernel and comes back through memory, without a call.
//!
//! A ring's memory cannot be read like other memory of a stopped thread: before Linux 6.10 its pages are a device's to the
//! kernel (VM_PFNMAP), which process_vm_readv(2) and ptrace(2) refuse. So it is mapped here, through a descriptor borrowed
//! with pidfd_getfd(2), and let go at once: a ring that stayed mapped would outlive its process's `close`, and so would the
//! sockets that its operations hold.
//!
//! What is not seen: what a kernel thread takes out of the ring by itself (IORING_SETUP_SQPOLL), rings that came from
//! elsewhere (another process's, `dup`), and what completes after a process's last `io_uring_enter`.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use nix::unistd::Pid;

use super::memory::Memory;
use crate::sys::pidfd;
use crate::sys::shared_pages::SharedPages;

/// `sizeof(struct io_uring_params)`.
pub const PARAMS_BYTES: usize = 120;
/// Words of a `struct io_uring_sqe` that are read: of the longer ones (IORING_SETUP_SQE128) the rest is a driver's.
pub const SUBMISSION_WORDS: usize = 16;

/// IORING_OFF_SQ_RING: both rings, since IORING_FEAT_SINGLE_MMAP (Linux 5.4).
const RINGS_OFFSET: i64 = 0;
/// IORING_OFF_SQES.
const SUBMISSIONS_OFFSET: i64 = 0x1000_0000;

const SETUP_SQPOLL: u32 = 1 << 1;
const SETUP_SQE128: u32 = 1 << 10;
const SETUP_CQE32: u32 = 1 << 11;
const SETUP_NO_MMAP: u32 = 1 << 14;
const SETUP_REGISTERED_FD_ONLY: u32 = 1 << 15;
const SETUP_NO_SQARRAY: u32 = 1 << 16;
const SETUP_CQE_MIXED: u32 = 1 << 18;
const SETUP_SQE_MIXED: u32 = 1 << 19;
const SETUP_SQ_REWIND: u32 = 1 << 20;

/// IORING_ENTER_REGISTERED_RING: the first argument is not a descriptor, but an index of the thread's own.
const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// IORING_CQE_F_32: a completion of twice the size, where both are mixed.
const COMPLETION_32: u32 = 1 << 15;
/// IORING_OP_NOP128 and IORING_OP_URING_CMD128: submissions of twice the size, where both are mixed.
const OPERATIONS_128: [u32; 2] = [63, 64];

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The submission's own mark.
    pub user_data: u64,
    /// Result, or a negated errno.
    pub result: i32,
    /// IORING_CQE_F_*.
    pub flags: u32,
}

/// What one look at a ring found.
#[derive(Debug, Default)]
pub struct Seen {
    /// Handed over by this call, in order.
    pub submissions: Vec<[u32; SUBMISSION_WORDS]>,
    /// Come back since the last look.
    pub completions: Vec<Completion>,
}

/// The rings that a process has made.
#[derive(Debug, Clone, Default)]
pub struct Rings {
    /// By descriptor; with `true`, by registered index.
    rings: BTreeMap<(bool, i32), Ring>,
}

impl Rings {
    /// `io_uring_setup` made a ring: `params` as the kernel filled them in.
    pub fn add(&mut self, fd: i32, params: &[u8; PARAMS_BYTES]) {
        let ring = Ring::new(params);
        self.rings.insert((ring.flags & SETUP_REGISTERED_FD_ONLY != 0, fd), ring);
    }

    /// This descriptor is closed.
    pub fn forget(&mut self, fd: i32) {
        self.rings.remove(&(false, fd));
    }

    /// These descriptors are closed.
    pub fn forget_range(&mut self, first: u32, last: u32) {
        self.rings.retain(|(registered, fd), _| *registered || !(first..=last).contains(&fd.cast_unsigned()));
    }

    /// Looks at the ring that an `io_uring_enter` with these arguments works on, which submits `to_submit` entries.
    /// `None` if it cannot be read.
    pub fn look(&mut self, pid: u32, args: &[u64; 6], to_submit: u32) -> Option<Seen> {
        let fd = args[0] as i32;
        let key = (args[3] as u32 & ENTER_REGISTERED_RING != 0, fd);
        let key = match &key {
            known if self.rings.contains_key(known) => key,
            // Registered later: the thread's table is not known, but a process seldom has more rings than one.
            (true, _) if self.rings.len() == 1 => *self.rings.first_key_value()?.0,
            _ => return None,
        };
        self.rings.get_mut(&key)?.look(pid, key.1, to_submit)
    }

    /// Whether a kernel thread has taken anything out of one of the rings by itself.
    pub fn is_polled(&self, pid: u32) -> bool {
        let mut polled = self.rings.iter().filter(|(_, ring)| ring.flags & SETUP_SQPOLL != 0);
        polled.any(|((_, fd), ring)| {
            ring.pages(pid, *fd).and_then(|pages| pages.word(ring.sq_head)).is_some_and(|n| n > 0)
        })
    }
}

/// A ring's shape (`struct io_uring_params`), and how far its completions were read.
#[derive(Debug, Clone)]
struct Ring {
    flags: u32,
    sq_entries: u32,
    cq_entries: u32,
    sq_head: usize,
    sq_tail: usize,
    /// Which entries are submitted, by index.
    sq_array: usize,
    /// Where the program itself placed the entries (IORING_SETUP_NO_MMAP).
    entries_address: u64,
    cq_tail: usize,
    completions: usize,
    /// Where the program itself placed both rings.
    rings_address: u64,
    /// Tail of the completion ring when it was last looked at.
    seen: u32,
}

impl Ring {
    fn new(params: &[u8; PARAMS_BYTES]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| params[at + i]));
        let address = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| params[at + i]));
        let offset = |at: usize| word(at) as usize;
        Self {
            flags: word(8),
            sq_entries: word(0),
            cq_entries: word(4),
            sq_head: offset(40),
            sq_tail: offset(44),
            sq_array: offset(64),
            entries_address: address(72),
            cq_tail: offset(84),
            completions: offset(100),
            rings_address: address(112),
            seen: 0,
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn submission_bytes(&self) -> usize {
        if self.has(SETUP_SQE128) { 128 } else { 64 }
    }

    fn completion_bytes(&self) -> usize {
        if self.has(SETUP_CQE32) { 32 } else { 16 }
    }

    /// The memory of both rings.
    fn pages(&self, pid: u32, fd: i32) -> Option<Pages> {
        let of_sq = if self.has(SETUP_NO_SQARRAY) { 0 } else { self.sq_array + 4 * self.sq_entries as usize };
        let of_cq = self.completions + self.completion_bytes() * self.cq_entries as usize;
        self.map(pid, fd, (RINGS_OFFSET, self.rings_address), of_sq.max(of_cq))
    }

    fn map(&self, pid: u32, fd: i32, (offset, address): (i64, u64), length: usize) -> Option<Pages> {
        if self.has(SETUP_NO_MMAP) {
            return Some(Pages::Theirs(Memory::of(pid.cast_signed()), address));
        }
        let process = pidfd::open(Pid::from_raw(pid.cast_signed())).ok()?;
        let ring = pidfd::get(process.as_fd(), fd).ok()?;
        SharedPages::map(ring, offset, length).ok().map(Pages::Ours)
    }

    fn look(&mut self, pid: u32, fd: i32, to_submit: u32) -> Option<Seen> {
        let rings = self.pages(pid, fd)?;
        let completions = self.new_completions(&rings)?;
        let submissions = if to_submit == 0 || self.has(SETUP_SQPOLL) {
            Vec::new()
        } else {
            let length = self.submission_bytes() * self.sq_entries as usize;
            let entries = self.map(pid, fd, (SUBMISSIONS_OFFSET, self.entries_address), length)?;
            self.submissions(&rings, &entries, to_submit)?
        };
        Some(Seen { submissions, completions })
    }

    /// What the kernel will take: it reads on from the head, at most to the tail (io_submit_sqes).
    fn submissions(&self, rings: &Pages, entries: &Pages, count: u32) -> Option<Vec<[u32; SUBMISSION_WORDS]>> {
        let mask = self.sq_entries.checked_sub(1)?;
        let (head, waiting) = if self.has(SETUP_SQ_REWIND) {
            (0, self.sq_entries)
        } else {
            let head = rings.word(self.sq_head)?;
            (head, rings.word(self.sq_tail)?.wrapping_sub(head))
        };
        let mut submissions = Vec::new();
        let mut i = 0;
        while i < count.min(waiting).min(self.sq_entries) {
            let slot = head.wrapping_add(i) & mask;
            let index =
                if self.has(SETUP_NO_SQARRAY) { slot } else { rings.word(self.sq_array + 4 * slot as usize)? };
            // One that the kernel will drop.
            let index = if index < self.sq_entries { index as usize } else { return Some(submissions) };
            let mut entry = [0; SUBMISSION_WORDS];
            for (at, word) in entry.iter_mut().enumerate() {
                *word = entries.word(index * self.submission_bytes() + 4 * at)?;
            }
            let is_double = self.has(SETUP_SQE_MIXED) && OPERATIONS_128.contains(&(entry[0] & 0xff));
            i += if is_double { 2 } else { 1 };
            submissions.push(entry);
        }
        Some(submissions)
    }

    /// What the kernel has added since the last look, as far as it was not written over since.
    fn new_completions(&mut self, rings: &Pages) -> Option<Vec<Completion>> {
        let (tail, mask) = (rings.word(self.cq_tail)?, self.cq_entries.checked_sub(1)?);
        let count = tail.wrapping_sub(self.seen).min(self.cq_entries);
        let mut completions = Vec::new();
        let mut i = tail.wrapping_sub(count);
        while i != tail {
            let at = self.completions + self.completion_bytes() * (i & mask) as usize;
            let word = |n: usize| rings.word(at + 4 * n);
            let user_data = u64::from(word(0)?) | u64::from(word(1)?) << 32;
            let (result, flags) = (word(2)?.cast_signed(), word(3)?);
            completions.push(Completion { user_data, result, flags });
            i = i.wrapping_add(1);
            if self.has(SETUP_CQE_MIXED) && flags & COMPLETION_32 != 0 && i != tail {
                i = i.wrapping_add(1);
            }
        }
        self.seen = tail;
        Some(completions)
    }
}

/// Memory that a ring is in.
#[derive(Debug)]
enum Pages {
    /// The kernel's, mapped here.
    Ours(SharedPages),
    /// The program's own (IORING_SETUP_NO_MMAP), from this address on.
    Theirs(Memory, u64),
}

impl Pages {
    fn word(&self, at: usize) -> Option<u32> {
        match self {
            Self::Ours(pages) => pages.word(at),
            Self::Theirs(memory, address) => memory.int(address.checked_add(at as u64)?).map(i32::cast_unsigned),
        }
    }
}
