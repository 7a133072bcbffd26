//! How a probe is told, with the timer that sent it. Which segments are probes is found in `probes`.

use super::bounds::options;
use super::event::{Timer, TimerClass, Wait};
use super::order::Placed;
use super::packets::Packets;
use super::probes::Probe;
use super::retries::Retries;

/// How late a busy machine's kernel may run a timer that is due.
const SCHEDULING_NS: u64 = 60_000_000;

impl Packets<'_> {
    /// A question to a peer that says nothing. Where the persist timer explains the gap, it is named.
    pub(super) fn probe(
        &self,
        index: usize,
        probe: &Probe,
        (flow, to_server): (usize, bool),
        is_claim: bool,
    ) -> Placed {
        let (retries, tick_ns) = (Retries::of(self.evidence, &self.flights[index].from), self.evidence.machine.tick_ns);
        let of_window = probe.is_of_window.then(|| retries.established_ns(0, probe.gap_ns, tick_ns)).flatten();
        let is_near = |armed_ns: &u64| probe.gap_ns.unsigned_abs() <= armed_ns + armed_ns / 8 + tick_ns + SCHEDULING_NS;
        let persist = |armed_ns| Timer { name: "persist".into(), class: TimerClass::Wheel, armed_ns };
        let timer = match probe.is_of_window {
            true => of_window.filter(is_near).map(persist),
            false => self.keepalive(flow, &self.flights[index].from, probe),
        };
        let direction = if to_server { "to" } else { "from" };
        let text = format!("{} {direction} {}", probe.words(), self.flows.get(flow).label);
        let wait = Wait { gap_ns: probe.gap_ns, timer };
        self.single(index, text, Some(wait), is_claim && !probe.is_more_of_it)
    }

    /// The timer that sent a probe.
    fn keepalive(&self, flow: usize, host: &str, probe: &Probe) -> Option<Timer> {
        let options = options(self.sockets, self.flows, self.objects, flow);
        let retries = Retries::of(self.evidence, host);
        retries.keepalive(options, probe.nth, probe.gap_ns)
    }
}
