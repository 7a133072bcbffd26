//! When a neighbour that does not answer is given up: ARP and neighbour discovery, arp(7).

use super::prediction::Prediction;
use super::settings::Settings;
use super::simulate::predict;
use super::start::Start;
use crate::evidence::Evidence;

/// What decides about questions for neighbours on one interface: `net.ipv4.neigh.eth0.*`, or of `ipv6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbours {
    /// `mcast_solicit`: questions to everybody.
    pub questions: u32,
    /// `app_solicit`: those before them that a program is to answer.
    pub app_questions: u32,
    /// `retrans_time_ms`.
    pub retransmit_ms: u64,
}

impl Default for Neighbours {
    /// What the kernel begins with, `arp_tbl` in net/ipv4/arp.c.
    fn default() -> Self {
        Self { questions: 3, app_questions: 0, retransmit_ms: 1_000 }
    }
}

impl Neighbours {
    /// Those of a host's interface in a run; what it did not record is as the kernel begins: older kernels hide these
    /// sysctls from all user namespaces but the first.
    pub fn of(evidence: &Evidence, host: &str, interface: &str, is_ipv6: bool) -> Self {
        let family = if is_ipv6 { "ipv6" } else { "ipv4" };
        let recorded = evidence.sysctls.get(host);
        let value = |name: &str| -> Option<u64> {
            recorded?.get(&format!("net.{family}.neigh.{interface}.{name}"))?.trim().parse().ok()
        };
        let usual = Self::default();
        let small = |name: &str, otherwise| value(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(otherwise);
        Self {
            questions: small("mcast_solicit", usual.questions),
            app_questions: small("app_solicit", usual.app_questions),
            retransmit_ms: value("retrans_time_ms").unwrap_or(usual.retransmit_ms),
        }
    }
}

/// When what waits for a neighbour fails with EHOSTUNREACH; `start` is when the first question left. The firings before
/// the last are further questions. __neigh_event_send() and neigh_timer_handler(), net/core/neighbour.c.
pub fn neighbour_gives_up(settings: &Settings, neighbours: &Neighbours, start: &Start) -> Prediction {
    let words = vec![
        format!("mcast_solicit={}", neighbours.questions),
        format!("retrans_time_ms={}", neighbours.retransmit_ms),
        settings.hz_words(),
    ];
    // At least a hundredth of a second: HZ/100.
    let each = settings.jiffies_of_ms(neighbours.retransmit_ms).max(settings.hz() / 100);
    let timers = neighbours.questions.saturating_add(neighbours.app_questions).clamp(1, 1_000);
    predict(settings, start, words, |run| (0..timers).for_each(|_| run.wait(each)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_model::in_words;

    #[test]
    fn three_questions_take_three_seconds_and_their_rounding() {
        let settings = Settings::of_kernel("6.12", 4_000_000);
        let prediction = neighbour_gives_up(&settings, &Neighbours::default(), &Start::unknown());
        assert_eq!(prediction.nominal_ns(), 3_000_000_000);
        assert_eq!(in_words(&prediction), "between 3.04 and 3.08 s (mcast_solicit=3, retrans_time_ms=1000, HZ=250)");
    }
}
