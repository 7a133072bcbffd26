//! Switching off what a network card would do for the kernel: SIOCETHTOOL (netdevice(7)).
//!
//! Which interfaces and when is `lab`'s business.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct ethtool_value` (include/uapi/linux/ethtool.h).
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// `struct ifreq` with the member that SIOCETHTOOL uses, padded to the union's size.
#[repr(C)]
struct EthtoolRequest {
    name: [u8; libc::IFNAMSIZ],
    value: *mut EthtoolValue,
    padding: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ - size_of::<*mut EthtoolValue>()],
}

/// ETHTOOL_STXCSUM: transmit checksums. TSO goes with them (net/core/dev.c, `netdev_fix_features`).
const SET_TX_CHECKSUM: u32 = 0x17;

/// ETHTOOL_SSG: scatter-gather. GSO goes with it.
const SET_SCATTER_GATHER: u32 = 0x19;

/// Makes an interface send what a wire would carry: every packet no longer than the MTU, its checksum complete.
///
/// `socket` is any socket of the interface's namespace.
pub fn disable_offloads(socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    set(socket, interface, SET_TX_CHECKSUM, 0)?;
    set(socket, interface, SET_SCATTER_GATHER, 0)
}

fn set(socket: BorrowedFd<'_>, interface: &str, command: u32, data: u32) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    let length = interface.len().min(libc::IFNAMSIZ - 1);
    name[..length].copy_from_slice(&interface.as_bytes()[..length]);
    let mut value = EthtoolValue { command, data };
    let mut request = EthtoolRequest { name, value: &raw mut value, padding: [0; _] };
    // SAFETY: the request is as large as `struct ifreq`, its name ends with NUL, and its pointer leads to a live
    // `struct ethtool_value`, all the kernel reads and writes for these two commands (net/ethtool/ioctl.c).
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
