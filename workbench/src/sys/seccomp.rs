//! Installs a seccomp filter. What it contains is the business of who wrote it.

use std::io;

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
