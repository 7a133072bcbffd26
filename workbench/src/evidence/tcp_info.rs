//! The kernel's `struct tcp_info` (include/uapi/linux/tcp.h), which `ss -i` and `getsockopt(TCP_INFO)` show.
//!
//! Fields keep the kernel's names without `tcpi_`, its units, and its order, which never changes: newer kernels append.
//! What an older kernel does not have is 0. In JSON, what is 0 is left out.

use serde::{Deserialize, Serialize};

macro_rules! tcp_info {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $at:literal;)*) => {
        /// `struct tcp_info`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct TcpInfo {
            $($(#[$doc])* #[serde(skip_serializing_if = "is_zero")] pub $name: $type,)*
        }

        impl TcpInfo {
            /// The structure as the kernel wrote it: as much of it as there is.
            pub fn from_bytes(bytes: &[u8]) -> Self {
                Self { $($name: <$type>::from_ne_bytes(field(bytes, $at)),)* }
            }
        }
    };
}

/// The bytes of a field; zeros where the kernel's structure ends before it.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

tcp_info! {
    /// State, as in [`super::TcpState`].
    state: u8, 0;
    /// Congestion-avoidance state: open 0, disorder 1, CWR 2, recovery 3, loss 4.
    ca_state: u8, 1;
    /// RTOs that passed without an acknowledgment.
    retransmits: u8, 2;
    /// Probes sent and not answered: keepalive or zero window.
    probes: u8, 3;
    /// How often the RTO has been doubled.
    backoff: u8, 4;
    /// TCPI_OPT_*: timestamps 1, SACK 2, window scale 4, ECN 8, ECN seen 16, SYN data 32.
    options: u8, 5;
    /// Window scales: of the peer in bits 0 to 3, own in bits 4 to 7.
    wscale: u8, 6;
    /// Bit 0: the delivery rate was limited by the program. Bits 1 and 2: how TCP Fast Open failed.
    flags: u8, 7;
    /// Retransmission timeout, microseconds.
    rto: u32, 8;
    /// Delayed acknowledgment timeout, microseconds.
    ato: u32, 12;
    /// Maximum segment size for sending, bytes.
    snd_mss: u32, 16;
    /// The peer's, as estimated from what arrived.
    rcv_mss: u32, 20;
    /// Segments sent and not acknowledged. Listening: connections waiting for `accept`.
    unacked: u32, 24;
    /// Of these, selectively acknowledged. Listening: the backlog's limit.
    sacked: u32, 28;
    /// Of these, taken for lost.
    lost: u32, 32;
    /// Of these, sent again.
    retrans: u32, 36;
    /// Not used by Linux.
    fackets: u32, 40;
    /// Since data was sent last, milliseconds.
    last_data_sent: u32, 44;
    /// Not remembered by Linux.
    last_ack_sent: u32, 48;
    /// Since data arrived last, milliseconds.
    last_data_recv: u32, 52;
    /// Since an acknowledgment arrived last, milliseconds.
    last_ack_recv: u32, 56;
    /// Path MTU, bytes.
    pmtu: u32, 60;
    /// Receive slow-start threshold, bytes.
    rcv_ssthresh: u32, 64;
    /// Smoothed round trip, microseconds.
    rtt: u32, 68;
    /// Its mean deviation, microseconds.
    rttvar: u32, 72;
    /// Slow-start threshold, segments.
    snd_ssthresh: u32, 76;
    /// Congestion window, segments.
    snd_cwnd: u32, 80;
    /// Maximum segment size announced, bytes.
    advmss: u32, 84;
    /// Reordering seen, segments.
    reordering: u32, 88;
    /// The receiver's round trip, microseconds.
    rcv_rtt: u32, 92;
    /// Space of the receive buffer, bytes.
    rcv_space: u32, 96;
    /// Segments sent again in all.
    total_retrans: u32, 100;
    /// Bytes a second.
    pacing_rate: u64, 104;
    /// Bytes a second.
    max_pacing_rate: u64, 112;
    /// RFC 4898, tcpEStatsAppHCThruOctetsAcked.
    bytes_acked: u64, 120;
    /// RFC 4898, tcpEStatsAppHCThruOctetsReceived.
    bytes_received: u64, 128;
    /// RFC 4898, tcpEStatsPerfSegsOut.
    segs_out: u32, 136;
    /// RFC 4898, tcpEStatsPerfSegsIn.
    segs_in: u32, 140;
    /// Bytes written and not sent yet.
    notsent_bytes: u32, 144;
    /// Least round trip, microseconds.
    min_rtt: u32, 148;
    /// RFC 4898, tcpEStatsDataSegsIn.
    data_segs_in: u32, 152;
    /// RFC 4898, tcpEStatsDataSegsOut.
    data_segs_out: u32, 156;
    /// Bytes a second.
    delivery_rate: u64, 160;
    /// Time with data to send, microseconds.
    busy_time: u64, 168;
    /// Of it, limited by the peer's window.
    rwnd_limited: u64, 176;
    /// Of it, limited by the send buffer.
    sndbuf_limited: u64, 184;
    /// Segments delivered.
    delivered: u32, 192;
    /// Of these, with congestion marks.
    delivered_ce: u32, 196;
    /// RFC 4898, tcpEStatsPerfHCDataOctetsOut.
    bytes_sent: u64, 200;
    /// RFC 4898, tcpEStatsPerfOctetsRetrans.
    bytes_retrans: u64, 208;
    /// Duplicate SACKs.
    dsack_dups: u32, 216;
    /// Reordering events.
    reord_seen: u32, 220;
    /// Segments that arrived out of order.
    rcv_ooopack: u32, 224;
    /// The peer's window, scaled, bytes.
    snd_wnd: u32, 228;
    /// Own window, scaled, bytes.
    rcv_wnd: u32, 232;
    /// PLB or timeout rehashes.
    rehash: u32, 236;
    /// RTOs in all (since Linux 6.7).
    total_rto: u16, 240;
    /// Recoveries from RTOs.
    total_rto_recoveries: u16, 242;
    /// Time spent in them, milliseconds.
    total_rto_time: u32, 244;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shorter_structure_lacks_is_zero() {
        let mut bytes = [0u8; 104];
        bytes[8..12].copy_from_slice(&204_000u32.to_ne_bytes());
        bytes[100..104].copy_from_slice(&3u32.to_ne_bytes());
        let info = TcpInfo::from_bytes(&bytes[..103]);
        assert_eq!((info.rto, info.total_retrans, info.total_rto_time), (204_000, 0, 0));
        assert_eq!(TcpInfo::from_bytes(&bytes).total_retrans, 3);
    }

    #[test]
    fn json_leaves_zeros_out_and_reads_back_equal() {
        let info = TcpInfo { rto: 204_000, total_rto: 2, ..TcpInfo::default() };
        let json = serde_json::to_string(&info).unwrap();
        assert_eq!(json, r#"{"rto":204000,"total_rto":2}"#);
        assert_eq!(serde_json::from_str::<TcpInfo>(&json).unwrap(), info);
    }
}
