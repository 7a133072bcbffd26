//! Network namespaces without names: held by a descriptor, gone with the last of those and the last process inside.
//!
//! It moves the calling thread in and out; nothing under `/run/netns` is touched.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, setns, unshare};

use super::error::LabError;
use super::netlink::Connection;

/// What has not come about after this long never will: it is a matter of scheduling a work item in the kernel.
const STATE_TIMEOUT_MS: u16 = 10_000;

/// A network namespace with an rtnetlink socket in it.
pub(super) struct Namespace {
    fd: OwnedFd,
    /// Works from anywhere: a socket stays in the namespace it was opened in.
    pub route: Connection,
}

impl Namespace {
    /// The calling thread's.
    pub fn current() -> Result<Self, LabError> {
        let path = "/proc/thread-self/ns/net";
        let fd = File::open(path).map_err(LabError::machine(format!("opening {path}")))?.into();
        Ok(Self { fd, route: Connection::open(NETLINK_ROUTE)? })
    }

    /// A fresh, empty one. The calling thread is in it afterwards.
    pub fn create() -> Result<Self, LabError> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(LabError::machine("making a network namespace"))?;
        Self::current()
    }

    /// Moves the calling thread in.
    pub fn enter(&self) -> Result<(), LabError> {
        setns(&self.fd, CloneFlags::CLONE_NEWNET).map_err(LabError::machine("entering a network namespace"))
    }

    /// Blocks until something is so, looking again whenever the kernel tells the rtnetlink group of a change.
    pub fn wait_until(
        &self,
        group: u32,
        what: &str,
        is_so: impl Fn(&Connection) -> Result<bool, LabError>,
    ) -> Result<(), LabError> {
        if is_so(&self.route)? {
            return Ok(());
        }
        let _way_back = WayBack::remember()?;
        self.enter()?;
        let watch = Connection::open(NETLINK_ROUTE)?;
        watch.join(group)?;
        while !is_so(&self.route)? {
            if !watch.wait(STATE_TIMEOUT_MS)? {
                let silence = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(LabError::machine(format!("waiting for {what}"))(silence));
            }
        }
        Ok(())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Takes the calling thread back to the namespace it came from, also when something fails in between.
#[must_use = "dropping it is what leads back"]
pub(super) struct WayBack {
    from: OwnedFd,
}

impl WayBack {
    /// Remembers where the calling thread is now.
    pub fn remember() -> Result<Self, LabError> {
        let path = "/proc/thread-self/ns/net";
        let from = File::open(path).map_err(LabError::machine(format!("opening {path}")))?.into();
        Ok(Self { from })
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        // It was this thread's own namespace and the descriptor holds it: that can fail only for want of privileges
        // that the thread had to have to leave it.
        let _ = setns(&self.from, CloneFlags::CLONE_NEWNET);
    }
}
