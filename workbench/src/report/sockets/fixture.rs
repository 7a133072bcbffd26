//! Sockets of one process on `lo`, and what iproute2 6.1.0, net-tools 2.10 and Linux 6.18 (HZ=250) printed of them at
//! the same moment: captured, not made. Of `/proc/net/tcp` the columns behind the inode are cut off.

use crate::evidence::{TcpSocket, TcpState};

/// Of `ss -tanoi`, into a pipe.
pub(super) const SS: &str = include_str!("golden/ss.txt");
/// Of `netstat -antpo`.
pub(super) const NETSTAT: &str = include_str!("golden/netstat.txt");
/// Of `/proc/net/tcp`.
pub(super) const PROC_NET_TCP: &str = include_str!("golden/tcp.txt");
/// Of `/proc/net/tcp6`.
pub(super) const PROC_NET_TCP6: &str = include_str!("golden/tcp6.txt");

/// The sockets, as sock_diag tells of them.
pub(super) fn sockets() -> Vec<TcpSocket> {
    serde_json::from_str(include_str!("golden/sockets.json")).unwrap()
}

/// One of the sockets, in another state.
pub(super) fn socket(state: TcpState) -> TcpSocket {
    TcpSocket { state, ..sockets()[1].clone() }
}
