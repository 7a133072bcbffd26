//! What `ss -tanoi` of iproute2 6.1 prints into a pipe: its columns, addresses and timers.
//!
//! Letter by letter, spaces at the ends of lines included. What `-i` adds is in `ss_info`. Source of the format:
//! misc/ss.c of iproute2.

use std::net::IpAddr;

use super::address::{by_family, inet_ntop};
use super::ss_info::ss_info;
use super::state::names;
use crate::evidence::{TcpSocket, TimerKind};

/// On which side a column is filled up with spaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// A column: its header, what stands before it, on which side its text is.
struct Column {
    header: &'static str,
    before: &'static str,
    align: Align,
}

const COLUMNS: [Column; 8] = [
    Column { header: "State", before: "", align: Align::Left },
    Column { header: "Recv-Q", before: " ", align: Align::Left },
    Column { header: "Send-Q", before: " ", align: Align::Left },
    Column { header: "Local Address:", before: " ", align: Align::Right },
    Column { header: "Port", before: "", align: Align::Left },
    Column { header: "Peer Address:", before: " ", align: Align::Right },
    Column { header: "Port", before: "", align: Align::Left },
    Column { header: "Process", before: "", align: Align::Left },
];

/// A row's texts, a column each. The last one holds two lines.
type Row = [String; COLUMNS.len()];

/// All of these sockets, header first.
pub fn ss(sockets: &[TcpSocket]) -> String {
    let (v4, v6) = by_family(sockets);
    let mut rows: Vec<Row> = vec![COLUMNS.each_ref().map(|column| column.header.to_owned())];
    rows.extend(v4.into_iter().chain(v6).map(row));
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(|at| width(&rows, at));
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// The longest text of a column. ss measures a field when it goes on to the next one, so the very last field of its
/// output is not measured.
fn width(rows: &[Row], at: usize) -> usize {
    let is_unmeasured = |row: usize| row > 0 && row + 1 == rows.len() && at + 1 == COLUMNS.len();
    let measured = rows.iter().enumerate().filter(|(row, _)| !is_unmeasured(*row));
    measured.map(|(_, row)| row[at].len()).max().unwrap_or(0)
}

fn line(row: &Row, widths: &[usize; COLUMNS.len()]) -> String {
    let mut line = String::new();
    for ((column, text), width) in COLUMNS.iter().zip(row).zip(widths) {
        let spaces = " ".repeat(width.saturating_sub(text.len()));
        line.push_str(column.before);
        match column.align {
            Align::Left => line.extend([text, spaces.as_str()]),
            Align::Right => line.extend([spaces.as_str(), text]),
        }
    }
    line.push('\n');
    line
}

fn row(socket: &TcpSocket) -> Row {
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(_) => inet_ntop(ip),
        IpAddr::V6(v6) if v6.is_unspecified() && !socket.only_v6 => "*".to_owned(),
        IpAddr::V6(_) => format!("[{}]", inet_ntop(ip)),
    };
    let port = |port: u16| if port == 0 { "*".to_owned() } else { port.to_string() };
    let interface = match socket.interface {
        0 => String::new(),
        index => format!("%{}", socket.interface_name.clone().unwrap_or_else(|| format!("if{index}"))),
    };
    [
        names(socket.state).ss.to_owned(),
        // Only these two are numbers of at least six places: `%-6d`.
        format!("{:<6}", socket.recv_queue),
        format!("{:<6}", socket.send_queue),
        format!("{}{interface}:", address(socket.local.0)),
        port(socket.local.1),
        format!("{}:", address(socket.remote.0)),
        port(socket.remote.1),
        format!("{}\n\t{}", timer(socket), ss_info(socket)),
    ]
}

/// ` timer:(keepalive,119min,0)`; nothing without one. ss has one word for all kinds that it does not know, 5 among
/// them, a delayed acknowledgment on newer kernels.
fn timer(socket: &TcpSocket) -> String {
    let kind = match socket.timer {
        TimerKind::Off => return String::new(),
        TimerKind::On => "on",
        TimerKind::Keepalive => "keepalive",
        TimerKind::TimeWait => "timewait",
        TimerKind::Probe => "persist",
        TimerKind::Unknown(_) => "unknown",
    };
    format!(" timer:({kind},{},{})", span(socket.expires_ms), socket.retransmits)
}

/// A time as ss writes it: minutes from a minute on, with seconds below ten of them; seconds, with milliseconds below
/// ten of them, as `1.024ms`, which is 1.024 s; milliseconds in three places; nothing for none.
fn span(ms: u32) -> String {
    let (minutes, mut seconds, mut rest) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    if minutes > 0 {
        rest = 0;
        text.push_str(&format!("{minutes}min"));
    }
    if minutes > 9 {
        seconds = 0;
    }
    if seconds > 9 {
        rest = 0;
    }
    if seconds > 0 {
        text.push_str(&format!("{seconds}{}", if rest > 0 { "." } else { "sec" }));
    }
    if rest > 0 {
        text.push_str(&format!("{rest:03}ms"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn times_are_in_the_units_of_ss() {
        for (ms, expected) in [
            (0, ""),
            (4, "004ms"),
            (200, "200ms"),
            (1000, "1sec"),
            (1024, "1.024ms"),
            (9999, "9.999ms"),
            (10_500, "10sec"),
            (59_984, "59sec"),
            (60_000, "1min"),
            (61_024, "1min1sec"),
            (599_999, "9min59sec"),
            (600_000, "10min"),
            (7_199_984, "119min"),
        ] {
            assert_eq!(span(ms), expected, "{ms}");
        }
    }

    #[test]
    fn sockets_are_as_ss_printed_them() {
        assert_eq!(ss(&fixture::sockets()), fixture::SS);
    }

    #[test]
    fn without_sockets_there_is_the_header_alone() {
        assert_eq!(ss(&[]), "State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n");
    }

    #[test]
    fn a_kind_of_timer_that_ss_does_not_know_is_unknown() {
        let socket =
            TcpSocket { timer: TimerKind::from(7), expires_ms: 24, retransmits: 2, ..fixture::sockets()[0].clone() };
        assert_eq!(timer(&socket), " timer:(unknown,024ms,2)");
    }
}
