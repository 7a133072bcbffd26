//! What a process's descriptors are: which of them are worth recording.
//!
//! A seccomp filter sees a descriptor's number only, so every `read` on a file stops as well. Each number is looked up
//! once, and forgotten when it is made free.
//!
//! A pipe is two things: a thread wakes another through it by a byte or a few, and commands pass their data on in it. The
//! first says why a wait ended; the second may be any amount. They are told apart by the size of the call's buffer.

use std::collections::BTreeMap;

/// Room for what wakes a thread: libevent's buffer of 1 byte, Go's of 16, mio's of 128.
const WAKE_BYTES: u64 = 128;

/// What a descriptor is, as far as recording goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A socket, or something whose becoming readable is an event: a timer, a counter, signals, completions; and an
    /// epoll, which programs duplicate (mio adds through one number and waits on another).
    Recorded,
    /// Recorded where little passes.
    Pipe,
    /// A file and all else.
    Other,
}

/// A process's descriptor table, as far as it was asked about.
#[derive(Debug, Clone, Default)]
pub struct Descriptors {
    kinds: BTreeMap<i32, Kind>,
}

impl Descriptors {
    /// Whether calls on this descriptor are recorded that have room for so many bytes; `None` for those that move none.
    pub fn is_recorded(&mut self, tid: i32, fd: i32, bytes: Option<u64>) -> bool {
        match self.kind(tid, fd) {
            Kind::Recorded => true,
            Kind::Pipe => bytes.is_none_or(|bytes| bytes <= WAKE_BYTES),
            Kind::Other => false,
        }
    }

    fn kind(&mut self, tid: i32, fd: i32) -> Kind {
        if let Some(known) = self.kinds.get(&fd) {
            return *known;
        }
        // The filter does not stop when 0, 1 or 2 is closed, and a number that is not open may be given out any time.
        let Some(kind) = look_up(tid, fd) else { return Kind::Other };
        if fd > 2 {
            self.kinds.insert(fd, kind);
        }
        kind
    }

    /// This number may soon be another file's.
    pub fn forget(&mut self, fd: i32) {
        self.kinds.remove(&fd);
    }

    /// These numbers may soon be other files'.
    pub fn forget_range(&mut self, first: u32, last: u32) {
        self.kinds.retain(|fd, _| !(first..=last).contains(&fd.cast_unsigned()));
    }

    /// `execve` closed those marked close-on-exec, and nobody was told which.
    pub fn forget_all(&mut self) {
        self.kinds.clear();
    }
}

/// Asks proc_pid_fd(5); `None` if the number is not open.
fn look_up(tid: i32, fd: i32) -> Option<Kind> {
    let target = nix::fcntl::readlink(format!("/proc/{tid}/fd/{fd}").as_str()).ok()?;
    Some(match target.as_encoded_bytes() {
        b"anon_inode:[timerfd]"
        | b"anon_inode:[eventpoll]"
        | b"anon_inode:[eventfd]"
        | b"anon_inode:[signalfd]"
        | b"anon_inode:[io_uring]" => Kind::Recorded,
        target if target.starts_with(b"socket:[") => Kind::Recorded,
        // Standard descriptors carry a command's data.
        target if target.starts_with(b"pipe:[") && fd > 2 => Kind::Pipe,
        _ => Kind::Other,
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_socket_is_recorded_and_a_file_is_not() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let tid = std::process::id().cast_signed();
        let mut descriptors = Descriptors::default();
        assert!(descriptors.is_recorded(tid, socket.as_raw_fd(), Some(4096)));
        assert!(!descriptors.is_recorded(tid, file.as_raw_fd(), None));
    }

    #[test]
    fn of_a_pipe_what_wakes_is_recorded_and_bulk_is_not() {
        let mut descriptors = Descriptors { kinds: BTreeMap::from([(5, Kind::Pipe)]) };
        let recorded = [None, Some(1), Some(128), Some(129)].map(|bytes| descriptors.is_recorded(i32::MAX, 5, bytes));
        assert_eq!(recorded, [true, true, true, false]);
    }

    #[test]
    fn what_was_looked_up_holds_until_the_number_is_free() {
        let nobody = i32::MAX;
        let mut descriptors = Descriptors { kinds: [4, 5, 9].map(|fd| (fd, Kind::Recorded)).into() };
        assert!(descriptors.is_recorded(nobody, 4, None));
        descriptors.forget(4);
        assert!(!descriptors.is_recorded(nobody, 4, None), "and a number that is not open is nothing");
        descriptors.forget_range(5, u32::MAX);
        assert!(!descriptors.is_recorded(nobody, 9, None));
    }
}
