//! `mount_setattr`, which `nix` does not wrap: attributes of a whole tree of mounts at once.

use std::io;

/// Makes every mount of the calling process's mount namespace read-only (mount_setattr(2), Linux 5.12).
///
/// # Errors
///
/// The kernel's errno; `ENOSYS` on older kernels.
pub fn everything_read_only() -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a C string that outlives the call, `attributes` is the structure the kernel knows and its size
    // is told; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
