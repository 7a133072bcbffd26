//! What `ss -i` of iproute2 6.1 says of a TCP socket: the congestion control and `tcp_info`, in its order and units.
//!
//! Not here, because sock_diag has them in attributes that are not recorded: what BBR, DCTCP and Vegas say of
//! themselves, the vegas round trip that `send` then rests on, MD5 keys, and upper-layer protocols (TLS, MPTCP).

use std::fmt::Display;

use super::general::general;
use crate::evidence::{TcpInfo, TcpSocket, TcpState};

/// TCPI_OPT_WSCALE of include/uapi/linux/tcp.h.
const WINDOW_SCALE: u8 = 4;

/// The other options that ss names, in its order.
const OPTIONS: [(u8, &str); 5] = [(1, "ts"), (2, "sack"), (8, "ecn"), (16, "ecnseen"), (32, "fastopen")];

/// The kernel's initial RTO of three seconds before Linux 3.1, which ss takes for none.
const RTO_UNSET_US: u32 = 3_000_000;

/// ss leaves a threshold out from here on: it means that there is none.
const SSTHRESH_UNSET: u32 = 0xffff;

/// What the kernel assumes of reordering at first; ss names what differs.
const REORDERING_USUAL: u32 = 3;

/// Words, each with a space before it.
#[derive(Default)]
struct Words(String);

impl Words {
    fn word(&mut self, word: impl Display) {
        self.0.push_str(&format!(" {word}"));
    }

    /// `name:value`, unless it is zero.
    fn count(&mut self, name: &str, value: impl Into<u64>) {
        let value = value.into();
        if value > 0 {
            self.word(format_args!("{name}:{value}"));
        }
    }

    /// Milliseconds of microseconds, unless zero.
    fn ms(&mut self, name: &str, us: u32) {
        if us > 0 {
            self.word(format_args!("{name}:{}", ms(us)));
        }
    }
}

fn ms(us: u32) -> String {
    general(f64::from(us) / 1000.0)
}

/// Bits a second of bytes a second. ss multiplies doubles and, with `-n`, prints all digits.
fn bps(bytes_a_second: u64) -> String {
    format!("{:.0}bps", bytes_a_second as f64 * 8.0)
}

/// The words, each with a space before it; nothing where the kernel gives no `tcp_info`.
pub(super) fn ss_info(socket: &TcpSocket) -> String {
    let Some(info) = &socket.info else { return String::new() };
    let mut words = Words::default();
    connection(&mut words, info, socket.congestion.as_deref().unwrap_or_default());
    traffic(&mut words, info);
    rates(&mut words, info);
    limits(&mut words, info);
    losses(&mut words, info, socket.state);
    receiver(&mut words, info);
    words.0
}

fn connection(words: &mut Words, info: &TcpInfo, congestion: &str) {
    for (_, name) in OPTIONS.iter().filter(|(bit, _)| info.options & bit != 0) {
        words.word(name);
    }
    if !congestion.is_empty() {
        words.word(congestion);
    }
    if info.options & WINDOW_SCALE != 0 {
        words.word(format_args!("wscale:{},{}", info.wscale & 15, info.wscale >> 4));
    }
    if info.rto != RTO_UNSET_US {
        words.ms("rto", info.rto);
    }
    words.count("backoff", info.backoff);
    if info.rtt > 0 {
        words.word(format_args!("rtt:{}/{}", ms(info.rtt), ms(info.rttvar)));
    }
    words.ms("ato", info.ato);
    words.count("mss", info.snd_mss);
    words.count("pmtu", info.pmtu);
    words.count("rcvmss", info.rcv_mss);
    words.count("advmss", info.advmss);
    words.count("cwnd", info.snd_cwnd);
    if info.snd_ssthresh < SSTHRESH_UNSET {
        words.count("ssthresh", info.snd_ssthresh);
    }
}

fn traffic(words: &mut Words, info: &TcpInfo) {
    words.count("bytes_sent", info.bytes_sent);
    words.count("bytes_retrans", info.bytes_retrans);
    words.count("bytes_acked", info.bytes_acked);
    words.count("bytes_received", info.bytes_received);
    words.count("segs_out", info.segs_out);
    words.count("segs_in", info.segs_in);
    words.count("data_segs_out", info.data_segs_out);
    words.count("data_segs_in", info.data_segs_in);
}

fn rates(words: &mut Words, info: &TcpInfo) {
    if info.rtt > 0 && info.snd_mss > 0 && info.snd_cwnd > 0 {
        let bits = f64::from(info.snd_cwnd) * f64::from(info.snd_mss) * 8_000_000.0;
        words.word(format_args!("send {:.0}bps", bits / f64::from(info.rtt)));
    }
    words.count("lastsnd", info.last_data_sent);
    words.count("lastrcv", info.last_data_recv);
    words.count("lastack", info.last_ack_recv);
    // All ones means that there is no limit.
    let is_rate = |rate: u64| rate > 0 && rate != u64::MAX;
    if is_rate(info.pacing_rate) {
        let most =
            if is_rate(info.max_pacing_rate) { format!("/{}", bps(info.max_pacing_rate)) } else { String::new() };
        words.word(format_args!("pacing_rate {}{most}", bps(info.pacing_rate)));
    }
    if info.delivery_rate > 0 {
        words.word(format_args!("delivery_rate {}", bps(info.delivery_rate)));
    }
    words.count("delivered", info.delivered);
    words.count("delivered_ce", info.delivered_ce);
    if info.flags & 1 != 0 {
        words.word("app_limited");
    }
}

fn limits(words: &mut Words, info: &TcpInfo) {
    if info.busy_time == 0 {
        return;
    }
    words.word(format_args!("busy:{}ms", info.busy_time / 1000));
    for (name, us) in [("rwnd_limited", info.rwnd_limited), ("sndbuf_limited", info.sndbuf_limited)] {
        if us > 0 {
            let percent = 100.0 * us as f64 / info.busy_time as f64;
            words.word(format_args!("{name}:{}ms({percent:.1}%)", us / 1000));
        }
    }
}

fn losses(words: &mut Words, info: &TcpInfo, state: TcpState) {
    words.count("unacked", info.unacked);
    if info.retrans > 0 || info.total_retrans > 0 {
        words.word(format_args!("retrans:{}/{}", info.retrans, info.total_retrans));
    }
    words.count("lost", info.lost);
    if state != TcpState::Listen {
        words.count("sacked", info.sacked);
    }
    words.count("dsack_dups", info.dsack_dups);
    words.count("fackets", info.fackets);
    if info.reordering != REORDERING_USUAL {
        words.word(format_args!("reordering:{}", info.reordering));
    }
    words.count("reord_seen", info.reord_seen);
}

fn receiver(words: &mut Words, info: &TcpInfo) {
    words.ms("rcv_rtt", info.rcv_rtt);
    words.count("rcv_space", info.rcv_space);
    words.count("rcv_ssthresh", info.rcv_ssthresh);
    words.count("notsent", info.notsent_bytes);
    if info.min_rtt != u32::MAX {
        words.ms("minrtt", info.min_rtt);
    }
    words.count("rcv_ooopack", info.rcv_ooopack);
    words.count("snd_wnd", info.snd_wnd);
}

#[cfg(test)]
mod tests {
    use super::super::fixture::socket;
    use super::*;

    fn words(info: TcpInfo) -> String {
        let info = TcpInfo { reordering: 3, ..info };
        ss_info(&TcpSocket { info: Some(info), congestion: None, ..socket(TcpState::Established) })
    }

    #[test]
    fn what_is_unset_is_left_out() {
        let unset = TcpInfo {
            rto: 3_000_000,
            snd_ssthresh: 0x7fff_ffff,
            min_rtt: u32::MAX,
            pacing_rate: u64::MAX,
            ..TcpInfo::default()
        };
        assert_eq!(words(unset), "");
    }

    #[test]
    fn a_backed_off_retransmission_shows_all_of_its_numbers() {
        let info = TcpInfo {
            options: 7,
            wscale: 0x7a,
            rto: 1_632_000,
            backoff: 3,
            unacked: 2,
            retrans: 1,
            total_retrans: 3,
            lost: 1,
            sacked: 1,
            busy_time: 3_000_000,
            rwnd_limited: 1_000_000,
            ..TcpInfo::default()
        };
        let expected = " ts sack wscale:10,7 rto:1632 backoff:3 busy:3000ms rwnd_limited:1000ms(33.3%) unacked:2 \
                        retrans:1/3 lost:1 sacked:1";
        assert_eq!(words(info), expected);
    }

    #[test]
    fn rates_are_whole_bits_a_second() {
        let info = TcpInfo { rtt: 3, rttvar: 1, snd_mss: 32_768, snd_cwnd: 10, ..TcpInfo::default() };
        assert_eq!(words(info), " rtt:0.003/0.001 mss:32768 cwnd:10 send 873813333333bps");
        let info = TcpInfo { pacing_rate: 233_922_295_019, max_pacing_rate: 125_000, ..TcpInfo::default() };
        assert_eq!(words(info), " pacing_rate 1871378360152bps/1000000bps");
    }
}
