//! Socket calls as the kernel has them, one for each function, on descriptors that are plain numbers: a program that is
//! meant to make declared calls and nothing else owns its descriptors by hand, and closes them where it says so.

use std::net::SocketAddr;

use nix::sys::socket::{SockaddrLike, SockaddrStorage};

/// A value, or an errno.
pub type Answer = Result<i64, i32>;

fn answer(result: impl Into<i64>) -> Answer {
    match result.into() {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
        value => Ok(value),
    }
}

/// socket(2).
pub fn socket(domain: i32, kind: i32) -> Answer {
    // SAFETY: takes numbers only.
    answer(unsafe { libc::socket(domain, kind, 0) })
}

/// setsockopt(2) with these bytes.
pub fn set_option(fd: i32, level: i32, name: i32, value: &[u8]) -> Answer {
    // SAFETY: the kernel reads as many bytes as there are.
    answer(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), value.len() as u32) })
}

/// getsockopt(2) into these bytes; how many are filled.
pub fn get_option(fd: i32, level: i32, name: i32, value: &mut [u8]) -> Answer {
    let mut len = value.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, and as many there are.
    answer(unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) })?;
    Ok(i64::from(len))
}

/// bind(2).
pub fn bind(fd: i32, to: SocketAddr) -> Answer {
    let to = SockaddrStorage::from(to);
    // SAFETY: an address with its length.
    answer(unsafe { libc::bind(fd, to.as_ptr().cast(), to.len()) })
}

/// connect(2).
pub fn connect(fd: i32, to: SocketAddr) -> Answer {
    let to = SockaddrStorage::from(to);
    // SAFETY: an address with its length.
    answer(unsafe { libc::connect(fd, to.as_ptr().cast(), to.len()) })
}

/// listen(2).
pub fn listen(fd: i32, backlog: i32) -> Answer {
    // SAFETY: takes numbers only.
    answer(unsafe { libc::listen(fd, backlog) })
}

/// accept(2), with the peer's address, which the trace then shows.
pub fn accept(fd: i32) -> Answer {
    let mut address = [0_u64; 16];
    let mut len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: room of `len` bytes, aligned for every address.
    answer(unsafe { libc::accept(fd, address.as_mut_ptr().cast(), &raw mut len) })
}

/// send(2).
pub fn send(fd: i32, bytes: &[u8], flags: i32) -> Answer {
    // SAFETY: the kernel reads as many bytes as there are.
    answer(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) } as i64)
}

/// recv(2).
pub fn receive(fd: i32, room: &mut [u8]) -> Answer {
    // SAFETY: the kernel writes at most as many bytes as there are.
    answer(unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), 0) } as i64)
}

/// shutdown(2).
pub fn shutdown(fd: i32, how: i32) -> Answer {
    // SAFETY: takes numbers only.
    answer(unsafe { libc::shutdown(fd, how) })
}

/// close(2). Only for a descriptor that nothing else in this process owns.
pub fn close(fd: i32) -> Answer {
    // SAFETY: takes a number only; by the contract nobody uses it again.
    answer(unsafe { libc::close(fd) })
}

/// dup(2).
pub fn duplicate(fd: i32) -> Answer {
    // SAFETY: takes a number only.
    answer(unsafe { libc::dup(fd) })
}

/// poll(2) on one descriptor.
pub fn poll(fd: i32, events: i16, timeout_ms: i32) -> Answer {
    let mut one = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one entry.
    answer(unsafe { libc::poll(&raw mut one, 1, timeout_ms) })
}

/// clock_nanosleep(2) on CLOCK_MONOTONIC.
pub fn sleep(ns: u64) -> Answer {
    let length = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    // SAFETY: a timespec that lives; what is left is not asked for. It returns its errno.
    match unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const length, std::ptr::null_mut()) } {
        0 => Ok(0),
        errno => Err(errno),
    }
}

/// Ignores SIGPIPE, or gives it its default disposition.
pub fn sigpipe(is_ignored: bool) -> Answer {
    let disposition = if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither runs code of ours.
    let before = unsafe { libc::signal(libc::SIGPIPE, disposition) };
    if before == libc::SIG_ERR { answer(-1) } else { Ok(0) }
}

/// write(2), for what nobody can do anything about if it fails.
pub fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// An `execve` of nothing, which fails with EFAULT: a tracer that stops at each can tell where a process stands.
pub fn execute_nothing() {
    // SAFETY: the kernel finds that there is no path, and does nothing.
    unsafe { libc::syscall(libc::SYS_execve, 0_usize, 0_usize, 0_usize) };
}
