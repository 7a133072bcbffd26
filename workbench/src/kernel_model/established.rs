//! How long the kernel goes on sending to a peer that does not answer any more: retransmissions of an established
//! connection, and probes of a window that is closed.

use super::connect::clamped;
use super::options::{SocketOptions, rto_max_words, user_timeout_words};
use super::prediction::Prediction;
use super::settings::{MODEL_RTO_MIN_MS, Settings};
use super::simulate::{Run, predict};
use super::start::Start;

/// `tcp_orphan_retries()`: what `tcp_orphan_retries=0` stands for while the RTO is not yet at its largest.
const RETRIES_OF_AN_ORPHAN: u32 = 8;
/// TCP_TIMEOUT_MIN in include/net/tcp.h.
const TIMEOUT_MIN: u64 = 2;

/// A connection whose peer falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The RTO that the first timer is armed with: `rto` of `tcp_info`.
    pub rto_ns: u64,
    /// No process holds it any more: it was closed with data or a FIN still to be acknowledged.
    pub is_orphan: bool,
    /// How often the first timer had been doubled when it was armed: probes of a closed window that were answered until
    /// then. 0 for retransmissions.
    pub backoff: u32,
}

/// When retransmissions end with ETIMEDOUT; `start` is when the RTO was armed that the first of them ends.
///
/// That is when the data left or, with a tail loss probe (which Linux sends first where SACK is agreed), when the probe
/// left. The time that is compared with `tcp_retries2` or TCP_USER_TIMEOUT runs from the *first retransmission*
/// (`retrans_stamp` in tcp_retransmit_skb()), so an RTO comes on top. `tcp_retries2` is a time, not a number: what so
/// many retransmissions would take beginning with TCP_RTO_MIN, 200 ms, whatever the RTO is (retransmits_timed_out()).
pub fn retransmissions_give_up(
    settings: &Settings,
    options: &SocketOptions,
    connection: &Connection,
    start: &Start,
) -> Prediction {
    let words = decided_by(settings, options, connection);
    predict(settings, start, words, |run| retransmissions(settings, options, connection, run))
}

fn retransmissions(settings: &Settings, options: &SocketOptions, connection: &Connection, run: &mut Run) {
    let rto_max = settings.rto_max_jiffies(options);
    let base = settings.jiffies_of_ms(MODEL_RTO_MIN_MS);
    let user_timeout_ms = options.user_timeout_ms();
    let mut rto = settings.jiffies_of_ns(connection.rto_ns).clamp(1, rto_max);
    run.wait(rto);
    let first_ms = run.stamp_ms();
    let mut sent = 0;
    loop {
        let elapsed_ms = run.stamp_ms() - first_ms;
        let retries = if connection.is_orphan { orphan_retries(settings, rto < rto_max) } else { settings.retries2 };
        let timeout_ms = user_timeout_ms.unwrap_or_else(|| settings.modelled_ms(retries, base, rto_max));
        if sent > 0 && elapsed_ms >= timeout_ms || run.is_endless() {
            return;
        }
        sent += 1;
        rto = (rto * 2).min(rto_max);
        run.wait(clamped(settings, rto, user_timeout_ms, elapsed_ms));
    }
}

/// When probes of a closed window end with ETIMEDOUT, if none is answered; `start` is when the first was armed. A peer
/// that answers them keeps a connection with a closed window for ever, unless TCP_USER_TIMEOUT is set or nobody holds
/// it. tcp_probe_timer(), net/ipv4/tcp_timer.c; tcp_send_probe0(), net/ipv4/tcp_output.c.
pub fn persist_gives_up(
    settings: &Settings,
    options: &SocketOptions,
    connection: &Connection,
    start: &Start,
) -> Prediction {
    let words = decided_by(settings, options, connection);
    predict(settings, start, words, |run| probes(settings, options, connection, run))
}

fn probes(settings: &Settings, options: &SocketOptions, connection: &Connection, run: &mut Run) {
    let rto_max = settings.rto_max_jiffies(options);
    let rto = settings.jiffies_of_ns(connection.rto_ns);
    let base = rto.max(settings.jiffies_of_ms(MODEL_RTO_MIN_MS));
    let user_timeout = options.user_timeout_ms().map(|ms| settings.jiffies_of_ms(ms));
    let backed_off = |rto: u64, backoff: u32| rto.saturating_mul(1 << backoff.min(10)).min(rto_max);
    let mut backoff = connection.backoff;
    run.wait(backed_off(base, backoff));
    let first = run.jiffies();
    let mut sent = 0;
    loop {
        let elapsed = run.jiffies() - first;
        let is_alive = backed_off(rto, backoff) < rto_max;
        let most = if connection.is_orphan { orphan_retries(settings, is_alive) } else { settings.retries2 };
        let is_over = sent > 0 && user_timeout.is_some_and(|limit| elapsed >= limit);
        let is_dead = connection.is_orphan && !is_alive && backoff >= most;
        if is_over || is_dead || sent >= most || run.is_endless() {
            return;
        }
        sent += 1;
        backoff = (backoff + 1).min(settings.retries2);
        let when = backed_off(base, backoff);
        run.wait(user_timeout.map_or(when, |limit| when.min(limit.saturating_sub(elapsed).max(TIMEOUT_MIN))));
    }
}

fn orphan_retries(settings: &Settings, is_alive: bool) -> u32 {
    match settings.orphan_retries {
        0 if is_alive => RETRIES_OF_AN_ORPHAN,
        retries => retries,
    }
}

fn decided_by(settings: &Settings, options: &SocketOptions, connection: &Connection) -> Vec<String> {
    let retries = match connection.is_orphan {
        true => format!("tcp_orphan_retries={}", settings.orphan_retries),
        false => format!("tcp_retries2={}", settings.retries2),
    };
    // TCP_USER_TIMEOUT stands in the place of the other.
    let limit = user_timeout_words(options).unwrap_or(retries);
    let rto = format!("RTO {} ms", connection.rto_ns / 1_000_000);
    [limit, rto].into_iter().chain(rto_max_words(settings, options)).chain([settings.hz_words()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_model::in_words;

    const MS: u64 = 1_000_000;
    const ON_A_LAN: Connection = Connection { rto_ns: 200 * MS, is_orphan: false, backoff: 0 };

    fn settings() -> Settings {
        Settings::of_kernel("6.12", 4_000_000)
    }

    fn nominal_ms(settings: &Settings, options: SocketOptions, connection: Connection) -> u64 {
        retransmissions_give_up(settings, &options, &connection, &Start::unknown()).nominal_ns() / MS
    }

    /// ip-sysctl.rst: 924.6 seconds is the lower bound. It counts from the first retransmission, 200 ms after the
    /// beginning, and would need a 17th timer, were not all of them late by more than that together.
    #[test]
    fn the_default_takes_the_documented_924_6_seconds_and_what_timers_are_late() {
        let prediction = retransmissions_give_up(&settings(), &SocketOptions::default(), &ON_A_LAN, &Start::unknown());
        assert_eq!(prediction.nominal_ns(), 924_600 * MS);
        assert_eq!(prediction.firings.len(), 16);
        println!("{}", in_words(&prediction));
    }

    #[test]
    fn retries2_is_a_time_and_not_a_number() {
        let few = Settings { retries2: 3, ..settings() };
        // (2^4 - 1) * 0.2 s = 3 s after the first retransmission.
        assert_eq!(nominal_ms(&few, SocketOptions::default(), ON_A_LAN), 200 + 400 + 800 + 1_600 + 3_200);
        let far = Connection { rto_ns: 1_000 * MS, ..ON_A_LAN };
        assert_eq!(nominal_ms(&few, SocketOptions::default(), far), 1_000 + 2_000 + 4_000);
    }

    #[test]
    fn a_user_timeout_runs_from_the_first_retransmission() {
        let options = SocketOptions { user_timeout_ms: Some(5_000), ..Default::default() };
        let prediction = retransmissions_give_up(&settings(), &options, &ON_A_LAN, &Start::unknown());
        assert!(
            prediction.gives_up.earliest_ns >= 5_200 * MS && prediction.gives_up.latest_ns < 5_500 * MS,
            "{prediction:?}"
        );
        println!("{}", in_words(&prediction));
    }

    #[test]
    fn an_orphan_is_given_eight_retries_until_its_rto_is_at_its_largest() {
        let orphan = Connection { is_orphan: true, ..ON_A_LAN };
        // (2^9 - 1) * 0.2 s.
        assert_eq!(nominal_ms(&settings(), SocketOptions::default(), orphan), 102_200);
    }

    #[test]
    fn probes_of_a_closed_window_end_after_retries2_of_them() {
        let prediction = persist_gives_up(
            &Settings { retries2: 3, ..settings() },
            &SocketOptions::default(),
            &ON_A_LAN,
            &Start::unknown(),
        );
        assert_eq!(prediction.armed_ns, [200, 400, 800, 1_600].map(|ms| ms * MS));
    }
}
