//! Effects that are no matter of chance: in virtual time they are exact to the microsecond, in which a capture reads
//! its clock and a high resolution timer is set.

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::Packet;

use super::traffic::{HEADERS_BYTES, Journey, Traffic};
use super::{claim, same};
use crate::support::virtual_engine::{evidence, virtual_trial};

const MS: i64 = 1_000_000;

/// How late a packet may be: the clock of a User-Mode Linux guest counts in steps of 128 ns or so, and its timer is set
/// for no less than 500 ns (TIMER_MIN_DELTA in arch/um/include/linux/time-internal.h). It is never early.
const LATEST_NS: i64 = 2_000;

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("netem_delay_is_added_to_every_packet_to_the_microsecond", delay),
        virtual_trial("netem_delays_of_the_two_directions_are_their_own", directions),
        virtual_trial("netem_delay_and_the_cables_delay_add_up", cable),
        virtual_trial("netem_reorder_with_a_gap_sends_every_nth_at_once", reorder),
        virtual_trial("netem_reorder_spares_no_packet_the_cables_delay", reorder_on_a_cable),
        virtual_trial("netem_duplicate_of_all_delivers_everything_twice", duplicate),
        virtual_trial("netem_loss_state_that_alternates_loses_every_second_packet", alternate),
        virtual_trial("netem_rate_takes_a_frames_length_divided_by_the_rate", rate),
        virtual_trial("netem_rate_counts_overhead_and_cells", framing),
        virtual_trial("netem_limit_drops_what_does_not_fit", limit),
        virtual_trial("netem_slot_releases_packets_in_batches", slot),
        virtual_trial("netem_ecn_marks_in_place_of_losing_what_can_be_marked", ecn),
    ]
}

/// Whether each of these times is what it should be.
fn are(what: &str, seen: &[i64], expected: &[i64]) -> Result<Completion, Failed> {
    let agree = |(seen, expected): (&i64, &i64)| (0..=LATEST_NS).contains(&(seen - expected));
    let all = !seen.is_empty() && seen.len() == expected.len() && seen.iter().zip(expected).all(agree);
    claim(&format!("{what}: seen {seen:?}, expected {expected:?}"), all)
}

/// The same, if each has arrived as often as it should.
fn journeys_are(what: &str, seen: &[Vec<i64>], expected: &[Vec<i64>]) -> Result<Completion, Failed> {
    let often = |times: &[Vec<i64>]| times.iter().map(Vec::len).collect::<Vec<_>>();
    same(&format!("{what}: arrivals of each"), often(seen), often(expected))?;
    are(what, &seen.concat(), &expected.concat())
}

/// How long each was under way.
fn under_way(traffic: &Traffic<'_>) -> Result<Vec<Vec<i64>>, Failed> {
    Ok(traffic.run(1)?.journeys().into_iter().map(|journey| journey.under_way_ns).collect())
}

fn delay() -> Result<Completion, Failed> {
    for pause in ["", "0.01"] {
        let times = under_way(&Traffic { pause, ..Traffic::through("netem from=client delay=\"100ms\"", 50) })?;
        journeys_are("100 ms", &times, &vec![vec![100 * MS]; 50])?;
    }
    // Above the 274 s that tc's 32 bits of ticks can say.
    let times = under_way(&Traffic { then: "read -t 400", ..Traffic::through("netem delay=\"300s\"", 2) })?;
    journeys_are("300 s", &times, &vec![vec![300_000 * MS]; 2])
}

fn directions() -> Result<Completion, Failed> {
    let seen = evidence(
        r#"namespace client
        namespace server
        link client server {
            netem from=client delay="300ms"
            netem from=server delay="500us"
        }
        run run in=client bash -c "echo hello >/dev/udp/server/9; sleep 1""#,
        1,
    )?;
    // The datagram, and the ICMP error that answers it.
    let times = |host: &str| seen.packets.iter().filter(|p| p.host == host).map(|p| p.t_ns).collect::<Vec<_>>();
    let (client, server) = (times("client"), times("server"));
    same("packets at each end", (client.len(), server.len()), (2, 2))?;
    are("there and back", &[server[0] - client[0], client[1] - server[1]], &[300 * MS, MS / 2])
}

fn cable() -> Result<Completion, Failed> {
    let text = scenario_with_cable("netem from=client delay=\"100ms\"");
    let seen = evidence(&text, 1)?;
    let (sent, arrived) = ends(&seen.packets);
    let times: Vec<i64> = sent.iter().zip(&arrived).map(|(sent, arrived)| arrived.t_ns - sent.t_ns).collect();
    are("both", &times, &[120 * MS; 3])
}

/// Three datagrams at once over a cable of 20 ms.
fn scenario_with_cable(netem: &str) -> String {
    format!(
        r#"namespace client
        namespace server {{
            drop udp
        }}
        link client server delay="20ms" {{
            {netem}
        }}
        run run in=client bash -c "for port in 1 2 3; do echo hello >/dev/udp/server/$port; done; sleep 1""#
    )
}

fn ends(packets: &[Packet]) -> (Vec<&Packet>, Vec<&Packet>) {
    packets.iter().partition(|packet| packet.host == "client")
}

fn reorder() -> Result<Completion, Failed> {
    let times = under_way(&Traffic::through("netem from=client delay=\"100ms\" reorder=\"100%\" gap=3", 30))?;
    let expected: Vec<_> = (1..=30).map(|number| vec![if number % 3 == 0 { 0 } else { 100 * MS }]).collect();
    journeys_are("every third", &times, &expected)
}

fn reorder_on_a_cable() -> Result<Completion, Failed> {
    let seen = evidence(&scenario_with_cable("netem from=client delay=\"100ms\" reorder=\"100%\" gap=3"), 1)?;
    let (sent, arrived) = ends(&seen.packets);
    let port = |packet: &Packet| packet.bytes[HEADERS_BYTES - 5];
    let time = |number: u8| {
        let find = |packets: &[&Packet]| packets.iter().find(|p| port(p) == number).map(|p| p.t_ns);
        Some(find(&arrived)? - find(&sent)?)
    };
    let times: Vec<i64> = [1, 2, 3].into_iter().filter_map(time).collect();
    are("the third at once", &times, &[120 * MS, 120 * MS, 20 * MS])
}

fn duplicate() -> Result<Completion, Failed> {
    let seen = Traffic::through("netem from=client delay=\"30ms\" duplicate=\"100%\"", 30).run(1)?;
    let times: Vec<_> = seen.journeys().into_iter().map(|journey| journey.under_way_ns).collect();
    journeys_are("twice", &times, &vec![vec![30 * MS; 2]; 30])?;
    let sent: Vec<_> = seen.sent().flat_map(|packet| [&packet.bytes, &packet.bytes]).collect();
    claim("copies are alike", sent.iter().copied().eq(seen.arrived().map(|packet| &packet.bytes)))
}

fn alternate() -> Result<Completion, Failed> {
    // From state 1 always to 3, where a packet is lost, and always back.
    let seen = Traffic::through("netem from=client { loss state p13=\"100%\" p31=\"100%\"; }", 40).run(1)?;
    let expected: Vec<bool> = (0..40).map(|index| index % 2 == 0).collect();
    same("losses", seen.losses(), expected)
}

fn rate() -> Result<Completion, Failed> {
    let burst = Traffic { frame_bytes: 1000, ..Traffic::through("netem from=client rate=\"16kbit\"", 5) };
    arrives_every(burst, 500 * MS)
}

fn framing() -> Result<Completion, Failed> {
    let burst = Traffic { frame_bytes: 1000, ..Traffic::through("", 5) };
    let with = |link| Traffic { link, ..burst };
    arrives_every(with("netem from=client rate=\"16kbit\" overhead=24"), 512 * MS)?;
    arrives_every(with("netem from=client rate=\"16kbit\" overhead=-14"), 493 * MS)?;
    // As ATM: 1000 bytes are 21 cells of 48, each of which is 53 on the line.
    arrives_every(with("netem from=client rate=\"16kbit\" cell-size=48 cell-overhead=5"), 21 * 53 * MS / 2)?;
    // With 20 bytes more they are 22 cells: 1020 > 21 * 48.
    arrives_every(with("netem from=client rate=\"16kbit\" overhead=20 cell-size=48 cell-overhead=5"), 22 * 53 * MS / 2)
}

/// Each frame takes `ns`, and begins when it was sent and the one before has gone.
fn arrives_every(traffic: Traffic<'_>, ns: i64) -> Result<Completion, Failed> {
    let journeys = traffic.run(1)?.journeys();
    let mut free_ns = 0;
    let mut expected = Vec::new();
    for Journey { sent_ns, .. } in &journeys {
        free_ns = free_ns.max(*sent_ns) + ns;
        expected.push(vec![free_ns - sent_ns]);
    }
    let times: Vec<_> = journeys.into_iter().map(|journey| journey.under_way_ns).collect();
    journeys_are(traffic.link, &times, &expected)
}

fn limit() -> Result<Completion, Failed> {
    let burst = Traffic { ..Traffic::through("netem from=client delay=\"1s\" limit=10", 50) };
    let expected: Vec<bool> = (1..=50).map(|number| number > 10).collect();
    same("losses", burst.run(1)?.losses(), expected)
}

fn slot() -> Result<Completion, Failed> {
    let link = "netem from=client { slot min=\"100ms\" max=\"100ms\" packets=4; }";
    let seen = Traffic { ..Traffic::through(link, 20) }.run(1)?;
    same("order", seen.order(), (1..=20).collect::<Vec<_>>())?;
    let times: Vec<i64> = seen.arrived().map(|packet| packet.t_ns).collect();
    let batches: Vec<&[i64]> = times.chunk_by(|a, b| b - a < 50 * MS).collect();
    claim(&format!("batches of 4: {batches:?}"), batches.iter().all(|batch| batch.len() == 4))?;
    let gaps: Vec<i64> = batches.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
    are("between batches", &gaps, &[100 * MS; 4])
}

fn ecn() -> Result<Completion, Failed> {
    // ECT(0) in the two low bits of the TOS byte (RFC 3168, 5); UDP lets a program set them. Lost are those without.
    let text = |tos: u8| {
        format!(
            r#"namespace client
            namespace server {{
                drop udp
            }}
            link client server {{
                netem from=client loss="100%" ecn
            }}
            run run in=client sh -c "echo hello | nc.openbsd -u -q 1 -T {tos} server 9""#
        )
    };
    let tos_bytes = |tos: u8| -> Result<Vec<Vec<u8>>, Failed> {
        let seen = evidence(&text(tos), 1)?;
        let (sent, arrived) = ends(&seen.packets);
        Ok([sent, arrived].map(|packets| packets.iter().map(|packet| packet.bytes[15]).collect()).into())
    };
    same("able to be marked", tos_bytes(2)?, vec![vec![2], vec![3]])?;
    same("not able to be marked", tos_bytes(0)?, vec![vec![0], vec![]])
}
