//! What `netstat -antpo` of net-tools 2.10 prints. It reads `/proc/net/tcp` and `tcp6`, so its numbers are theirs.

use std::net::IpAddr;

use super::address::{by_family, inet_ntop};
use super::proc_net_tcp::{Row, row};
use super::state::names;
use crate::evidence::{SocketOwner, TcpSocket, TimerKind};
use crate::timeline::escape;

const HEADER: &str = "\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name     Timer
";

/// Longest address and port that netstat prints without `--wide`, less one.
const ADDRESS_WIDTH: usize = 22;

/// How much of a process id and its program's name it keeps.
const PROGRAM_WIDTH: usize = 19;

/// All of these sockets, header first, on a kernel with ticks of this length.
pub fn netstat(sockets: &[TcpSocket], tick_ns: u64) -> String {
    let (v4, v6) = by_family(sockets);
    let lines = |protocol: &'static str, sockets: Vec<&TcpSocket>| {
        let line = |socket: &&TcpSocket| line(protocol, socket, &row(socket, tick_ns));
        sockets.iter().map(line).collect::<String>()
    };
    format!("{HEADER}{}{}", lines("tcp", v4), lines("tcp6", v6))
}

fn line(protocol: &str, socket: &TcpSocket, row: &Row) -> String {
    let owner = socket.owner.as_ref().filter(|_| socket.inode != 0);
    let owner = owner.map_or_else(|| "-".to_owned(), program);
    format!(
        "{protocol:<4}  {:>6} {:>6} {:<23} {:<23} {:<11} {owner:<20} {}\n",
        row.recv_queue,
        row.send_queue,
        address(socket.local),
        address(socket.remote),
        names(socket.state).netstat,
        timer(row),
    )
}

/// `1234/curl`, cut off as netstat does.
fn program(owner: &SocketOwner) -> String {
    let argument = if owner.argument.is_empty() { &owner.name } else { &owner.argument };
    // Only a path's last part, and only if it is absolute.
    let name = match argument.starts_with('/') {
        true => argument.rsplit('/').next().unwrap_or_default(),
        false => argument,
    };
    // netstat prints control characters as they are.
    format!("{}/{}", owner.pid, escape(name)).chars().take(PROGRAM_WIDTH).collect()
}

/// An address and port, both cut off so that they fit. Of an IPv4 address in IPv6 netstat prints the former.
fn address((ip, port): (IpAddr, u16)) -> String {
    let ip = match ip {
        IpAddr::V6(v6) => inet_ntop(v6.to_ipv4_mapped().map_or(ip, IpAddr::V4)),
        IpAddr::V4(_) => inet_ntop(ip),
    };
    let port = if port == 0 { "*".to_owned() } else { port.to_string() };
    if ip.len() + port.len() <= ADDRESS_WIDTH {
        return format!("{ip}:{port}");
    }
    format!("{}:{port}", &ip[..ADDRESS_WIDTH - port.len()])
}

/// `keepalive (7199.98/0/0)`: seconds, RTOs, probes. No timer has no time.
fn timer(row: &Row) -> String {
    let name = match row.timer {
        TimerKind::Off => return format!("off (0.00/{}/{})", row.retransmits, row.probes),
        TimerKind::On => "on".to_owned(),
        TimerKind::Keepalive => "keepalive".to_owned(),
        TimerKind::TimeWait => "timewait".to_owned(),
        TimerKind::Probe => "probe".to_owned(),
        TimerKind::Unknown(number) => format!("unkn-{number}"),
    };
    format!("{name} ({}.{:02}/{}/{})", row.when / 100, row.when % 100, row.retransmits, row.probes)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn sockets_are_as_netstat_printed_them() {
        assert_eq!(netstat(&fixture::sockets(), 4_000_000), fixture::NETSTAT);
    }

    #[test]
    fn a_kind_of_timer_that_netstat_does_not_know_has_its_number() {
        let socket = TcpSocket { timer: TimerKind::from(7), expires_ms: 240, ..fixture::sockets()[0].clone() };
        assert_eq!(timer(&row(&socket, 4_000_000)), "unkn-7 (0.24/0/0)");
    }

    #[test]
    fn a_long_address_is_cut_and_its_port_is_not() {
        let long: IpAddr = "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
        assert_eq!(address((long, 43_982)), "2001:db8:1111:222:43982");
        assert_eq!(address((long, 0)), "2001:db8:1111:2222:33:*");
    }

    #[test]
    fn a_program_is_cut_to_what_netstat_keeps_of_it() {
        for (argument, expected) in [
            ("/usr/bin/python3", "3372/python3"),
            ("bin/tool", "3372/bin/tool"),
            ("a-program-of-a-long-name", "3372/a-program-of-a"),
            ("", "3372/comm"),
        ] {
            let owner = SocketOwner { pid: 3372, name: "comm".into(), argument: argument.into() };
            assert_eq!(program(&owner), expected);
        }
    }
}
