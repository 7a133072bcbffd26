//! Socket calls that make, name, connect and shut down: everything but data and options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CallStop, Outcome};
use crate::evidence::{Arg, SocketAddress};
use crate::record::syscalls::names::socket::{FAMILIES, SHUTDOWN, TYPE_FLAGS, protocol, socket_type};

/// `sizeof(struct sockaddr_storage)`: no address is longer.
const ADDRESS_LIMIT: usize = 128;

pub fn socket(call: &CallStop) -> Vec<Arg> {
    let protocol = match protocol(call.raw_int(0), call.raw[2] as u32) {
        Some(name) => Arg::Symbol(name),
        None => call.unsigned(2),
    };
    vec![call.constant(0, FAMILIES, "AF_???"), Arg::Symbol(socket_type(call.raw[1] as u32)), protocol]
}

pub fn socketpair(call: &CallStop) -> Vec<Arg> {
    let kind = Arg::Symbol(socket_type(call.raw[1] as u32));
    vec![call.constant(0, FAMILIES, "AF_???"), kind, call.unsigned(2), call.pointer(3)]
}

pub fn socketpair_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let pair = [call.memory.int(call.raw[3]), call.memory.int(call.raw[3] + 4)];
    if let (Ok(_), [Some(one), Some(other)]) = (outcome, pair) {
        args[3] = Arg::List(vec![Arg::Fd(one), Arg::Fd(other)]);
    }
}

/// `bind` and `connect`.
pub fn bind(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), address(call, call.raw[1], i64::from(call.raw_int(2))), call.int(2)]
}

pub fn listen(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.int(1)]
}

pub fn shutdown(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.constant(1, SHUTDOWN, "SHUT_???")]
}

/// `accept`, `getsockname` and `getpeername`, which the kernel fills at the return.
pub fn name(call: &CallStop) -> Vec<Arg> {
    vec![call.fd(0), call.pointer(1), length(call, 1, 2)]
}

pub fn accept4(call: &CallStop) -> Vec<Arg> {
    let mut args = name(call);
    args.push(call.flags(3, TYPE_FLAGS, "SOCK_???"));
    args
}

pub fn name_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    address_return(call, outcome, args, 1, 2);
}

/// The `socklen_t *` in argument `i`, which says how long the address in argument `address` may be.
pub fn length(call: &CallStop, address: usize, i: usize) -> Arg {
    match call.memory.int(call.raw[i]) {
        Some(given) if call.raw[address] != 0 => Arg::Length { given: given.into(), returned: None },
        _ => call.pointer(i),
    }
}

/// Fills in an address and its length after the return.
pub fn address_return(call: &CallStop, outcome: Outcome, args: &mut [Arg], at: usize, length_at: usize) {
    let (Ok(_), Arg::Length { given, returned }) = (outcome, &mut args[length_at]) else { return };
    let Some(len) = call.memory.int(call.raw[length_at]).map(i64::from) else { return };
    *returned = Some(len);
    let len = len.min(*given);
    args[at] = address(call, call.raw[at], len);
}

/// The socket address in memory; its address there alone if it is too short or cannot be read.
pub fn address(call: &CallStop, at: u64, len: i64) -> Arg {
    let len = usize::try_from(len).unwrap_or(0).min(ADDRESS_LIMIT);
    let decoded = call.memory.bytes(at, len).as_deref().and_then(decode_address);
    decoded.map_or(Arg::Pointer(at), Arg::Address)
}

/// A `struct sockaddr`; `None` if it has not even a family.
fn decode_address(bytes: &[u8]) -> Option<SocketAddress> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = u16::from_ne_bytes(*family);
    Some(decode_family(family, rest).unwrap_or(SocketAddress::Other(family)))
}

/// What follows the family (in.h, un.h, netlink.h); `None` if it is shorter than its family needs.
fn decode_family(family: u16, rest: &[u8]) -> Option<SocketAddress> {
    Some(match i32::from(family) {
        libc::AF_INET => {
            let (port, rest) = rest.split_first_chunk()?;
            let ip = Ipv4Addr::from(*rest.first_chunk::<4>()?);
            SocketAddress::Inet { ip: IpAddr::V4(ip), port: u16::from_be_bytes(*port) }
        }
        libc::AF_INET6 => {
            let (port, rest) = rest.split_first_chunk()?;
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope_id = rest.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            let (ip, port) = (Ipv6Addr::from(*ip), u16::from_be_bytes(*port));
            if scope_id == 0 {
                SocketAddress::Inet { ip: IpAddr::V6(ip), port }
            } else {
                SocketAddress::Scoped { ip, port, scope_id }
            }
        }
        libc::AF_UNIX => SocketAddress::Unix(unix_path(rest)),
        libc::AF_NETLINK => {
            let (_pad, rest) = rest.split_first_chunk::<2>()?;
            let (pid, rest) = rest.split_first_chunk()?;
            SocketAddress::Netlink { pid: u32::from_ne_bytes(*pid), groups: u32::from_ne_bytes(*rest.first_chunk()?) }
        }
        libc::AF_UNSPEC => SocketAddress::Unspec,
        _ => SocketAddress::Other(family),
    })
}

/// A path ends at its NUL, an abstract name (which begins with one) with the address (unix(7)).
fn unix_path(bytes: &[u8]) -> String {
    match bytes {
        [0, name @ ..] if !name.is_empty() => format!("@{}", String::from_utf8_lossy(name)),
        _ => {
            let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_lays_them_out() {
        let v4 = [2, 0, 0, 80, 10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decode_address(&v4), Some(SocketAddress::Inet { ip: "10.9.0.2".parse().unwrap(), port: 80 }));
        let mut v6 = vec![10, 0, 0, 53, 0, 0, 0, 0];
        v6.extend_from_slice(&"fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend_from_slice(&3u32.to_ne_bytes());
        let scoped = SocketAddress::Scoped { ip: "fe80::1".parse().unwrap(), port: 53, scope_id: 3 };
        assert_eq!(decode_address(&v6), Some(scoped));
        assert_eq!(decode_address(b"\x01\0/run/x\0junk"), Some(SocketAddress::Unix("/run/x".into())));
        assert_eq!(decode_address(b"\x01\0\0name"), Some(SocketAddress::Unix("@name".into())));
        assert_eq!(decode_address(b"\x01\0"), Some(SocketAddress::Unix(String::new())));
        assert_eq!(decode_address(&[0; 16]), Some(SocketAddress::Unspec));
    }

    #[test]
    fn an_address_shorter_than_its_family_needs_is_a_family_only() {
        assert_eq!(decode_address(&[2, 0, 0, 80, 10]), Some(SocketAddress::Other(2)));
        assert_eq!(decode_address(&[2]), None);
        assert_eq!(decode_address(&[]), None);
    }
}
