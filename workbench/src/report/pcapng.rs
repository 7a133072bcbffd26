//! A run's packets as pcapng (draft-ietf-opsawg-pcapng), for tshark and Wireshark: one interface for each end.
//!
//! Equal evidence gives equal bytes. Stamps are those of the timeline moved to the wall clock of zero, so that gaps are
//! the same in both, whatever NTP did to the wall clock in between.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::packet_comments;
use super::views::Run;
use crate::evidence::{Direction, Evidence, Packet};

/// `if_tsresol`: stamps are multiples of 10^-9 s. Without it readers take them for microseconds.
const NANOSECONDS: u8 = 9;
/// `epb_flags`, bits 0 and 1.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Host and interface, in that order.
type End<'a> = (&'a str, &'a str);

/// Writes all packets, with what became of each and what the verdict rests on as comments, and how the run ended as the
/// comment of the section.
///
/// # Errors
/// Those of `out`.
pub fn write_run(run: &Run<'_>, out: &mut dyn Write) -> io::Result<()> {
    let about = packet_comments::about(run);
    write_all(run.evidence, &about, &packet_comments::comments(run), out)
}

/// Writes all packets, in the order of the evidence. `comments` go to the packets of these indices.
///
/// # Errors
/// Those of `out`.
pub fn write(evidence: &Evidence, comments: &BTreeMap<usize, Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
    write_all(evidence, &[], comments, out)
}

fn write_all(
    evidence: &Evidence,
    about: &[String],
    comments: &BTreeMap<usize, Vec<String>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut buffered = BufWriter::new(out);
    let mut pcapng = PcapNgWriter::with_section_header(&mut buffered, section(evidence, about)).map_err(to_io)?;
    let ends = ends(evidence);
    for end in &ends {
        pcapng.write_pcapng_block(interface(end)).map_err(to_io)?;
    }
    let ids: BTreeMap<End<'_>, u32> = ends.iter().copied().zip(0..).collect();
    for (index, packet) in evidence.packets.iter().enumerate() {
        let comments = comments.get(&index).map_or(&[][..], Vec::as_slice);
        let id = ids[&(packet.host.as_str(), packet.interface.as_str())];
        pcapng.write_pcapng_block(block(evidence, packet, id, comments)).map_err(to_io)?;
    }
    buffered.flush()
}

/// Every end of every link, in the order of the plan, then whatever else packets were seen on: `lo`.
fn ends(evidence: &Evidence) -> Vec<End<'_>> {
    let links = evidence.plan.links.iter().flat_map(|link| &link.ends);
    let mut ends: Vec<End<'_>> = links.map(|end| (end.host.as_str(), end.interface.as_str())).collect();
    let mut others: Vec<End<'_>> = evidence.packets.iter().map(|p| (p.host.as_str(), p.interface.as_str())).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|end| !ends.contains(end));
    ends.append(&mut others);
    ends
}

fn section(evidence: &Evidence, about: &[String]) -> SectionHeaderBlock<'static> {
    let mut options = vec![
        SectionHeaderOption::OS(format!("Linux {}", evidence.machine.kernel).into()),
        SectionHeaderOption::UserApplication(concat!("workbench ", env!("CARGO_PKG_VERSION")).into()),
    ];
    options.extend(about.iter().map(|comment| SectionHeaderOption::Comment(fitting(comment).to_owned().into())));
    for loss in &evidence.capture_loss {
        let comment = format!("{} packets did not fit into the capture of {}", loss.packets, loss.host);
        options.push(SectionHeaderOption::Comment(comment.into()));
    }
    // One byte order on every machine.
    SectionHeaderBlock { endianness: Endianness::Little, options, ..SectionHeaderBlock::default() }
}

fn interface((host, name): &End<'_>) -> InterfaceDescriptionBlock<'static> {
    let mut options = vec![
        InterfaceDescriptionOption::IfName(format!("{host}/{name}").into()),
        InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
    ];
    if *name == "lo" {
        let comment = "lo leaves checksums out (NETIF_F_HW_CSUM): those in its packets mean nothing";
        options.push(InterfaceDescriptionOption::Comment(comment.into()));
    }
    // No limit is stated: each packet says how long it was and how much of it is kept.
    InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options }
}

fn block<'a>(evidence: &Evidence, packet: &'a Packet, id: u32, comments: &'a [String]) -> EnhancedPacketBlock<'a> {
    let realtime_ns = evidence.machine.zero_realtime_ns.saturating_add(packet.t_ns);
    let direction = match packet.direction {
        Direction::Sent => OUTBOUND,
        Direction::Received => INBOUND,
    };
    let flags = EnhancedPacketOption::Flags(direction);
    let comments = comments.iter().map(|c| EnhancedPacketOption::Comment(Cow::Borrowed(fitting(c))));
    EnhancedPacketBlock {
        interface_id: id,
        timestamp: Duration::from_nanos(u64::try_from(realtime_ns).unwrap_or(0)),
        original_len: packet.wire_len,
        data: Cow::Borrowed(&packet.bytes),
        options: std::iter::once(flags).chain(comments).collect(),
    }
}

/// As much of a comment as fits: an option's length is a 16-bit number.
fn fitting(comment: &str) -> &str {
    &comment[..comment.floor_char_boundary(usize::from(u16::MAX))]
}

fn to_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
