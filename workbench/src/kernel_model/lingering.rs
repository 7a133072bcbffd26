//! How long the kernel keeps what is neither open nor gone: a half-open connection of a listener, and the states after a
//! close.

use super::options::{SocketOptions, own_or, rto_max_words};
use super::prediction::Prediction;
use super::settings::{INITIAL_RTO_MS, Settings};
use super::simulate::predict;
use super::start::Start;

/// TCP_TIMEWAIT_LEN in include/net/tcp.h.
const TIME_WAIT_S: u64 = 60;

/// When a listener forgets a SYN whose SYN-ACK nobody acknowledged; `start` is when the SYN-ACK left. The firings before
/// the last are its retransmissions. reqsk_timer_handler(), net/ipv4/inet_connection_sock.c: always doubling, and no
/// time is compared. A listener whose queue is half full forgets earlier.
pub fn syn_ack_gives_up(settings: &Settings, options: &SocketOptions, start: &Start) -> Prediction {
    let retries = options.syn_count().unwrap_or(settings.synack_retries);
    let mut words = vec![own_or(options.syn_count(), "TCP_SYNCNT", "tcp_synack_retries", settings.synack_retries)];
    words.extend(rto_max_words(settings, options));
    words.push(settings.hz_words());
    predict(settings, start, words, |run| {
        let rto_max = settings.rto_max_jiffies(options);
        let initial = settings.jiffies_of_ms(INITIAL_RTO_MS);
        for doublings in 0..=retries.min(255) {
            run.wait((initial << doublings.min(32)).min(rto_max));
        }
    })
}

/// What a SYN-ACK's `nth` timer is armed for.
pub fn syn_ack_rto_ns(settings: &Settings, nth: u32) -> u64 {
    settings.backed_off_ns(nth.saturating_sub(1))
}

/// How long a closed socket waits for the peer's FIN; `start` is when its own FIN was acknowledged, or the close if that
/// was later.
///
/// tcp_fin_time(): at least 3.5 RTOs. What is longer than TIME_WAIT begins with a timer for what is longer, at whose end
/// the rest is reckoned anew as the same length (tcp_keepalive_timer()): 90 s become 30 s and 30 s.
pub fn fin_wait2_ends(settings: &Settings, options: &SocketOptions, rto_ns: u64, start: &Start) -> Prediction {
    let seconds = options.linger2_s.filter(|s| *s > 0).unwrap_or(settings.fin_timeout_s);
    let words = vec![
        own_or(options.linger2_s.filter(|s| *s > 0), "TCP_LINGER2", "tcp_fin_timeout", settings.fin_timeout_s),
        settings.hz_words(),
    ];
    predict(settings, start, words, |run| {
        let rto = settings.jiffies_of_ns(rto_ns);
        let least = 4 * rto - rto / 2;
        let whole = settings.jiffies_of_ms(seconds * 1_000).max(least);
        let time_wait = settings.jiffies_of_ms(TIME_WAIT_S * 1_000);
        match whole.checked_sub(time_wait) {
            None | Some(0) => run.wait(whole),
            Some(longer) => {
                run.wait(longer);
                run.wait(longer.max(least));
            }
        }
    })
}

/// How long TIME_WAIT lasts, which no sysctl changes (tcp_time_wait(), net/ipv4/tcp_minisocks.c).
pub fn time_wait_ends(settings: &Settings, start: &Start) -> Prediction {
    let words = vec!["TIME_WAIT 60 s".into(), settings.hz_words()];
    predict(settings, start, words, |run| run.wait(settings.jiffies_of_ms(TIME_WAIT_S * 1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn settings() -> Settings {
        Settings::of_kernel("6.12", 4_000_000)
    }

    #[test]
    fn five_retransmissions_of_a_syn_ack_take_63_seconds() {
        let prediction = syn_ack_gives_up(&settings(), &SocketOptions::default(), &Start::unknown());
        assert_eq!(prediction.armed_ns, [1, 2, 4, 8, 16, 32].map(|s| s * S));
    }

    #[test]
    fn a_fin_timeout_above_time_wait_is_not_what_it_says() {
        let of = |fin_timeout_s| {
            let settings = Settings { fin_timeout_s, ..settings() };
            fin_wait2_ends(&settings, &SocketOptions::default(), S / 5, &Start::unknown()).nominal_ns() / S
        };
        assert_eq!([5, 60, 90, 120].map(of), [5, 60, 60, 120]);
    }

    #[test]
    fn a_slow_connection_waits_longer_for_a_fin_than_it_is_told() {
        let settings = Settings { fin_timeout_s: 1, ..settings() };
        let prediction = fin_wait2_ends(&settings, &SocketOptions::default(), 2 * S, &Start::unknown());
        assert_eq!(prediction.nominal_ns(), 7 * S);
    }
}
