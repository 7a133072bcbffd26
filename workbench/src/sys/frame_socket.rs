//! A socket that takes and gives whole Ethernet frames at one interface (packet(7)).
//!
//! It is for passing frames on; capturing them as evidence needs a ring and is elsewhere.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// How much may wait to be read: as much as `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;

/// PACKET_IGNORE_OUTGOING (include/uapi/linux/if_packet.h, since 4.20).
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// See the module.
pub struct FrameSocket {
    fd: OwnedFd,
}

impl FrameSocket {
    /// Opens one at the interface with this index, which must be up, in the calling thread's namespace. It reads what
    /// comes in, with the kernel's time stamp, and not what goes out.
    pub fn open(interface_index: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // No protocol yet: before it is bound it would read from every interface.
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        let on: libc::c_int = 1;
        set_option(fd.as_fd(), PACKET_IGNORE_OUTGOING, &on)?;
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
        bind(fd.as_fd(), interface_index)?;
        Ok(Self { fd })
    }

    /// Frames that came in and found the buffer full, since the last time this was asked.
    pub fn take_lost(&self) -> io::Result<u64> {
        // SAFETY: a structure of two integers, for which all zeroes is a value.
        let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into the structure, which is that long.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(statistics.tp_drops.into()) }
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn set_option<T>(socket: BorrowedFd<'_>, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes from the value, which is that long.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, name, (&raw const *value).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// nix has no way to make a `sockaddr_ll`.
fn bind(socket: BorrowedFd<'_>, interface_index: u32) -> io::Result<()> {
    // SAFETY: a structure of integers, for which all zeroes is a value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface_index as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes from the address, which is that long.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
