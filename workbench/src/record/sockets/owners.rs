//! Which process has a socket open, by its inode: `/proc/PID/fd`. A thread's own table of descriptors (`unshare(2)`,
//! CLONE_FILES) is not looked at, and neither are this process's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::evidence::{SocketOwner, TcpSocket};

/// What is known of sockets' owners. Looking through all processes is done only when an inode is seen for the first
/// time, or is not where it was: one look at the descriptor tells.
#[derive(Default)]
pub(super) struct Owners {
    /// `None`: looked for, and not found.
    known: BTreeMap<u32, Option<Descriptor>>,
}

/// Where a socket is open.
struct Descriptor {
    pid: u32,
    path: PathBuf,
}

impl Owners {
    /// Tells each socket its owner, and forgets sockets that are not among these.
    pub fn name(&mut self, sockets: &mut [&mut TcpSocket]) {
        let inodes: BTreeSet<u32> = sockets.iter().map(|s| s.inode).filter(|inode| *inode != 0).collect();
        self.known.retain(|inode, descriptor| {
            inodes.contains(inode) && descriptor.as_ref().is_none_or(|d| socket_at(&d.path) == Some(*inode))
        });
        if inodes.iter().any(|inode| !self.known.contains_key(inode)) {
            let mut found = everybody();
            for inode in inodes {
                self.known.entry(inode).or_insert_with(|| found.remove(&inode));
            }
        }
        for socket in sockets {
            let owner = self.known.get(&socket.inode).and_then(Option::as_ref);
            socket.owner =
                owner.and_then(|d| Some(SocketOwner { pid: d.pid, name: comm(d.pid)?, argument: argument(d.pid) }));
        }
    }
}

/// All sockets that processes have open, each with the smallest process id's descriptor.
fn everybody() -> BTreeMap<u32, Descriptor> {
    let mut found = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids.into_iter().filter(|pid| *pid != std::process::id()) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let path = entry.path();
            if let Some(inode) = socket_at(&path) {
                found.entry(inode).or_insert(Descriptor { pid, path });
            }
        }
    }
    found
}

/// The inode of the socket that a descriptor is, if it is one.
fn socket_at(descriptor: &Path) -> Option<u32> {
    let target = fs::read_link(descriptor).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn comm(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}

/// The first of a process's arguments; empty if it has none.
fn argument(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_descriptor_is_a_socket_or_it_is_not() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = |fd: i32| PathBuf::from(format!("/proc/self/fd/{fd}"));
        let inode = socket_at(&path(socket.as_raw_fd())).unwrap();
        assert!(inode > 0);
        let file = fs::File::open("/proc/self/comm").unwrap();
        assert_eq!(socket_at(&path(file.as_raw_fd())), None);
    }
}
