//! IP addresses as glibc's inet_ntop(3) writes them, which both programs use, and the order in which both go through
//! families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::evidence::TcpSocket;

/// The sockets of IPv4 and those of IPv6, each in the kernel's order: both programs ask for one family after the other.
pub(super) fn by_family(sockets: &[TcpSocket]) -> (Vec<&TcpSocket>, Vec<&TcpSocket>) {
    sockets.iter().filter(|socket| is_listed(socket)).partition(|socket| socket.local.0.is_ipv4())
}

/// A closed socket is in none of the kernel's tables; sock_diag shows one that is bound since Linux 6.8 if asked to
/// (TCPF_BOUND_INACTIVE), which neither `ss -a` of iproute2 6.1 nor netstat does.
fn is_listed(socket: &TcpSocket) -> bool {
    use crate::evidence::TcpState::{Close, Unknown};
    !matches!(socket.state, Close | Unknown(13))
}

/// An address.
pub(super) fn inet_ntop(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => compatible(v6).unwrap_or_else(|| v6.to_string()),
    }
}

/// glibc writes the IPv4 address at the end of 96 zeros with dots, as RFC 4291 (2.5.5.1) once had it; Rust does not.
fn compatible(v6: Ipv6Addr) -> Option<String> {
    let bits = v6.to_bits();
    let v4 = u32::try_from(bits).ok().filter(|v4| *v4 > 0xffff)?;
    Some(format!("::{}", Ipv4Addr::from_bits(v4)))
}

#[cfg(test)]
mod tests {
    use super::inet_ntop;

    #[test]
    fn addresses_are_as_glibc_writes_them() {
        // Made with python3's socket.inet_ntop, which is glibc's.
        for (given, expected) in [
            ("10.9.0.1", "10.9.0.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("::ffff:10.9.0.1", "::ffff:10.9.0.1"),
            ("::a09:1", "::10.9.0.1"),
            ("::1:0", "::0.1.0.0"),
            ("::ffff", "::ffff"),
            ("fe80::1:0:0:2", "fe80::1:0:0:2"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
        ] {
            assert_eq!(inet_ntop(given.parse().unwrap()), expected);
        }
    }
}
