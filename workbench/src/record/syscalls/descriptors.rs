//! What a process's descriptors are: which of them are worth recording.
//!
//! A seccomp filter sees a descriptor's number only, so every `read` on a file stops as well. Each number is looked up
//! once, and forgotten when it is made free.

use std::collections::BTreeMap;

/// A process's descriptor table, as far as it was asked about.
#[derive(Debug, Clone, Default)]
pub struct Descriptors {
    is_recorded: BTreeMap<i32, bool>,
}

impl Descriptors {
    /// Whether calls on this descriptor are recorded: it is a socket, or a timer that becomes readable when it fires.
    pub fn is_recorded(&mut self, tid: i32, fd: i32) -> bool {
        if let Some(known) = self.is_recorded.get(&fd) {
            return *known;
        }
        // The filter does not stop when 0, 1 or 2 is closed, and a number that is not open may be given out any time.
        let Some(answer) = look_up(tid, fd) else { return false };
        if fd > 2 {
            self.is_recorded.insert(fd, answer);
        }
        answer
    }

    /// This number may soon be another file's.
    pub fn forget(&mut self, fd: i32) {
        self.is_recorded.remove(&fd);
    }

    /// These numbers may soon be other files'.
    pub fn forget_range(&mut self, first: u32, last: u32) {
        self.is_recorded.retain(|fd, _| !(first..=last).contains(&fd.cast_unsigned()));
    }

    /// `execve` closed those marked close-on-exec, and nobody was told which.
    pub fn forget_all(&mut self) {
        self.is_recorded.clear();
    }
}

/// Asks proc_pid_fd(5); `None` if the number is not open.
fn look_up(tid: i32, fd: i32) -> Option<bool> {
    let target = nix::fcntl::readlink(format!("/proc/{tid}/fd/{fd}").as_str()).ok()?;
    let target = target.as_encoded_bytes();
    Some(target.starts_with(b"socket:[") || target == b"anon_inode:[timerfd]")
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
        assert!(descriptors.is_recorded(tid, socket.as_raw_fd()));
        assert!(!descriptors.is_recorded(tid, file.as_raw_fd()));
    }

    #[test]
    fn what_was_looked_up_holds_until_the_number_is_free() {
        let nobody = i32::MAX;
        let mut descriptors = Descriptors { is_recorded: BTreeMap::from([(4, true), (5, true), (9, true)]) };
        assert!(descriptors.is_recorded(nobody, 4));
        descriptors.forget(4);
        assert!(!descriptors.is_recorded(nobody, 4), "and a number that is not open is nothing");
        descriptors.forget_range(5, u32::MAX);
        assert!(!descriptors.is_recorded(nobody, 9));
    }
}
