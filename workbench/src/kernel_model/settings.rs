//! What decides about the timers of one host's sockets: its sysctls as a run recorded them, what the kernel's version
//! begins with where it has none of that name.

use std::collections::BTreeMap;

use super::options::SocketOptions;
use crate::evidence::Evidence;

/// TCP_RTO_MIN in include/net/tcp.h, which `tcp_model_timeout` reckons with whatever `tcp_rto_min_us` says.
pub(super) const MODEL_RTO_MIN_MS: u64 = 200;
/// TCP_TIMEOUT_INIT in include/net/tcp.h; RFC 6298, 2.1.
pub(super) const INITIAL_RTO_MS: u64 = 1_000;

/// What decides about timers in one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Length of a jiffy.
    pub tick_ns: u64,
    /// Major and minor number of the kernel's version; (0, 0) if it says none.
    pub version: (u32, u32),
    /// `tcp_syn_retries`.
    pub syn_retries: u32,
    /// `tcp_syn_linear_timeouts`, which kernels have since 6.5; 0 before.
    pub syn_linear_timeouts: u32,
    /// `tcp_synack_retries`.
    pub synack_retries: u32,
    /// `tcp_rto_max_ms`, which kernels have since 6.15; TCP_RTO_MAX before.
    pub rto_max_ms: u64,
    /// `tcp_rto_min_us`, which kernels have since 6.11; TCP_RTO_MIN before.
    pub rto_min_us: u64,
    /// `tcp_retries1`: when a route is asked again. Ends nothing.
    pub retries1: u32,
    /// `tcp_retries2`.
    pub retries2: u32,
    /// `tcp_orphan_retries`; 0 stands for 8 (`tcp_orphan_retries()`).
    pub orphan_retries: u32,
    /// `tcp_keepalive_time`.
    pub keepalive_time_s: u64,
    /// `tcp_keepalive_intvl`.
    pub keepalive_interval_s: u64,
    /// `tcp_keepalive_probes`.
    pub keepalive_probes: u32,
    /// `tcp_fin_timeout`.
    pub fin_timeout_s: u64,
}

impl Settings {
    /// TCP_RTO_MAX in include/net/tcp.h.
    pub const RTO_MAX_MS: u64 = 120_000;

    /// Those of a host of a run; `None` if the run recorded no sysctls of it.
    pub fn of(evidence: &Evidence, host: &str) -> Option<Self> {
        let recorded = evidence.sysctls.get(host)?;
        recorded.contains_key("net.ipv4.tcp_syn_retries").then_some(())?;
        Some(Self::read(recorded, &evidence.machine.kernel, evidence.machine.tick_ns))
    }

    /// Those of a kernel that nobody has changed.
    pub fn of_kernel(release: &str, tick_ns: u64) -> Self {
        Self::read(&BTreeMap::new(), release, tick_ns)
    }

    /// What was recorded wins over the version: distributions carry features back to older kernels.
    fn read(recorded: &BTreeMap<String, String>, release: &str, tick_ns: u64) -> Self {
        let version = version(release);
        let is_known = !recorded.is_empty();
        let value = |name: &str, otherwise: u64| -> u64 {
            let text = recorded.get(&format!("net.ipv4.tcp_{name}"));
            // They are integers of 32 bits in the kernel.
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(otherwise).min(u32::MAX.into())
        };
        let small = |name: &str, otherwise: u32| u32::try_from(value(name, otherwise.into())).unwrap_or(u32::MAX);
        // Where a kernel's sysctls were recorded and this one is not among them, the kernel has none.
        let linear = if !is_known && version >= (6, 5) { 4 } else { 0 };
        Self {
            tick_ns: tick_ns.max(1),
            version,
            syn_retries: small("syn_retries", 6),
            syn_linear_timeouts: small("syn_linear_timeouts", linear),
            synack_retries: small("synack_retries", 5),
            rto_max_ms: value("rto_max_ms", Self::RTO_MAX_MS),
            rto_min_us: value("rto_min_us", MODEL_RTO_MIN_MS * 1_000),
            retries1: small("retries1", 3),
            retries2: small("retries2", 15),
            orphan_retries: small("orphan_retries", 0),
            keepalive_time_s: value("keepalive_time", 7_200),
            keepalive_interval_s: value("keepalive_intvl", 75),
            keepalive_probes: small("keepalive_probes", 9),
            fin_timeout_s: value("fin_timeout", 60),
        }
    }

    /// Ticks in a second.
    pub fn hz(&self) -> u64 {
        1_000_000_000 / self.tick_ns
    }

    pub(super) fn hz_words(&self) -> String {
        format!("HZ={}", self.hz())
    }

    /// `msecs_to_jiffies()`: rounded up.
    pub(super) fn jiffies_of_ms(&self, ms: u64) -> u64 {
        self.jiffies_of_ns(ms.saturating_mul(1_000_000))
    }

    /// As many jiffies as are needed for so long.
    pub(super) fn jiffies_of_ns(&self, ns: u64) -> u64 {
        ns.div_ceil(self.tick_ns)
    }

    /// The first RTO, doubled so often, and never above the largest.
    pub(super) fn backed_off_ns(&self, doublings: u32) -> u64 {
        (INITIAL_RTO_MS << doublings.min(32)).min(self.rto_max_ms) * 1_000_000
    }

    /// `tcp_rto_max()`: the socket's own since 6.15, else the host's.
    pub(super) fn rto_max_jiffies(&self, options: &SocketOptions) -> u64 {
        self.jiffies_of_ms(options.rto_max_ms.unwrap_or(self.rto_max_ms))
    }

    /// `tcp_model_timeout()`: what `boundary` retransmissions take in all that begin with `base` and double each time
    /// until they reach the largest RTO; in milliseconds.
    pub(super) fn modelled_ms(&self, boundary: u32, base: u64, rto_max: u64) -> u64 {
        let doublings = (rto_max / base.max(1)).max(1).ilog2();
        let doubled = ((2u64 << boundary.min(doublings)) - 1).saturating_mul(base);
        let linear = u64::from(boundary.saturating_sub(doublings)).saturating_mul(rto_max);
        doubled.saturating_add(linear).saturating_mul(self.tick_ns) / 1_000_000
    }
}

/// `6.12.43+deb13-amd64` is (6, 12).
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_before_6_5_has_no_linear_timeouts() {
        let linear = ["5.10.234", "6.1.0-37-amd64", "6.5.0", "6.12.43+deb13", "7.2.0"]
            .map(|release| Settings::of_kernel(release, 4_000_000).syn_linear_timeouts);
        assert_eq!(linear, [0, 0, 4, 4, 4]);
    }

    #[test]
    fn what_was_recorded_wins_over_the_version_and_what_was_not_is_not_there() {
        let recorded = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (format!("net.ipv4.{name}"), (*value).into())).collect()
        };
        let carried_back = recorded(&[("tcp_syn_retries", "3"), ("tcp_syn_linear_timeouts", "2")]);
        let settings = Settings::read(&carried_back, "5.14.0-611.el9", 1_000_000);
        assert_eq!((settings.syn_retries, settings.syn_linear_timeouts, settings.retries2), (3, 2, 15));
        let without = recorded(&[("tcp_syn_retries", "3")]);
        assert_eq!(Settings::read(&without, "6.6.0", 1_000_000).syn_linear_timeouts, 0);
    }

    /// Documentation/networking/ip-sysctl.rst: tcp_retries2 of 15 is a hypothetical 924.6 seconds.
    #[test]
    fn fifteen_modelled_retransmissions_take_924_6_seconds() {
        for tick_ns in [10_000_000, 4_000_000, 1_000_000] {
            let settings = Settings::of_kernel("6.12", tick_ns);
            let base = settings.jiffies_of_ms(MODEL_RTO_MIN_MS);
            assert_eq!(settings.modelled_ms(15, base, settings.rto_max_jiffies(&SocketOptions::default())), 924_600);
        }
    }
}
