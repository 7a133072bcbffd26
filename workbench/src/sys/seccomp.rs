//! Installs a seccomp filter, and answers the calls that one hands over. What it contains is the business of who wrote it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// `SECCOMP_SET_MODE_FILTER` (linux/seccomp.h).
const SET_MODE_FILTER: libc::c_uint = 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no speculation mitigation for the filtered process, which kernels before 5.16
/// switch on by default and which changes its speed (Documentation/userspace-api/spec_ctrl.rst).
const FLAG_SPEC_ALLOW: libc::c_uint = 1 << 2;

/// Puts the calling thread, and all it will fork, under a filter, for good. Sets `NO_NEW_PRIVS`, also for root, so that
/// root and an ordinary user see the same world.
pub fn install(program: &[libc::sock_filter]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` and the instructions it points to outlive the call; the kernel copies and only reads them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, FLAG_SPEC_ALLOW, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A call that waits to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// What to answer to.
    pub id: u64,
    /// The thread that made it.
    pub tid: u32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// [`install`], with the end from which the calls come that the filter gives `SECCOMP_RET_USER_NOTIF` for
/// (seccomp_unotify(2), Linux 5.0).
///
/// # Errors
///
/// The kernel's.
pub fn install_listening(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    nix::sys::prctl::set_no_new_privs()?;
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: `program` and the instructions it points to outlive the call; the kernel copies and only reads them.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, close-on-exec, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The next call that waits; blocks where there is none.
///
/// # Errors
///
/// `ENOENT` if whoever made it was killed meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Waiting> {
    // SAFETY: plain numbers, for which zeros are valid; the kernel wants them to be zero.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `seccomp_notif`, which outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Waiting { id: call.id, tid: call.pid, args: call.data.args })
}

/// Lets a call return, with 0 or an error.
///
/// # Errors
///
/// `ENOENT` if whoever made it was killed meanwhile.
pub fn answer(listener: BorrowedFd<'_>, id: u64, error: Option<Errno>) -> io::Result<()> {
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error: -error.map_or(0, |errno| errno as i32), flags: 0 };
    // SAFETY: the kernel reads one `seccomp_notif_resp`, which outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
