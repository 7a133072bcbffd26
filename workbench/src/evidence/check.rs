//! What evidence from a file has to be before anybody reckons with it. Whether it was ever seen so, nobody can tell.

use super::model::Evidence;

/// Stamps are nanoseconds since a run's zero: less than 36 years, so that differences and sums of two have room.
const LONGEST_NS: u64 = 1 << 60;

/// CLOCK_REALTIME counts from 1970.
const LATEST_NS: u64 = 1 << 62;

/// HZ is 24 at least (arch/*/Kconfig), and a clock that ticks faster than each microsecond nobody has.
const TICKS_NS: std::ops::RangeInclusive<u64> = 1_000..=50_000_000;

impl Evidence {
    /// Looks at every stamp.
    ///
    /// # Errors
    ///
    /// Which of them is none, in words.
    pub fn check(&self) -> Result<(), String> {
        let is_stamp = |ns: i64| ns.unsigned_abs() <= LONGEST_NS;
        let wrong = |what: &str, ns: i64| Err(format!("{what} at {ns} ns, which is no stamp"));
        if let Some((what, ns)) = self.stamps().find(|(_, ns)| !is_stamp(*ns)) {
            return wrong(what, ns);
        }
        let clocks = self.machine.realtime_offsets.iter().map(|pair| pair.offset_ns);
        if let Some(ns) = clocks.chain([self.machine.zero_realtime_ns]).find(|ns| ns.unsigned_abs() > LATEST_NS) {
            return wrong("the clock", ns);
        }
        let tick_ns = self.machine.tick_ns;
        if !TICKS_NS.contains(&tick_ns) {
            return Err(format!("a tick of {tick_ns} ns"));
        }
        match self.machine.phase {
            Some(phase) if phase.since_tick_ns > tick_ns || phase.jiffies > LONGEST_NS / tick_ns => {
                Err(format!("{} jiffies and {} ns, which is no clock", phase.jiffies, phase.since_tick_ns))
            }
            _ => Ok(()),
        }
    }

    fn stamps(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let calls = self.calls.iter().flat_map(|call| [Some(call.entry_ns), call.exit_ns]).flatten();
        let processes = self.processes.iter().flat_map(|process| [Some(process.start_ns), process.end_ns]).flatten();
        let offsets = self.machine.realtime_offsets.iter().map(|pair| pair.t_ns);
        let named = |what: &'static str| move |ns: i64| (what, ns);
        calls
            .map(named("a call"))
            .chain(processes.map(named("a process")))
            .chain(self.signals.iter().map(|signal| signal.t_ns).map(named("a signal")))
            .chain(self.packets.iter().map(|packet| packet.t_ns).map(named("a packet")))
            .chain(self.sockets.iter().map(|sample| sample.t_ns).map(named("a sample")))
            .chain(self.destroyed.iter().map(|destroyed| destroyed.t_ns).map(named("a destroyed socket")))
            .chain(offsets.map(named("the clock")))
            .chain([("the end", self.end.t_ns)])
    }
}

#[cfg(test)]
mod tests {
    use crate::evidence::Phase;
    use crate::timeline::fixture::Fixture;

    #[test]
    fn what_a_recorder_writes_passes() {
        assert_eq!(Fixture::syn_retries().evidence.check(), Ok(()));
    }

    #[test]
    fn a_stamp_of_no_run_is_named() {
        let mut run = Fixture::syn_retries();
        run.evidence.calls[0].exit_ns = Some(i64::MIN);
        assert_eq!(run.evidence.check(), Err("a call at -9223372036854775808 ns, which is no stamp".into()));
    }

    #[test]
    fn a_clock_that_no_kernel_has_is_refused() {
        let mut run = Fixture::syn_retries();
        run.evidence.machine.tick_ns = 0;
        assert_eq!(run.evidence.check(), Err("a tick of 0 ns".into()));
        run.evidence.machine.tick_ns = 4_000_000;
        run.evidence.machine.phase = Some(Phase { jiffies: u64::MAX, since_tick_ns: 0 });
        assert!(run.evidence.check().is_err());
    }
}
