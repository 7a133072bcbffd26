//! The timer that ended the silence before a give-up. There the timeline tells of all of a connection's timers together;
//! the silence is the last of them, and what it was armed for is what is left of their sum. Names nothing that the silence
//! does not bear out.

use crate::snapshot::SCHEDULING_NS;
use crate::timeline::{Event, Timer, TimerClass};

/// Events so near to each other belong to one end: the kernel's ICMP error to itself, and the call that fails with it.
const SAME_NS: i64 = 5_000_000;

/// A silence before an event.
pub(super) struct Silence<'a> {
    pub events: &'a [Event],
    /// The first event after it.
    pub index: usize,
    /// When it began.
    pub since_ns: i64,
    /// When it ended.
    pub until_ns: i64,
    pub tick_ns: u64,
    /// When the kernel gave up an established connection because its retransmissions were used up, if it did.
    pub gave_up_ns: Option<i64>,
}

impl Silence<'_> {
    /// The timer that ended it.
    pub(super) fn timer(&self) -> Option<Timer> {
        self.rest_of_a_sum().or_else(|| self.next_rto()).filter(|timer| self.bears_out(timer.armed_ns))
    }

    fn length_ns(&self) -> i64 {
        self.until_ns - self.since_ns
    }

    /// What is left of a connect's timers after those whose retransmissions were seen.
    fn rest_of_a_sum(&self) -> Option<Timer> {
        let is_of_this_end = |event: &&Event| event.t_ns - self.until_ns <= SAME_NS;
        let sum_of = |event: &'_ Event| {
            let wait = event.wait.as_ref()?;
            let timer = wait.timer.as_ref().filter(|_| wait.gap_ns > self.length_ns() + SAME_NS)?;
            let part = match timer.name.as_str() {
                "SYN retries" => "RTO",
                "neighbour" => "neighbour",
                _ => return None,
            };
            Some((part, timer.armed_ns, event.t_ns - wait.gap_ns))
        };
        let end = self.events[self.index..].iter().take_while(is_of_this_end).find(|event| sum_of(event).is_some())?;
        let (part, sum_ns, begun_ns) = sum_of(end)?;
        let seen = self.events[..self.index].iter().filter(|event| event.t_ns >= begun_ns && is_same(end, event));
        let timers = seen.filter_map(|event| event.wait.as_ref()?.timer.as_ref()).filter(|timer| timer.name == part);
        let armed_ns = sum_ns.checked_sub(timers.map(|timer| timer.armed_ns).sum())?;
        Some(Timer { name: part.to_owned(), class: TimerClass::Wheel, armed_ns })
    }

    /// The RTO after the last one that sent something: doubled, or the longest already (`tcp_rto_max_ms`).
    fn next_rto(&self) -> Option<Timer> {
        self.gave_up_ns.filter(|gave_up_ns| (gave_up_ns - self.until_ns).abs() <= SAME_NS)?;
        let is_last = |event: &&Event| (event.t_ns - self.since_ns).abs() <= SAME_NS;
        let timers =
            self.events[..self.index].iter().rev().filter(is_last).filter_map(|e| e.wait.as_ref()?.timer.as_ref());
        let last = timers.clone().find(|timer| timer.name == "RTO")?;
        let lengths = [last.armed_ns.saturating_mul(2), last.armed_ns];
        let armed_ns = lengths.into_iter().find(|armed_ns| self.bears_out(*armed_ns))?;
        Some(Timer { armed_ns, ..last.clone() })
    }

    /// Whether a timer of the wheel that was armed for so long can have ended it: [`TimerClass::Wheel`].
    fn bears_out(&self, armed_ns: u64) -> bool {
        let silence_ns = u64::try_from(self.length_ns()).unwrap_or(0);
        let late_ns = armed_ns / 63 * 8 + self.tick_ns + SCHEDULING_NS;
        silence_ns + self.tick_ns >= armed_ns && silence_ns <= armed_ns.saturating_add(late_ns)
    }
}

/// Whether a packet is of what `end` gave up: sent by its host and, for SYNs, to the same place.
fn is_same(end: &Event, packet: &Event) -> bool {
    let is_own = packet.at.strip_prefix(end.at.as_str()).is_some_and(|rest| rest.starts_with(" -> "));
    let place = |text: &str| text.split([' ', ',']).next().unwrap_or_default().to_owned();
    let asked = end.text.strip_prefix("connect to ").map(place);
    let sent = packet.text.strip_prefix("SYN to ").map(place);
    is_own && (sent.is_none() || asked.is_none() || sent == asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{EventKind, Wait};

    const MS: i64 = 1_000_000;

    fn event(ms: i64, at: &str, text: &str, wait: Option<(i64, &str, u64)>) -> Event {
        let wait = wait.map(|(gap_ms, name, armed_ms)| Wait {
            gap_ns: gap_ms * MS,
            timer: Some(Timer { name: name.into(), class: TimerClass::Wheel, armed_ns: armed_ms * 1_000_000 }),
        });
        let (kind, text) = (EventKind::Packet, text.to_owned());
        Event { t_ns: ms * MS, at: at.to_owned(), kind, text, wait, is_claim: true, evidence: Vec::new() }
    }

    /// What ended the silence between these moments, before the event `index`: its name and its length in milliseconds.
    fn named(events: &[Event], index: usize, ms: (i64, i64), gave_up_ms: Option<i64>) -> Option<(String, u64)> {
        let (since_ns, until_ns) = (ms.0 * MS, ms.1 * MS);
        let gave_up_ns = gave_up_ms.map(|ms| ms * MS);
        let timer = Silence { events, index, since_ns, until_ns, tick_ns: 4_000_000, gave_up_ns }.timer()?;
        Some((timer.name, timer.armed_ns / 1_000_000))
    }

    #[test]
    fn the_last_rto_of_a_connect_is_what_its_retransmissions_left_of_the_sum() {
        let packet = "client -> server";
        let mut events = vec![
            event(0, packet, "SYN to server:80", None),
            event(0, packet, "SYN to server:81", None),
            event(1_012, packet, "SYN to server:80, retransmission 1", Some((1_012, "RTO", 1_000))),
            event(1_012, packet, "SYN to server:81, retransmission 1", Some((1_012, "RTO", 1_000))),
            event(3_028, "client", "connect to server:80 failed: ETIMEDOUT", Some((3_028, "SYN retries", 3_000))),
        ];
        let rto = Some(("RTO".to_owned(), 2_000));
        assert_eq!(named(&events, 4, (1_012, 3_028), None), rto);
        // Something else came in between, and the silence is not the timer's.
        assert_eq!(named(&events, 4, (1_500, 3_028), None), None);
        // The timer is named before whatever belongs to the same end.
        events.insert(4, event(3_028, "client lo", "ICMP host unreachable about server:80", None));
        assert_eq!(named(&events, 4, (1_012, 3_028), None), rto);
    }

    #[test]
    fn a_connect_that_sent_nothing_again_waited_for_all_of_it_at_once() {
        let failed = event(3_028, "client", "connect to server:80 failed", Some((3_028, "SYN retries", 3_000)));
        assert_eq!(named(&[failed], 0, (0, 3_028), None), None, "that wait is the silence, and named as such");
    }

    #[test]
    fn the_last_rto_of_a_connection_that_was_there_is_the_doubled_one_or_the_longest_again() {
        let last = |armed_ms| event(8_596, "client lo", "data, retransmission 6", Some((3_296, "RTO", armed_ms)));
        let end = event(15_252, "client", "exit 1", None);
        let six = Some(("RTO".to_owned(), 6_400));
        let events = [last(3_200), end.clone()];
        assert_eq!(named(&events, 1, (8_596, 15_252), Some(15_252)), six);
        assert_eq!(named(&[last(6_400), end], 1, (8_596, 15_252), Some(15_252)), six);
        assert_eq!(named(&events, 1, (8_596, 15_252), None), None, "nobody says that the kernel gave up");
        assert_eq!(named(&events, 1, (8_596, 25_000), Some(25_000)), None, "that is longer than its timer");
    }
}
