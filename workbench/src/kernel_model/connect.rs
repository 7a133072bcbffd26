//! How long the kernel goes on asking for a connection.
//!
//! tcp_connect() arms the first RTO, tcp_retransmit_timer() those after it, tcp_write_timeout() ends it (net/ipv4/
//! tcp_timer.c). The first `tcp_syn_linear_timeouts` (since Linux 6.5) do not double. It ends when both kinds of
//! retransmissions are used up, or when the time is over that the doubling ones alone would have taken, whichever comes
//! first: with few retries the second does, which Documentation/networking/ip-sysctl.rst does not know.

use super::options::{SocketOptions, own_or, rto_max_words, user_timeout_words};
use super::prediction::Prediction;
use super::settings::{INITIAL_RTO_MS, Settings};
use super::simulate::{Run, nominal_ns, predict};
use super::start::Start;

/// When connect(2) fails with ETIMEDOUT if nothing ever comes back; `start` is when its first SYN left.
///
/// The firings before the last are the SYN's retransmissions.
pub fn connect_gives_up(settings: &Settings, options: &SocketOptions, start: &Start) -> Prediction {
    predict(settings, start, decided_by(settings, options), |run| chain(settings, options, run))
}

/// The sum of what the timers of [`connect_gives_up`] are armed for, without their rounding.
pub fn connect_nominal_ns(settings: &Settings, options: &SocketOptions) -> u64 {
    nominal_ns(settings, |run| chain(settings, options, run))
}

/// What the SYN's `nth` timer is armed for: the linear ones, then doubling.
pub fn syn_rto_ns(settings: &Settings, nth: u32) -> u64 {
    settings.backed_off_ns(nth.saturating_sub(1).saturating_sub(settings.syn_linear_timeouts))
}

fn chain(settings: &Settings, options: &SocketOptions, run: &mut Run) {
    let rto_max = settings.rto_max_jiffies(options);
    let initial = settings.jiffies_of_ms(INITIAL_RTO_MS);
    let retries = options.syn_count().unwrap_or(settings.syn_retries);
    let user_timeout_ms = options.user_timeout_ms();
    let timeout_ms = user_timeout_ms.unwrap_or_else(|| settings.modelled_ms(retries, initial, rto_max));
    let started_ms = run.stamp_ms();
    let (mut rto, mut armed, mut sent) = (initial, initial, 0);
    loop {
        run.wait(armed);
        let elapsed_ms = run.stamp_ms() - started_ms;
        let is_used_up = sent >= retries.saturating_add(settings.syn_linear_timeouts);
        if is_used_up || (sent > 0 && elapsed_ms >= timeout_ms) || run.is_endless() {
            return;
        }
        sent += 1;
        if sent > settings.syn_linear_timeouts {
            rto = (rto * 2).min(rto_max);
        }
        armed = clamped(settings, rto, user_timeout_ms, elapsed_ms);
    }
}

/// `tcp_clamp_rto_to_user_timeout()`: the last RTO ends with TCP_USER_TIMEOUT.
pub(super) fn clamped(settings: &Settings, rto: u64, user_timeout_ms: Option<u64>, elapsed_ms: u64) -> u64 {
    match user_timeout_ms {
        None => rto,
        Some(limit_ms) if limit_ms <= elapsed_ms => 1,
        Some(limit_ms) => rto.min(settings.jiffies_of_ms(limit_ms - elapsed_ms)),
    }
}

fn decided_by(settings: &Settings, options: &SocketOptions) -> Vec<String> {
    let linear =
        Some(settings.syn_linear_timeouts).filter(|linear| *linear > 0).map(|linear| format!("{linear} linear"));
    let mut all = vec![own_or(options.syn_count(), "TCP_SYNCNT", "tcp_syn_retries", settings.syn_retries)];
    all.extend(linear);
    all.extend(user_timeout_words(options));
    all.extend(rto_max_words(settings, options));
    all.push(settings.hz_words());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::JiffiesClock;
    use crate::kernel_model::{Span, in_words};

    const MS: u64 = 1_000_000;

    /// Measured, in milliseconds: linear timeouts, retries, then earliest and latest at HZ 250, 100, 1000 over 64
    /// phases of virtual time (6.12), and at 250 in 18 runs on a real 6.18.
    const MEASURED_MS: &[(u32, u32, [[u64; 2]; 4])] = &[
        (4, 1, [[3_049, 3_080], [3_081, 3_159], [3_049, 3_112], [3_049, 3_078]]),
        (4, 2, [[7_113, 7_144], [7_241, 7_319], [7_145, 7_208], [7_114, 7_146]]),
        (4, 3, [[19_337, 19_589], [19_407, 20_035], [19_252, 19_749], [19_352, 19_581]]),
        (4, 4, [[35_465, 35_717], [36_047, 36_675], [35_636, 36_133], [35_481, 35_706]]),
        (4, 5, [[67_741, 69_756], [68_687, 69_315], [67_892, 68_389], [67_811, 69_744]]),
        (4, 6, [[133_277, 135_292], [136_151, 138_205], [133_079, 136_190], [133_350, 134_986]]),
        (0, 1, [[3_017, 3_048], [3_081, 3_159], [3_049, 3_112], [3_018, 3_048]]),
        (0, 2, [[7_049, 7_301], [7_161, 7_239], [7_081, 7_144], [7_056, 7_248]]),
        (0, 3, [[15_241, 15_493], [15_246, 15_876], [15_156, 15_653], [15_247, 15_475]]),
        (0, 4, [[31_369, 31_621], [31_886, 32_516], [31_540, 32_037], [31_373, 31_598]]),
        (0, 5, [[63_645, 65_660], [64_526, 65_156], [63_796, 64_293], [63_726, 65_636]]),
        (0, 6, [[129_181, 131_196], [129_918, 133_085], [128_983, 131_070], [129_247, 131_040]]),
    ];

    fn settings(linear: u32, retries: u32, hz: u64) -> Settings {
        let kernel = Settings::of_kernel("6.12", 1_000_000_000 / hz);
        Settings { syn_retries: retries, syn_linear_timeouts: linear, ..kernel }
    }

    fn of(settings: &Settings, options: SocketOptions) -> Prediction {
        connect_gives_up(settings, &options, &Start::unknown())
    }

    /// 64 phases are 32 ms apart, so that the true ends lie up to so much further out. At HZ 100 and 1000 they covered
    /// 2 s of steps of 5 and 4 s: there the range may be wider still.
    #[test]
    fn the_range_holds_what_was_measured_and_at_250_ticks_is_hardly_wider() {
        for (linear, retries, columns) in MEASURED_MS {
            // The real machine's runs may be late by themselves: 5.3 ms at most.
            let of_column = [(250, 0), (100, 0), (1_000, 0), (250, 6)];
            for ((hz, late_ms), [earliest_ms, latest_ms]) in of_column.into_iter().zip(columns) {
                let settings = settings(*linear, *retries, hz);
                let Span { earliest_ns, latest_ns } = of(&settings, SocketOptions::default()).gives_up;
                let what = format!("{linear} linear, {retries} retries, HZ={hz}: {earliest_ns} to {latest_ns}");
                assert!(earliest_ns <= earliest_ms * MS && latest_ms * MS <= latest_ns + late_ms * MS, "{what}");
            }
            let settings = settings(*linear, *retries, 250);
            let Span { earliest_ns, latest_ns } = of(&settings, SocketOptions::default()).gives_up;
            let [earliest_ms, latest_ms] = columns[0];
            assert!(earliest_ms * MS - earliest_ns <= 36 * MS && latest_ns - latest_ms * MS <= 36 * MS);
        }
    }

    /// The documented sums, and the two that the documentation has wrong.
    #[test]
    fn nominal_sums_are_those_of_the_sysctls() {
        let seconds = |settings: &Settings| of(settings, SocketOptions::default()).nominal_ns() / 1_000 / MS;
        assert_eq!([1, 2, 3, 4, 5, 6].map(|retries| seconds(&settings(0, retries, 250))), [3, 7, 15, 31, 63, 127]);
        assert_eq!([1, 2, 3, 4, 5, 6].map(|retries| seconds(&settings(4, retries, 250))), [3, 7, 19, 35, 67, 131]);
        let capped = Settings { rto_max_ms: 2_000, ..settings(0, 4, 250) };
        assert_eq!(seconds(&capped), 9);
        assert_eq!(seconds(&Settings { syn_linear_timeouts: 4, ..capped }), 9);
    }

    #[test]
    fn a_sockets_own_options_come_first() {
        let settings = settings(4, 6, 250);
        let counted = of(&settings, SocketOptions { syn_count: Some(2), ..Default::default() });
        assert_eq!(counted.nominal_ns(), 7_000 * MS);
        let timed = of(&settings, SocketOptions { user_timeout_ms: Some(5_000), ..Default::default() });
        assert!(timed.gives_up.earliest_ns > 5_000 * MS && timed.gives_up.latest_ns < 5_050 * MS, "{timed:?}");
        assert_eq!(
            in_words(&timed),
            "between 5.00 and 5.04 s (tcp_syn_retries=6, 4 linear, TCP_USER_TIMEOUT=5000, HZ=250)"
        );
    }

    /// The first RTO is not shortened: tcp_connect() knows nothing of TCP_USER_TIMEOUT.
    #[test]
    fn a_user_timeout_below_the_first_rto_ends_soon_after_it() {
        let timed = of(&settings(4, 6, 250), SocketOptions { user_timeout_ms: Some(300), ..Default::default() });
        assert_eq!(timed.armed_ns, [1_000 * MS, 4 * MS]);
    }

    #[test]
    fn a_known_start_gives_the_instant_itself() {
        let clock = JiffiesClock { tick_at_ns: 0, jiffies: 0o33333, tick_ns: 4 * MS };
        for offset_ms in (0..2_100).step_by(97) {
            let start = Start { at_ns: (offset_ms * MS) as i64 + 1, clock: Some(clock) };
            let prediction = connect_gives_up(&settings(4, 6, 250), &SocketOptions::default(), &start);
            let exact = prediction.exact.expect("the clock is known");
            assert_eq!(exact.gives_up.earliest_ns, exact.gives_up.latest_ns);
            assert!(prediction.gives_up.contains(exact.gives_up.earliest_ns, 0));
            assert_eq!(exact.firings.len(), 11);
        }
    }

    #[test]
    fn words_name_the_range_and_what_decided() {
        let words = in_words(&of(&settings(4, 6, 250), SocketOptions::default()));
        assert_eq!(words, "between 133.2 and 135.4 s (tcp_syn_retries=6, 4 linear, HZ=250)");
    }
}
