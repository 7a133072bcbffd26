//! How long a packet was on its way, where both ends saw it. A transfer of several packets has no such time.

use crate::evidence::{Direction, Evidence};
use crate::timeline::{Event, EvidenceRef};

/// From sent to arrived, for an event that tells of one packet: its two sightings, the sender's first.
pub fn took_ns(evidence: &Evidence, event: &Event) -> Option<i64> {
    let [EvidenceRef::Packet(sent), EvidenceRef::Packet(arrived)] = event.evidence[..] else { return None };
    let (sent, arrived) = (evidence.packets.get(sent)?, evidence.packets.get(arrived)?);
    let is_pair = (sent.direction, arrived.direction) == (Direction::Sent, Direction::Received);
    let took_ns = arrived.t_ns - sent.t_ns;
    (is_pair && sent.wire_len == arrived.wire_len && took_ns >= 0).then_some(took_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Packet;
    use crate::timeline::EventKind;
    use crate::timeline::fixture::Fixture;

    fn took(sightings: &[(Direction, i64, u32)]) -> Option<i64> {
        let mut evidence = Fixture::syn_retries().evidence;
        let packet = |(seq, &(direction, t_ns, wire_len)): (u64, &(Direction, i64, u32))| {
            let (host, interface) = ("client".to_owned(), "eth0".to_owned());
            Packet { host, interface, seq, direction, t_ns, wire_len, bytes: Vec::new() }
        };
        evidence.packets = (0..).zip(sightings).map(packet).collect();
        let event = Event {
            t_ns: 0,
            at: "client -> server".to_owned(),
            kind: EventKind::Packet,
            text: "SYN to server:80".to_owned(),
            wait: None,
            is_claim: true,
            evidence: (0..sightings.len()).map(EvidenceRef::Packet).collect(),
        };
        took_ns(&evidence, &event)
    }

    #[test]
    fn a_packet_that_both_ends_saw_took_from_sent_to_arrived() {
        use Direction::{Received, Sent};
        assert_eq!(took(&[(Sent, 1_000, 74), (Received, 40_001_000, 74)]), Some(40_000_000));
        assert_eq!(took(&[(Sent, 1_000, 74), (Received, 1_000, 74)]), Some(0));
        for others in [
            &[][..],
            &[(Sent, 1_000, 74)],
            &[(Received, 1_000, 74)],
            &[(Sent, 1_000, 74), (Sent, 2_000, 74)],
            &[(Sent, 1_000, 74), (Received, 2_000, 60)],
            &[(Sent, 1_000, 74), (Received, 2_000, 74), (Sent, 3_000, 74), (Received, 4_000, 74)],
        ] {
            assert_eq!(took(others), None, "{others:?}");
        }
    }
}
