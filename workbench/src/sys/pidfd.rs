//! `pidfd_open` and `pidfd_getfd`, which `nix` does not wrap: a descriptor that says when a process has ended, and through
//! which that process's own can be had.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::unistd::Pid;

/// A descriptor that becomes readable when the process ends (pidfd_open(2), Linux 5.3).
///
/// # Errors
///
/// `ESRCH` if there is no such process, `ENOSYS` on older kernels.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, close-on-exec, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A descriptor of ours for the file that is `fd` in that process (pidfd_getfd(2), Linux 5.6). It keeps the file open.
///
/// # Errors
///
/// `EBADF` if that is not open there, `EPERM` if we may not trace that process, `ESRCH` if it is gone.
pub fn get(process: BorrowedFd, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, close-on-exec, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
