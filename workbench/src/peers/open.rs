//! Opening the peers' sockets, each in its host's network namespace.

use std::fs::File;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect, listen, setsockopt, socket, sockopt,
};

use super::companion::{PeersError, machine};
use crate::plan::{HostPlan, PeerKind, PeerPlan};

/// How many connections wait to be accepted, of all peers but `backlog`.
const QUEUE_LENGTH: i32 = 128;

/// What `hoard` asks for as its receive buffer; the kernel doubles it (socket(7)).
const SMALL_BUFFER_BYTES: usize = 4096;

/// A peer with its sockets, none of which blocks.
pub(super) struct Opened {
    /// The peer.
    pub peer: PeerPlan,
    /// Sockets that listen.
    pub listeners: Vec<OwnedFd>,
    /// UDP sockets.
    pub datagrams: Vec<OwnedFd>,
}

impl Opened {
    /// All its sockets.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().chain(&self.datagrams).map(AsFd::as_fd)
    }
}

/// Opens the sockets of all peers. The calling thread is in the same network namespace afterwards.
pub(super) fn open_all<'a>(
    hosts: &[HostPlan],
    netns: impl Fn(&str) -> Option<BorrowedFd<'a>>,
) -> Result<Vec<Opened>, PeersError> {
    let home = File::open("/proc/thread-self/ns/net").map_err(machine("opening /proc/thread-self/ns/net"))?;
    let opened = open_each(hosts, netns);
    setns(&home, CloneFlags::CLONE_NEWNET).map_err(machine("leaving a host's network namespace"))?;
    opened
}

fn open_each<'a>(
    hosts: &[HostPlan],
    netns: impl Fn(&str) -> Option<BorrowedFd<'a>>,
) -> Result<Vec<Opened>, PeersError> {
    let mut opened = Vec::new();
    for host in hosts.iter().filter(|host| !host.peers.is_empty()) {
        let netns = netns(&host.name).ok_or(Errno::ESRCH).map_err(machine("finding a peer's host"))?;
        setns(netns, CloneFlags::CLONE_NEWNET).map_err(machine("entering a host's network namespace"))?;
        for peer in &host.peers {
            opened.push(open(peer).map_err(|source| PeersError::Refused {
                host: host.name.clone(),
                asked: peer.text.clone(),
                source,
                origin: Box::new(peer.origin.clone()),
            })?);
        }
    }
    Ok(opened)
}

fn open(peer: &PeerPlan) -> nix::Result<Opened> {
    let mut opened = Opened { peer: peer.clone(), listeners: Vec::new(), datagrams: Vec::new() };
    for &address in &peer.tcp {
        let at = socket_address(address, peer.port);
        let Some(socket) = bound(at, SockType::Stream, |socket| match peer.kind {
            PeerKind::Hoard => setsockopt(socket, sockopt::RcvBuf, &SMALL_BUFFER_BYTES),
            _ => Ok(()),
        })?
        else {
            continue;
        };
        let is_full = peer.kind == PeerKind::Backlog;
        listen(&socket, Backlog::new(if is_full { 0 } else { QUEUE_LENGTH })?)?;
        if is_full {
            fill(at)?;
        }
        opened.listeners.push(socket);
    }
    for &address in &peer.udp {
        opened.datagrams.extend(bound(socket_address(address, peer.port), SockType::Datagram, |_| Ok(()))?);
    }
    Ok(opened)
}

/// A bound socket. `None` where the address is not there, because its interface is down: nobody could reach it.
fn bound(
    at: SocketAddr,
    kind: SockType,
    prepare: impl FnOnce(&OwnedFd) -> nix::Result<()>,
) -> nix::Result<Option<OwnedFd>> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if at.is_ipv6() {
        // A socket for each family: IPv4 addresses stay what they are in all that is shown of it.
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    prepare(&socket)?;
    match bind(socket.as_raw_fd(), &SockaddrStorage::from(at)) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::EADDRNOTAVAIL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Fills the accept queue of a listening socket whose backlog is 0, which has room for one connection
/// (`sk_acceptq_is_full`: more than the backlog). It is ours, and reset at once: a connection that ended before it was
/// accepted keeps its place (net/ipv4/tcp_ipv4.c counts it off in accept(2) alone) and is no socket any more that anybody
/// would see.
fn fill(at: SocketAddr) -> nix::Result<()> {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let client = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&client, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    connect(client.as_raw_fd(), &SockaddrStorage::from(socket_address(ip, at.port())))
}

fn socket_address(ip: IpAddr, port: u16) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, 0).into(),
    }
}
