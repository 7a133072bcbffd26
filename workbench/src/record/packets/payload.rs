//! How much payload a frame of TCP or UDP carries, by its headers' own lengths. Knows no reassembly: of a fragment all
//! that follows the IP header counts, but for the transport header in the first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET_BYTES: usize = 14;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;

/// The source address of a frame, Ethernet header first, and its bytes of TCP or UDP payload; `None` if it has neither.
pub fn payload(frame: &[u8]) -> Option<(IpAddr, u64)> {
    let packet = frame.get(ETHERNET_BYTES..)?;
    let word = |bytes: &[u8], at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    match word(frame, 12)? {
        0x0800 => {
            let header = usize::from(packet.first()? & 0xf) * 4;
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let rest = word(packet, 2)?.saturating_sub(header);
            let is_later_fragment = word(packet, 6)? & 0x1fff != 0;
            let own = if is_later_fragment { 0 } else { transport(*packet.get(9)?, packet.get(header..)?)? };
            matches!(packet.get(9)?, 6 | 17).then_some(())?;
            Some((Ipv4Addr::from(source).into(), rest.saturating_sub(own) as u64))
        }
        0x86dd => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let own = transport(*packet.get(6)?, packet.get(IPV6_BYTES..)?)?;
            Some((Ipv6Addr::from(source).into(), word(packet, 4)?.saturating_sub(own) as u64))
        }
        _ => None,
    }
}

/// The length of a header of TCP (RFC 9293, 3.1: data offset) or UDP.
fn transport(protocol: u8, segment: &[u8]) -> Option<usize> {
    match protocol {
        6 => Some(usize::from(segment.get(12)? >> 4) * 4),
        17 => Some(UDP_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, total: u16, transport: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
        frame.extend(transport);
        frame
    }

    #[test]
    fn headers_are_no_payload_and_what_the_capture_cut_off_is() {
        let mut tcp = [0; 32];
        tcp[12] = 8 << 4;
        assert_eq!(payload(&ipv4(6, 1500, &tcp)), Some(([10, 9, 0, 1].into(), 1448)));
        assert_eq!(payload(&ipv4(17, 33, &[0; 13])), Some(([10, 9, 0, 1].into(), 5)));
        assert_eq!(payload(&ipv4(1, 84, &[0; 64])), None);
    }

    #[test]
    fn padding_of_short_frames_does_not_count() {
        let mut tcp = [0; 26];
        tcp[12] = 5 << 4;
        assert_eq!(payload(&ipv4(6, 40, &tcp)), Some(([10, 9, 0, 1].into(), 0)));
    }
}
