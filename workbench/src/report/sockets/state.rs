//! What each program calls a TCP state. The kernel's numbers are those of include/net/tcp_states.h.

use crate::evidence::TcpState;

/// A state's number and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) struct Names {
    /// The kernel's, as `/proc/net/tcp` shows it.
    pub number: u8,
    /// Of ss(8).
    pub ss: &'static str,
    /// Of netstat(8).
    pub netstat: &'static str,
}

/// The names of a state.
pub(in crate::report) fn names(state: TcpState) -> Names {
    let (number, ss, netstat) = match state {
        TcpState::Established => (1, "ESTAB", "ESTABLISHED"),
        TcpState::SynSent => (2, "SYN-SENT", "SYN_SENT"),
        TcpState::SynRecv => (3, "SYN-RECV", "SYN_RECV"),
        TcpState::FinWait1 => (4, "FIN-WAIT-1", "FIN_WAIT1"),
        TcpState::FinWait2 => (5, "FIN-WAIT-2", "FIN_WAIT2"),
        TcpState::TimeWait => (6, "TIME-WAIT", "TIME_WAIT"),
        TcpState::Close => (7, "UNCONN", "CLOSE"),
        TcpState::CloseWait => (8, "CLOSE-WAIT", "CLOSE_WAIT"),
        TcpState::LastAck => (9, "LAST-ACK", "LAST_ACK"),
        TcpState::Listen => (10, "LISTEN", "LISTEN"),
        TcpState::Closing => (11, "CLOSING", "CLOSING"),
        TcpState::Unknown(number) => (number, "UNKNOWN", "UNKNOWN"),
    };
    Names { number, ss, netstat }
}
