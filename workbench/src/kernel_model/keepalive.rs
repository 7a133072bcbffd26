//! When the kernel gives up a connection on which nothing comes any more: keepalive, RFC 9293, 3.8.4.
//!
//! tcp_keepalive_timer(), net/ipv4/tcp_timer.c. The timer is not moved by what arrives: when it fires, it looks how long
//! ago that was and arms itself for the rest.

use super::options::{SocketOptions, own_or, user_timeout_words};
use super::prediction::Prediction;
use super::settings::Settings;
use super::simulate::{Run, predict};
use super::start::Start;

/// When keepalive ends with ETIMEDOUT, if no probe is answered.
///
/// `start` is when the timer was armed for the idle time: when the connection was made or, if it was there before,
/// when SO_KEEPALIVE was set. `heard_ns` is when the peer's last segment arrived, since zero as in `start`. With
/// TCP_USER_TIMEOUT the time decides instead of the number of probes, but one is always sent.
pub fn keepalive_gives_up(settings: &Settings, options: &SocketOptions, heard_ns: i64, start: &Start) -> Prediction {
    let after_ns = heard_ns - start.at_ns;
    predict(settings, start, decided_by(settings, options), |run| chain(settings, options, after_ns, run))
}

fn chain(settings: &Settings, options: &SocketOptions, heard_after_ns: i64, run: &mut Run) {
    let jiffies = |seconds: u64| settings.jiffies_of_ms(seconds * 1_000);
    let idle = jiffies(options.keep_idle_s.unwrap_or(settings.keepalive_time_s));
    let interval = jiffies(options.keep_interval_s.unwrap_or(settings.keepalive_interval_s));
    let most = options.keep_count.unwrap_or(settings.keepalive_probes);
    let user_timeout = options.user_timeout_ms().map(|ms| settings.jiffies_of_ms(ms));
    let heard = run.jiffies_after(heard_after_ns);
    let mut sent = 0;
    run.wait(idle);
    loop {
        let elapsed = run.jiffies().saturating_sub(heard);
        if elapsed < idle {
            run.wait(idle - elapsed);
            continue;
        }
        let is_over = match user_timeout {
            Some(limit) => elapsed >= limit && sent > 0,
            None => sent >= most,
        };
        if is_over || run.is_endless() {
            return;
        }
        sent += 1;
        run.wait(interval);
    }
}

fn decided_by(settings: &Settings, options: &SocketOptions) -> Vec<String> {
    let idle = own_or(options.keep_idle_s, "TCP_KEEPIDLE", "tcp_keepalive_time", settings.keepalive_time_s);
    let interval =
        own_or(options.keep_interval_s, "TCP_KEEPINTVL", "tcp_keepalive_intvl", settings.keepalive_interval_s);
    let probes = own_or(options.keep_count, "TCP_KEEPCNT", "tcp_keepalive_probes", settings.keepalive_probes);
    let limit = user_timeout_words(options).unwrap_or(probes);
    vec![idle, interval, limit, settings.hz_words()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_model::in_words;

    const S: u64 = 1_000_000_000;

    fn settings() -> Settings {
        Settings::of_kernel("6.12", 4_000_000)
    }

    #[test]
    fn the_default_takes_two_hours_and_nine_probes() {
        let prediction = keepalive_gives_up(&settings(), &SocketOptions::default(), 0, &Start::unknown());
        assert_eq!(prediction.nominal_ns(), (7_200 + 9 * 75) * S);
        assert_eq!(prediction.firings.len(), 10);
        // Two hours are a timer of the wheel's fifth level: its steps are 131 s.
        let first = prediction.firings[0];
        assert!(first.latest_ns - first.earliest_ns > 131 * S, "{first:?}");
        println!("{}", in_words(&prediction));
    }

    #[test]
    fn a_timer_that_finds_that_something_came_waits_for_the_rest() {
        let options = SocketOptions { keep_idle_s: Some(10), keep_count: Some(1), ..Default::default() };
        let prediction = keepalive_gives_up(&settings(), &options, 4 * S as i64, &Start::unknown());
        assert_eq!(prediction.firings.len(), 3);
        assert!(prediction.firings[1].earliest_ns >= 14 * S - 4_000_000);
    }

    #[test]
    fn a_user_timeout_counts_instead_of_the_probes() {
        let options = SocketOptions {
            user_timeout_ms: Some(12_000),
            keep_idle_s: Some(10),
            keep_interval_s: Some(1),
            ..Default::default()
        };
        let prediction = keepalive_gives_up(&settings(), &options, 0, &Start::unknown());
        // Early or late in the steps, two probes are sent or one, never nine.
        assert!(prediction.gives_up.earliest_ns >= 12 * S - 8_000_000 && prediction.gives_up.latest_ns < 14 * S);
    }
}
