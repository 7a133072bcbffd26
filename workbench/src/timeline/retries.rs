//! How long the kernel's TCP arms its retransmission timers, from the sysctls that a run recorded.
//!
//! Nominal lengths only: where in the timer wheel's steps they fire is the tolerance's business.

use crate::evidence::Evidence;

/// RFC 6298, 2.1; TCP_TIMEOUT_INIT in include/net/tcp.h. Also the first wait of a SYN-ACK.
pub(super) const INITIAL_RTO_NS: u64 = 1_000_000_000;
/// TCP_RTO_MAX in include/net/tcp.h, where `tcp_rto_max_ms` does not say otherwise.
const RTO_MAX_NS: u64 = 120_000_000_000;
/// TCP_RTO_MIN in include/net/tcp.h, where `tcp_rto_min_us` does not say otherwise.
const RTO_MIN_NS: u64 = 200_000_000;
/// More than both sysctls together allow: each is at most 127 (MAX_TCP_SYNCNT in include/linux/tcp.h).
const MAX_RETRANSMISSIONS: u32 = 300;

/// What decides about retransmissions in one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retries {
    /// `tcp_syn_retries`; `None` where no sysctls were recorded.
    syn_retries: Option<u32>,
    /// `tcp_syn_linear_timeouts`; 0 on kernels before 6.5, which have none.
    linear: u32,
    rto_max_ns: u64,
    rto_min_ns: u64,
}

impl Retries {
    pub(super) fn of(evidence: &Evidence, host: &str) -> Self {
        let sysctls = evidence.sysctls.get(host);
        let value = |name: &str| -> Option<u64> { sysctls?.get(name)?.trim().parse().ok() };
        Self {
            syn_retries: value("net.ipv4.tcp_syn_retries").and_then(|n| u32::try_from(n).ok()),
            linear: value("net.ipv4.tcp_syn_linear_timeouts").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            rto_max_ns: value("net.ipv4.tcp_rto_max_ms").map_or(RTO_MAX_NS, |ms| ms * 1_000_000),
            rto_min_ns: value("net.ipv4.tcp_rto_min_us").map_or(RTO_MIN_NS, |us| us * 1_000),
        }
    }

    /// The RTOs that passed in `gap_ns` after `expired` earlier ones of a connect: their sum and their number.
    ///
    /// Linear ones first, then doubling (tcp_retransmit_timer, net/ipv4/tcp_timer.c). Almost always one; a kernel under
    /// load now and then lets one expire without sending anything. Without recorded sysctls, from the gap alone.
    pub(super) fn syn_ns(&self, expired: u32, gap_ns: i64, tick_ns: u64) -> (u64, u32) {
        let reach_ns = u64::try_from(gap_ns).unwrap_or(0).saturating_add(tick_ns);
        if self.syn_retries.is_none() {
            return (doubled_below(INITIAL_RTO_NS, reach_ns, self.rto_max_ns), 1);
        }
        let (mut armed_ns, mut count) = (self.syn_rto_ns(expired + 1), 1);
        while armed_ns + self.syn_rto_ns(expired + count + 1) <= reach_ns {
            count += 1;
            armed_ns += self.syn_rto_ns(expired + count);
        }
        (armed_ns, count)
    }

    /// The wait before a SYN-ACK's `nth` retransmission: always doubling (reqsk_timer_handler).
    pub(super) fn syn_ack_ns(&self, nth: u32) -> u64 {
        self.backed_off(INITIAL_RTO_NS, nth.saturating_sub(1))
    }

    /// The RTO of an established connection after `gap_ns` of silence: the smallest one, which is the round trip plus
    /// `tcp_rto_min`, doubled as often as fits. `None` if the gap is shorter than that: no RTO ended it.
    pub(super) fn established_ns(&self, round_trip_ns: i64, gap_ns: i64, tick_ns: u64) -> Option<u64> {
        const GRAIN_NS: u64 = 10_000_000;
        let round_trip_ns = u64::try_from(round_trip_ns).unwrap_or(0) / GRAIN_NS * GRAIN_NS;
        let smallest_ns = self.rto_min_ns + round_trip_ns;
        let reach_ns = u64::try_from(gap_ns).unwrap_or(0).saturating_add(tick_ns);
        (reach_ns >= smallest_ns).then(|| doubled_below(smallest_ns, reach_ns, self.rto_max_ns))
    }

    /// The sum of all RTOs after which `connect` fails with ETIMEDOUT.
    ///
    /// `sockets_own` is TCP_SYNCNT where the program set it. tcp_write_timeout (net/ipv4/tcp_timer.c) ends the wait
    /// when retries and linear timeouts are used up, or when the time that the retries alone would have taken is over:
    /// with linear timeouts and few retries the second comes first.
    pub(super) fn connect_ns(&self, sockets_own: Option<u32>, seen_retransmissions: u32) -> u64 {
        let Some(retries) = sockets_own.or(self.syn_retries) else {
            return (1..=seen_retransmissions + 1).map(|nth| self.syn_rto_ns(nth)).sum();
        };
        let mut passed_ns = 0;
        for nth in 1..=MAX_RETRANSMISSIONS {
            passed_ns += self.syn_rto_ns(nth);
            let sent = nth - 1;
            if sent >= retries + self.linear || (sent > 0 && passed_ns >= self.modelled_ns(retries)) {
                break;
            }
        }
        passed_ns
    }

    fn syn_rto_ns(&self, nth: u32) -> u64 {
        self.backed_off(INITIAL_RTO_NS, nth.saturating_sub(1 + self.linear))
    }

    /// tcp_model_timeout (net/ipv4/tcp_timer.c): what `retries` doubling retransmissions take in all.
    fn modelled_ns(&self, retries: u32) -> u64 {
        (0..=retries).map(|doublings| self.backed_off(INITIAL_RTO_NS, doublings)).sum()
    }

    fn backed_off(&self, rto_ns: u64, doublings: u32) -> u64 {
        rto_ns.saturating_mul(1 << doublings.min(32)).min(self.rto_max_ns)
    }
}

/// `smallest_ns`, doubled as long as it stays at or below `reach_ns` and `max_ns`.
fn doubled_below(smallest_ns: u64, reach_ns: u64, max_ns: u64) -> u64 {
    let limit_ns = reach_ns.min(max_ns);
    let mut armed_ns = smallest_ns;
    while armed_ns.saturating_mul(2) <= limit_ns {
        armed_ns *= 2;
    }
    armed_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const TICK: u64 = 4_000_000;

    fn retries(syn_retries: u32, linear: u32, rto_max_s: u64) -> Retries {
        Retries { syn_retries: Some(syn_retries), linear, rto_max_ns: rto_max_s * S, rto_min_ns: RTO_MIN_NS }
    }

    /// The documented sums, and the two that the documentation has wrong: with four linear timeouts one retry takes
    /// 3 s and two take 7 s on Linux 6.12 to 7.2 (measured), because tcp_write_timeout looks at the time as well.
    #[test]
    fn a_connect_takes_what_the_kernel_takes_for_every_number_of_retries() {
        let doubling = (1..=6).map(|n| retries(n, 0, 120).connect_ns(None, 0) / S);
        assert_eq!(doubling.collect::<Vec<_>>(), [3, 7, 15, 31, 63, 127]);
        let linear = (1..=6).map(|n| retries(n, 4, 120).connect_ns(None, 0) / S);
        assert_eq!(linear.collect::<Vec<_>>(), [3, 7, 19, 35, 67, 131]);
    }

    #[test]
    fn a_capped_rto_shortens_the_connect() {
        assert_eq!(retries(4, 0, 2).connect_ns(None, 0), 9 * S);
        assert_eq!(retries(4, 4, 2).connect_ns(None, 0), 9 * S);
    }

    #[test]
    fn a_socket_that_sets_tcp_syncnt_has_its_own_number() {
        assert_eq!(retries(6, 0, 120).connect_ns(Some(2), 0), 7 * S);
    }

    #[test]
    fn linear_timeouts_stand_before_the_doubling_ones() {
        let r = retries(6, 4, 120);
        let armed: Vec<u64> = (0..8).map(|expired| r.syn_ns(expired, 0, TICK).0 / S).collect();
        assert_eq!(armed, [1, 1, 1, 1, 1, 2, 4, 8]);
    }

    #[test]
    fn a_retransmission_that_was_skipped_leaves_the_sum_of_two_timers() {
        assert_eq!(retries(6, 0, 120).syn_ns(0, 3_070_000_000, TICK), (3 * S, 2));
        assert_eq!(retries(6, 0, 120).syn_ns(0, 1_024_000_000, TICK), (S, 1));
        assert_eq!(retries(6, 4, 120).syn_ns(1, 2_050_000_000, TICK), (2 * S, 2));
        assert_eq!(retries(6, 0, 120).syn_ns(6, 70_000_000_000, TICK), (64 * S, 1));
    }

    #[test]
    fn without_sysctls_the_gap_and_the_packets_have_to_do() {
        let unknown = Retries { syn_retries: None, linear: 0, rto_max_ns: RTO_MAX_NS, rto_min_ns: RTO_MIN_NS };
        assert_eq!(unknown.syn_ns(2, 4_224_000_000, TICK), (4 * S, 1));
        assert_eq!(unknown.connect_ns(None, 2), 7 * S);
    }

    #[test]
    fn a_gap_below_the_smallest_rto_was_ended_by_no_rto() {
        let r = retries(6, 4, 120);
        assert_eq!(r.established_ns(200_000, 30_000_000, TICK), None);
        assert_eq!(r.established_ns(200_000, 204_000_000, TICK), Some(200_000_000));
        assert_eq!(r.established_ns(100_200_000, 620_000_000, TICK), Some(600_000_000));
    }
}
