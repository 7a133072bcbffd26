//! Which of the kernel's RTOs a gap between packets was. What the RTOs are, the kernel's model says; this says which one
//! was seen, nominally: where in the timer wheel's steps they fire is the tolerance's business.

use super::event::{Timer, TimerClass};
use super::objects::{Name, Options};
use crate::evidence::Evidence;
use crate::kernel_model::{Settings, SocketOptions, connect_nominal_ns, syn_ack_rto_ns, syn_rto_ns};

/// What decides about retransmissions in one host.
#[derive(Debug, Clone)]
pub(super) struct Retries {
    settings: Settings,
    /// No sysctls were recorded: gaps and packets have to do.
    is_guess: bool,
}

impl Retries {
    pub(super) fn of(evidence: &Evidence, host: &str) -> Self {
        match Settings::of(evidence, host) {
            Some(settings) => Self { settings, is_guess: false },
            None => Self { settings: Settings::of_kernel("", evidence.machine.tick_ns), is_guess: true },
        }
    }

    /// The RTOs that passed in `gap_ns` after `expired` earlier ones of a connect: their sum and their number.
    ///
    /// Linear ones first, then doubling (tcp_retransmit_timer, net/ipv4/tcp_timer.c). Almost always one; a kernel under
    /// load now and then lets one expire without sending anything. Without recorded sysctls, from the gap alone.
    pub(super) fn syn_ns(&self, expired: u32, gap_ns: i64, tick_ns: u64) -> (u64, u32) {
        let reach_ns = u64::try_from(gap_ns).unwrap_or(0).saturating_add(tick_ns);
        let rto_ns = |nth| syn_rto_ns(&self.settings, nth);
        if self.is_guess {
            return (doubled_below(rto_ns(1), reach_ns, self.rto_max_ns()), 1);
        }
        let (mut armed_ns, mut count) = (rto_ns(expired + 1), 1);
        while armed_ns + rto_ns(expired + count + 1) <= reach_ns {
            count += 1;
            armed_ns += rto_ns(expired + count);
        }
        (armed_ns, count)
    }

    /// The wait before a SYN-ACK's `nth` retransmission: always doubling (reqsk_timer_handler).
    pub(super) fn syn_ack_ns(&self, nth: u32) -> u64 {
        syn_ack_rto_ns(&self.settings, nth)
    }

    /// The RTO of an established connection after `gap_ns` of silence: the smallest one, which is the round trip plus
    /// `tcp_rto_min`, doubled as often as fits. `None` if the gap is shorter than that: no RTO ended it.
    pub(super) fn established_ns(&self, round_trip_ns: i64, gap_ns: i64, tick_ns: u64) -> Option<u64> {
        const GRAIN_NS: u64 = 10_000_000;
        let round_trip_ns = u64::try_from(round_trip_ns).unwrap_or(0) / GRAIN_NS * GRAIN_NS;
        let smallest_ns = self.settings.rto_min_us * 1_000 + round_trip_ns;
        let reach_ns = u64::try_from(gap_ns).unwrap_or(0).saturating_add(tick_ns);
        (reach_ns >= smallest_ns).then(|| doubled_below(smallest_ns, reach_ns, self.rto_max_ns()))
    }

    /// The sum of all RTOs after which `connect` fails with ETIMEDOUT; `sockets_own` is TCP_SYNCNT where the program set
    /// it.
    pub(super) fn connect_ns(&self, sockets_own: Option<u32>, seen_retransmissions: u32) -> u64 {
        if self.is_guess && sockets_own.is_none() {
            return (1..=seen_retransmissions + 1).map(|nth| syn_rto_ns(&self.settings, nth)).sum();
        }
        connect_nominal_ns(&self.settings, &SocketOptions { syn_count: sockets_own, ..SocketOptions::default() })
    }

    /// The timer that sent a keepalive probe after `gap_ns`, if it was one that the socket may have: TCP_KEEPIDLE before the
    /// first, TCP_KEEPINTVL before the others, and before the end; without them the sysctls (tcp(7)).
    pub(super) fn keepalive(&self, options: Option<&Options>, nth: u32, gap_ns: i64) -> Option<Timer> {
        let (option, sysctl_s) = match nth {
            1 => (Name::KeepIdle, self.settings.keepalive_time_s),
            _ => (Name::KeepInterval, self.settings.keepalive_interval_s),
        };
        let seconds = options.and_then(|options| options.last(option)).map_or(sysctl_s, |(seconds, _)| seconds);
        let armed_ns = seconds.checked_mul(1_000_000_000)?;
        // A jiffy early at most; late by 8/63 at most (calc_index(), kernel/time/timer.c), and by what a machine makes.
        let range = armed_ns.saturating_sub(10_000_000)..=armed_ns.saturating_add(armed_ns / 63 * 8 + 100_000_000);
        let timer = Timer { name: "keepalive".into(), class: TimerClass::Wheel, armed_ns };
        range.contains(&u64::try_from(gap_ns).ok()?).then_some(timer)
    }

    fn rto_max_ns(&self) -> u64 {
        self.settings.rto_max_ms * 1_000_000
    }
}

/// `smallest_ns`, doubled as long as it stays at or below `reach_ns`; what would be above `max_ns` is `max_ns`
/// (tcp_rto_max(), inet_csk_reset_xmit_timer in include/net/inet_connection_sock.h).
fn doubled_below(smallest_ns: u64, reach_ns: u64, max_ns: u64) -> u64 {
    let mut armed_ns = smallest_ns;
    loop {
        let next_ns = armed_ns.saturating_mul(2).min(max_ns);
        if next_ns <= armed_ns || next_ns > reach_ns {
            return armed_ns;
        }
        armed_ns = next_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const TICK: u64 = 4_000_000;

    fn retries(syn_retries: u32, linear: u32, rto_max_s: u64) -> Retries {
        let settings = Settings {
            syn_retries,
            syn_linear_timeouts: linear,
            rto_max_ms: rto_max_s * 1_000,
            ..Settings::of_kernel("6.12", TICK)
        };
        Retries { settings, is_guess: false }
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
        let unknown = Retries { settings: Settings::of_kernel("", TICK), is_guess: true };
        assert_eq!(unknown.syn_ns(2, 4_224_000_000, TICK), (4 * S, 1));
        assert_eq!(unknown.connect_ns(None, 2), 7 * S);
    }

    #[test]
    fn a_gap_below_the_smallest_rto_was_ended_by_no_rto() {
        let r = retries(6, 4, 120);
        assert_eq!(r.established_ns(200_000, 30_000_000, TICK), None);
        assert_eq!(r.established_ns(200_000, 204_000_000, TICK), Some(200_000_000));
        assert_eq!(r.established_ns(100_200_000, 620_000_000, TICK), Some(600_000_000));
        // 102.4 s are followed by the greatest one, tcp_rto_max_ms, and not by 204.8 s.
        assert_eq!(r.established_ns(200_000, 104_448_000_000, TICK), Some(102_400_000_000));
        assert_eq!(r.established_ns(200_000, 120_832_000_000, TICK), Some(120 * S));
    }
}
