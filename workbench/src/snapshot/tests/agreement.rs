//! Runs that the kernel can make agree with each other, whichever of them was recorded.

use super::fixture::{Connect, MS, Random, after, against, event, snapshot};
use crate::evidence::{Ending, EngineKind};
use crate::snapshot::{Outcome, Snapshot, Tolerance, compare};
use crate::timeline::TimerClass;

/// Give-up times of connect(2) in milliseconds, shortest and longest, as they were measured: armed length, then Linux
/// 6.18 at HZ=250, and User-Mode Linux 6.12 at HZ 250, 100 and 1000 over 64 phases of the jiffies clock.
const MEASURED: [(u64, [(i64, i64); 4]); 12] = [
    (3_000, [(3_049, 3_078), (3_049, 3_080), (3_081, 3_159), (3_049, 3_112)]),
    (7_000, [(7_114, 7_146), (7_113, 7_144), (7_241, 7_319), (7_145, 7_208)]),
    (19_000, [(19_352, 19_581), (19_337, 19_589), (19_407, 20_035), (19_252, 19_749)]),
    (35_000, [(35_481, 35_706), (35_465, 35_717), (36_047, 36_675), (35_636, 36_133)]),
    (67_000, [(67_811, 69_744), (67_741, 69_756), (68_687, 69_315), (67_892, 68_389)]),
    (131_000, [(133_350, 134_986), (133_277, 135_292), (136_151, 138_205), (133_079, 136_190)]),
    (3_000, [(3_018, 3_048), (3_017, 3_048), (3_081, 3_159), (3_049, 3_112)]),
    (7_000, [(7_056, 7_248), (7_049, 7_301), (7_161, 7_239), (7_081, 7_144)]),
    (15_000, [(15_247, 15_475), (15_241, 15_493), (15_246, 15_876), (15_156, 15_653)]),
    (31_000, [(31_373, 31_598), (31_369, 31_621), (31_886, 32_516), (31_540, 32_037)]),
    (63_000, [(63_726, 65_636), (63_645, 65_660), (64_526, 65_156), (63_796, 64_293)]),
    (127_000, [(129_247, 131_040), (129_181, 131_196), (129_918, 133_085), (128_983, 131_070)]),
];

const HZ: [u64; 4] = [250, 250, 100, 1000];

/// Longest step of the wheel for a timer of this length, in jiffies (`LVL_GRAN` in kernel/time/timer.c).
fn step(jiffies: u64) -> u64 {
    (0..8).map(|level| 8u64.pow(level)).find(|step| jiffies < 63 * step).unwrap()
}

fn wheel(random: &mut Random, armed_ms: u64, hz: u64) -> i64 {
    let jiffy_ns = 1_000_000_000 / hz;
    let jiffies = armed_ms * 1_000_000 / jiffy_ns;
    let early_ns = random.below(jiffy_ns);
    let late_ns = random.below(step(jiffies) * jiffy_ns + 1);
    i64::try_from(armed_ms * 1_000_000 - early_ns + late_ns).unwrap()
}

/// A run as the kernel of this column can make it, the process scheduled up to 40 ms late.
fn run(random: &mut Random, (armed_ms, columns): &(u64, [(i64, i64); 4]), column: usize, retries: u32) -> Snapshot {
    let (low, high) = columns[column];
    let late_ns = random.between(0, 40 * MS);
    Connect {
        start_ns: random.between(0, 400 * MS),
        sent: (0..retries).map(|n| (1000 << n, wheel(random, 1000 << n, HZ[column]))).collect(),
        end: (*armed_ms, random.between(low * MS, high * MS) + late_ns),
    }
    .snapshot()
}

#[test]
fn what_the_kernel_can_do_agrees_with_whatever_else_it_can_do() {
    let mut random = Random(3);
    for cell in &MEASURED {
        for _ in 0..100 {
            let (recorded_at, observed_at) = (random.below(4), random.below(4));
            let [recorded, observed] =
                [recorded_at, observed_at].map(|column| run(&mut random, cell, usize::try_from(column).unwrap(), 3));
            let tick = |column: u64| Tolerance {
                tick_ns: 1_000_000_000 / HZ[usize::try_from(column).unwrap()],
                lateness_ns: 0,
                engine: EngineKind::Host,
            };
            let there = compare(&recorded, &observed, &tick(observed_at));
            let back = compare(&observed, &recorded, &tick(recorded_at));
            assert_eq!((there.outcome, back.outcome), (Outcome::Agrees, Outcome::Agrees), "{there:#?}\n{back:#?}");
        }
    }
}

#[test]
fn a_timer_of_each_class_agrees_inside_its_band() {
    let mut random = Random(4);
    for (class, armed_ms, late_ms) in [
        (TimerClass::Slack, 5_000, 5 + 60),
        (TimerClass::Slack, 500_000, 100 + 60),
        (TimerClass::HighResolution, 2_000, 60),
        (TimerClass::Deadline, 2_000, 80),
        (TimerClass::Wheel, 7_200_000, 900_000),
    ] {
        let mut one = || {
            let gap_ns = i64::try_from(armed_ms).unwrap() * MS + random.between(0, late_ms * MS);
            let fired = after(event(MS + gap_ns, "client", "gave up"), gap_ns, "its timer", class, armed_ms);
            snapshot(Ending::Exit(1), vec![event(MS, "client", "began"), fired])
        };
        for _ in 0..200 {
            assert_eq!(against(&one(), &one()).outcome, Outcome::Agrees);
        }
    }
}

#[test]
fn what_is_left_of_a_deadline_may_be_a_little_more_or_less() {
    let poll = |armed_ms: u64| {
        let gap_ns = i64::try_from(armed_ms).unwrap() * MS;
        snapshot(
            Ending::Exit(28),
            vec![after(event(gap_ns, "client", "gave up"), gap_ns, "poll", TimerClass::Slack, armed_ms)],
        )
    };
    assert_eq!(against(&poll(794), &poll(791)).outcome, Outcome::Agrees);
    assert_eq!(against(&poll(791), &poll(794)).outcome, Outcome::Agrees);
    assert_eq!(against(&poll(794), &poll(900)).outcome, Outcome::Differs);
}

#[test]
fn a_late_start_does_not_add_up() {
    let expected = Connect::on_time(3);
    let late = Connect { start_ns: 900 * MS, ..Connect::on_time(3) };
    assert_eq!(against(&expected.snapshot(), &late.snapshot()).outcome, Outcome::Agrees);
}

#[test]
fn an_event_of_unknown_cause_need_not_follow_an_unrelated_timer() {
    let run = |syn_ms: i64, signal_ms: i64| {
        let again = after(event(syn_ms * MS, "client -> server", "SYN"), syn_ms * MS, "RTO", TimerClass::Wheel, 15_000);
        let killed = event(signal_ms * MS, "client", "SIGTERM from timeout");
        snapshot(Ending::Exit(124), vec![event(MS, "client", "connect"), again, killed])
    };
    assert_eq!(against(&run(15_200, 16_000), &run(15_800, 16_010)).outcome, Outcome::Agrees);
    assert_eq!(against(&run(15_200, 16_000), &run(15_800, 16_100)).outcome, Outcome::Differs);
}

#[test]
fn hosts_that_act_at_the_same_moment_may_do_so_in_either_order() {
    let first = event(1_000 * MS, "client", "exit 0");
    let second = event(1_004 * MS, "server", "exit 0");
    let swap = [event(1_001 * MS, "server", "exit 0"), event(1_003 * MS, "client", "exit 0")];
    let expected = snapshot(Ending::Exit(0), vec![first, second]);
    let observed = snapshot(Ending::Exit(0), swap.to_vec());
    for comparison in [against(&expected, &observed), against(&observed, &expected)] {
        assert_eq!(comparison.outcome, Outcome::Agrees);
        assert_eq!(comparison.remarks.len(), 1);
    }
}
