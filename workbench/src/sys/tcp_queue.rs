//! How much of what was written to a TCP socket the other end has not acknowledged yet (tcp(7), SIOCOUTQ).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes written and not acknowledged. 0 once the connection is over.
///
/// # Errors
///
/// `ioctl`'s errno.
pub fn unacknowledged_bytes(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which is TIOCOUTQ by number, writes one int, to which the pointer is valid for the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { Ok(bytes.max(0) as u64) } else { Err(io::Error::last_os_error()) }
}
