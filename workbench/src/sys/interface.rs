//! Names of network interfaces, asked through a socket: it stays in its network namespace wherever the caller is.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

mod request {
    //! The ioctl of netdevice(7) that turns an interface's index into its name.
    nix::ioctl_readwrite_bad!(
        /// Reads `ifr_ifindex`, writes `ifr_name`.
        interface_name,
        libc::SIOCGIFNAME,
        libc::ifreq
    );
}

/// Name of an interface in the namespace of a socket of any family.
///
/// # Errors
/// ENODEV if there is none of this index (any more).
pub fn name(socket: BorrowedFd<'_>, ifindex: i32) -> io::Result<String> {
    // SAFETY: all members of the structure are plain integers and arrays of them.
    let mut interface: libc::ifreq = unsafe { std::mem::zeroed() };
    interface.ifr_ifru.ifru_ifindex = ifindex;
    // SAFETY: `interface` is the structure that this request reads and writes (netdevice(7)).
    unsafe { request::interface_name(socket.as_raw_fd(), &mut interface) }?;
    let name = interface.ifr_name.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect::<Vec<_>>();
    Ok(String::from_utf8_lossy(&name).into_owned())
}
