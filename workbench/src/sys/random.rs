//! Crediting the kernel's random number generator with bytes of ours.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Bytes that are handed over at once.
pub const SEED_BYTES: usize = 64;

/// `struct rand_pool_info` (linux/random.h) with its bytes.
#[repr(C)]
struct PoolInfo {
    entropy_bits: libc::c_int,
    bytes: libc::c_int,
    buffer: [u8; SEED_BYTES],
}

/// `RNDADDENTROPY` (linux/random.h): `_IOW('R', 0x03, int [2])`.
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;

/// Adds `seed` to the pool and counts every bit of it as random (random(4)).
///
/// # Errors
///
/// `EPERM` without CAP_SYS_ADMIN, and what else the kernel says.
pub fn credit(random: &File, seed: [u8; SEED_BYTES]) -> io::Result<()> {
    let info = PoolInfo { entropy_bits: SEED_BYTES as i32 * 8, bytes: SEED_BYTES as i32, buffer: seed };
    // SAFETY: `info` outlives the call and has the layout that the kernel reads: two ints, then as many bytes as the
    // second one says.
    let result = unsafe { libc::ioctl(random.as_raw_fd(), RNDADDENTROPY as _, &raw const info) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
